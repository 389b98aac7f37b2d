"""Read a raw file as records, whatever it is written in, in bounded memory.

    file = open_records(path, source, uri="s3://raw/posts.json.gz")
    for batch in file.batches(): …

Each batch is an Arrow record batch with the columns of `FLAT_COLUMNS` and c0 … cN (csv, log: the texts as they are
written, null where a row has no such field), or those of `NESTED_COLUMNS` (json, xml, avro, orc, parquet: `record` is
the JSON text of an object, numbers in their original spelling).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from datalake_assets.formats.source_format import SourceFormat

# `row`: int64, the line on which the record begins (csv, log, json lines) or its number, from 1. `reason`: string, null
# for a good record, else why it is broken, as the end of a sentence ("has too few fields"). `raw`: string, the record
# as it stands in the file when it is broken, else null. `extra`: string, JSON array of surplus texts, else null.
FLAT_COLUMNS = ("row", "reason", "raw", "extra")
NESTED_COLUMNS = ("row", "reason", "raw", "record")
BATCH_ROWS = 16_384
BATCH_BYTES = 16 * 1024 * 1024  # a batch ends earlier when its texts reach this size


class RecordFile(Protocol):
    """One raw file, opened: how its records are called and the records, in the order of the file."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """Raw column names of c0 … in their order; None when each record is a JSON object."""

    def batches(self) -> Iterator["pa.RecordBatch"]:
        """The records; to be called once."""


def open_records(path: Path, source: "SourceFormat", *, uri: str) -> RecordFile:
    """Open a local copy of a raw file.

    Args:
        path: the copy, as it was stored (still compressed).
        uri: what messages call it; its end tells the compression if `source.compression` is auto.

    Raises:
        EmptyObject: no bytes, or nothing but blank lines.
        UnreadableObject: broken or undeclared compression, another encoding, another format than declared. Broken
            records within a readable file are records with a reason.
    """
    if source.format == "csv":
        from datalake_assets.formats.delimited.csv_records import open_csv

        return open_csv(path, source, uri=uri)
    if source.format == "log":
        from datalake_assets.formats.log_records import open_log

        return open_log(path, source, uri=uri)
    if source.format == "json":
        from datalake_assets.formats.json_records import open_json

        return open_json(path, source, uri=uri)
    if source.format == "xml":
        from datalake_assets.formats.xml_records import open_xml

        return open_xml(path, source, uri=uri)
    from datalake_assets.formats.binary_records import open_binary

    return open_binary(path, source, uri=uri)
