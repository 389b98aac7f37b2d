"""The two things vacuum writes: marks, and deletions a thousand keys a call."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datalake_assets.accounts.aws_errors import aws_errors, platform_error
from datalake_assets.catalog.partitions import in_threads, patiently
from datalake_assets.errors import Throttled, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

DELETE_BATCH = 1_000  # an S3 limit


def put_mark(s3: "S3Client", bucket: str, key: str) -> None:
    """Mark a version for removal, unless it is marked: the time of the first mark counts."""
    from botocore.exceptions import ClientError

    with aws_errors(f"s3://{bucket}/{key}"):
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=b"{}", ContentType="application/json", IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise


def delete_keys(s3: "S3Client", bucket: str, keys: Sequence[str], *, threads: int = 8) -> None:
    """Delete objects; deleting one that is gone is no error.

    Raises:
        AccessDenied, Throttled, Unavailable: S3 refused some for good; others may be deleted.
    """
    batches = [keys[start : start + DELETE_BATCH] for start in range(0, len(keys), DELETE_BATCH)]
    in_threads(lambda batch: _delete_batch(s3, bucket, batch), batches, threads=threads)


def _delete_batch(s3: "S3Client", bucket: str, keys: Sequence[str]) -> None:
    waiting = list(keys)

    def once() -> bool:
        nonlocal waiting
        if not waiting:
            return False
        objects: Any = [{"Key": key} for key in waiting]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        waiting = []
        passing = None
        for refused in answer.get("Errors", []):
            key = refused.get("Key", "")
            error = platform_error(refused.get("Code", ""), refused.get("Message", ""), where=f"s3://{bucket}/{key}")
            if not isinstance(error, Throttled | Unavailable):
                raise error
            waiting.append(key)
            passing = error
        if passing:
            raise Throttled(f"S3 did not delete {len(waiting)} objects: {passing.found}", where=passing.where)
        return False

    patiently(once)
