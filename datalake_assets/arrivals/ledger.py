"""The arrival ledger: what the raw buckets hold, and what of it is published.

Three tables (`database.tables`): `arrival_object` has one row per (bucket, key) in its newest known state;
`arrival_history` keeps each state that was replaced, so that (bucket, key, version or ETag) is still told apart and
every change can be explained, at no cost for objects that never change; `arrival_partition` has one row per partition
with the number of its last change. A partition is dirty while that number is greater than the one last published.

Changes are numbered by one sequence. Writers of one bucket take turns (a transaction-scoped advisory lock), so numbers
become visible in their order: whoever has read up to a number has missed none below it. Rows are written sorted by
key, so writers of different buckets cannot deadlock either.
"""

import datetime as dt
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from datalake_assets.arrivals.deadline import bounded_transaction
from datalake_assets.arrivals.listed import ListedKeys, Listing, advance, complete, forget_before, listed_keys
from datalake_assets.arrivals.order import Arrival, Outcome, judge
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.published import mark_published
from datalake_assets.arrivals.requested import remember, runs_of_the_last_hour
from datalake_assets.arrivals.requests import PartitionsRun
from datalake_assets.arrivals.sources import RawObject
from datalake_assets.arrivals.states import Change, Place, known_states, live_rows, lock_buckets, write
from datalake_assets.database.engine import engine
from datalake_assets.failpoints import failpoint

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BATCH_ROWS = 5_000  # a transaction of about a tenth of a second


