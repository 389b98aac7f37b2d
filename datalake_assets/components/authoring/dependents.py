"""What depends on a pipeline, found in the files as they are: another team's mistakes must not hide its dependence."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from datalake_assets import names
from datalake_assets.accounts.registry import Registry, load_registry
from datalake_assets.components.authoring.tree import Tree, shown
from datalake_assets.components.declarations import FILE_NAMES
from datalake_assets.components.yaml_file import YamlFile
from datalake_assets.errors import ConfigurationError
from datalake_assets.project import DBT_PROJECT

_LAYERS = ("raw", "lake", "warehouse", "steps", "crawl")


@dataclass(frozen=True)
class Dependent:
    """Something that breaks, or waits for ever, without the pipeline: a sentence, and the file to change."""

    what: str
    path: str

    def __str__(self) -> str:
        return f"{self.what} ({self.path})"


@dataclass(frozen=True)
class WrittenPipeline:
    """A pipeline as its folder says, even if the declaration has mistakes."""

    location: str
    folder: Path

    @property
    def name(self) -> str:
        """`location/pipeline`."""
        return f"{self.location}/{self.folder.name}"

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        found = next((self.folder / each for each in FILE_NAMES if (self.folder / each).is_file()), None)
        return attributes_of(found) if found else {}

    @property
    def tables(self) -> list[str]:
        """The lake tables that it writes, without their quarantines."""
        return [self.folder.name, *_children(self.attributes)]

    @property
    def warehouse_table(self) -> str | None:
        target = self.attributes.get("warehouse")
        table = target.get("table") if isinstance(target, dict) else None
        return table if isinstance(table, str) else None


def find_written(tree: Tree, name: str) -> WrittenPipeline:
    """The pipeline of this name, `location/pipeline`.

    Raises:
        ConfigurationError: there is no folder of this name with a declaration; the nearest name is suggested.
    """
    import difflib

    found = {f"{path.parent.parent.name}/{path.parent.name}": path.parent for path in _declarations(tree.locations)}
    if name not in found:
        near = difflib.get_close_matches(name, list(found), n=1)
        raise ConfigurationError(
            f"there is no pipeline {name!r}",
            where=shown(tree.locations),
            expected=None if near else "ACCOUNT/NAME of a folder with a defs.yaml",
            todo=f"Did you mean {near[0]}?" if near else None,
        )
    return WrittenPipeline(name.partition("/")[0], found[name])


def dependents(tree: Tree, pipeline: WrittenPipeline, *, dbt_project: Path = DBT_PROJECT) -> list[Dependent]:
    """Everything outside of its folder that names the pipeline or one of its tables."""
    registry = load_registry(tree.registry)
    return [
        *_pipelines(tree, pipeline, registry),
        *_python(tree, pipeline),
        *_dbt(pipeline, dbt_project),
        *_grants(pipeline, registry, tree),
    ]


def attributes_of(path: Path) -> Mapping[str, Any]:
    """What stands below `attributes` of a declaration; nothing if it cannot be read."""
    parsed = YamlFile.parse(path, shown_as=str(path))
    data = parsed.data if isinstance(parsed, YamlFile) else None
    found = data.get("attributes") if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _declarations(folder: Path) -> list[Path]:
    return sorted(path for name in FILE_NAMES for path in folder.rglob(name))


def _children(node: Mapping[str, Any]) -> Iterator[str]:
    children = node.get("children")
    for child in children if isinstance(children, list) else ():
        if isinstance(child, dict):
            if isinstance(child.get("table"), str):
                yield child["table"]
            yield from _children(child)


def _pipelines(tree: Tree, pipeline: WrittenPipeline, registry: Registry) -> Iterator[Dependent]:
    for path in _declarations(tree.locations):
        if path.parent == pipeline.folder:
            continue
        location = path.parent.parent.name
        name, attributes = f"{location}/{path.parent.name}", attributes_of(path)
        trigger = attributes.get("trigger")
        executions = trigger.get("executions") if isinstance(trigger, dict) else None
        if pipeline.name in set(_executions(executions, location, registry)):
            yield Dependent(f"the pipeline {name} waits for it", shown(path))
        read = sorted(set(_reads(attributes)) & {f"{pipeline.location}/{table}" for table in pipeline.tables})
        if read:
            yield Dependent(f"the pipeline {name} reads {', '.join(read)}", shown(path))


def _executions(node: Any, location: str, registry: Registry) -> Iterator[str]:
    """The pipelines that a trigger names at any depth."""
    if isinstance(node, list):
        for each in node:
            yield from _executions(each, location, registry)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("name"), str):
        account = str(node.get("account", location))
        known = next((each.name for each in registry if account in (each.id, each.name)), account)
        yield f"{known}/{node['name']}"
    for key in ("allOf", "anyOf"):
        yield from _executions(node.get(key), location, registry)


def _reads(attributes: Mapping[str, Any]) -> Iterator[str]:
    reads = attributes.get("reads")
    for each in reads if isinstance(reads, list) else ():
        table = each.get("table") if isinstance(each, dict) else each
        if isinstance(table, str):
            yield table


def _python(tree: Tree, pipeline: WrittenPipeline) -> Iterator[Dependent]:
    """Asset keys in the Python files beside the YAML, as people write them."""
    quoted = [rf"""["']{re.escape(table)}["']""" for table in pipeline.tables]
    layers = "|".join(_LAYERS)
    parts = rf"""["']{pipeline.location}["']\s*,\s*["'](?:{layers})["']\s*,\s*(?:{"|".join(quoted)})"""
    tables = "|".join(map(re.escape, pipeline.tables))
    joined = rf"""["']{pipeline.location}/(?:{layers})/(?:{tables})["']"""
    key = re.compile(f"{parts}|{joined}")
    for path in sorted(tree.locations.rglob("*.py")):
        if pipeline.folder not in path.parents and key.search(path.read_text(encoding="utf-8", errors="replace")):
            yield Dependent("Python names one of its assets", shown(path))


def _dbt(pipeline: WrittenPipeline, project: Path) -> Iterator[Dependent]:
    models = project / "models"
    if not models.is_dir():
        return
    keys = [[pipeline.location, "warehouse", table] for table in pipeline.tables]
    sql = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in sorted(models.rglob("*.sql"))}
    for path in sorted([*models.rglob("*.yml"), *models.rglob("*.yaml")]):
        parsed = YamlFile.parse(path, shown_as=str(path))
        data = parsed.data if isinstance(parsed, YamlFile) else None
        for source, schema, table in _sources(data):
            if _asset_key(table) not in keys and f"{schema}.{table['name']}" != pipeline.warehouse_table:
                continue
            call = re.compile(rf"""source\(\s*["']{re.escape(source)}["']\s*,\s*["']{re.escape(table["name"])}["']""")
            readers = [name for name, text in sql.items() if call.search(text)]
            read_by = f", read by {', '.join(readers)}" if readers else ""
            yield Dependent(f"it is the dbt source {source}.{table['name']}{read_by}", shown(path))


