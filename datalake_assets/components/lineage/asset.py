"""What an asset is made of and what depends on it, across accounts, down to columns."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datalake_assets.components.lineage.graph import AssetGraph, Column, Columns, LineageAsset, read_graph
from datalake_assets.errors import ConfigurationError
from datalake_assets.project import LOCATIONS_FOLDER

MAX_NAMED = 10


@dataclass(frozen=True)
class Lineage:
    """An asset with everything above and below it that was asked for.

    Args:
        asset: name of the asset in question.
        column: the column in question, None for all.
        assets: by name; those above and below, and itself.
        upstream, downstream: asset → those that it is made of, and those that are made of it, without ends.
        columns: asset → its columns, each with the columns that it hangs on; only what belongs to the question.
        unknown_columns: asset → why its columns cannot be told.
    """

    asset: str
    column: str | None
    assets: Mapping[str, LineageAsset]
    upstream: Mapping[str, tuple[str, ...]]
    downstream: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, Columns]
    unknown_columns: Mapping[str, str]

    def origins(self, column: Column) -> tuple[Column, ...]:
        """The columns that one hangs on in the end: those of raw files, or whatever has no parents of its own."""
        return tuple(sorted(each for each in _reached(column, self.sources) if not self.sources(each)))

    def sources(self, column: Column) -> tuple[Column, ...]:
        """The columns that one hangs on directly."""
        return tuple(self.columns.get(column.asset, {}).get(column.name, ()))

    def uses(self, column: Column) -> tuple[Column, ...]:
        """The columns that hang on one directly."""
        return tuple(
            Column(asset, name)
            for asset in self.downstream.get(column.asset, ())
            for name, sources in self.columns.get(asset, {}).items()
            if column in sources
        )

    def edges(self) -> list[tuple[str, str]]:
        """All (parent, child) of the assets that are told, in order."""
        found = {(parent, child) for child, parents in self.upstream.items() for parent in parents}
        found |= {(parent, child) for parent, children in self.downstream.items() for child in children}
        return sorted(found)

    def column_edges(self) -> list[tuple[Column, Column]]:
        """All (source, column made of it), in order."""
        return sorted(
            (source, Column(asset, name))
            for asset, columns in self.columns.items()
            for name, sources in columns.items()
            for source in sources
            if source.asset in self.assets
        )


def lineage(
    asset: str,
    *,
    upstream: bool = True,
    downstream: bool = True,
    columns: bool = False,
    column: str | None = None,
    folder: Path = LOCATIONS_FOLDER,
    dbt_project: Path | None = None,
) -> Lineage:
    """Return what an asset is made of and what depends on it.

    Args:
        asset: `location/layer/table`, a pipeline `location/name` (the last table that it makes), a table as SQL names
            it (`marts.daily_delays`), or a table's name alone if only one has it.
        upstream, downstream: which way to look.
        columns: whether to read columns, too: `Lineage.columns` is empty otherwise.
        column: follow one column instead of all.

    Raises:
        ConfigurationError: there is no such asset or column, or a declaration has mistakes.
    """
    graph = read_graph(folder, dbt_project)
    name = find_asset(graph, asset)
    above = _edges(name, lambda each: graph.assets[each].parents) if upstream else {}
    below = _edges(name, lambda each: graph.children[each]) if downstream else {}
    told = {name, *above, *below}
    known: dict[str, Columns] = {}
    if columns or column:
        known = {each: graph.columns(each) for each in sorted(told)}
    if column is not None:
        if column not in known[name]:
            near = difflib.get_close_matches(column, known[name], n=1)
            raise ConfigurationError(
                f"{name} has no column {column!r}",
                expected=None if near else f"one of {', '.join(known[name])}",
                todo=f"Did you mean {near[0]}?" if near else None,
            )
        known = _only(Column(name, column), known)
        told &= known.keys()
        above, below = (
            {each: tuple(other for other in others if other in told) for each, others in edges.items() if each in told}
            for edges in (above, below)
        )
    unknown = {each: why for each, why in graph.unknown_columns().items() if each in told}
    return Lineage(name, column, {each: graph.assets[each] for each in sorted(told)}, above, below, known, unknown)


def find_asset(graph: AssetGraph, text: str) -> str:
    """The name of the asset that a person means.

    Raises:
        ConfigurationError: no asset or more than one is called so; near or matching names are told.
    """
    if text in graph.assets:
        return text
    candidates: dict[str, list[str]] = {}
    last_of_pipeline: dict[str, str] = {}
    for asset in graph.assets.values():
        if asset.pipeline and asset.kind != "raw" and asset.name.rpartition("/")[2] == asset.pipeline.partition("/")[2]:
            last_of_pipeline[asset.pipeline] = asset.name  # declared in the order in which a run makes them
        for called in filter(None, (asset.table, asset.name.replace("/", "."), asset.name.rpartition("/")[2])):
            candidates.setdefault(called, []).append(asset.name)
    if text in last_of_pipeline:
        return last_of_pipeline[text]
    found = list(dict.fromkeys(candidates.get(text, ())))
    pipelines = {graph.assets[each].pipeline for each in found}
    if len(found) > 1 and len(pipelines) == 1 and (only := pipelines.pop()) in last_of_pipeline:
        return last_of_pipeline[only]
    if len(found) > 1:
        more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
        raise ConfigurationError(
            f"{text!r} is the name of several assets", expected=f"one of {', '.join(found[:MAX_NAMED])}{more}"
        )
    if found:
        return found[0]
    near = difflib.get_close_matches(text, [*last_of_pipeline, *graph.assets, *candidates], n=1)
    raise ConfigurationError(
        f"there is no asset {text!r}",
        expected=None if near else "location/layer/table, location/pipeline or schema.table",
        todo=f"Did you mean {near[0]}?" if near else None,
    )


def _edges(start: str, neighbours: Callable[[str], Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Everything that is reached from an asset in one direction, with its next ones."""
    found: dict[str, tuple[str, ...]] = {}
    todo = [start]
    while todo:
        each = todo.pop()
        if each not in found:
            found[each] = tuple(sorted(neighbours(each)))
            todo += found[each]
    return found


def _reached(start: Column, following: Callable[[Column], Sequence[Column]]) -> set[Column]:
    found: set[Column] = set()
    todo = [start]
    while todo:
        each = todo.pop()
        if each not in found:
            found.add(each)
            todo += following(each)
    return found


def _only(column: Column, known: Mapping[str, Columns]) -> dict[str, Columns]:
    """The columns that one hangs on or that hang on it, and what of their sources belongs to them."""
    users: dict[Column, list[Column]] = {}
    for asset, columns in known.items():
        for name, sources in columns.items():
            for source in sources:
                users.setdefault(source, []).append(Column(asset, name))
    above = _reached(column, lambda each: known.get(each.asset, {}).get(each.name, ()))
    below = _reached(column, lambda each: users.get(each, ()))
    kept: dict[str, dict[str, tuple[Column, ...]]] = {}
    for each in sorted(above | below):
        sources = known.get(each.asset, {}).get(each.name, ())
        kept.setdefault(each.asset, {})[each.name] = tuple(s for s in sources if s in above or s in below)
    return dict(kept)
