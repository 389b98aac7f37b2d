"""Upload a version's files in parallel, each with a SHA-256 that S3 verifies before it takes the object.

An object that S3 accepted is the file that was on disk; what happens to it later is found by `Version.verify`.
"""

import base64
import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.versions import LakeObject, Version
from datalake_assets.errors import ManifestMismatch
from datalake_assets.failpoints import failpoint
from datalake_assets.names import version_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

# S3 takes up to 5 GB in one request; above this, parts let a broken connection repeat less.
MULTIPART_BYTES = 64 * 1024 * 1024
PART_BYTES = 16 * 1024 * 1024
MAX_PARTS = 10_000  # an S3 limit


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A Parquet file on local disk and the rows in it; its name becomes the last part of its key."""

    path: Path
    row_count: int


class Uploads:
    """Uploads of one version id, each begun as soon as its files are there.

        with Uploads(s3, version_id) as uploads:
            uploads.add(bucket, table, partition, files)    # returns at once
            versions = uploads.versions(table, [partition])  # waits

    Nothing is visible to readers before `publish`, so it does not matter what is made of an upload later. The files
    stay where they are. Leaving the block waits for what is in flight and drops what has not begun.

    Args:
        threads: files in flight; memory is a few megabytes for each.
    """

    def __init__(
        self, s3: "S3Client", version_id: str, *, threads: int = 8, multipart_bytes: int = MULTIPART_BYTES
    ) -> None:
        self._s3 = s3
        self._version_id = version_id
        self._multipart_bytes = multipart_bytes
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="upload")
        self._pending: dict[tuple[str, str], list[Future[LakeObject]]] = {}

    def __enter__(self) -> "Uploads":
        return self

    def __exit__(self, *_: object) -> None:
        # The first failure ends the rest: what was not started yet is not worth its bandwidth.
        self._pool.shutdown(cancel_futures=True)

    def has(self, table: str, partition: str) -> bool:
        """Whether the uploads of a partition have begun."""
        return (table, partition) in self._pending

    def add(self, bucket: str, table: str, partition: str, files: Sequence[LocalFile]) -> None:
        """Begin to upload the files of a partition under its version's prefix; their names are unique in it."""
        prefix = version_prefix(table, partition, self._version_id)
        if len({file.path.name for file in files}) != len(files):
            raise ValueError(f"two files of one partition of {table} have the same name")
        if self.has(table, partition):
            raise ValueError(f"partition {partition!r} of {table} is uploaded twice")
        self._pending[table, partition] = [
            self._pool.submit(_upload, self._s3, bucket, f"{prefix}{file.path.name}", file, self._multipart_bytes)
            for file in files
        ]

    def versions(self, table: str, partitions: Sequence[str]) -> dict[str, Version]:
        """Wait for the uploads of these partitions; return their versions.

        Raises:
            ManifestMismatch: S3 stored other bytes than the file has.
            Unavailable, Throttled, AccessDenied: S3 did not take an object; what was uploaded is never published.
        """
        found = {
            partition: Version(
                table,
                partition,
                self._version_id,
                tuple(future.result() for future in self._pending.pop((table, partition))),
            )
            for partition in partitions
        }
        log.info(
            "uploaded %d objects, %d bytes, for %d partitions of %s",
            sum(len(version.objects) for version in found.values()),
            sum(version.size for version in found.values()),
            len(found),
            table,
        )
        failpoint("upload.done")
        return found


def upload_versions(
    s3: "S3Client",
    bucket: str,
    table: str,
    version_id: str,
    files: Mapping[str, Sequence[LocalFile]],
    *,
    threads: int = 8,
    multipart_bytes: int = MULTIPART_BYTES,
) -> dict[str, Version]:
    """Upload the files of each partition, as `Uploads` does; return the versions by partition.

    Args:
        files: partition key → files; their names are unique within a partition.
    """
    with Uploads(s3, version_id, threads=threads, multipart_bytes=multipart_bytes) as uploads:
        for partition, partition_files in files.items():
            uploads.add(bucket, table, partition, partition_files)
        return uploads.versions(table, list(files))


def _upload(s3: "S3Client", bucket: str, key: str, file: LocalFile, multipart_bytes: int) -> LakeObject:
    uri = f"s3://{bucket}/{key}"
    size = file.path.stat().st_size
    with aws_errors(uri):
        if size > multipart_bytes:
            part_bytes = max(min(PART_BYTES, multipart_bytes), math.ceil(size / MAX_PARTS))
            checksum = composite_sha256(file.path, part_bytes)
            stored, etag = _put_in_parts(s3, bucket, key, file.path, part_bytes)
        else:
            checksum = sha256(file.path)
            with file.path.open("rb") as body:
                answer = s3.put_object(
                    Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
                )
            stored, etag = answer.get("ChecksumSHA256", ""), answer["ETag"]
    # S3 writes the number of parts behind the checksum of some answers and not of others.
    if stored.partition("-")[0] != checksum.partition("-")[0]:
        raise ManifestMismatch(f"S3 stored an object with SHA-256 {stored or 'unknown'}", where=uri, expected=checksum)
    failpoint("upload.object")
    return LakeObject(key, size, checksum, etag, file.row_count)


def _put_in_parts(s3: "S3Client", bucket: str, key: str, path: Path, part_bytes: int) -> tuple[str, str]:
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(
        multipart_threshold=1,  # the caller has decided
        multipart_chunksize=part_bytes,
        use_threads=False,  # the caller's pool bounds them
    )
    s3.upload_file(str(path), bucket, key, ExtraArgs={"ChecksumAlgorithm": "SHA256"}, Config=config)
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return head.get("ChecksumSHA256", ""), head["ETag"]


def sha256(path: Path) -> str:
    """The base64 SHA-256 of a file, as S3 writes it."""
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()


def composite_sha256(path: Path, part_bytes: int) -> str:
    """The checksum that S3 gives an object sent in parts: the SHA-256 of the parts' SHA-256, `-` and their number."""
    digests = []
    with path.open("rb") as file:
        while part := file.read(part_bytes):
            digests.append(hashlib.sha256(part).digest())
    return f"{base64.b64encode(hashlib.sha256(b''.join(digests)).digest()).decode()}-{len(digests)}"
