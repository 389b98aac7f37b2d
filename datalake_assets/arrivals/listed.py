"""What the ledger knows from listings: up to which key, and as of when, it was equal to the bucket.

A sweep writes it with each page (`arrival_listing`). News of before such a listing is old, whatever it says: the object
that it tells of was seen by the listing, or was gone. That holds for keys that the source claimed then, by the same
patterns; after a change of the patterns a key that was a dead letter may be an object, and only a new listing can tell.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class Listing:
    """A listing of one prefix that goes on.

    Args:
        patterns: the sources that may have keys below the prefix, and the texts of their patterns (`Matcher.texts`).
        listed_at: S3's clock when the first page was answered, with a margin: all pages say what was true later.
    """

    bucket: str
    prefix: str
    patterns: Mapping[str, str]
    listed_at: dt.datetime


def advance(connection: "Connection", listing: Listing, upto: str | None) -> None:
    """Remember that the ledger has taken over the listing up to a key, or to its end.

    In the transaction that compared these keys, with the bucket locked: a listing that is remembered is taken over.
    """
    _write(connection, listing, upto, is_complete=False)


def complete(connection: "Connection", listing: Listing) -> None:
    """Remember a listing that came to its end as the last complete one, unless a later one is there already."""
    from sqlalchemy import text

    _write(connection, listing, None, is_complete=True)
    connection.execute(
        text("""
            DELETE FROM arrival_listing WHERE bucket = :bucket AND prefix = :prefix AND NOT is_complete
                AND source_id = ANY(CAST(:sources AS text[])) AND listed_at <= :listed_at
        """),
        {
            "bucket": listing.bucket, "prefix": listing.prefix, "sources": sorted(listing.patterns),
            "listed_at": listing.listed_at,
        },
    )  # fmt: skip


def forget_before(connection: "Connection", bucket: str, listed_at: dt.datetime) -> None:
    """Drop what listings of before said: everything was listed since."""
    from sqlalchemy import text

    connection.execute(
        text("DELETE FROM arrival_listing WHERE bucket = :bucket AND listed_at < :listed_at"),
        {"bucket": bucket, "listed_at": listed_at},
    )


def _write(connection: "Connection", listing: Listing, upto: str | None, *, is_complete: bool) -> None:
    from sqlalchemy import text

    sources = sorted(listing.patterns.items())
    connection.execute(
        text("""
            INSERT INTO arrival_listing AS l
                (bucket, prefix, source_id, is_complete, pattern, listed_at, upto, listed_seq, recorded_at)
            SELECT :bucket, :prefix, source_id, :is_complete, pattern, :listed_at, CAST(:upto AS text),
                nextval('arrival_change_seq'), clock_timestamp()
            FROM unnest(CAST(:sources AS text[]), CAST(:patterns AS text[])) AS u(source_id, pattern)
            ON CONFLICT (bucket, prefix, source_id, is_complete) DO UPDATE SET pattern = excluded.pattern,
                listed_at = excluded.listed_at, upto = excluded.upto, listed_seq = excluded.listed_seq,
                recorded_at = excluded.recorded_at
            WHERE NOT l.is_complete OR l.listed_at <= excluded.listed_at
        """),
        {
            "bucket": listing.bucket, "prefix": listing.prefix, "is_complete": is_complete,
            "listed_at": listing.listed_at, "upto": upto, "sources": [source for source, _ in sources],
            "patterns": [pattern for _, pattern in sources],
        },
    )  # fmt: skip


class ListedKeys:
    """When keys were last listed, as far as a query of `listed_keys` covers it."""

    def __init__(self, rows: Iterable[tuple[str, str, str, str | None, dt.datetime]]) -> None:
        self._by_prefix: dict[tuple[str, str, str], list[tuple[str | None, dt.datetime]]] = {}
        lengths = set()
        for bucket, source_id, prefix, upto, listed_at in rows:
            self._by_prefix.setdefault((bucket, source_id, prefix), []).append((upto, listed_at))
            lengths.add(len(prefix))
        self._lengths = sorted(lengths)

    def at(self, bucket: str, source_id: str, key: str) -> dt.datetime | None:
        """When the key was last listed, or None. Costs as much as there are lengths of prefixes, not prefixes."""
        found = None
        for length in self._lengths:
            for upto, listed_at in self._by_prefix.get((bucket, source_id, key[:length]), ()):
                if (upto is None or key <= upto) and (found is None or listed_at > found):
                    found = listed_at
        return found


def listed_keys(
    connection: "Connection",
    buckets: Iterable[str],
    patterns: Mapping[str, str],
    *,
    since: dt.datetime,
) -> ListedKeys:
    """The listings of these sources from `since` on, by the same patterns."""
    from sqlalchemy import text

    rows = connection.execute(
        text("""
            SELECT l.bucket, l.source_id, l.prefix, l.upto, l.listed_at FROM arrival_listing l
            JOIN unnest(CAST(:sources AS text[]), CAST(:patterns AS text[])) AS u(source_id, pattern)
                USING (source_id, pattern)
            WHERE l.bucket = ANY(CAST(:buckets AS text[])) AND l.listed_at >= :since
        """),
        {
            "buckets": sorted(buckets), "sources": list(patterns), "patterns": list(patterns.values()), "since": since,
        },
    ).all()  # fmt: skip
    return ListedKeys(tuple(row) for row in rows)


def listed_after(connection: "Connection", buckets: Iterable[str], source_id: str, seq: int) -> ListedKeys:
    """The listings of a source, by whatever patterns, that were taken over after the change number `seq`."""
    from sqlalchemy import text

    rows = connection.execute(
        text("""
            SELECT bucket, source_id, prefix, upto, listed_at FROM arrival_listing
            WHERE bucket = ANY(CAST(:buckets AS text[])) AND source_id = :source AND listed_seq > :seq
        """),
        {"buckets": sorted(buckets), "source": source_id, "seq": seq},
    ).all()
    return ListedKeys(tuple(row) for row in rows)
