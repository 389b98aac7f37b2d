"""Bring a partition's raw objects to local disk, exactly the versions that were listed."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.arrivals.sources import RawObject
from datalake_assets.errors import ConcurrentChange
from datalake_assets.mapping.raw_files import StagedFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COPY_BYTES = 1024 * 1024
CHANGED = ("PreconditionFailed", "412", "NoSuchKey", "404")


def stage(s3: "S3Client", objects: Sequence[RawObject], folder: Path, *, threads: int) -> list[StagedFile]:
    """Download the objects in parallel; the order is kept.

    Raises:
        ConcurrentChange: an object was overwritten or deleted since it was listed; a retry lists again.
        Unavailable, Throttled, AccessDenied: S3 did not answer, or not with the object.
    """
    with ThreadPoolExecutor(max_workers=min(threads, len(objects)) or 1, thread_name_prefix="stage") as pool:
        waiting = [pool.submit(_download, s3, raw, folder, number) for number, raw in enumerate(objects)]
        return [each.result() for each in waiting]


def _download(s3: "S3Client", raw: RawObject, folder: Path, number: int) -> StagedFile:
    from botocore.exceptions import ClientError

    uri = f"s3://{raw.bucket}/{raw.key}"
    path = folder / f"{number:05d}"  # a key may hold what a file name cannot; the URI tells the compression
    with aws_errors(uri):
        try:
            answer = s3.get_object(Bucket=raw.bucket, Key=raw.key, IfMatch=f'"{raw.etag}"')
        except ClientError as error:
            if error.response["Error"].get("Code") not in CHANGED:
                raise
            raise ConcurrentChange(
                "the object changed since it was listed", where=uri, todo="A retry lists again"
            ) from error
        # Closed also when the disk is full: its connection would stay open until somebody collects it.
        with closing(answer["Body"]) as body, path.open("wb") as file:
            shutil.copyfileobj(body, file, COPY_BYTES)
    return StagedFile(path=path, uri=uri)
