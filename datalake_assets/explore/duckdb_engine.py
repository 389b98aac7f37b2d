"""Answer a query with DuckDB on this machine: tables are resolved through the catalog and streamed from S3.

DuckDB itself reaches no file, no network and no setting: what it reads are the Arrow datasets registered here.
"""

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from datalake_assets.errors import InvalidQuery, OutOfSpace, PlatformError, Unsupported
from datalake_assets.explore.lake import Lake, LakeTable, Tables
from datalake_assets.explore.parsed import Parsed, at_table, parse
from datalake_assets.explore.pruning import partitions_that_can_match
from datalake_assets.explore.result import Explanation, QueryResult
from datalake_assets.explore.scan import PublishedTable
from datalake_assets.names import quoted

ENGINE = "duckdb"
MEMORY_LIMIT = "1GB"
BATCH_ROWS = 65_536
SIGNAL_SECONDS = 0.5
INTERRUPT_SECONDS = 0.05  # between interrupts: one that comes before the work has begun ends nothing
Answer = TypeVar("Answer")
_LIMIT = re.compile(r"\d+(\.\d+)?\s*[KMGT]i?B", re.IGNORECASE)


def run(
    sql: str, *, account: str | None = None, memory_limit: str = MEMORY_LIMIT, threads: int | None = None
) -> QueryResult:
    """Run one statement that reads.

    Args:
        memory_limit: what DuckDB may use before it spills to disk.

    Raises:
        InvalidQuery: it is wrong, names what is not there, or would change something.
        Unsupported: it asks for what this engine does not read.
        Unavailable, AccessDenied: Glue or S3.
    """
    return _Session(Lake(account), memory_limit, threads).run(sql)


def run_over(
    lake: Tables,
    sql: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    memory_limit: str = MEMORY_LIMIT,
    threads: int | None = None,
) -> QueryResult:
    """The same over tables that are looked up in `lake`.

    Args:
        parameters: values that the statement may name as `$name`.

    Raises as `run`.
    """
    return _Session(lake, memory_limit, threads, parameters).run(sql)


