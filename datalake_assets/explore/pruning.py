"""Which partitions a statement can need, by conditions that DuckDB does not hand to a scan.

DuckDB hands over comparisons, IN, BETWEEN and what it can turn into them (`year(dt) = 2013`). Others, such as
`dt::varchar LIKE '2013-01%'` or `month(dt) = 1`, it applies to the rows that were read. Where such a condition speaks
of nothing but the partition key, DuckDB can answer it for each partition before anything is read.

Only what is certain is used: a SELECT whose FROM has inner joins only, a part of its WHERE that must be true for every
row, and functions that give the same for the same arguments. A table is read whole if any mention of it is not covered.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from datalake_assets.explore.lake import LakeTable
from datalake_assets.explore.parsed import Node, Parsed, nodes
from datalake_assets.names import quoted

Path = tuple[str, ...]
# Classes of expressions whose value depends on their parts alone; functions are asked for one by one.
_PURE = frozenset({"COMPARISON", "CONJUNCTION", "OPERATOR", "CAST", "CONSTANT", "BETWEEN", "CASE", "COLUMN_REF"})


def partitions_that_can_match(
    connection: duckdb.DuckDBPyConnection, parsed: Parsed, tables: Mapping[Path, LakeTable]
) -> dict[Path, frozenset[str]]:
    """For tables of which not all partitions can matter: the keys of those that can."""
    found: dict[Path, frozenset[str]] = {}
    for path, table in tables.items():
        if len(table.keys) != 1 or not table.partitions:
            continue
        conditions = _conditions(connection, parsed.tree, path, table)
        if conditions is not None and (keys := _matching(connection, table, conditions)) is not None:
            found[path] = keys
    return found


def _conditions(
    connection: duckdb.DuckDBPyConnection, root: Node, path: Path, table: LakeTable
) -> list[list[Node]] | None:
    """For each mention of a table the conditions on its partition key; None if one mention has none."""
    mentions = sum(_is(node, path) for node in nodes(root))
    found = []
    for select in nodes(root):
        if select.get("type") != "SELECT_NODE" or (sources := _inner_joined(select.get("from_table"))) is None:
            continue
        for source in sources:
            if not _is(source, path):
                continue
            alias = (source.get("alias") or path[-1]).lower()
            names: set[tuple[str, ...]] = {(alias, table.keys[0].name)}
            if len(sources) == 1:
                names.add((table.keys[0].name,))
            if source.get("column_name_alias") or source.get("sample"):
                return None  # other names for the columns; a sample is of the rows that are there
            own = [each for each in _conjuncts(select.get("where_clause")) if _speaks_only_of(connection, each, names)]
            if not own:
                return None
            found.append(own)
    return found if found and len(found) == mentions else None


def _is(node: Node, path: Path) -> bool:
    return node.get("type") == "BASE_TABLE" and tuple(p.lower() for p in node["qualified_name"]["path"]) == path


def _inner_joined(node: Node | None) -> list[Node] | None:
    """The tables of a FROM that has inner joins only; None for any other."""
    if not node:
        return None
    if node.get("type") == "JOIN":
        if node.get("join_type") != "INNER" or node.get("ref_type") not in ("REGULAR", "CROSS"):
            return None
        left, right = _inner_joined(node["left"]), _inner_joined(node["right"])
        return None if left is None or right is None else [*left, *right]
    return [node] if node.get("type") in ("BASE_TABLE", "SUBQUERY") else None


def _conjuncts(node: Node | None) -> Iterator[Node]:
    if node and node.get("type") == "CONJUNCTION_AND":
        for child in node["children"]:
            yield from _conjuncts(child)
    elif node:
        yield node


def _speaks_only_of(connection: duckdb.DuckDBPyConnection, condition: Node, names: set[tuple[str, ...]]) -> bool:
    columns, functions = 0, set()
    for node in nodes(condition):
        kind = node.get("class")
        if kind == "COLUMN_REF":
            if tuple(name.lower() for name in node["column_names"]) not in names:
                return False
            columns += 1
        elif kind == "FUNCTION":
            functions.add(node["function_name"].lower())
        elif kind not in (None, "TYPE") and kind not in _PURE:
            return False  # subqueries, parameters, windows, lambdas
    return columns > 0 and all(_is_consistent(connection, each) for each in functions)


def _is_consistent(connection: duckdb.DuckDBPyConnection, function: str) -> bool:
    """Whether a function gives the same for the same arguments, at any time and every time."""
    found = connection.execute(
        "SELECT DISTINCT function_type, stability FROM duckdb_functions() WHERE function_name = ?", [function]
    ).fetchall()
    return bool(found) and all(kind == "scalar" and stability == "CONSISTENT" for kind, stability in found)


def _matching(
    connection: duckdb.DuckDBPyConnection, table: LakeTable, conditions: Sequence[Sequence[Node]]
) -> frozenset[str] | None:
    """The partitions for which the conditions of any mention are all true; None if they cannot be answered so."""
    from datalake_assets.explore.arrow_types import arrow_type

    (key,) = table.keys
    keys = pa.array([each.key for each in table.partitions], pa.string())
    values = pa.table({"partition": keys, "value": keys.cast(arrow_type(key.glue_type))})
    wanted = " OR ".join(
        "(" + " AND ".join(f"({_text(connection, each, key.name)})" for each in own) + ")" for own in conditions
    )
    connection.register("partitions_asked", values)
    try:
        rows = connection.execute(
            f'SELECT "partition" FROM (SELECT "partition", value AS {quoted(key.name)} FROM partitions_asked) '
            f"WHERE {wanted}"
        ).fetchall()
    except duckdb.Error:
        return None  # it fails for a value: the query itself says so, or does not come to it
    finally:
        connection.unregister("partitions_asked")
    return frozenset(row[0] for row in rows)


def _text(connection: duckdb.DuckDBPyConnection, condition: Node, key: str) -> str:
    """A condition as SQL, written by DuckDB from its own syntax tree, the key without its table."""

    def plain(node: Any) -> Any:
        if isinstance(node, dict):
            named = {"column_names": [key]} if node.get("class") == "COLUMN_REF" else {}
            return {name: plain(value) for name, value in node.items()} | named
        return [plain(each) for each in node] if isinstance(node, list) else node

    (template,) = connection.execute("SELECT json_serialize_sql('SELECT 1')").fetchall()[0]
    statement = json.loads(template)
    statement["statements"][0]["node"]["select_list"] = [plain(condition)]
    (text,) = connection.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(statement)]).fetchall()[0]
    return str(text).removeprefix("SELECT ").rstrip("; ")
