"""Write a query's rows as they come: a table for people, CSV, JSON lines or Parquet for programs."""

import datetime as dt
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

import click

from datalake_assets.cli.output import Column, count, number, show_table
from datalake_assets.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa

    from datalake_assets.explore.result import QueryResult

Format = Literal["table", "csv", "json", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)
_BY_ENDING: dict[str, Format] = {
    ".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet",
}  # fmt: skip
NULL = "NULL"


def format_of(asked: Format | None, output: Path | None) -> Format:
    """The format asked for, else what the file's name says, else a table."""
    return asked or (_BY_ENDING.get(output.suffix.lower()) if output else None) or "table"


def write(result: "QueryResult", form: Format, output: Path | None, *, table_rows: int) -> int:
    """Write all rows to a file or to stdout; return how many.

    A file appears complete or not at all. A table on stdout ends after `table_rows` rows, and says so on stderr.
    """
    if form == "table" and output is None:
        return _show(result, table_rows)
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise ConfigurationError("Parquet is not for a terminal", expected="--output FILE")
    with _opened(output) as file:
        return {"csv": _csv, "json": _json, "parquet": _parquet, "table": _csv}[form](result, file)


@contextmanager
def _opened(output: Path | None) -> "Iterator[IO[bytes]]":
    if output is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = output.with_name(f".{output.name}.{os.getpid()}.unfinished")
    try:
        try:
            with unfinished.open("wb") as file:
                yield file
            unfinished.replace(output)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the file cannot be written: {error.strerror or error}", where=str(output)) from error


def _show(result: "QueryResult", most: int) -> int:
    import pyarrow as pa

    columns = [
        number(field.name) if pa.types.is_integer(field.type) or _is_fraction(field.type) else Column(field.name)
        for field in result.schema
    ]
    rows: list[list[str]] = []
    for row in result.rows():
        if len(rows) == most:
            click.echo(f"only the first {count(most, 'row')}; --rows shows more, --format csv all", err=True)
            break
        rows.append([text_of(value) for value in row])
    result.close()
    show_table(columns, rows)
    return len(rows)


def _is_fraction(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_decimal(kind) or pa.types.is_floating(kind))


def text_of(value: Any) -> str:
    """A value as a person reads it; nested ones as JSON."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, default=_plain, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _csv(result: "QueryResult", file: "IO[bytes]") -> int:
    import pyarrow as pa
    from pyarrow import csv

    nested = [n for n, field in enumerate(result.schema) if pa.types.is_nested(field.type)]
    schema = result.schema
    for n in nested:
        schema = schema.set(n, pa.field(schema.field(n).name, pa.string()))
    rows = 0
    with csv.CSVWriter(file, schema, write_options=csv.WriteOptions(quoting_style="needed")) as writer:
        for batch in result.batches():
            rows += batch.num_rows
            arrays: list[Any] = list(batch.columns)
            for n in nested:
                arrays[n] = pa.array([None if v is None else text_of(v) for v in arrays[n].to_pylist()], pa.string())
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return rows


def _json(result: "QueryResult", file: "IO[bytes]") -> int:
    rows = 0
    for batch in result.batches():
        rows += batch.num_rows
        lines = (json.dumps(row, default=_plain, ensure_ascii=False) for row in batch.to_pylist())
        file.write("".join(f"{line}\n" for line in lines).encode())
    return rows


def _parquet(result: "QueryResult", file: "IO[bytes]") -> int:
    from pyarrow import parquet

    rows = 0
    with parquet.ParquetWriter(file, result.schema, compression="zstd") as writer:
        for batch in result.batches():
            rows += batch.num_rows
            writer.write_batch(batch)
    return rows


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)  # what DuckDB makes of the sum of whole numbers
    # A decimal as a JSON number would become a binary fraction wherever it is read.
    return value.hex() if isinstance(value, bytes) else str(value)
