"""Parquet, ORC and Avro files as records: JSON objects whose values keep all they had."""

import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.avro_blocks import blocks, read_header, record_reader
from datalake_assets.formats.batches import MAX_RECORD_CHARACTERS, NestedRecord, nested_batches, number_column
from datalake_assets.formats.bytes import byte_chunks, compression_of, open_bytes
from datalake_assets.formats.json_values import json_column, json_text
from datalake_assets.formats.records import BATCH_ROWS, NESTED_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

    from datalake_assets.formats.source_format import SourceFormat

# Parquet and ORC are read from their end: a compressed one must be unpacked on disk first, up to this size.
MAX_UNPACKED_BYTES = 8 * 1024**3
_ROWS_AT_ONCE = 4_096
_MAGIC = {"parquet": b"PAR1", "orc": b"ORC", "avro": b"Obj\x01"}


def open_binary(path: Path, source: "SourceFormat", *, uri: str) -> "BinaryFile":
    """Open a Parquet, ORC or Avro file.

    Raises:
        EmptyObject: no bytes.
        UnreadableObject: broken or undeclared compression, or another format than declared.
    """
    if path.stat().st_size == 0:
        raise EmptyObject("the object has zero bytes", where=uri)
    with path.open("rb") as opened:
        compression = compression_of(source, uri, opened.read(16))
    with open_bytes(path, compression, uri) as file:
        start = file.read(4)
    if not start.startswith(_MAGIC[source.format]):
        told = "is encrypted Parquet" if start == b"PARE" else f"begins with {start!r}"
        raise UnreadableObject(
            f"the object {told}",
            where=uri,
            expected=f"a {source.format} file",
            todo="Set source.format to the format of the files.",
        )
    return BinaryFile(path, source.format, compression, uri)


class BinaryFile:
    """One Parquet, ORC or Avro file; each record is an object, `row` its number."""

    names: tuple[str, ...] | None = None

    def __init__(self, path: Path, kind: str, compression: str, uri: str) -> None:
        self._path = path
        self._kind = kind
        self._compression = compression
        self._uri = uri

    def batches(self) -> Iterator["pa.RecordBatch"]:
        """The records.

        Raises:
            UnreadableObject: broken or truncated.
        """
        if self._kind == "avro":
            yield from nested_batches(self._avro())
            return
        with _unpacked(self._path, self._compression, self._uri) as path:
            yield from _as_json(
                _parquet(path, self._uri) if self._kind == "parquet" else _orc(path, self._uri), self._uri
            )

    def _avro(self) -> Iterator[NestedRecord]:
        row = 0
        with open_bytes(self._path, self._compression, self._uri) as file:
            header = read_header(file, self._uri)
            read = _errors_told(lambda: record_reader(header), self._uri)
            for count, data in blocks(file, header, self._uri):
                block = io.BytesIO(data)
                for _ in range(count):
                    row += 1
                    value = _errors_told(lambda block=block: read(block), self._uri)
                    yield _record(row, value)


def _errors_told(action: Any, uri: str) -> Any:
    from fastavro.schema import SchemaParseException

    try:
        return action()
    # The decoder lets through whatever its parts raise for bytes they do not expect.
    except (
        SchemaParseException, ValueError, TypeError, LookupError, EOFError, ArithmeticError, RecursionError,
        MemoryError,
    ) as error:  # fmt: skip
        raise UnreadableObject(
            f"the Avro data is broken: {type(error).__name__}: {error}", where=uri, todo="Land it again."
        ) from error


def _record(row: int, value: Any) -> NestedRecord:
    try:
        text = json_text(value if isinstance(value, dict) else {"value": value})
    except RecursionError:
        return NestedRecord(row, "is nested too deep", "", None)
    if len(text) > MAX_RECORD_CHARACTERS:
        return NestedRecord(row, f"is longer than {MAX_RECORD_CHARACTERS >> 20} MB", text[:1_000], None)
    return NestedRecord(row, None, None, text)


def _parquet(path: Path, uri: str) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _broken("Parquet", error, uri) from error


def _orc(path: Path, uri: str) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa
    from pyarrow import orc

    try:
        file = orc.ORCFile(str(path))
        for stripe in range(file.nstripes):
            batch = file.read_stripe(stripe)
            for begin in range(0, batch.num_rows, _ROWS_AT_ONCE):
                yield batch.slice(begin, _ROWS_AT_ONCE)
    except (pa.ArrowException, OSError) as error:
        raise _broken("ORC", error, uri) from error


def _broken(kind: str, error: Exception, uri: str) -> UnreadableObject:
    told = str(error).strip().split("\n", 1)[0]
    return UnreadableObject(f"the {kind} file is broken or truncated: {told}", where=uri, todo="Land it again.")


def _as_json(batches: Iterable["pa.RecordBatch"], uri: str) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    row = 1
    for batch in batches:
        try:
            batch.validate(full=True)
            texts = json_column(batch.to_struct_array())
        except pa.ArrowException as error:
            raise UnreadableObject(
                f"the rows from {row:,} on hold values that cannot be read: {error}", where=uri
            ) from error
        for begin in range(0, batch.num_rows, BATCH_ROWS):
            part = texts.slice(begin, BATCH_ROWS)
            nothing = pa.nulls(len(part), pa.string())
            rows = number_column(range(row, row + len(part)))
            yield pa.RecordBatch.from_arrays([rows, nothing, nothing, part], names=list(NESTED_COLUMNS))
            row += len(part)


@contextmanager
def _unpacked(path: Path, compression: str, uri: str) -> Iterator[Path]:
    if compression == "none":
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="unpacked-") as target:
        size = 0
        for chunk in byte_chunks(path, compression, uri):
            size += len(chunk)
            if size > MAX_UNPACKED_BYTES:
                raise UnreadableObject(
                    f"the object unpacks to over {MAX_UNPACKED_BYTES >> 30} GB",
                    where=uri,
                    todo="Land it without a compression around it: the format compresses itself.",
                )
            target.write(chunk)
        target.flush()
        yield Path(target.name)