def _sources(data: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each table of each dbt source of a file: the source, its schema, the table."""
    sources = data.get("sources") if isinstance(data, dict) else None
    for source in sources if isinstance(sources, list) else ():
        tables = source.get("tables") if isinstance(source, dict) else None
        for table in tables if isinstance(tables, list) else ():
            if isinstance(table, dict) and isinstance(table.get("name"), str):
                name = str(source.get("name"))
                yield name, str(source.get("schema", name)), table


def _asset_key(table: Mapping[str, Any]) -> Any:
    """What dbt's `meta.dagster.asset_key` says, at either of its two places."""
    for holder in (table.get("config"), table):
        meta = holder.get("meta") if isinstance(holder, dict) else None
        dagster = meta.get("dagster") if isinstance(meta, dict) else None
        if isinstance(dagster, dict) and "asset_key" in dagster:
            return dagster["asset_key"]
    return None


def _grants(pipeline: WrittenPipeline, registry: Registry, tree: Tree) -> Iterator[Dependent]:
    account = registry.accounts.get(pipeline.location)
    if account is None:
        return
    for table in pipeline.tables:
        for granted in (table, names.quarantine_table(table)):
            if readers := account.grants.get(granted):
                what = f"{pipeline.location} grants its table {granted} to {', '.join(readers)}"
                yield Dependent(what, shown(tree.registry))
