"""All assets of all accounts with what each is made of, down to columns, from declarations and the dbt manifest alone.

No database, no AWS and no code location is asked: what is declared is what the graph shows, run or not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from datalake_assets.components.dbt_nodes import DBT_LOCATION, built_nodes, dagster_meta, node_key, parent_nodes
from datalake_assets.errors import PlatformError
from datalake_assets.project import DBT_PROJECT, LOCATIONS_FOLDER

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
    for each in read_all(folder):
        for asset, columns in _declared(each.location, each.spec):
            graph.add(asset, columns)
    if dbt_project is None and (folder / DBT_LOCATION).is_dir():
        dbt_project = DBT_PROJECT
    if dbt_project is not None:
        from datalake_assets.components.dbt_manifest import ensure_manifest, read_manifest

        ensure_manifest(dbt_project)
        _add_models(graph, read_manifest(dbt_project))
    graph.close()
    return graph


def _declared(location: str, spec: Any) -> Iterator[tuple[LineageAsset, Callable[[], Columns]]]:
    from datalake_assets.components.pipeline_spec import PipelineSpec

    if isinstance(spec, PipelineSpec):
        yield from _lake_assets(location, spec)


def _lake_assets(location: str, spec: Any) -> Iterator[tuple[LineageAsset, Callable[[], Columns]]]:
    from datalake_assets.components import metadata
    from datalake_assets.components.lake_pipeline import build_pipeline

    pipeline = build_pipeline(location, spec)
    raw, lake = _name(pipeline.raw_key), _name(pipeline.lake_key)
    shared: dict[str, Any] = {"pipeline": pipeline.source_id, "owner": spec.owner}
    database = pipeline.account.glue_database

    def schema_of(schema: Any, lineage: Any = None) -> Columns:
        known = _columns(lineage) if lineage is not None else {}
        return {column.name: known.get(column.name, ()) for column in schema.columns}

    def child_columns(child: Any) -> Columns:
        return schema_of(metadata.child_schema(pipeline, child), metadata.child_lineage(pipeline, child))

    yield (
        LineageAsset(raw, "raw", **shared, table=None, parents=()),
        lambda: schema_of(metadata.raw_schema(pipeline)),
    )
    yield (
        LineageAsset(lake, "lake", **shared, table=f"{database}.{spec.name}", parents=(raw,)),
        lambda: schema_of(metadata.column_schema(pipeline, warehouse=False), metadata.lake_lineage(pipeline)),
    )
    for child in pipeline.children:
        parents = (raw, _name([*pipeline.lake_key[:2], child.parent]))
        yield (
            LineageAsset(_name(child.key), "lake", **shared, table=f"{database}.{child.name}", parents=parents),
            partial(child_columns, child),
        )
    if spec.warehouse is not None:
        name = _name(pipeline.warehouse_asset_key)
        yield (
            LineageAsset(name, "warehouse", **shared, table=spec.warehouse.table, parents=(lake,)),
            # The load takes over all columns under their names, that of the partition too.
            lambda: {
                column.name: (Column(lake, column.name),)
                for column in metadata.column_schema(pipeline, warehouse=True).columns
            },
        )


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

    from datalake_assets.components.dbt_lineage import Relation, column_lineage
    from datalake_assets.components.dbt_nodes import relation_name, rendered
    from datalake_assets.errors import Unsupported

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


def _columns(lineage: Any) -> Columns:
    """What Dagster's metadata says of the columns of a table."""
    return {
        name: tuple(Column(dep.asset_key.to_user_string(), dep.column_name) for dep in deps)
        for name, deps in lineage.deps_by_column.items()
    }


def _name(key: Sequence[str]) -> str:
    return "/".join(key)
