"""Records collected into Arrow batches of a bounded size."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from datalake_assets.formats.records import BATCH_BYTES, BATCH_ROWS, FLAT_COLUMNS, NESTED_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

# A record of more characters is broken: whoever reads it further (a JSON parser, the engine) holds many times as much.
MAX_RECORD_CHARACTERS = 16 * 1024 * 1024
# Objects and arrays within one another. Beyond it parsers that call themselves give up, each at another depth.
MAX_DEPTH = 500
# How much of a record that was too long to hold is shown.
SHOWN_CHARACTERS = 1_000


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
    import pyarrow as pa

    schema = _schema(NESTED_COLUMNS[1:])
    held: list[NestedRecord] = []
    size = 0
    for one in records:
        held.append(one)
        size += len(one.record or one.raw or "")
        if len(held) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield pa.record_batch([list(column) for column in zip(*held, strict=True)], schema=schema)
            held, size = [], 0
    if held:
        yield pa.record_batch([list(column) for column in zip(*held, strict=True)], schema=schema)


def flat_batches(records: Iterable[FlatRecord], width: int) -> Iterator["pa.RecordBatch"]:
    """Batches with the columns `row`, `reason`, `raw`, `extra`, `c0` …; `extra` is always null."""
    import pyarrow as pa

    schema = _schema([*FLAT_COLUMNS[1:], *(f"c{number}" for number in range(width))])
    nothing: tuple[None, ...] = (None,) * width
    held: list[tuple[int | str | None, ...]] = []
    size = 0
    for row, reason, raw, values in records:
        held.append((row, reason, raw, None, *(values or nothing)))
        size += len(raw) if raw else sum(len(value) for value in values if value)
        if len(held) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield pa.record_batch([list(column) for column in zip(*held, strict=True)], schema=schema)
            held, size = [], 0
    if held:
        yield pa.record_batch([list(column) for column in zip(*held, strict=True)], schema=schema)


def _schema(texts: Sequence[str]) -> "pa.Schema":
    import pyarrow as pa

    fields: list[tuple[str, pa.DataType]] = [("row", pa.int64())]
    return pa.schema(fields + [(name, pa.string()) for name in texts])
