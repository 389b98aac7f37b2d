"""Lineage as people read it: trees, tables of columns, and Mermaid diagrams."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from datalake_assets.cli.output import Column as Heading
from datalake_assets.cli.output import prose
from datalake_assets.components.lineage.graph import Column

if TYPE_CHECKING:
    from datalake_assets.components.lineage.asset import Lineage
NONE = "–"
KINDS = {
    "raw": "raw files",
    "lake": "lake table",
    "warehouse": "warehouse table",
    "steps": "steps",
    "dbt": "dbt model",
    "unknown": "declared nowhere",
}

Node = TypeVar("Node")


def trees(found: "Lineage") -> Iterator[str]:
    """The asset, the tree of what it is made of and the tree of what is made of it."""
    assets = found.assets

    def shown(name: str, above: str) -> str:
        asset = assets[name]
        strange = "" if asset.kind != "unknown" else f"  {KINDS['unknown']}"
        # An owner is news where it changes: that is where one team's work becomes another's.
        owner = f"  {asset.owner}" if asset.owner and asset.owner != assets[above].owner else ""
        return f"{name}{owner}{strange}"

    asset = assets[found.asset]
    told = [KINDS[asset.kind], asset.table, f"pipeline {asset.pipeline}" if asset.pipeline else None, asset.owner]
    yield f"{asset.name}  {', '.join(filter(None, told))}"
    for heading, edges, end in (
        ("made of", found.upstream, "nothing that is declared"),
        ("used by", found.downstream, "nothing"),
    ):
        if edges:
            yield ""
            yield heading if edges[found.asset] else f"{heading} {end}"
            yield from _tree(found.asset, partial(_next, edges), shown)


def _next(edges: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    return edges.get(name, ())


def column_trees(found: "Lineage") -> Iterator[str]:
    """One column, the tree of those it hangs on and the tree of those that hang on it."""
    assert found.column is not None
    column = Column(found.asset, found.column)
    yield str(column)
    for heading, neighbours, is_asked in (
        ("made of", found.sources, found.upstream),
        ("used by", found.uses, found.downstream),
    ):
        if is_asked:
            yield ""
            yield heading if neighbours(column) else f"{heading} no column"
            yield from _tree(column, neighbours, lambda each, _above: str(each))


def _tree(
    start: Node, neighbours: Callable[[Node], Sequence[Node]], shown: Callable[[Node, Node], str]
) -> Iterator[str]:
    """Lines of a tree; what was shown with its branches already is not followed again."""
    seen = {start}
    todo: list[tuple[Node, Node, str, bool]] = []

    def add(node: Node, indent: str) -> None:
        branches = list(neighbours(node))
        todo.extend((each, node, indent, each is branches[-1]) for each in reversed(branches))

    add(start, "")
    while todo:
        node, above, indent, is_last = todo.pop()
        again = node in seen and bool(neighbours(node))
        yield f"{indent}{'└─ ' if is_last else '├─ '}{shown(node, above)}{'  (see above)' if again else ''}"
        if not again:
            seen.add(node)
            add(node, indent + ("   " if is_last else "│  "))


def column_tables(found: "Lineage") -> Iterator[tuple[list[Heading | str], list[list[str]]]]:
    """Headings and rows: each column with what it comes from, and with what becomes of it."""
    own = [Column(found.asset, name) for name in found.columns[found.asset]]
    if found.upstream:
        rows = []
        for column in own:
            direct, origins = found.sources(column), [each for each in found.origins(column) if each != column]
            first = origins if set(origins) != set(direct) else []
            rows.append([column.name, _list(direct), _list(first)])
        has_origins = any(row[2] != NONE for row in rows)
        headings: list[Heading | str] = ["column", prose("made of")]
        yield headings + ([prose("in the end of")] if has_origins else []), [row[: 2 + has_origins] for row in rows]
    if found.downstream and found.downstream[found.asset]:
        yield ["column", prose("used for")], [[column.name, _list(found.uses(column))] for column in own]


def _list(columns: Sequence[Column]) -> str:
    """`core_data/lake/listings city, listing_id`: an asset once, then its columns."""
    by_asset: dict[str, list[str]] = {}
    for each in columns:
        by_asset.setdefault(each.asset, []).append(each.name)
    return "; ".join(f"{asset} {', '.join(names)}" for asset, names in by_asset.items()) or NONE


def mermaid(found: "Lineage") -> Iterator[str]:
    """A flow chart with a box for each account, and in it the assets, or their columns if those are known."""
    places = {name: f"a{number}" for number, name in enumerate(found.assets)}
    accounts: dict[str, list[str]] = {}
    for asset in found.assets.values():
        accounts.setdefault(asset.account, []).append(asset.name)
    columns: dict[Column, str] = {}
    yield "flowchart LR"
    for place, (account, names) in enumerate(accounts.items()):
        yield f'  subgraph p{place}["{account}"]'  # not by its name: an account called `end` would end the box
        for name in names:
            short = name.removeprefix(f"{account}/")
            if not found.columns.get(name):
                yield f'    {places[name]}["{_text(short)}"]'
                continue
            yield f'    subgraph {places[name]}["{_text(short)}"]'
            for number, called in enumerate(found.columns[name]):
                columns[Column(name, called)] = column_place = f"{places[name]}c{number}"
                yield f'      {column_place}["{_text(called)}"]'
            yield "    end"
        yield "  end"
    drawn = found.column_edges()
    for source, column in drawn:
        if source in columns:
            yield f"  {columns[source]} --> {columns[column]}"
    joined = {(source.asset, column.asset) for source, column in drawn}
    for parent, child in found.edges():
        if (parent, child) not in joined:
            yield f"  {places[parent]} --> {places[child]}"


def _text(text: str) -> str:
    """A raw column may be called anything; quotes would end the label."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
