"""Byte ranges of published objects, read from S3 ahead of their use, counted, and of exactly the published version."""

import bisect
import io
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.versions import LakeObject
from datalake_assets.errors import ConcurrentChange

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WHOLE_BYTES = 256 * 1024  # up to here one request for all is faster than one for the footer and one for the columns
FOOTER_BYTES = 64 * 1024
HOLE_BYTES = 128 * 1024  # ranges nearer than this are one request
MOST_BYTES = 16 * 1024 * 1024  # of one request
CHANGED = ("PreconditionFailed", "412", "NoSuchKey", "404")

Range = tuple[int, int]
"""Where it begins, and where it ends: the first byte behind it."""


class Counter:
    """How many objects and bytes were read; counted from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.files = 0
        self.bytes = 0

    def add(self, *, files: int = 0, bytes: int = 0) -> None:
        with self._lock:
            self.files += files
            self.bytes += bytes


def fetch(s3: "S3Client", bucket: str, item: LakeObject, wanted: Range, counter: Counter) -> bytes:
    """One range of an object.

    Raises:
        ConcurrentChange: the object is not what was published, or not there any more.
        TransientError, AccessDenied: S3.
    """
    from botocore.exceptions import ClientError

    uri, (start, end) = f"s3://{bucket}/{item.key}", wanted
    with aws_errors(uri):
        try:
            answer = s3.get_object(Bucket=bucket, Key=item.key, Range=f"bytes={start}-{end - 1}", IfMatch=item.etag)
            data = answer["Body"].read()
        except ClientError as error:
            if error.response["Error"].get("Code") not in CHANGED:
                raise
            raise ConcurrentChange(
                "the published object is gone or was overwritten while the query ran",
                where=uri,
                todo="Run the query again",
            ) from error
    counter.add(bytes=len(data))
    return data


def joined(ranges: Sequence[Range]) -> list[Range]:
    """The fewest ranges that cover these: near ones become one, unless it would get too large."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if found and start - found[-1][1] <= HOLE_BYTES and end - found[-1][0] <= MOST_BYTES:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


class FetchedFile(io.RawIOBase):
    """The parts of an object that were fetched, for Arrow to read as a file; it asks S3 for nothing itself.

    Args:
        size: of the whole object.
    """

    def __init__(self, size: int, parts: Sequence[tuple[int, bytes]]) -> None:
        self._size, self._at = size, 0
        self._parts = sorted(parts)
        self._starts = [start for start, _ in self._parts]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        n = bisect.bisect_right(self._starts, self._at) - 1
        if length and n >= 0:
            start, data = self._parts[n]
            found = data[self._at - start : self._at - start + length]
            if len(found) == length:
                self._at += length
                return found
        if not length:
            return b""
        raise OSError(f"bytes {self._at} to {self._at + length} of the object were not fetched")
