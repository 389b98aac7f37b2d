"""Records collected into Arrow batches of a bounded size."""

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from datalake_assets.formats.records import BATCH_BYTES, BATCH_ROWS, FLAT_COLUMNS, NESTED_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

# A record of more characters is broken: whoever reads it further (a JSON parser, the engine) holds many times as much.
MAX_RECORD_CHARACTERS = 16 * 1024 * 1024
# Objects and arrays within one another. Beyond it parsers that call themselves give up, each at another depth.
MAX_DEPTH = 500
# How much of a record that was too long to hold is shown.
SHOWN_CHARACTERS = 1_000
_FEW_VALUES = 4_096


class NestedRecord(NamedTuple):
    """One record as a JSON object, or why it is broken and what stands in the file."""

    row: int
    reason: str | None
    raw: str | None
    record: str | None


class FlatRecord(NamedTuple):
    """One record as texts under the names of its file, or why it is broken and what stands in the file."""

    row: int
    reason: str | None
    raw: str | None
    values: Sequence[str | None]


def nested_batches(records: Iterable[NestedRecord]) -> Iterator["pa.RecordBatch"]:
    """Batches with the columns `row`, `reason`, `raw`, `record`."""
    schema = _schema(NESTED_COLUMNS[1:])
    held: list[NestedRecord] = []
    size = 0
    for one in records:
        held.append(one)
        size += len(one.record or one.raw or "")
        if len(held) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield _batch(held, schema)
            held, size = [], 0
    if held:
        yield _batch(held, schema)


def flat_batches(records: Iterable[FlatRecord], width: int) -> Iterator["pa.RecordBatch"]:
    """Batches with the columns `row`, `reason`, `raw`, `extra`, `c0` …; `extra` is always null."""
    schema = _schema([*FLAT_COLUMNS[1:], *(f"c{number}" for number in range(width))])
    nothing: tuple[None, ...] = (None,) * width
    held: list[tuple[int | str | None, ...]] = []
    size = 0
    for row, reason, raw, values in records:
        held.append((row, reason, raw, None, *(values or nothing)))
        size += len(raw) if raw else sum(map(len, filter(None, values)))
        if len(held) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield _batch(held, schema)
            held, size = [], 0
    if held:
        yield _batch(held, schema)


def text_column(values: Sequence[str | None]) -> "pa.Array[Any]":
    """An Arrow column of texts.

    `pa.array` imports pandas where it is installed, which takes longer than reading a small file: few values are
    appended one by one instead.
    """
    import pyarrow as pa

    if len(values) > _FEW_VALUES or "pandas" in sys.modules:
        return pa.array(values, pa.string())
    builder: Any = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()  # type: ignore[no-any-return]


def number_column(values: Sequence[int]) -> "pa.Array[Any]":
    """An Arrow column of 64-bit integers."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(array("q", values))])


def _batch(held: Sequence[Sequence[Any]], schema: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    rows, *texts = zip(*held, strict=True)
    return pa.RecordBatch.from_arrays([number_column(rows), *map(text_column, texts)], schema=schema)


def _schema(texts: Sequence[str]) -> "pa.Schema":
    import pyarrow as pa

    fields: list[tuple[str, pa.DataType]] = [("row", pa.int64())]
    return pa.schema(fields + [(name, pa.string()) for name in texts])
