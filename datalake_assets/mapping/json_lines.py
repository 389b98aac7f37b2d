"""JSON lines as batches of records, looked at by the block instead of one by one: the same result several times faster.

DuckDB tells which lines are objects beyond doubt. The others are judged one by one as `formats.json_records` does it,
so what is broken, and why, is the same either way. What a block cannot hold (another encoding, a line that is too
long) is left to that module as a whole.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from datalake_assets.formats.batches import MAX_DEPTH, MAX_RECORD_CHARACTERS
from datalake_assets.formats.json_text import why_no_record
from datalake_assets.formats.lines import shown
from datalake_assets.mapping.sql_text import literal

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BLOCK_BYTES = 4 * 1024 * 1024
_AROUND = " \t\r\ufeff"  # what stands around a record
# DuckDB takes a comma before a bracket, `nan` and `inf` for JSON, Python and everybody else do not. Half surrogates are
# told by the other module. It may find them within texts: such a line is judged by itself, which only costs time.
_DOUBTFUL = r"(?i),\s*[\]}]|[:\[,]\s*[+-]?(?:nan|inf)|\\u[d][89a-f]"
_JUDGE = f"""
SELECT record, coalesce(NOT starts_with(record, '{{') OR NOT json_valid(record)
       OR regexp_matches(record, {literal(_DOUBTFUL)})
       OR (strlen(record) > {2 * MAX_DEPTH} AND
           2 * strlen(record) - strlen(replace(record, '{{', '')) - strlen(replace(record, '[', '')) > {MAX_DEPTH}),
       false) AS is_doubtful
FROM (SELECT trim(line, {literal(_AROUND)}) AS record FROM lines)"""


class NeedsCare(Exception):
    """A file that must be read line by line."""


def line_batches(chunks: Iterator[bytes]) -> Iterator["pa.RecordBatch"]:
    """The records of a decompressed UTF-8 file of JSON lines, with the columns of `formats.records.NESTED_COLUMNS`.

    Raises:
        NeedsCare: a line is too long, or not UTF-8; what was yielded before is to be thrown away.
    """
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.execute("SET threads = 1")  # which keeps the order, too
        first = 1
        for block in _blocks(chunks):
            batch, lines = _judged(connection, block, first)
            first += lines
            yield batch


def _blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines, the last one perhaps without its end."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size > MAX_RECORD_CHARACTERS:
            raise NeedsCare
        if size < BLOCK_BYTES or b"\n" not in chunk:
            continue
        data = b"".join(held)
        end = data.rfind(b"\n") + 1
        yield data[:end]
        held, size = [data[end:]], len(data) - end
    if rest := b"".join(held):
        yield rest


def _judged(connection: "duckdb.DuckDBPyConnection", block: bytes, first: int) -> "tuple[pa.RecordBatch, int]":
    """The records of a block whose first line has the number `first`, and how many lines it has."""
    import pyarrow as pa
    from pyarrow import compute

    offsets = pa.py_buffer(b"\0\0\0\0" + len(block).to_bytes(4, "little"))
    text = pa.Array.from_buffers(pa.utf8(), 1, [None, offsets, pa.py_buffer(block)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid as error:
        raise NeedsCare from error
    lines: Any = compute.split_pattern(text, "\n").flatten()
    if block.endswith(b"\n"):
        lines = lines.slice(0, len(lines) - 1)
    connection.register("lines", pa.table({"line": lines}))
    judged: Any = connection.sql(_JUDGE).to_arrow_table()
    connection.unregister("lines")
    records = judged["record"].combine_chunks()
    doubtful: list[int] = compute.indices_nonzero(judged["is_doubtful"]).to_pylist()
    reasons: dict[int, str] = {}
    for place in doubtful:
        record = records[place].as_py()
        if record and (why := why_no_record(record)):
            reasons[place] = why
    numbers = pa.array(range(first, first + len(lines)), pa.int64())
    reason: Any = pa.nulls(len(lines), pa.string())
    raw: Any = pa.nulls(len(lines), pa.string())
    if reasons:
        told = [reasons.get(place) for place in range(len(lines))]
        reason = pa.array(told, pa.string())
        raw = pa.array(
            [shown(_without_return(lines[place].as_py())) if why else None for place, why in enumerate(told)],
            pa.string(),
        )
        records = compute.if_else(compute.is_null(reason), records, pa.scalar(None, pa.string()))
    batch = pa.record_batch([numbers, reason, raw, records], names=["row", "reason", "raw", "record"])
    # Blank lines are no records.
    has_text: Any = compute.greater(compute.binary_length(compute.fill_null(records, "")), pa.scalar(0))
    is_record: Any = compute.or_(compute.is_valid(reason), has_text)
    return batch.filter(is_record), len(lines)


def _without_return(line: str) -> str:
    return line[:-1] if line.endswith("\r") else line
