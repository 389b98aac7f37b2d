"""Turn a raw file of any format into a Parquet file of its records, which DuckDB then reads like any other.

`formats.records` reads JSON, XML, Avro, ORC, Parquet, logs and the CSV dialects that DuckDB's own parser cannot take;
what it yields is written batch by batch, so memory stays bounded whatever the size of the file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.errors import BadInput, EmptyObject, UnreadableObject
from datalake_assets.formats.bytes import byte_chunks, compression_of
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.mapping.json_lines import NeedsCare, line_batches
from datalake_assets.mapping.raw_files import StagedFile

if TYPE_CHECKING:
    import pyarrow as pa

    from datalake_assets.formats.records import RecordFile

_BINARY = {b"PAR1": "Parquet", b"ORC": "ORC", b"Obj\x01": "Avro"}
# DuckDB reads row groups in parallel and keeps one of each thread in memory.
ROW_GROUP_ROWS = 65_536
ROW_GROUP_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NormalisedFile:
    """The records of a raw file as Parquet, in their order, with the columns of `formats.records`.

    `names` are the raw columns of c0 …, None when each record is a JSON object; `rows` counts all records, the broken
    ones too; `size` is that of the texts in bytes.
    """

    path: Path
    uri: str
    names: tuple[str, ...] | None
    rows: int
    size: int

    @property
    def header(self) -> tuple[str, ...] | None:
        """The names to compare with the mapping; None when each record says its own."""
        return self.names

    @property
    def read_alike(self) -> tuple[object, ...]:
        """Equal for files that can be staged together."""
        return ("records", self.names)


def normalise(file: StagedFile, source: SourceFormat, target: Path) -> NormalisedFile:
    """Write the records of `file` to `target`.

    Raises:
        EmptyObject: no bytes, or nothing but blank lines.
        UnreadableObject: broken or undeclared compression, another encoding, another format than declared.
    """
    from datalake_assets.formats.records import open_records

    if file.path.stat().st_size == 0:
        raise EmptyObject("the object has zero bytes", where=file.uri, todo="Land it again, or delete it.")
    try:
        records = open_records(file.path, source, uri=file.uri)
        _require_text(file, source, records.names or ())
        try:
            writer = _written(target, records.names, _batches(file, source, records))
        except NeedsCare:
            writer = _written(target, records.names, records.batches())
        return NormalisedFile(target, file.uri, records.names, writer.rows, writer.size)
    except BadInput:
        raise
    except (ValueError, EOFError, RecursionError, UnicodeError) as error:
        # A library that a reader hands the bytes to; pyarrow's errors are ValueErrors.
        raise UnreadableObject(
            f"the object cannot be read as {source.format}: {type(error).__name__}: {str(error).partition(chr(10))[0]}",
            where=file.uri,
            expected=f"a complete {source.format} file",
            todo="Land it again, or set source.format to what it is (`datalake crawl` tells).",
        ) from error


def _batches(file: StagedFile, source: SourceFormat, records: "RecordFile") -> Iterator["pa.RecordBatch"]:
    """The records, by the block where that gives the same."""
    from datalake_assets.formats.json_records import JsonFile

    if not isinstance(records, JsonFile) or records.layout != "lines" or source.encoding != "utf-8":
        return records.batches()
    with file.path.open("rb") as opened:
        compression = compression_of(source, file.uri, opened.read(16))
    return line_batches(byte_chunks(file.path, compression, file.uri))


def _written(target: Path, names: tuple[str, ...] | None, batches: Iterator["pa.RecordBatch"]) -> "_Writer":
    with _Writer(target, names) as writer:
        for batch in batches:
            writer.add(batch)
    return writer


def _require_text(file: StagedFile, source: SourceFormat, header: Sequence[str]) -> None:
    """Tell binary data from a text with a strange header, so that the message names the cause."""
    if source.format not in ("csv", "log"):
        return
    with file.path.open("rb") as opened:
        start = opened.read(4)
    found = next((f"a {name} file" for magic, name in _BINARY.items() if start.startswith(magic)), None)
    if found is None and any("\0" in name for name in header):
        found = "binary data or UTF-16: the header holds NUL bytes"
    if found:
        raise UnreadableObject(
            f"the object is {found}",
            where=file.uri,
            expected=f"text in {source.encoding}",
            todo="Set source.format or source.encoding to what it is (`datalake crawl` tells).",
        )


class _Writer:
    """Collects small batches into row groups."""

    def __init__(self, path: Path, names: tuple[str, ...] | None) -> None:
        from pyarrow import parquet

        schema = record_schema(names)
        # Dictionaries and statistics cost time and serve nobody: the file is read once.
        self._parquet = parquet.ParquetWriter(
            path, schema, compression="lz4", use_dictionary=False, write_statistics=False
        )
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self.rows = 0
        self.size = 0

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self._flush()
        self._parquet.close()

    def add(self, batch: "pa.RecordBatch") -> None:
        if batch.num_rows == 0:
            return
        self._waiting.append(batch.cast(self._schema))
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        if self._waiting_rows >= ROW_GROUP_ROWS or self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._parquet.write_table(table, row_group_size=max(self._waiting_rows, 1))
            self.rows += self._waiting_rows
            self.size += self._waiting_bytes
            self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0


def record_schema(names: tuple[str, ...] | None) -> "pa.Schema":
    """The columns of `formats.records` for a file with these raw columns."""
    import pyarrow as pa

    texts = ("record",) if names is None else ("extra", *(f"c{number}" for number in range(len(names))))
    fields: list[pa.Field[pa.DataType]] = [
        pa.field("row", pa.int64()),
        *(pa.field(name, pa.string()) for name in ("reason", "raw", *texts)),
    ]
    return pa.schema(fields)
