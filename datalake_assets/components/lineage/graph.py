"""All assets of all accounts with what each is made of, down to columns, from declarations and the dbt manifest alone.

No database, no AWS and no code location is asked: what is declared is what the graph shows, run or not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from datalake_assets.components.dbt.nodes import DBT_LOCATION, built_nodes, dagster_meta, node_key, parent_nodes
from datalake_assets.errors import PlatformError, Unsupported
from datalake_assets.names import asset_key
from datalake_assets.project import DBT_PROJECT, LOCATIONS_FOLDER

if TYPE_CHECKING:
    import dagster as dg

    from datalake_assets.components.declarations import AnyDeclaration
    from datalake_assets.components.words.pipeline_spec import PipelineSpec
    from datalake_assets.components.words.sql_spec import SqlSpec
    from datalake_assets.ingest.pipeline import Pipeline

Kind = Literal["raw", "lake", "warehouse", "steps", "dbt", "unknown"]


@dataclass(frozen=True, order=True)
class Column:
    """A column of an asset."""

    asset: str
    name: str

    def __str__(self) -> str:
        return f"{self.asset} {self.name}"


Columns = Mapping[str, tuple[Column, ...]]
"""Each column of an asset and the columns of its parents that it hangs on; none for one that is made of nothing."""


@dataclass(frozen=True)
class LineageAsset:
    """One asset.

    Args:
        name: its key, joined with slashes: `core_data/lake/listings`.
        kind: `unknown` for one that others read but nobody declares.
        pipeline: `location/name` of what builds it, None for dbt models and unknown ones.
        table: how SQL names it, None where it is no table.
    """

    name: str
    kind: Kind
    pipeline: str | None
    owner: str | None
    table: str | None
    parents: tuple[str, ...]

    @property
    def account(self) -> str:
        """The location that it belongs to."""
        return self.name.partition("/")[0]


@dataclass
class AssetGraph:
    """Assets by name. Columns are worked out when they are asked for: reading SQL takes longer than all else."""

    assets: dict[str, LineageAsset] = field(default_factory=dict)
    _columns: dict[str, Callable[[], Columns]] = field(default_factory=dict)
    _known: dict[str, Columns] = field(default_factory=dict)
    _unknown: dict[str, str] = field(default_factory=dict)

    def add(self, asset: LineageAsset, columns: Callable[[], Columns]) -> None:
        """Add an asset and the way to find out about its columns."""
        self.assets[asset.name] = asset
        self._columns[asset.name] = columns

    def close(self) -> None:
        """Add what is read and declared nowhere, and give every asset its children."""
        for asset in list(self.assets.values()):
            for parent in asset.parents:
                if parent not in self.assets:
                    self.add(LineageAsset(parent, "unknown", None, None, None, ()), dict)
        self.children: dict[str, list[str]] = {name: [] for name in self.assets}
        for asset in self.assets.values():
            for parent in asset.parents:
                self.children[parent].append(asset.name)

    def columns(self, name: str) -> Columns:
        """The columns of an asset and what each hangs on; empty where that is not known."""
        if name not in self._known:
            try:
                self._known[name] = self._columns[name]()
            except PlatformError as error:
                self._known[name] = {}
                self._unknown[name] = str(error)
        return self._known[name]

    def unknown_columns(self) -> Mapping[str, str]:
        """Of the assets that were asked about: whose columns cannot be told, and why."""
        return dict(self._unknown)


def read_graph(folder: Path = LOCATIONS_FOLDER, dbt_project: Path | None = None) -> AssetGraph:
    """Read the declarations of all locations and the manifest of the dbt project.

    Args:
        dbt_project: by default the platform's own if the folder has its location.

    Raises:
        ConfigurationError: a declaration has mistakes, or the dbt project cannot be parsed.
    """
    from datalake_assets.components.declarations import read_all

    graph = AssetGraph()
    declared = {each.name: each for each in read_all(folder)}
    for each in declared.values():
        for asset, columns in _declared(each, declared, folder):
            graph.add(asset, columns)
    if dbt_project is None and (folder / DBT_LOCATION).is_dir():
        dbt_project = DBT_PROJECT
    if dbt_project is not None:
        from datalake_assets.components.dbt.manifest import ensure_manifest, read_manifest

        ensure_manifest(dbt_project)
        _add_models(graph, read_manifest(dbt_project))
    graph.close()
    return graph


def _declared(
    each: "AnyDeclaration", declared: "Mapping[str, AnyDeclaration]", folder: Path
) -> Iterator[tuple[LineageAsset, Callable[[], Columns]]]:
    from datalake_assets.components.triggering import waits_for
    from datalake_assets.components.words.pipeline_spec import PipelineSpec
    from datalake_assets.components.words.sql_spec import SqlSpec

    spec = each.spec
    if isinstance(spec, PipelineSpec):
        yield from _mapped_assets(each.location, spec)
    elif isinstance(spec, SqlSpec):
        yield from _queried_assets(each.location, spec, folder)
    else:
        needed = [declared[need.pipeline] for need in waits_for(each.location, spec) if need.pipeline in declared]
        parents = tuple(dict.fromkeys(_name(one.spec.assets(one.location)[-1]) for one in needed if one is not each))
        for path in spec.assets(each.location):
            yield LineageAsset(_name(path), "steps", each.name, spec.owner, None, parents), dict


def _mapped_assets(location: str, spec: "PipelineSpec") -> Iterator[tuple[LineageAsset, Callable[[], Columns]]]:
    """Raw files, lake table with its children, warehouse table."""
    from datalake_assets.components import metadata
    from datalake_assets.components.lake_pipeline import build_pipeline

    pipeline = build_pipeline(location, spec)
    raw, database = _name(pipeline.raw_key), pipeline.account.glue_database

    def child_columns(child: Any) -> Columns:
        return _columns_of(metadata.child_schema(pipeline, child), metadata.child_lineage(pipeline, child))

    yield (
        LineageAsset(raw, "raw", pipeline.source_id, spec.owner, None, ()),
        lambda: dict.fromkeys((column.name for column in metadata.raw_schema(pipeline).columns), ()),
    )
    yield from _table_assets(location, spec, (raw,), lambda: pipeline)
    for child in pipeline.children:
        parents = (raw, _name([*pipeline.lake_key[:2], child.parent]))
        yield (
            LineageAsset(_name(child.key), "lake", pipeline.source_id, spec.owner, f"{database}.{child.name}", parents),
            partial(child_columns, child),
        )


def _queried_assets(
    location: str, spec: "SqlSpec", folder: Path
) -> Iterator[tuple[LineageAsset, Callable[[], Columns]]]:
    """Lake table and warehouse table of a query."""

    @cache
    def pipeline() -> "Pipeline":
        from datalake_assets.components.sql_pipeline import build_sql_pipeline
        from datalake_assets.components.sql_reads import build_derivation

        return build_sql_pipeline(location, spec, build_derivation(location, spec, folder))

    read = [table.partition("/") for table, _ in spec.parents_read()]
    parents = tuple(_name(asset_key(account, "lake", table)) for account, _, table in read)
    yield from _table_assets(location, spec, parents, pipeline)


def _table_assets(
    location: str, spec: "PipelineSpec | SqlSpec", parents: tuple[str, ...], pipeline: "Callable[[], Pipeline]"
) -> Iterator[tuple[LineageAsset, Callable[[], Columns]]]:
    """The lake table, and the warehouse table if there is one."""
    from datalake_assets.accounts.registry import registry
    from datalake_assets.components import metadata

    lake, name = _name(asset_key(location, "lake", spec.name)), f"{location}/{spec.name}"

    def lake_columns() -> Columns:
        lineage = metadata.lake_lineage(pipeline())
        if not lineage.deps_by_column:
            raise Unsupported("its query cannot be followed column by column", where=name)
        return _columns_of(metadata.column_schema(pipeline(), warehouse=False), lineage)

    def warehouse_columns() -> Columns:
        # The load takes over all columns under their names, that of the partition too.
        schema = metadata.column_schema(pipeline(), warehouse=True)
        return {column.name: (Column(lake, column.name),) for column in schema.columns}

    database = registry().account(location).glue_database
    yield LineageAsset(lake, "lake", name, spec.owner, f"{database}.{spec.name}", parents), lake_columns
    if spec.warehouse is not None:
        warehouse = _name(asset_key(location, "warehouse", spec.name))
        yield LineageAsset(warehouse, "warehouse", name, spec.owner, spec.warehouse.table, (lake,)), warehouse_columns


def _columns_of(schema: "dg.TableSchema", lineage: "dg.TableColumnLineage") -> Columns:
    """All columns of a table, those that come from nothing too."""
    known = _columns(lineage)
    return {column.name: known.get(column.name, ()) for column in schema.columns}


def _add_models(graph: AssetGraph, manifest: Mapping[str, Any]) -> None:
    for node in built_nodes(manifest):
        parents = [_name(node_key(DBT_LOCATION, parent)) for parent in parent_nodes(node, manifest)]
        owners = dagster_meta(node).get("owners") or [None]
        name = _name(key := node_key(DBT_LOCATION, node))
        asset = LineageAsset(name, "dbt", None, owners[0], ".".join(key[1:]), tuple(dict.fromkeys(parents)))
        graph.add(asset, partial(_model_columns, graph, node, manifest))


def _model_columns(graph: AssetGraph, node: Mapping[str, Any], manifest: Mapping[str, Any]) -> Columns:
    import dagster as dg
    from sqlglot.errors import SqlglotError

    from datalake_assets.components.dbt.lineage import Relation, column_lineage
    from datalake_assets.components.dbt.nodes import relation_name, rendered

    if node["resource_type"] != "model":
        return dict.fromkeys(node["columns"], ())
    relations = []
    for parent in parent_nodes(node, manifest):
        key = node_key(DBT_LOCATION, parent)
        columns = list(parent["columns"]) or list(graph.columns(_name(key)))
        relations.append(Relation(parent["schema"], relation_name(parent), dg.AssetKey(key), columns))
    try:
        found = column_lineage(rendered(node, manifest), node["columns"], relations)
    except SqlglotError as error:
        raise Unsupported(f"its SQL cannot be read: {error}", where=node["original_file_path"]) from error
    return _columns(found)


def _columns(lineage: "dg.TableColumnLineage") -> Columns:
    """What Dagster's metadata says of the columns of a table."""
    return {
        name: tuple(Column(dep.asset_key.to_user_string(), dep.column_name) for dep in deps)
        for name, deps in lineage.deps_by_column.items()
    }


def _name(key: Sequence[str]) -> str:
    return "/".join(key)
