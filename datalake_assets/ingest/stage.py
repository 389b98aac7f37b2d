"""Bring a partition's raw objects to local disk, exactly the versions that were listed."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.arrivals.sources import RawObject
from datalake_assets.errors import AccessDenied, ConcurrentChange, Unavailable
from datalake_assets.mapping.raw_files import StagedFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COPY_BYTES = 1024 * 1024


def stage(s3: "S3Client", objects: Sequence[RawObject], folder: Path, *, threads: int) -> list[StagedFile]:
    """Download the objects in parallel; the order is kept.

    Raises:
        ConcurrentChange: an object was overwritten or deleted since it was listed; a retry lists again.
        Unavailable: the connection broke.
    """
    with ThreadPoolExecutor(max_workers=min(threads, len(objects)) or 1, thread_name_prefix="stage") as pool:
        waiting = [pool.submit(_download, s3, raw, folder, number) for number, raw in enumerate(objects)]
        return [each.result() for each in waiting]


def _download(s3: "S3Client", raw: RawObject, folder: Path, number: int) -> StagedFile:
    from botocore.exceptions import BotoCoreError, ClientError

    uri = f"s3://{raw.bucket}/{raw.key}"
    # The number keeps two keys with one file name apart; the suffix tells the reader the compression.
    path = folder / f"{number:05d}-{raw.key.rsplit('/', 1)[-1][-100:]}"
    try:
        answer = s3.get_object(Bucket=raw.bucket, Key=raw.key, IfMatch=f'"{raw.etag}"')
        with path.open("wb") as file:
            shutil.copyfileobj(answer["Body"], file, COPY_BYTES)
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code in ("PreconditionFailed", "412", "NoSuchKey", "404"):
            raise ConcurrentChange(
                "the object changed since it was listed", where=uri, todo="A retry lists again"
            ) from error
        if code in ("AccessDenied", "403"):
            raise AccessDenied("the object cannot be read", where=uri, expected="s3:GetObject for the role") from error
        raise Unavailable(f"S3 answered {code}", where=uri) from error
    except BotoCoreError as error:
        raise Unavailable(f"the download broke: {error}", where=uri) from error
    return StagedFile(path=path, uri=uri)