class _Session:
    """One connection for one statement."""

    def __init__(
        self, lake: Tables, memory_limit: str, threads: int | None, parameters: Mapping[str, Any] | None = None
    ) -> None:
        if not _LIMIT.fullmatch(memory_limit):
            raise InvalidQuery(f"{memory_limit!r} is not an amount of memory", expected="for example 1GB")
        self._lake = lake
        self._parameters = parameters or {}
        self._scratch = os.path.join(tempfile.gettempdir(), f"datalake-query-{os.getpid()}-{id(self):x}")
        self._connection = duckdb.connect(
            config={
                "memory_limit": memory_limit,
                "temp_directory": self._scratch,  # made when something spills
                "python_enable_replacements": "false",  # a variable of the caller is no table
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                **({"threads": str(threads)} if threads else {}),
            }
        )
        self._connection.execute("SET TimeZone = 'UTC'").fetchall()
        # Where Python looks interactive it would be drawn on stdout, between the rows.
        self._connection.execute("SET enable_progress_bar = false").fetchall()
        self._tables: dict[str, PublishedTable] = {}
        self._worker = ThreadPoolExecutor(1, "query")
        self._busy = threading.Lock()
        self._is_over = False
        self._plan = ""
        self._begin = time.monotonic()
        self._seconds: float | None = None

    def run(self, sql: str) -> QueryResult:
        try:
            with self._errors():
                return self._run(sql)
        except BaseException:
            self.close()
            raise

    def _run(self, sql: str) -> QueryResult:
        parsed = parse(self._connection, sql)
        if parsed.kind == "tables":
            return self._answer(_listed(self._lake, parsed.database))
        if parsed.kind == "databases":
            return self._answer(_databases(self._lake))
        if parsed.kind == "describe":
            return self._answer(_described(self._resolve(parsed)[parsed.tables[0].path]))
        self._register(parsed)
        self._connection.execute("SET enable_external_access = false").fetchall()
        self._connection.execute("SET lock_configuration = true").fetchall()
        relation = self._bound(parsed)
        if parsed.tree.get("type") != "SHOW_REF":
            self._plan = relation.explain().rstrip()
            if parsed.explain:
                return self._answer(pa.table({"plan": self._plan.splitlines()}))
        reader = self._interruptible(lambda: relation.to_arrow_reader(BATCH_ROWS))
        return QueryResult(reader.schema, self._batches(reader), explain=self.explanation, close=self.close)

    def _bound(self, parsed: Parsed) -> duckdb.DuckDBPyRelation:
        # A parameter that the statement does not name is a mistake to DuckDB, one that has no value too.
        named = {name: self._parameters[name] for name in parsed.parameters if name in self._parameters}
        try:
            return self._connection.sql(parsed.sql, params=named or None)
        except (duckdb.BinderException, duckdb.CatalogException):
            self._connection.execute(parsed.sql, named or None)  # the same message, with the position marked
            raise

    def _resolve(self, parsed: Parsed) -> dict[tuple[str, ...], LakeTable]:
        found: dict[tuple[str, ...], LakeTable] = {}
        for table in parsed.tables:
            if not table.is_certain and (self._lake.default is None or not self._lake.has(table.path)):
                continue  # a name of WITH, and of nothing else
            try:
                found[table.path] = self._lake.table(table.path)
            except InvalidQuery as error:
                raise at_table(error, parsed.sql, table) from error
        return found

    def _register(self, parsed: Parsed) -> None:
        """Let every name of the statement lead to its table, as a view of that very name."""
        tables = self._resolve(parsed)
        can_match = partitions_that_can_match(self._connection, parsed, tables)
        for number, (path, table) in enumerate(tables.items()):
            # One dataset for each name: `flights` and `flights_lake.flights` may stand in one query.
            source = PublishedTable(table, only=can_match.get(path))
            self._connection.register(f"published_{number}", source)
            self._tables[".".join(path)] = source
            self._connection.execute(
                f"CREATE VIEW {self._view(path)} AS SELECT * FROM temp.published_{number}"
            ).fetchall()

    def _view(self, path: Sequence[str]) -> str:
        """The quoted name of a view; what it stands in is made if it is not there."""
        *places, name = path
        is_account = len(places) == 2 or (places and places[0] in {each.name for each in self._lake.databases()})
        if is_account:
            self._connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {quoted(places[0])}").fetchall()
        if len(places) == (2 if is_account else 1):
            schema = ".".join(quoted(each) for each in places)
            self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}").fetchall()
        elif is_account:
            places = [places[0], "main"]
        return ".".join(quoted(each) for each in (*places, name))

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            while True:
                with self._errors():
                    try:
                        batch = self._interruptible(reader.read_next_batch)
                    except StopIteration:
                        return
                yield batch
        finally:
            reader.close()
            self.close()

    def _interruptible(self, step: Callable[[], Answer]) -> Answer:
        """Do what may take long so that Ctrl-C ends it: DuckDB does not look for signals while it works."""

        def guarded() -> Answer:
            with self._busy:
                if self._is_over:
                    raise CancelledError
                return step()

        try:
            doing = self._worker.submit(guarded)
            # Not in one wait: Python hands a signal over only where this thread comes to itself.
            while not wait([doing], timeout=SIGNAL_SECONDS).done:
                pass
            return doing.result()
        except BaseException:
            self._end_work()
            raise

    def _end_work(self) -> None:
        """See that the worker does nothing and begins nothing; a signal can come before its work has begun."""
        self._is_over = True
        while not self._busy.acquire(timeout=INTERRUPT_SECONDS):
            self._connection.interrupt()
        self._busy.release()

    def _answer(self, table: pa.Table) -> QueryResult:
        self.close()
        return QueryResult(table.schema, iter(table.to_batches()), explain=self.explanation)

    def explanation(self) -> Explanation:
        reads = tuple(each.read() for each in self._tables.values())
        seconds = time.monotonic() - self._begin if self._seconds is None else self._seconds
        return Explanation(ENGINE, plan=self._plan, tables=reads, seconds=seconds)

    def close(self) -> None:
        if self._seconds is None:
            self._seconds = time.monotonic() - self._begin
            self._end_work()
            self._worker.shutdown()
            self._connection.close()
            shutil.rmtree(self._scratch, ignore_errors=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            for table in self._tables.values():
                if table.failure is not None:
                    raise table.failure from error
            raise _query_error(error) from error


def _query_error(error: Exception) -> PlatformError:
    """What DuckDB says of a statement; its messages mark the position themselves."""
    text = str(error).strip()
    if isinstance(error, duckdb.OutOfMemoryException):
        return OutOfSpace(text, todo="Give the query more memory (--memory), or select less")
    if isinstance(error, duckdb.PermissionException):
        return Unsupported("files of this machine cannot be read from SQL: " + text)
    return InvalidQuery(text)


def _listed(lake: Tables, database: str | None) -> pa.Table:
    tables = lake.tables(database)
    return pa.table(
        {
            "database": pa.array([each.database for each in tables], pa.string()),
            "table": pa.array([each.name for each in tables], pa.string()),
            "partitioned by": pa.array([", ".join(each.partition_keys) or None for each in tables], pa.string()),
            "published": pa.array([each.is_published for each in tables], pa.bool_()),
            "description": pa.array([each.description or None for each in tables], pa.string()),
        }
    )


def _databases(lake: Tables) -> pa.Table:
    accounts = lake.databases()
    return pa.table(
        {
            "database": pa.array([each.glue_database for each in accounts], pa.string()),
            "account": pa.array([each.name for each in accounts], pa.string()),
            "region": pa.array([each.region for each in accounts], pa.string()),
        }
    )


def _described(table: LakeTable) -> pa.Table:
    columns: list[Any] = [*table.columns, *table.keys]
    return pa.table(
        {
            "column": pa.array([each.name for each in columns], pa.string()),
            "type": pa.array([each.glue_type for each in columns], pa.string()),
            "partition": pa.array([each in table.keys for each in columns], pa.bool_()),
            "description": pa.array([each.comment or None for each in columns], pa.string()),
        }
    )
