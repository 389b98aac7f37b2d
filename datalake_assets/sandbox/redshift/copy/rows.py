"""Turn Parquet objects into the CSV that PostgreSQL's COPY takes, batch by batch, checked as Redshift checks them."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from datalake_assets.sandbox.redshift.copy.columns import Column, check_schema, check_values, prepared
from datalake_assets.sandbox.redshift.copy.objects import CopyObject, s3_failure
from datalake_assets.sandbox.redshift.refusals import Refused

if TYPE_CHECKING:
    import pyarrow as pa
    from mypy_boto3_s3.client import S3Client

_IN_MEMORY_BYTES = 32 * 1024 * 1024
_BATCH_ROWS = 16_384
_DOWNLOAD_CHUNK_BYTES = 4 * 1024 * 1024


@dataclass
class Progress:
    """How far a COPY came: whole batches handed over."""

    rows: int = 0
    objects: int = 0
    current: str = ""


def csv_chunks(
    s3: "S3Client", objects: list[CopyObject], columns: list[Column], *, serialize_to_json: bool, progress: Progress
) -> Iterator[bytes]:
    """Yield the rows of all objects as CSV, one record batch at a time, so that memory stays bounded.

    Raises:
        Refused: an object is not Parquet, does not fit the columns, or S3 does not answer.
    """
    for item in objects:
        progress.current = item.url
        with _opened(s3, item) as file:
            yield from _chunks_of_file(file, item, columns, serialize_to_json=serialize_to_json, progress=progress)
        progress.objects += 1


def _opened(s3: "S3Client", item: CopyObject) -> IO[bytes]:
    """Small objects stay in memory, large ones go to a temporary file: Parquet is read from its end."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
    try:
        with closing(s3.get_object(Bucket=item.bucket, Key=item.key)["Body"]) as body:
            for chunk in body.iter_chunks(_DOWNLOAD_CHUNK_BYTES):
                file.write(chunk)
    except (BotoCoreError, ClientError, HTTPClientError, OSError) as error:
        file.close()
        raise s3_failure(error, f"Problem reading {item.url}") from error
    file.seek(0)
    return file


def _chunks_of_file(
    file: IO[bytes], item: CopyObject, columns: list[Column], *, serialize_to_json: bool, progress: Progress
) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
        check_schema(parquet.schema_arrow, columns, item.url, serialize_to_json=serialize_to_json)
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS):
            check_values(batch, columns)
            yield _as_csv(batch, columns)
            progress.rows += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise Refused(
            "XX000", "Spectrum Scan Error", detail=f"File '{item.url}' is not a readable Parquet file: {error}"
        ) from error


def _as_csv(batch: "pa.RecordBatch", columns: list[Column]) -> bytes:
    import pyarrow as pa
    import pyarrow.csv

    arrays: list[Any] = [prepared(batch.column(index), column) for index, column in enumerate(columns)]
    names = [f"c{index}" for index in range(len(arrays))]
    sink = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(arrays, names=names), sink, options)
    return sink.getvalue()
