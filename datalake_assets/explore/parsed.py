"""A statement as DuckDB's own parser understands it: what it reads, and whether it only reads.

DuckDB gives its syntax tree as JSON (`json_serialize_sql`), so that nobody has to guess which word is a table.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from datalake_assets.errors import InvalidQuery, Unsupported
from datalake_assets.explore.statement import READ_ONLY, marked, without_end, word_after_comments

Node = dict[str, Any]
Kind = Literal["select", "tables", "databases", "describe"]

# Functions that make rows of their arguments; all others read files, settings or memory.
TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree", "repeat", "repeat_row"})
_NOWHERE = 2**64 - 1
_SHOW_TABLES = ('"tables"', "__show_tables_expanded")
_SHOW_DATABASES = ('"databases"', '"schemas"')


@dataclass(frozen=True, slots=True)
class TableName:
    """A table as the statement names it: `("flights_lake", "weather")`, and where (in characters)."""

    path: tuple[str, ...]
    at: int | None
    is_certain: bool
    """False for a name that a WITH of the statement defines too."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One statement.

    Attributes:
        kind: what is asked; only `select` reads rows.
        sql: the statement to run, without EXPLAIN.
        tables: each name once; for `describe` the table asked for.
        database: of SHOW TABLES FROM.
        tree: DuckDB's syntax tree of `sql`.
        explain: `EXPLAIN` or `EXPLAIN ANALYZE` stood before the statement.
    """

    kind: Kind
    sql: str
    tables: tuple[TableName, ...]
    tree: Node
    database: str | None = None
    explain: bool = False

    @property
    def parameters(self) -> frozenset[str]:
        """The names of values that the statement leaves open: `$partition`."""
        return frozenset(str(node["identifier"]) for node in nodes(self.tree) if node.get("type") == "VALUE_PARAMETER")


def parse(connection: duckdb.DuckDBPyConnection, sql: str) -> Parsed:
    """Parse one statement that reads.

    Raises:
        InvalidQuery: it cannot be parsed (the position is marked), is none or several, or would change something.
        Unsupported: it reads something else than tables of the lake.
    """
    statements = duckdb.extract_statements(sql)
    if len(statements) > 1:
        raise InvalidQuery("there is more than one statement", expected="one at a time")
    if not statements:
        raise InvalidQuery("there is no statement", expected=READ_ONLY)
    kind = statements[0].type.name
    body, explain = without_end(sql), False
    if kind == "EXPLAIN":
        body, explain = _without_explain(body), True
        kind = duckdb.extract_statements(body)[0].type.name
    if kind == "MULTI":
        raise Unsupported("PIVOT as a statement is not read here", expected="SELECT … FROM (PIVOT … )")
    if kind != "SELECT":
        raise InvalidQuery(f"{kind} is not a statement that this command runs", expected=READ_ONLY)
    (text,) = connection.execute("SELECT json_serialize_sql(?)", [body]).fetchall()[0]
    tree = json.loads(text)
    if tree.get("error"):
        raise Unsupported(f"DuckDB cannot tell what this statement reads: {tree.get('error_message')}")
    node: Node = tree["statements"][0]["node"]
    shown = node.get("from_table") or {}
    if shown.get("type") == "SHOW_REF":
        return _shown(body, shown, explain)
    return Parsed("select", body, _tables(body, node), node, explain=explain)


def _without_explain(sql: str) -> str:
    for word in ("explain", "analyze"):
        at = word_after_comments(sql, word)
        sql = sql if at is None else sql[at:]
    return sql


def _shown(sql: str, node: Node, explain: bool) -> Parsed:
    """SHOW and DESCRIBE, which DuckDB parses to a table of their own kind."""
    path = [part for part in node["qualified_name"]["path"] if part]
    name = node.get("table_name", "")
    if node["show_type"] == "SHOW_FROM":
        return Parsed("tables", sql, (), node, database=path[-1] if path else None, explain=explain)
    if name in _SHOW_TABLES:
        return Parsed("tables", sql, (), node, explain=explain)
    if name in _SHOW_DATABASES:
        return Parsed("databases", sql, (), node, explain=explain)
    if node["show_type"] == "SHOW":
        return Parsed("describe", sql, (TableName(tuple(path), None, True),), node, explain=explain)
    tables = _tables(sql, node)
    inner = node.get("query") or {}
    if node["show_type"] == "DESCRIBE" and _is_whole_table(inner):
        return Parsed("describe", sql, tables, node, explain=explain)
    return Parsed("select", sql, tables, node, explain=explain)


def _is_whole_table(node: Node) -> bool:
    """Whether it is `SELECT * FROM table`, which DESCRIBE makes of a table's name."""
    stars = [each.get("type") for each in node.get("select_list", [])]
    return stars == ["STAR"] and (node.get("from_table") or {}).get("type") == "BASE_TABLE" and not node["where_clause"]


def _tables(sql: str, root: Node) -> tuple[TableName, ...]:
    defined = {entry["key"].lower() for node in nodes(root) for entry in node.get("cte_map", {}).get("map", [])}
    found: dict[tuple[str, ...], TableName] = {}
    for node in nodes(root):
        if node.get("type") == "TABLE_FUNCTION":
            name = node["function"]["function_name"].lower()
            if name not in TABLE_FUNCTIONS:
                raise Unsupported(
                    f"the function {name} is not available here",
                    expected=f"tables of the lake, or {', '.join(sorted(TABLE_FUNCTIONS))}",
                )
        if node.get("type") == "BASE_TABLE":
            path = tuple(part.lower() for part in node["qualified_name"]["path"])
            at = character(sql, node.get("query_location"))
            found.setdefault(path, TableName(path, at, not (len(path) == 1 and path[0] in defined)))
    return tuple(found.values())


def nodes(root: Any) -> Iterator[Node]:
    """All objects of a syntax tree, the outer ones first."""
    waiting = [root]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def character(sql: str, place: Any) -> int | None:
    """The character of a place that DuckDB counts in bytes; None if it has none."""
    if not isinstance(place, int) or place >= _NOWHERE:
        return None
    return len(sql.encode()[:place].decode(errors="ignore"))


def at_table(error: InvalidQuery, sql: str, table: TableName) -> InvalidQuery:
    """The same error with the table's place in the statement marked."""
    if table.at is None:
        return error
    return InvalidQuery(f"{error}\n\n{marked(sql, table.at)}")
