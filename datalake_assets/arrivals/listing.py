"""List raw objects: page by page, and never an empty answer for a failed one."""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.s3_time import answered_at
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.arrivals.sources import RawObject, fewest_prefixes, partition_of
from datalake_assets.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEYS_PER_PAGE = 1_000  # the most that S3 gives at once


@dataclass(frozen=True)
class Page:
    """One page of a listing, in key order.

    `asked_at` is S3's own clock, to the second, when S3 looked at the earliest; `is_last` says that nothing follows.
    """

    objects: tuple[RawObject, ...]
    asked_at: dt.datetime
    is_last: bool


class Pace:
    """At most so many requests a second, evenly: what a listing may take of a bucket that others use."""

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = 1 / per_second
        self._clock, self._pause = clock, pause
        self._next_at = clock()

    def wait(self) -> None:
        """Wait until the next request may be made."""
        if (early := self._next_at - self._clock()) > 0:
            self._pause(early)
        self._next_at = max(self._next_at, self._clock()) + self._seconds


def list_pages(
    s3: "S3Client",
    bucket: str,
    prefix: str,
    *,
    pace: Pace | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Page]:
    """Yield all objects below a prefix, a page at a time; an empty prefix has one page.

    Args:
        clock: tells seconds, to measure how long an answer takes.

    Raises:
        Unavailable, Throttled, AccessDenied, ConfigurationError: the listing is not complete; what came before may be
            used, what is missing may not be taken for deleted.
    """
    where = f"s3://{bucket}/{prefix}"
    token: dict[str, Any] = {}
    while True:
        if pace is not None:
            pace.wait()
        begun = clock()
        with aws_errors(where):
            answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=KEYS_PER_PAGE, **token)
        # An answer is dated when it leaves, and S3 looked before that, by no more than the whole call took. In whole
        # seconds, as the date is: of two listings in one second neither may seem to come before the other.
        took = dt.timedelta(seconds=int(clock() - begun))
        objects = tuple(
            RawObject(bucket, o["Key"], o["ETag"].strip('"'), o["Size"], o["LastModified"])
            for o in answer.get("Contents", [])
        )
        is_last = not answer.get("IsTruncated", False)
        yield Page(objects, answered_at(answer) - took, is_last)
        if is_last:
            return
        if not answer.get("NextContinuationToken"):
            raise Unavailable("the listing broke off without a continuation", where=where)
        token = {"ContinuationToken": answer["NextContinuationToken"]}


def list_partition(
    s3: "S3Client",
    bucket: str,
    patterns: Sequence[KeyPattern],
    partition: str,
    *,
    marker: KeyPattern | None = None,
) -> list[RawObject]:
    """Return every object of one partition once and in key order: what a run reads. Markers are none.

    Raises:
        Unavailable, Throttled, AccessDenied, ConfigurationError: the list could not be completed.
    """
    return [
        found
        for prefix in fewest_prefixes(pattern.prefix(partition) for pattern in patterns)
        for page in list_pages(s3, bucket, prefix)
        for found in page.objects
        if partition_of(found.key, patterns, marker) == partition
    ]
