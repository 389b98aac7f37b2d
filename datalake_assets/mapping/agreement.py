"""Whether the words of a mapping agree with each other: mistakes that take more than one of them to see.

Each function yields where a mistake stands below the word it is about, and what it is, as `components.mistakes` and
pydantic tell it.
"""

import difflib
from collections.abc import Collection, Iterator, Sequence

from datalake_assets import names
from datalake_assets.mapping.children import (
    KEY_PATH,
    MAX_LEVELS,
    POSITION_COLUMN,
    VALUE_PATH,
    Child,
    Deduplicate,
    Explode,
    Level,
)
from datalake_assets.mapping.columns import (
    DroppedColumn,
    ExpressionColumn,
    MappedColumn,
    mapped,
    raw_paths,
)

Located = tuple[tuple[str | int, ...], str]
Columns = Sequence[MappedColumn | DroppedColumn]


def column_mistakes(columns: Columns, taken: Collection[str] = ()) -> Iterator[Located]:
    """Of the entries of one table: names, drops and expressions.

    Args:
        taken: names of columns that the table has beside these.
    """
    if not mapped(columns):
        yield (), "a mapping has at least one column"
    yield from _name_mistakes(columns, taken)
    yield from _drop_mistakes(columns)
    yield from _expression_mistakes(columns)


def _name_mistakes(columns: Columns, taken: Collection[str]) -> Iterator[Located]:
    seen = set(taken)
    for number, column in enumerate(columns):
        if isinstance(column, DroppedColumn):
            continue
        for name, _ in column.output:
            if name in taken:
                yield (number, "to"), f"the table has a column {name!r} already, which the platform writes"
            elif name in seen:
                also = "" if name == column.to else f" (`on_conflict: split` of {column.to!r} makes it)"
                yield (number, "to"), f"column {name!r} is mapped twice, again as number {number + 1} of the list{also}"
            elif len(name) > names.MAX_IDENTIFIER_CHARACTERS:
                yield (number, "to"), f"`on_conflict: split` needs the column {name!r}, which is too long for a name"
            seen.add(name)


def _drop_mistakes(columns: Columns) -> Iterator[Located]:
    read = {path for column in mapped(columns) for path in raw_paths(column)}
    dropped: set[str] = set()
    for number, column in enumerate(columns):
        if isinstance(column, DroppedColumn):
            if column.from_ in read:
                yield (number, "drop"), f"{column.from_!r} is mapped by another entry; it cannot be dropped as well"
            if column.from_ in dropped:
                yield (number, "from"), f"{column.from_!r} is dropped twice"
            dropped.add(column.from_)


def _expression_mistakes(columns: Columns) -> Iterator[Located]:
    names_of = [[name for name, _ in column.output] for column in mapped(columns)]
    known: list[str] = []
    at = 0
    for number, column in enumerate(columns):
        if isinstance(column, DroppedColumn):
            continue
        if isinstance(column, ExpressionColumn):
            from datalake_assets.mapping.expressions import column_expression_mistake

            later = [name for names_behind in names_of[at:] for name in names_behind]
            if mistake := column_expression_mistake(column.expression, known, later):
                yield (number, "expression"), mistake
        known += names_of[at]
        at += 1


def explode_mistakes(explode: Explode, columns: Columns) -> Iterator[Located]:
    """Of `explode` with the columns of the table."""
    paths = [path for column in mapped(columns) for path in raw_paths(column)]
    if not any(path == explode.as_ or path.startswith((f"{explode.as_}.", f"{explode.as_}[")) for path in paths):
        near = difflib.get_close_matches(explode.as_, [path.partition(".")[0] for path in paths], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        yield ("as",), f"no column reads {explode.as_!r} or a path below it, such as {explode.as_}.name{hint}"
    if explode.from_ == explode.as_:
        yield ("as",), f"the element needs another name than the array {explode.from_!r}"


def children_mistakes(children: Sequence[Child], columns: Columns, *, is_exploded: bool) -> Iterator[Located]:
    """Of `children` with the columns of their parent table."""
    if children and is_exploded:
        yield (), "a table is either exploded or has children: make the exploded array a child as well"
        return
    yield from _child_mistakes(children, columns, (), {})


def _child_mistakes(
    children: Sequence[Child], columns: Columns, parents: tuple[Child, ...], tables: dict[str, int]
) -> Iterator[Located]:
    known = {name: type for column in mapped(columns) for name, type in column.output}
    for number, child in enumerate(children):
        level = Level(child, parents)
        if level.depth >= MAX_LEVELS:
            yield (number,), f"children are nested more than {MAX_LEVELS} levels deep"
            continue
        if child.table in tables:
            yield (number, "table"), f"the table {child.table!r} is there twice"
        tables[child.table] = number
        for at, name in enumerate(child.key):
            if name not in known:
                yield (number, "key", at), _not_a_column(name, list(known))
            elif known[name].is_nested:
                yield (number, "key", at), f"{name!r} is {known[name]}; a key is a plain value"
        if len(set(level.key)) != len(level.key):
            yield (number, "key"), f"the key would be {', '.join(level.key)}: a column stands there twice"
        taken = {*level.key, POSITION_COLUMN}
        yield from (((number, "columns", *where), text) for where, text in column_mistakes(child.columns, taken))
        for at, column in enumerate(child.columns):
            if isinstance(column, DroppedColumn) and column.from_ in (VALUE_PATH, KEY_PATH):
                yield (number, "columns", at, "from"), f"{column.from_!r} is no member; leave it away"
        inner = _child_mistakes(child.children, child.columns, (*parents, child), tables)
        yield from (((number, "children", *where), text) for where, text in inner)


def deduplicate_mistakes(deduplicate: Deduplicate, columns: Columns) -> Iterator[Located]:
    """Of `deduplicate` with the columns of the table."""
    known = {name: type for column in mapped(columns) for name, type in column.output}
    for word, used in (("by", deduplicate.by), ("order", tuple(name for name, _ in deduplicate.orders))):
        for at, name in enumerate(used):
            if name not in known:
                yield (word, at), _not_a_column(name, list(known))
            elif known[name].is_nested:
                yield (word, at), f"{name!r} is {known[name]}; rows are compared by plain values"


def _not_a_column(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{name!r} is no column of the table; expected one of {', '.join(known)}{hint}"
