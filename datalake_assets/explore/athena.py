"""Answer a query with Athena: start it, wait for it, stop it when the caller leaves, read what it wrote to S3."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, cast

import pyarrow as pa

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.registry import Account, registry
from datalake_assets.accounts.sessions import AccountSession, session
from datalake_assets.errors import ConfigurationError, InvalidQuery, PlatformError, TransientError, Unavailable
from datalake_assets.explore.result import Explanation, QueryResult
from datalake_assets.explore.statement import require_reading

ENGINE = "athena"
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 3.0
PAGE_ROWS = 1_000  # Athena's limit
USD_PER_TB, LEAST_BYTES = 5.0, 10_000_000  # the list price, and what a query is charged for at least
TB = 1_000_000_000_000
CSV_BLOCK_BYTES = 4 * 1024 * 1024
_RUNNING = ("QUEUED", "RUNNING")
_URI = re.compile(r"s3://([^/]+)/(.+)")
_TYPES: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "real": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ms"),
}


def run(
    sql: str, *, account: str | None = None, workgroup: str | None = None, results: str | None = None
) -> QueryResult:
    """Run one statement that reads in an account's Athena.

    Args:
        account: whose catalog, and who pays; the account's database is meant where a table has none.
        workgroup: of Athena; `primary` without it.
        results: an S3 URI for the result, where the workgroup does not name one itself.

    Raises:
        InvalidQuery: Athena refused it, or it would change something.
        ConfigurationError: no account is named, or the workgroup has no place for results.
        Unavailable, Throttled, AccessDenied: Athena or S3.
    """
    return _Execution(require_reading(sql), _account(account), workgroup, results).result()


def _account(name: str | None) -> Account:
    if name is not None:
        return registry().account(name)
    accounts = list(registry())
    if len(accounts) != 1:
        names = " or ".join(each.name for each in accounts)
        raise ConfigurationError("no account is named to ask and to pay", expected=f"--account {names}")
    return accounts[0]


class _Execution:
    """One execution of Athena."""

    def __init__(self, sql: str, account: Account, workgroup: str | None, results: str | None) -> None:
        self._aws: AccountSession = session(account.name)
        self._athena = cast(Any, self._aws).client("athena")
        self._sql, self._account, self._where = sql, account, f"Athena of account {account.name}"
        self._workgroup, self._results = workgroup, results
        self._id = ""
        self._is_running = False
        self._found: Any = {}

    def result(self) -> QueryResult:
        self._start()
        self._wait()
        with aws_errors(self._where):
            page = self._athena.get_query_results(QueryExecutionId=self._id, MaxResults=PAGE_ROWS)
        columns = page["ResultSet"]["ResultSetMetadata"].get("ColumnInfo", [])
        schema = pa.schema([(each["Name"], _type(each)) for each in columns])
        return QueryResult(schema, self._batches(page, schema), explain=self.explanation)

    def explanation(self) -> Explanation:
        statistics = self._found.get("Statistics", {})
        scanned = int(statistics.get("DataScannedInBytes", 0))
        return Explanation(
            ENGINE,
            bytes_scanned=scanned,
            seconds=statistics.get("TotalExecutionTimeInMillis", 0) / 1000,
            cost_usd=round(max(scanned, LEAST_BYTES) / TB * USD_PER_TB, 6) if scanned else 0.0,
            query_id=self._id,
        )

    def _start(self) -> None:
        request: dict[str, Any] = {
            "QueryString": self._sql,
            "QueryExecutionContext": {"Database": self._account.glue_database},
        }
        if self._workgroup:
            request["WorkGroup"] = self._workgroup
        if self._results:
            if not self._results.startswith("s3://"):
                raise ConfigurationError(f"{self._results!r} is no place for results", expected="s3://bucket/prefix/")
            request["ResultConfiguration"] = {"OutputLocation": self._results}
        try:
            with aws_errors(self._where):
                self._id = self._athena.start_query_execution(**request)["QueryExecutionId"]
        except PlatformError as error:
            if isinstance(error, TransientError) or "InvalidRequestException" not in error.found:
                raise
            raise InvalidQuery(
                error.found,
                where=self._where,
                todo="Name a place with --results" if "output location" in error.found.lower() else None,
            ) from error
        self._is_running = True

    def _wait(self) -> None:
        """Ask until the query has ended; whoever interrupts the wait stops the query too, which costs no more then."""
        wait = FIRST_WAIT_SECONDS
        try:
            while True:
                with aws_errors(self._where):
                    self._found = self._athena.get_query_execution(QueryExecutionId=self._id)["QueryExecution"]
                state = self._found["Status"]["State"]
                if state not in _RUNNING:
                    break
                time.sleep(wait)
                wait = min(wait * 1.5, LONGEST_WAIT_SECONDS)
        except BaseException:
            self._stop()
            raise
        self._is_running = False
        if state != "SUCCEEDED":
            raise self._failure(state)

    def _stop(self) -> None:
        if self._is_running:
            self._is_running = False
            self._athena.stop_query_execution(QueryExecutionId=self._id)

    def _failure(self, state: str) -> PlatformError:
        status = self._found["Status"]
        reason = status.get("StateChangeReason") or status.get("AthenaError", {}).get("ErrorMessage") or "no reason"
        if status.get("AthenaError", {}).get("Retryable"):
            return Unavailable(f"the query failed: {reason}", where=self._where, todo="Run it again")
        return InvalidQuery(f"the query {state.lower()}: {reason}", where=f"{self._where}, execution {self._id}")

    def _batches(self, page: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """A short result came with the types; a long one is read from the file that Athena wrote."""
        place = _URI.fullmatch(self._found.get("ResultConfiguration", {}).get("OutputLocation", ""))
        if page.get("NextToken") and place and place[2].endswith(".csv"):
            yield from self._csv(place[1], place[2], schema)
            return
        # The first row of a SELECT repeats the names.
        skip = 1 if self._found.get("StatementType") == "DML" else 0
        while True:
            rows = [[cell.get("VarCharValue") for cell in row["Data"]] for row in page["ResultSet"]["Rows"][skip:]]
            if rows:
                yield _batch(rows, schema)
            if not (token := page.get("NextToken")):
                return
            skip = 0
            with aws_errors(self._where):
                page = self._athena.get_query_results(QueryExecutionId=self._id, MaxResults=PAGE_ROWS, NextToken=token)

    def _csv(self, bucket: str, key: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        from pyarrow import csv

        uri = f"s3://{bucket}/{key}"
        with aws_errors(uri):
            body = self._aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
        # Athena quotes every value and no null: that tells them apart.
        reader = csv.open_csv(
            cast(Any, pa.PythonFile(body, mode="r")),
            read_options=csv.ReadOptions(block_size=CSV_BLOCK_BYTES),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["true"],
                false_values=["false"],
            ),
        )
        with aws_errors(uri), closing(body):
            yield from reader


def _type(column: Any) -> pa.DataType:
    """The Arrow type of a result's column; nested values, times with a zone and the rest stay Athena's text."""
    if column["Type"] == "decimal":
        return pa.decimal128(column["Precision"], column["Scale"])
    return _TYPES.get(column["Type"], pa.string())


def _batch(rows: Sequence[Sequence[str | None]], schema: pa.Schema) -> pa.RecordBatch:
    # DDL answers have fewer cells than columns where the last ones are empty.
    columns = [[row[n] if n < len(row) else None for row in rows] for n in range(len(schema))]
    arrays = [pa.array(texts, pa.string()).cast(field.type) for texts, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
