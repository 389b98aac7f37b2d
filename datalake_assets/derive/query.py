"""Run the query of a derived table over pinned tables, or only bind it, by the same code."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

from datalake_assets.derive.reads import PinnedTables, Read, TableId
from datalake_assets.errors import InvalidQuery, OutOfSpace, PermanentError
from datalake_assets.explore.lake import LakeTable
from datalake_assets.explore.statement import first_word
from datalake_assets.names import UNPARTITIONED

if TYPE_CHECKING:
    from datalake_assets.explore.result import QueryResult

PARAMETER = "partition"
FIRST_WORDS = ("select", "with", "from")
# Of a partition that is computed again the rows must be the same: these hang on the day it is computed.
CLOCKS = frozenset(
    {
        "current_date", "current_localtime", "current_localtimestamp", "current_time", "current_timestamp",
        "get_current_time", "get_current_timestamp", "localtime", "localtimestamp", "now", "today",
        "transaction_timestamp",
    }
)  # fmt: skip
BINDING_MEMORY = "256MB"


def statement_mistake(sql: str) -> str | None:
    """What is wrong with a text at first sight: it must be one query; None if nothing is."""
    from datalake_assets.explore.statement import without_end

    try:
        body = without_end(sql)
    except InvalidQuery as error:
        return str(error)
    word = first_word(body)
    if word not in FIRST_WORDS:
        return f"expected a query that begins with SELECT, WITH or FROM, found {word.upper() or 'nothing'}"
    return None


@contextmanager
def run_query(
    location: str,
    name: str,
    sql: str,
    tables: Mapping[TableId, LakeTable],
    partition: str,
    *,
    memory_limit: str,
    threads: int | None,
) -> "Iterator[QueryResult]":
    """Run a query over tables; errors within the block that are the query's say whose it is.

    Args:
        partition: the value of `$partition`, a day; `UNPARTITIONED` for a table without partitions.

    Raises:
        InvalidQuery: the query is wrong, or names what is not there.
        OutOfSpace: memory or disk of this machine is not enough.
    """
    from datalake_assets.explore.duckdb_engine import run_over

    where = f"the SQL of {location}/{name} {partition}".rstrip()
    parameters: dict[str, Any] = {} if partition == UNPARTITIONED else {PARAMETER: date.fromisoformat(partition)}
    try:
        pinned = PinnedTables(location, tables)
        with run_over(pinned, sql, parameters=parameters, memory_limit=memory_limit, threads=threads) as result:
            yield result
    except InvalidQuery as error:
        raise InvalidQuery(error.found, where=where, expected=error.expected, todo=error.todo) from error
    except OutOfSpace as error:
        raise OutOfSpace(
            error.found,
            where=where,
            expected=f"{memory_limit} to be enough, with what spills to disk",
            todo="Raise DATALAKE_MEMORY_LIMIT, or let the query keep less at once",
        ) from error


def query_mistakes(
    location: str, sql: str, columns: Sequence[str], reads: Sequence[Read], day: date | None
) -> list[str]:
    """What is wrong with a query, told by DuckDB over empty tables with the declared columns.

    Args:
        columns: the names that the result must have.
        day: some partition of the result; None for a table without.
    """
    import duckdb

    from datalake_assets.explore.duckdb_engine import run_over
    from datalake_assets.explore.parsed import nodes, parse

    found: list[str] = []
    tables = {read.id: read.as_empty() for read in reads}
    pinned = PinnedTables(location, tables)
    try:
        with duckdb.connect() as connection:
            parsed = parse(connection, sql)
        if others := parsed.parameters - {PARAMETER}:
            named = ", ".join(f"${each}" for each in sorted(others))
            return [f"{named} has no value; expected ${PARAMETER}, the day of the partition"]
        if day is None and parsed.parameters:
            return [f"${PARAMETER} has no value: the table has no partitions"]
        if day is not None:
            found += _clocks(nodes(parsed.tree))
        parameters = {PARAMETER: day} if day else {}
        with run_over(pinned, sql, parameters=parameters, memory_limit=BINDING_MEMORY, threads=1) as result:
            names = result.columns
        used = {pinned.id_of(table.path) for table in parsed.tables if table.is_certain or pinned.has(table.path)}
    except PermanentError as error:
        return [*found, str(error)]
    except duckdb.Error as error:  # of the parser, which comes before all else
        return [str(error)]
    found += [f"the query does not read {read.name}, which `reads` names" for read in reads if read.id not in used]
    return found + column_mistakes(columns, names)


def _clocks(tree: Iterator[dict[str, Any]]) -> list[str]:
    named = set()
    for node in tree:
        if node.get("class") == "FUNCTION":
            named.add(str(node["function_name"]).lower())
        elif node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1:
            named.add(str(node["column_names"][0]).lower())
    return [
        f"{name} hangs on when the query runs, and a partition that is computed again must come out the same; "
        f"expected ${PARAMETER}, its day"
        for name in sorted(named & CLOCKS)
    ]


def column_mistakes(declared: Sequence[str], found: Sequence[str]) -> list[str]:
    """How the columns of a result differ from those that are declared; case does not matter."""
    names = [name.lower() for name in found]
    mistakes = [
        f"the query makes the column {name!r} twice" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    listed = ", ".join(names)
    mistakes += [f"the query makes no column {name!r}; it makes {listed}" for name in declared if name not in names]
    mistakes += [
        f"the query makes the column {name!r}, which `columns` does not name"
        for name in dict.fromkeys(names)
        if name not in declared
    ]
    return mistakes