@dataclass(frozen=True)
class Recorded:
    """How many objects of a `record` call were what; only the first three are changes."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    stale: int = 0

    def __add__(self, other: "Recorded") -> "Recorded":
        return Recorded(*(getattr(self, f) + getattr(other, f) for f in self.__dataclass_fields__))

    @classmethod
    def of(cls, outcomes: Counter[Outcome]) -> "Recorded":
        return cls(
            outcomes[Outcome.ADDED],
            outcomes[Outcome.CHANGED],
            outcomes[Outcome.REMOVED],
            outcomes[Outcome.UNCHANGED] + outcomes[Outcome.REFRESHED] + outcomes[Outcome.BURIED],
            outcomes[Outcome.STALE],
        )


@dataclass(frozen=True)
class SourceSummary:
    """One source in `datalake status`."""

    source_id: str
    partitions: int
    objects: int
    bytes: int
    dirty_partitions: int
    unexpected: int
    last_arrival_at: dt.datetime | None
    last_published_at: dt.datetime | None


class Ledger:
    """The arrival ledger in a platform database; safe to share between threads.

    Every method is one or more whole transactions and raises `Unavailable` when the database does not answer,
    `ConcurrentChange` when the call should be repeated.

    Args:
        statement_seconds: the most that a statement may take, or wait for others; then it fails with one of the two.
    """

    def __init__(self, database: "Engine | None" = None, *, statement_seconds: float | None = None) -> None:
        self.database = database
        self._statement_seconds = statement_seconds

    def _transaction(self) -> "AbstractContextManager[Connection]":
        return bounded_transaction(self.database if self.database is not None else engine(), self._statement_seconds)

    @contextmanager
    def _news(self, buckets: Iterable[str]) -> "Iterator[Connection]":
        """A transaction that takes over news about objects of these buckets."""
        with self._transaction() as connection:
            lock_buckets(connection, buckets)
            yield connection
            failpoint("ledger.written")

    def record(self, arrivals: Iterable[Arrival], patterns: Mapping[str, str] | None = None) -> Recorded:
        """Take over news about objects, in batches; repeating the call, or parts of it, changes nothing more.

        The order of `arrivals` does not matter, as far as S3 gave them one (see `order`).

        Args:
            patterns: `Matcher.texts` of those who matched the keys. With it, notifications of before a listing that the
                ledger has taken over are old, also of keys that the ledger has never heard of.
        """
        news: dict[Place, list[Arrival]] = {}
        for arrival in arrivals:
            news.setdefault(arrival.place, []).append(arrival)
        total = Recorded()
        places = iter(sorted(news))
        while batch := list(islice(places, BATCH_ROWS)):
            with self._news({bucket for bucket, _ in batch}) as connection:
                known = known_states(connection, batch)
                listed = _listed_since(connection, batch, news, patterns)
                outcomes, changes = _judge_all(known, batch, news, listed)
                write(connection, changes)
                total += Recorded.of(outcomes)
        return total

    def reconcile(
        self, listing: Listing, told: Sequence[Arrival], *, listed_at: dt.datetime, after: str, upto: str | None
    ) -> tuple[Recorded, list[Place]]:
        """Make the ledger equal to one page of a listing; return what that changed, and the places that were news.

        The listing is taken over with the page, in the same transactions: what drains record meanwhile is either seen
        here or knows of the listing.

        Args:
            told: the page's objects that belong to a source, in key order.
            listed_at: from when on the page is true.
            after: the page has all keys after this one, up to `upto`, or to the end of the prefix without one.
        """
        total, at = Recorded(), 0
        places: list[Place] = []
        while True:
            with self._news({listing.bucket}) as connection:
                rows = live_rows(connection, listing.bucket, listing.prefix, after, upto, BATCH_ROWS)
                # More rows than a transaction should change are taken over in parts.
                end = rows[-1].key if len(rows) == BATCH_ROWS else upto
                first, at = at, len(told) if end is None else bisect_right(told, end, lo=at, key=lambda each: each.key)
                part = {each.place: each for each in told[first:at]}
                known = {(row.bucket, row.key): Arrival(*row) for row in rows}
                news = [
                    replace(state, is_deleted=True, origin="sweep", sequencer=None, listed_at=listed_at)
                    for place, state in known.items()
                    if place not in part
                ]
                shown = [
                    each
                    for place, each in part.items()
                    if (state := known.get(place)) is None or not each.has_content_of(state)
                ]
                known.update(known_states(connection, [each.place for each in shown if each.place not in known]))
                news += shown
                outcomes, changes = _judge_all(known, [n.place for n in news], {n.place: [n] for n in news}, None)
                write(connection, changes)
                advance(connection, listing, end)
            total += Recorded.of(outcomes)
            places += [each.place for each in shown]
            if end == upto:
                return total, places
            assert end is not None
            after = end

    def complete_listing(self, listing: Listing) -> None:
        """Remember that a prefix was listed and taken over to its end."""
        with self._transaction() as connection:
            lock_buckets(connection, {listing.bucket})
            complete(connection, listing)

    def forget_listings_before(self, bucket: str, listed_at: dt.datetime) -> None:
        """Drop what is known of earlier listings of a bucket, after all of it was listed since."""
        with self._transaction() as connection:
            forget_before(connection, bucket, listed_at)

    def live_objects(
        self, bucket: str, prefix: str, *, after: str = "", upto: str | None = None
    ) -> Iterator[list[Arrival]]:
        """Yield batches of the objects below a prefix that are not deleted, in key order: `after` < key <= `upto`."""
        while True:
            with self._transaction() as connection:
                rows = live_rows(connection, bucket, prefix, after, upto, BATCH_ROWS)
            if rows:
                yield [Arrival(*row) for row in rows]
            if len(rows) < BATCH_ROWS:
                return
            after = rows[-1].key

    def swept(self, prefixes: Sequence[tuple[str, str]]) -> tuple[dt.datetime, dict[str, dt.datetime]]:
        """The database's time, and when each source was last compared with the bucket as a whole.

        Args:
            prefixes: all (source, prefix) pairs of the sources; those with a prefix that never was are left out.
        """
        from sqlalchemy import text

        with self._transaction() as connection:
            now: dt.datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            rows = connection.execute(
                text("""
                    SELECT source_id, min(last) FROM (
                        SELECT u.source_id, u.prefix, max(l.recorded_at) AS last
                        FROM unnest(CAST(:sources AS text[]), CAST(:prefixes AS text[])) AS u(source_id, prefix)
                        LEFT JOIN arrival_listing l
                            ON l.source_id = u.source_id AND l.is_complete AND starts_with(u.prefix, l.prefix)
                        GROUP BY u.source_id, u.prefix
                    ) AS each GROUP BY source_id HAVING bool_and(last IS NOT NULL)
                """),
                {"sources": [source for source, _ in prefixes], "prefixes": [prefix for _, prefix in prefixes]},
            ).all()
        return now, {row[0]: row[1] for row in rows}

    def changed_lately(self, source_ids: Sequence[str], days: int, limit: int) -> list[str]:
        """Partitions that changed within so many days or are dirty, the last changed first."""
        from sqlalchemy import text

        with self._transaction() as connection:
            return list(
                connection.execute(
                    text("""
                        SELECT partition FROM arrival_partition WHERE source_id = ANY(:sources) AND (
                            last_changed_at > clock_timestamp() - make_interval(days => :days)
                            OR changed_seq > published_seq)
                        GROUP BY partition ORDER BY max(last_changed_at) DESC, partition LIMIT :limit
                    """),
                    {"sources": list(source_ids), "days": days, "limit": limit},
                ).scalars()
            )

    def partition_states(self, source_ids: Sequence[str], only_dirty: bool = True) -> list[PartitionState]:
        """The partitions of these sources, ordered by source and partition; by default those with work to do."""
        return self._states(
            "source_id = ANY(:sources)" + (" AND changed_seq > published_seq" if only_dirty else ""),
            {"sources": list(source_ids)},
            "source_id, partition",
        )

    def states_of(self, source_ids: Sequence[str], partitions: Sequence[str]) -> list[PartitionState]:
        """What is known of these partitions of these sources, dirty or not; what nothing arrived for is left out."""
        where = {"sources": list(source_ids), "partitions": list(partitions)}
        return self._states("source_id = ANY(:sources) AND partition = ANY(:partitions)", where, "source_id, partition")

    def work(self, source_ids: Sequence[str], announced_seq: int) -> list[PartitionState]:
        """The partitions that are dirty or changed after the change number `announced_seq`: one query for a tick."""
        return self._states(
            "source_id = ANY(:sources) AND (changed_seq > published_seq OR changed_seq > :seq)",
            {"sources": list(source_ids), "seq": announced_seq},
            "source_id, partition",
        )

    def _states(self, where: str, values: dict[str, Any], order: str) -> list[PartitionState]:
        from sqlalchemy import text

        columns = ", ".join(f for f in PartitionState.__dataclass_fields__ if f != "read_at")
        with self._transaction() as connection:
            rows = connection.execute(
                text(
                    f"SELECT {columns}, clock_timestamp() AS read_at FROM arrival_partition "
                    f"WHERE {where} ORDER BY {order}"
                ),
                values,
            ).all()
        return [PartitionState(**{**row._mapping, "recent_requests": tuple(row.recent_requests)}) for row in rows]

    def mark_requested(self, requests: Sequence[PartitionsRun]) -> list[PartitionsRun]:
        """Remember that these runs are asked for, and return those to ask for: call it before Dagster is asked.

        Left out are requests whose partitions were requested or published since their states were read. If Dagster
        never hears of a request, `runs_to_request` asks again under the same run key.
        """
        with self._transaction() as connection:
            return remember(connection, requests)

    def recent_runs(self, source_ids: Sequence[str]) -> dict[str, int]:
        """How many runs each source has requested within the last hour, those that others followed not counted."""
        with self._transaction() as connection:
            return runs_of_the_last_hour(connection, source_ids)

    def last_change(self) -> int:
        """The number of the last change of all: take it before a listing, for `mark_published`."""
        from sqlalchemy import text

        with self._transaction() as connection:
            return int(
                connection.execute(
                    text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM arrival_change_seq")
                ).scalar_one()
            )

    def mark_published(
        self,
        source_id: str,
        partition: str,
        *,
        objects: Sequence[RawObject],
        version: str,
        begun_seq: int | None = None,
    ) -> PartitionState:
        """Remember that `version` was made of exactly `objects`; return the partition's state, dirty or not.

        The run's listing is news, too: objects that it saw and no event has told yet are recorded as published (their
        events, when they come, change nothing). What differs otherwise happened during the run, as far as we can know,
        and leaves the partition dirty. Where a greater version is known already, nothing changes: that one is what
        readers see.

        Args:
            begun_seq: `last_change()` from before the listing. With it, objects that were recorded by then and were not
                listed are known to be gone; without it, they are left to the next sweep.
        """
        with self._transaction() as connection:
            mark_published(connection, source_id, partition, objects=objects, version=version, begun_seq=begun_seq)
            failpoint("ledger.marked")
        where = {"source": source_id, "partition": partition}
        return self._states("source_id = :source AND partition = :partition", where, "source_id")[0]

    def names_of(self, source_id: str, partitions: Sequence[str]) -> dict[str, list[str]]:
        """The last segments of the keys of each partition's objects, sorted; markers are none."""
        from sqlalchemy import text

        found: dict[str, list[str]] = {partition: [] for partition in partitions}
        with self._transaction() as connection:
            rows = connection.execute(
                text("""
                    SELECT partition, regexp_replace(key, '^.*/', '') FROM arrival_object
                    WHERE source_id = :source AND partition = ANY(CAST(:partitions AS text[]))
                        AND NOT is_deleted AND NOT is_marker ORDER BY key
                """),
                {"source": source_id, "partitions": list(found)},
            )
            for partition, name in rows:
                found[partition].append(name)
        return {partition: sorted(names) for partition, names in found.items()}

    def summary(self, source_ids: Sequence[str]) -> list[SourceSummary]:
        """One line for each source, also for those that have never seen an object."""
        from sqlalchemy import text

        with self._transaction() as connection:
            rows = connection.execute(
                text("""
                    SELECT s.source_id, count(p.partition) AS partitions,
                        coalesce(sum(p.objects), 0)::bigint AS objects,
                        coalesce(sum(p.bytes), 0)::bigint AS bytes,
                        count(*) FILTER (WHERE p.changed_seq > p.published_seq) AS dirty_partitions,
                        (SELECT count(*) FROM arrival_dead_letter d
                         WHERE d.source_id = s.source_id AND d.resolved_at IS NULL) AS unexpected,
                        max(p.last_changed_at) AS last_arrival_at, max(p.published_at) AS last_published_at
                    FROM unnest(CAST(:sources AS text[])) AS s(source_id)
                    LEFT JOIN arrival_partition p USING (source_id)
                    GROUP BY s.source_id ORDER BY s.source_id
                """),
                {"sources": list(source_ids)},
            ).all()
        return [SourceSummary(**row._mapping) for row in rows]


