"""Upload a version's files in parallel, each with a SHA-256 that S3 verifies before it takes the object.

An object that S3 accepted is the file that was on disk; what happens to it later is found by `Version.verify`.
"""

import base64
import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    """Upload the files of each partition under its version's prefix; return the versions by partition.

    Nothing is visible to readers before `publish`. The files stay where they are.

    Args:
        files: partition key → files; their names are unique within a partition.
        threads: files in flight; memory is a few megabytes for each.

    Raises:
        ManifestMismatch: S3 stored other bytes than the file has.
        Unavailable, Throttled, AccessDenied: S3 did not take an object; what was uploaded is never published.
    """
    work = [
        (partition, f"{version_prefix(table, partition, version_id)}{file.path.name}", file)
        for partition, partition_files in files.items()
        for file in partition_files
    ]
    if len({key for _, key, _ in work}) != len(work):
        raise ValueError(f"two files of one partition of {table} have the same name")
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="upload")
    try:
        pending = [
            (partition, pool.submit(_upload, s3, bucket, key, file, multipart_bytes)) for partition, key, file in work
        ]
        done = [(partition, future.result()) for partition, future in pending]
    finally:
        # The first failure ends the rest: what was not started yet is not worth its bandwidth.
        pool.shutdown(cancel_futures=True)
    objects: dict[str, list[LakeObject]] = {partition: [] for partition in files}
    for partition, item in done:
        objects[partition].append(item)
    versions = {partition: Version(table, partition, version_id, tuple(items)) for partition, items in objects.items()}
    total = sum(version.size for version in versions.values())
    log.info("uploaded %d objects, %d bytes, for %d partitions of %s", len(done), total, len(versions), table)
    failpoint("upload.done")
    return versions


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
