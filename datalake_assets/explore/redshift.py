"""Answer a query in the account's Redshift warehouse: by a cursor, in a transaction that can only read."""

import itertools
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.errors import ConfigurationError, PlatformError, Unsupported
from datalake_assets.explore.result import Explanation, QueryResult
from datalake_assets.explore.statement import first_word, require_reading
from datalake_assets.warehouse.connection import AnswerColumn, WarehouseConnection, connect

ENGINE = "redshift"
FETCH_ROWS = 10_000
CURSOR = "datalake_query"
_TYPES: dict[int, pa.DataType] = {
    16: pa.bool_(),
    17: pa.binary(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    700: pa.float32(),
    701: pa.float64(),
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", "UTC"),
    6551: pa.binary(),
}
_NUMERIC = 1700
MAX_DIGITS = 38


def run(sql: str, *, account: str | None = None) -> QueryResult:
    """Run one statement that reads in an account's warehouse, as the user of the warehouse's secret.

    Raises:
        InvalidQuery: it would change something.
        StatementFailed: Redshift refused it; the message has the SQLSTATE.
        ConfigurationError: no account is named.
        Unavailable, AccessDenied: the warehouse or its secret.
    """
    statement = require_reading(sql)
    secret = warehouse_secret(_location(account))
    begin = time.monotonic()
    connection = connect(secret)
    try:
        connection.execute("BEGIN READ ONLY")
        if first_word(statement) in ("select", "with"):
            connection.execute(f"DECLARE {CURSOR} CURSOR FOR {statement}")
            answer = connection.execute(f"FETCH FORWARD {FETCH_ROWS} FROM {CURSOR}")
        else:
            answer = connection.execute(statement)
        schema = _schema(answer.columns, answer.rows)
        first = _batch(answer.rows, schema)
    except BaseException:
        connection.close()
        raise
    has_more = first_word(statement) in ("select", "with") and len(answer.rows) == FETCH_ROWS

    def explanation() -> Explanation:
        seconds = time.monotonic() - begin
        with connect(secret) as other:
            plan = other.execute(f"EXPLAIN {statement}").rows if first_word(statement) in ("select", "with") else []
        return Explanation(ENGINE, plan="\n".join(str(row[0]) for row in plan), seconds=seconds)

    rest = _rest(connection, schema) if has_more else iter(())
    batches = _closing(itertools.chain([first], rest), connection)
    return QueryResult(schema, batches, explain=explanation, close=connection.close)


def _location(account: str | None) -> str:
    if account is not None:
        return registry().account(account).name
    names = [each.name for each in registry()]
    if len(names) != 1:
        raise ConfigurationError(
            "no account is named, and each has a warehouse of its own", expected=f"--account {' or '.join(names)}"
        )
    return names[0]


def _rest(connection: WarehouseConnection, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    while rows := connection.execute(f"FETCH FORWARD {FETCH_ROWS} FROM {CURSOR}").rows:
        yield _batch(rows, schema)


def _closing(batches: Iterator[pa.RecordBatch], connection: WarehouseConnection) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    finally:
        connection.close()


def _schema(columns: Sequence[AnswerColumn], rows: Sequence[tuple[Any, ...]]) -> pa.Schema:
    return pa.schema([(each.name, _type(each, [row[n] for row in rows])) for n, each in enumerate(columns)])


def _type(column: AnswerColumn, values: Sequence[Any]) -> pa.DataType:
    if column.type_oid != _NUMERIC:
        return _TYPES.get(column.type_oid, pa.string())
    if column.modifier >= 0:
        packed = column.modifier - 4
        return pa.decimal128((packed >> 16) & 0xFFFF, packed & 0xFFFF)
    # Redshift gives every decimal its scale; elsewhere the first rows tell.
    digits = [-int(value.as_tuple().exponent) for value in values if isinstance(value, Decimal) and value.is_finite()]
    return pa.decimal128(MAX_DIGITS, max([0, *digits]))


def _batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns: list[Any] = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in schema]
    arrays = []
    for field, values in zip(schema, columns, strict=True):
        if pa.types.is_string(field.type):
            values = [each if each is None or isinstance(each, str) else str(each) for each in values]
        try:
            arrays.append(pa.array(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _unfit(field, error) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _unfit(field: Any, error: Exception) -> PlatformError:
    return Unsupported(
        f"a value of column {field.name!r} does not fit {field.type}: {error}",
        todo="Cast the column in the query, for example to decimal(38,10) or varchar",
    )