def _listed_since(
    connection: "Connection",
    batch: list[Place],
    news: dict[Place, list[Arrival]],
    patterns: Mapping[str, str] | None,
) -> ListedKeys | None:
    """The listings that may be newer than some of these news."""
    if not patterns:
        return None
    oldest = min(told.event_at for place in batch for told in news[place])
    return listed_keys(connection, {bucket for bucket, _ in batch}, patterns, since=oldest)


def _judge_all(
    known: dict[Place, Arrival], batch: list[Place], news: dict[Place, list[Arrival]], listed: ListedKeys | None
) -> tuple[Counter[Outcome], list[Change]]:
    """Fold the news of each object into one change, as if each had come by itself."""
    outcomes: Counter[Outcome] = Counter()
    changes: list[Change] = []
    for place in batch:
        before = state = known.get(place)
        for told in news[place]:
            outcome = Outcome.STALE if listed is not None and _is_older(told, listed) else judge(state, told)
            outcomes[outcome] += 1
            if outcome.is_written:
                state = told
        if state is not None and state is not before:
            changes.append((before, state))
    return outcomes, changes


def _is_older(told: Arrival, listed: ListedKeys) -> bool:
    listed_at = listed.at(told.bucket, told.source_id, told.key)
    return listed_at is not None and told.event_at <= listed_at
