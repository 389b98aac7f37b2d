"""Reconcile the ledger with the bucket: what no notification told, told twice or told wrongly.

Listing and ledger are both read in key order and compared page by page, so the memory is that of a page whatever the
bucket holds. Within the range of keys that a page covers, its listing is complete: a key it does not show is not there.
A page that failed covers nothing, so a listing that broke off removes nothing beyond the pages it gave.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from datalake_assets.arrivals.dead_letters import DeadLetters, Unexpected
from datalake_assets.arrivals.ledger import Ledger, Recorded
from datalake_assets.arrivals.listing import Page, list_pages
from datalake_assets.arrivals.order import Arrival
from datalake_assets.arrivals.sources import Match, Matcher, RawObject, Source
from datalake_assets.errors import Unsupported

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3 tells its time to the second, and when the answer left rather than when it looked.
LISTING_MARGIN = dt.timedelta(seconds=2)


@dataclass(frozen=True)
class SweepResult:
    """What one sweep listed and what it had to correct."""

    listed: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    unexpected: int = 0

    def __add__(self, other: "SweepResult") -> "SweepResult":
        return SweepResult(
            self.listed + other.listed,
            self.added + other.added,
            self.changed + other.changed,
            self.removed + other.removed,
            self.unexpected + other.unexpected,
        )


def sweep(
    s3: "S3Client",
    bucket: str,
    sources: Sequence[Source],
    ledger: Ledger,
    *,
    location: str,
    partitions: Sequence[str] | None = None,
) -> SweepResult:
    """List the sources' prefixes, or only some partitions of them, and make the ledger equal to what is there.

    Args:
        partitions: their keys, with `UNPARTITIONED` for the tables that have none; all by default.

    Give all sources of the bucket: a key that belongs to none of them becomes a dead letter.

    Raises:
        Unavailable, Throttled, AccessDenied, ConfigurationError: a listing or the database failed; what was compared
            until then stays, and the next sweep starts anew.
    """
    matcher = Matcher(sources)
    dead_letters = DeadLetters(ledger.database)
    total = SweepResult()
    for prefix in matcher.prefixes(partitions):
        begun_at = dead_letters.now()
        for page, after in _pages_with_start(s3, bucket, prefix):
            total += _reconcile(page, after, bucket, prefix, matcher, ledger, dead_letters, location)
        dead_letters.resolve_unseen(bucket, prefix, begun_at)
    return total


def _pages_with_start(s3: "S3Client", bucket: str, prefix: str) -> Iterator[tuple[Page, str]]:
    """Each page with the last key before it."""
    after = ""
    for page in list_pages(s3, bucket, prefix):
        keys = [o.key for o in page.objects]
        if keys != sorted(keys) or (keys and keys[0] <= after):
            # S3 Express directory buckets list without order.
            raise Unsupported("the listing is not in key order", where=f"s3://{bucket}/{prefix}")
        yield page, after
        after = keys[-1] if keys else after


def _reconcile(
    page: Page,
    after: str,
    bucket: str,
    prefix: str,
    matcher: Matcher,
    ledger: Ledger,
    dead_letters: DeadLetters,
    location: str,
) -> SweepResult:
    listed_at = page.answered_at - LISTING_MARGIN
    matched: dict[str, Arrival] = {}
    letters: list[Unexpected] = []
    for found in page.objects:
        match = matcher.match(found.key)
        if isinstance(match, Match):
            matched[found.key] = _arrival(found, match, listed_at)
        elif match is not None:
            letters.append(Unexpected(location, "unexpected_key", match.reason, bucket, found.key, match.source_id))
    upto = None if page.is_last or not page.objects else page.objects[-1].key
    recorded = Recorded()
    confirmed: set[str] = set()
    for known in ledger.live_objects(bucket, prefix, after=after, upto=upto):
        gone: list[Arrival] = []
        for state in known:
            told = matched.get(state.key)
            if told is None:
                gone.append(replace(state, is_deleted=True, origin="sweep", sequencer=None, listed_at=listed_at))
            elif told.has_content_of(state):
                confirmed.add(state.key)
        recorded += ledger.record(gone)
    news = [told for key, told in matched.items() if key not in confirmed]
    recorded += ledger.record(news)
    dead_letters.record(letters)
    dead_letters.resolve([told.place for told in news])
    return SweepResult(len(page.objects), recorded.added, recorded.changed, recorded.removed, len(letters))


def _arrival(found: RawObject, match: Match, listed_at: dt.datetime) -> Arrival:
    return Arrival(
        found.bucket,
        found.key,
        match.source_id,
        match.partition,
        found.etag,
        found.size,
        found.last_modified,
        version_id=found.version_id,
        origin="sweep",
        listed_at=listed_at,
        is_marker=match.is_marker,
    )
