"""Whether a text is one scalar SQL expression over the columns of a table, decided by its syntax alone.

The expression runs within DuckDB on a partition's own files. What it may not hold: queries, other tables, aggregates,
windows, parameters, and functions whose answer is not of the row. DuckDB itself runs it without access to other files,
so this is for early and readable mistakes, not the wall.
"""

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

# Functions that tell of the session, change something, wait, or answer otherwise each time.
REFUSED_FUNCTIONS = frozenset(
    {
        "columns", "current_catalog", "current_connection_id", "current_database", "current_query",
        "current_query_id", "current_role", "current_schema", "current_schemas", "current_setting",
        "current_transaction_id", "current_user", "currval", "error", "gen_random_uuid", "generate_series", "getenv",
        "getvariable", "in_search_path", "nextval", "query", "query_table", "rand", "random", "range", "session_user",
        "set_bit_variable", "setseed", "setval", "sleep_ms", "stats", "txid_current", "unnest", "user", "uuid",
        "uuidv4", "uuidv7", "vector_type", "write_log",
    }
)  # fmt: skip
# `price_eur >= 0 and tax_eur < 100`: most checks are no more than this, and need no parser.
_COMPARISON = r"([a-z_][a-z0-9_]*)\s*(?:<=|>=|<>|!=|<|>|=)\s*-?\d+(?:\.\d+)?"
_COMPARISONS = re.compile(rf"\s*{_COMPARISON}(?:\s+(?:and|or)\s+{_COMPARISON})*\s*", re.IGNORECASE)
REFUSED_PREFIXES = ("read_", "duckdb_", "pragma_", "glob", "parquet_", "sniff_", "from_substrait")


def expression_mistake(
    sql: str,
    columns: Collection[str],
    *,
    subject: str = "a check",
    refused: Collection[str] = (),
    unknown: Callable[[str], str] | None = None,
) -> str | None:
    """What is wrong with an expression over these columns, None if nothing is.

    Args:
        subject: what messages call the place of the expression.
        refused: functions that have no place in it, beside those that have none anywhere.
        unknown: what to say of a column that is not there.
    """
    known = {column.lower() for column in columns}
    if _COMPARISONS.fullmatch(sql) and {name.lower() for name in re.findall(_COMPARISON, sql, re.IGNORECASE)} <= known:
        # The parser takes a moment to import, and code locations and runs read every declaration.
        return None
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    try:
        parsed = parse(sql, read="duckdb")
    except (SqlglotError, RecursionError) as error:
        return f"this is not SQL: {_first_sentence(error)}"
    if len(parsed) != 1 or (root := parsed[0]) is None:
        return "expected one expression, without a semicolon"
    for node in root.walk():
        if isinstance(node, exp.Query | exp.Table | exp.UDTF | exp.From):
            return f"{subject} looks at one row, not at a query or another table: {node.sql('duckdb')[:60]}"
        if isinstance(node, exp.Column):
            if node.table.lower() in known:
                return f"write {node.table}['{node.name}'] for a field of a struct"
            if node.table:
                return f"{node.sql('duckdb')} names a table; expected a column alone"
            if node.name.lower() not in known and unknown:
                return unknown(node.name)
            if node.name.lower() not in known:
                return f"{node.name!r} is no column of the table; expected one of {', '.join(columns)}"
        if isinstance(node, exp.AggFunc | exp.Window):
            return f"{subject} looks at one row, not at an aggregate or a window: {node.sql('duckdb')[:60]}"
        if isinstance(node, exp.Star | exp.Parameter | exp.Placeholder | exp.SessionParameter):
            return f"{node.sql('duckdb')} has no place in {subject}"
        if isinstance(node, exp.Func) and (name := _refused(node, refused)):
            return f"the function {name} has no place in {subject}: its answer does not hang on the row alone"
    if not isinstance(root, exp.Condition) or isinstance(root, exp.Alias):
        return f"expected an expression of one value, not {type(root).__name__.upper()}"
    return None


def _refused(function: "exp.Func", also: Collection[str]) -> str | None:
    from sqlglot import exp

    if isinstance(function, exp.Anonymous):
        spelled = [function.name]
    else:
        spelled = [function.sql("duckdb").partition("(")[0], *function.sql_names()]
    for name in (each.lower() for each in spelled):
        if name in REFUSED_FUNCTIONS or name in also or name.startswith(REFUSED_PREFIXES):
            return name
    return None


def _first_sentence(error: Exception) -> str:
    # The parser names its own classes, and underlines the place with terminal colours.
    text = re.sub(r"\x1b\[\d*m| for <class '[^']*'>", "", str(error)).partition("\n")[0]
    return text.rstrip(".") or type(error).__name__
