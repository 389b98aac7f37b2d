"""Reconcile the ledger with the bucket: what no notification told, told twice or told wrongly.

Listing and ledger are both read in key order and compared page by page, so the memory is that of a page whatever the
bucket holds. Within the range of keys that a page covers, its listing is complete: a key it does not show is not there.
A page that failed covers nothing, so a listing that broke off removes nothing beyond the pages it gave. With each page
the ledger remembers that it has taken over the listing so far (see `listed`): older news change nothing any more.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from datalake_assets.arrivals.dead_letters import DeadLetters, Unexpected
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.listed import Listing
from datalake_assets.arrivals.listing import KEYS_PER_PAGE, Pace, Page, list_pages
from datalake_assets.arrivals.order import Arrival
from datalake_assets.arrivals.partitions import Daily
from datalake_assets.arrivals.sources import ArrivalSource, Match, Matcher, RawObject, Source
from datalake_assets.errors import Unsupported
from datalake_assets.failpoints import failpoint
from datalake_assets.names import UNPARTITIONED

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REQUESTS_PER_SECOND = 20.0
MAX_RECENT_PARTITIONS = 1_000  # each is a request for each table that can have it: minutes, at that rate
LISTING_MARGIN = dt.timedelta(seconds=2)  # the fractions that dates leave out, and how far S3's hosts may differ


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
    requests_per_second: float | None = REQUESTS_PER_SECOND,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> SweepResult:
    """List the sources' prefixes, or only some partitions of them, and make the ledger equal to what is there.

    Args:
        partitions: their keys, with `UNPARTITIONED` for the tables that have none; all by default.
        requests_per_second: list requests, each of up to a thousand objects; None for as many as S3 answers.

    Give all sources of the bucket: a key that belongs to none of them becomes a dead letter.

    Raises:
        Unavailable, Throttled, AccessDenied, ConfigurationError: a listing or the database failed; what was compared
            until then stays, and the next sweep starts anew.
    """
    matcher = Matcher(sources)
    dead_letters = DeadLetters(ledger.database)
    pace = None if requests_per_second is None else Pace(requests_per_second, clock=clock, pause=pause)
    total = SweepResult()
    begun_at: dt.datetime | None = None
    for prefix in matcher.prefixes(partitions):
        seen_since = dead_letters.now()
        listing: Listing | None = None
        for page, after in _pages_with_start(list_pages(s3, bucket, prefix, pace=pace, clock=clock), bucket, prefix):
            # Of all pages, the first one was true first: it is the time that holds for the whole listing.
            listed_at = page.asked_at - LISTING_MARGIN
            listing = listing or Listing(bucket, prefix, matcher.texts_below(prefix), listed_at)
            total += _reconcile(page, after, listing, matcher, ledger, dead_letters, location)
            failpoint("sweep.page")
        assert listing is not None  # also an empty listing has a page
        failpoint("sweep.listed")
        ledger.complete_listing(listing)
        dead_letters.resolve_unseen(bucket, prefix, seen_since)
        begun_at = begun_at or listing.listed_at
    if partitions is None and begun_at is not None:
        ledger.forget_listings_before(bucket, begun_at)
    return total


def recent_partitions(ledger: Ledger, sources: Sequence[ArrivalSource], now: dt.datetime, days: int) -> list[str]:
    """The partitions in which a lost message is likely: what to sweep often, while all is swept now and then.

    Those are the days of `days` before now until today, on the clocks of each pipeline; what changed in that time or
    waits for its run, as an old day that somebody mends, but at most `MAX_RECENT_PARTITIONS` of them; and all tables
    without partitions (`UNPARTITIONED`).
    """
    found = set(ledger.changed_lately([s.source_id for s in sources], days, MAX_RECENT_PARTITIONS))
    for kind in {s.partitions for s in sources if isinstance(s.partitions, Daily)}:
        today = now.astimezone(ZoneInfo(kind.timezone)).date()
        recent = (str(today - dt.timedelta(days=n)) for n in range(days + 1))
        found |= {day for day in recent if kind.refusal(day) is None}
    if any(not s.is_partitioned for s in sources):
        found.add(UNPARTITIONED)
    return sorted(found)


def is_whole_cheaper(ledger: Ledger, sources: Sequence[ArrivalSource], partitions: Sequence[str]) -> bool:
    """Whether listing everything takes fewer requests than listing these partitions one by one.

    A page shows up to a thousand objects of any partition: hundreds of recent days with few files each are told by
    some pages of all.
    """
    matcher = Matcher(sources)
    objects = sum(each.objects for each in ledger.summary([source.source_id for source in sources]))
    return len(matcher.prefixes()) + objects // KEYS_PER_PAGE < len(matcher.prefixes(partitions))


def _pages_with_start(pages: Iterator[Page], bucket: str, prefix: str) -> Iterator[tuple[Page, str]]:
    """Each page with the last key before it."""
    after = ""
    for page in pages:
        keys = [o.key for o in page.objects]
        if keys != sorted(keys) or (keys and keys[0] <= after):
            # S3 Express directory buckets list without order.
            raise Unsupported("the listing is not in key order", where=f"s3://{bucket}/{prefix}")
        yield page, after
        after = keys[-1] if keys else after


def _reconcile(
    page: Page,
    after: str,
    listing: Listing,
    matcher: Matcher,
    ledger: Ledger,
    dead_letters: DeadLetters,
    location: str,
) -> SweepResult:
    listed_at = page.asked_at - LISTING_MARGIN
    matched: list[Arrival] = []
    letters: list[Unexpected] = []
    for found in page.objects:
        match = matcher.match(found.key)
        if isinstance(match, Match):
            matched.append(_arrival(found, match, listed_at))
        elif match is not None:
            letters.append(
                Unexpected(location, "unexpected_key", match.reason, listing.bucket, found.key, match.source_id)
            )
    upto = None if page.is_last or not page.objects else page.objects[-1].key
    recorded, news = ledger.reconcile(listing, matched, listed_at=listed_at, after=after, upto=upto)
    dead_letters.record(letters)
    dead_letters.resolve(news)
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
