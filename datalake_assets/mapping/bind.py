"""Let DuckDB read the expressions of a mapping: whether their functions exist and take what the columns are.

Reading a declaration has checked their syntax and columns. This takes a database, so code locations do without.
"""

from collections.abc import Iterator, Sequence

from datalake_assets import names
from datalake_assets.mapping.columns import DroppedColumn, ExpressionColumn, MappedColumn
from datalake_assets.mapping.spec import Child, MappingWords

Place = tuple[str | int, ...]


def bind_columns(words: MappingWords) -> list[tuple[Place, str]]:
    """Where an expression stands that DuckDB refuses, and why."""
    tables = [((), words.columns), *_children(words.children, ())]
    if not any(isinstance(column, ExpressionColumn) for _, columns in tables for column in columns):
        return []
    import duckdb

    found: list[tuple[Place, str]] = []
    with duckdb.connect(":memory:") as connection:
        for place, columns in tables:
            known: list[str] = []
            for number, column in enumerate(columns):
                if isinstance(column, DroppedColumn):
                    continue
                if isinstance(column, ExpressionColumn):
                    table = f"(SELECT {', '.join(known) or '1 AS nothing'})"
                    try:
                        connection.execute(f"EXPLAIN SELECT CAST((\n{column.expression}\n) AS VARCHAR) FROM {table}")
                    except duckdb.Error as error:
                        text = str(error).partition("\n")[0].partition("Error: ")[2]
                        found.append(((*place, "columns", number, "expression"), f"DuckDB refuses it: {text}"))
                known += [f"CAST(NULL AS {type.duckdb}) AS {names.quoted(name)}" for name, type in column.output]
    return found


def _children(
    children: Sequence[Child], place: Place
) -> Iterator[tuple[Place, Sequence[MappedColumn | DroppedColumn]]]:
    for number, child in enumerate(children):
        at = (*place, "children", number)
        yield at, child.columns
        yield from _children(child.children, at)
