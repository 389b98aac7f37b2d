"""Which columns of which tables each column of a query comes from, read from the query alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TableId = tuple[str, str]


def column_sources(
    sql: str,
    columns: Iterable[str],
    tables: Mapping[TableId, Sequence[str]],
    *,
    dialect: str,
    default: str | None = None,
) -> dict[str, list[tuple[TableId, str]]]:
    """Return where each of `columns` comes from; one that is computed from nothing has no sources.

    Args:
        sql: one SELECT.
        tables: (schema, table) → its columns; none if they are not known.
        dialect: sqlglot's name of it.
        default: schema of the tables that have none before their name.

    Raises:
        sqlglot.errors.SqlglotError: the SQL is beyond the parser.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify

    parsed = sqlglot.parse_one(sql, dialect=dialect)
    # A table of unknown columns is mostly read by one query that only renames: its own names are all there is to know.
    mentioned = {column.name for column in parsed.find_all(exp.Column)}
    schema: dict[str, Any] = {}
    for (place, name), known in tables.items():
        schema.setdefault(place, {})[name] = dict.fromkeys(known or sorted(mentioned), "varchar")
    for table in parsed.find_all(exp.Table):
        if table.catalog and (table.catalog, table.name) in tables:
            table.set("db", exp.to_identifier(table.catalog))  # `account.lake.table`
        elif not table.db and default is not None and (default, table.name) in tables:
            table.set("db", exp.to_identifier(default))
        table.set("catalog", None)
    qualified = qualify(parsed, schema=schema, dialect=dialect, validate_qualify_columns=False)
    text = qualified.sql(dialect=dialect)
    found: dict[str, list[tuple[TableId, str]]] = {}
    for column in columns:
        root = lineage(column, text, schema=schema, dialect=dialect)
        sources: set[tuple[TableId, str]] = set()
        for node in root.walk():
            leaf: exp.Table | None = None if node.downstream else node.expression.find(exp.Table)
            if leaf is not None and (leaf.db, leaf.name) in tables:
                sources.add(((leaf.db, leaf.name), exp.to_column(node.name).name))
        found[column] = sorted(sources)
    return found
