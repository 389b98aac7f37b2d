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
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from datalake_assets.arrivals.order import Arrival, Outcome, judge
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.requested import remember, runs_of_the_last_hour
from datalake_assets.arrivals.requests import PartitionsRun
from datalake_assets.arrivals.sources import RawObject
from datalake_assets.arrivals.states import FIELDS, SELECTED, Change, Place, known_states, lock_buckets, write
from datalake_assets.database.engine import engine, transaction

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
    """

    def __init__(self, database: "Engine | None" = None) -> None:
        self.database = database

    def _transaction(self) -> "AbstractContextManager[Connection]":
        return transaction(self.database if self.database is not None else engine())

    def record(self, arrivals: Iterable[Arrival]) -> Recorded:
        """Take over news about objects, in batches; repeating the call, or parts of it, changes nothing more.

        The order of `arrivals` does not matter, as far as S3 gave them one (see `order`).
        """
        news: dict[Place, list[Arrival]] = {}
        for arrival in arrivals:
            news.setdefault(arrival.place, []).append(arrival)
        total = Recorded()
        places = iter(sorted(news))
        while batch := list(islice(places, BATCH_ROWS)):
            with self._transaction() as connection:
                lock_buckets(connection, {bucket for bucket, _ in batch})
                known = known_states(connection, batch)
                outcomes, changes = _judge_all(known, batch, news)
                write(connection, changes)
                total += Recorded.of(outcomes)
        return total

    def live_objects(
        self, bucket: str, prefix: str, *, after: str = "", upto: str | None = None
    ) -> Iterator[list[Arrival]]:
        """Yield batches of the objects below a prefix that are not deleted, in key order: `after` < key <= `upto`."""
        from sqlalchemy import text

        statement = text(
            f"SELECT {SELECTED} FROM arrival_object WHERE bucket = :bucket AND key > :after AND key >= :prefix "
            "AND starts_with(key, :prefix) AND (CAST(:upto AS text) IS NULL OR key <= :upto) AND NOT is_deleted "
            "ORDER BY key LIMIT :limit"
        )
        while True:
            with self._transaction() as connection:
                rows = connection.execute(
                    statement,
                    {"bucket": bucket, "prefix": prefix, "after": after, "upto": upto, "limit": BATCH_ROWS},
                ).all()
            if rows:
                yield [Arrival(*row) for row in rows]
            if len(rows) < BATCH_ROWS:
                return
            after = rows[-1].key

    def partition_states(self, source_ids: Sequence[str], only_dirty: bool = True) -> list[PartitionState]:
        """The partitions of these sources, ordered by source and partition; by default those with work to do."""
        return self._states(
            "source_id = ANY(:sources)" + (" AND changed_seq > published_seq" if only_dirty else ""),
            {"sources": list(source_ids)},
            "source_id, partition",
        )

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
            return int(connection.execute(text("SELECT last_value FROM arrival_change_seq")).scalar_one())

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
        and leaves the partition dirty.

        Args:
            begun_seq: `last_change()` from before the listing. With it, objects that were recorded by then and were not
                listed are known to be gone; without it, they are left to the next sweep.
        """
        from sqlalchemy import text

        seen = {(o.bucket, o.key): o for o in objects}
        where = {"source": source_id, "partition": partition}
        with self._transaction() as connection:
            buckets = connection.execute(
                text(
                    "SELECT DISTINCT bucket FROM arrival_object WHERE source_id = :source AND partition = :partition "
                    "AND NOT is_marker"
                ),
                where,
            ).scalars()
            lock_buckets(connection, {*buckets, *(o.bucket for o in objects)})
            rows = connection.execute(
                text(
                    f"SELECT changed_seq, {SELECTED} FROM arrival_object "
                    "WHERE source_id = :source AND partition = :partition AND NOT is_marker"
                ),
                where,
            ).all()
            known = {(row.bucket, row.key): Arrival(**{f: getattr(row, f) for f in FIELDS}) for row in rows}
            unseen: list[int] = []
            changes: list[Change] = []
            for row in rows:
                state = known[row.bucket, row.key]
                told = _as_the_run_saw_it(state, seen.get(state.place))
                if told.has_content_of(state):
                    continue
                # A larger last modification proves that the run saw the newer one; an older row was there before it.
                before = begun_seq is not None and row.changed_seq <= begun_seq
                if before or (not told.is_deleted and told.event_at > state.event_at):
                    changes.append((state, told))
                else:
                    unseen.append(row.changed_seq)
            # A row of this key in another partition (the pattern changed) is replaced, not doubled.
            new = [_as_told_by_run(o, source_id, partition) for place, o in seen.items() if place not in known]
            elsewhere = known_states(connection, [told.place for told in new])
            changes += [(elsewhere.get(told.place), told) for told in new]
            write(connection, changes)
            connection.execute(
                text("""
                    INSERT INTO arrival_partition AS p (source_id, partition, changed_seq, objects, bytes,
                        newest_event_at, first_changed_at, last_changed_at, published_seq, published_version,
                        published_at)
                    VALUES (:source, :partition, 0, 0, 0, now(), now(), now(), 0, :version, clock_timestamp())
                    ON CONFLICT (source_id, partition) DO UPDATE SET
                        published_seq = coalesce(CAST(:unseen_from AS bigint) - 1, p.changed_seq),
                        published_version = excluded.published_version, published_at = excluded.published_at
                """),
                {**where, "version": version, "unseen_from": min(unseen, default=None)},
            )
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


def _judge_all(
    known: dict[Place, Arrival], batch: list[Place], news: dict[Place, list[Arrival]]
) -> tuple[Counter[Outcome], list[Change]]:
    """Fold the news of each object into one change, as if each had come by itself."""
    outcomes: Counter[Outcome] = Counter()
    changes: list[Change] = []
    for place in batch:
        before = state = known.get(place)
        for told in news[place]:
            outcome = judge(state, told)
            outcomes[outcome] += 1
            if outcome.is_written:
                state = told
        if state is not None and state is not before:
            changes.append((before, state))
    return outcomes, changes


def _as_told_by_run(o: RawObject, source_id: str, partition: str) -> Arrival:
    return Arrival(
        o.bucket, o.key, source_id, partition, o.etag, o.size, o.last_modified, version_id=o.version_id,
        origin="run", listed_at=o.last_modified,
    )  # fmt: skip


def _as_the_run_saw_it(state: Arrival, seen: RawObject | None) -> Arrival:
    if seen is not None:
        return _as_told_by_run(seen, state.source_id, state.partition)
    return replace(state, is_deleted=True, origin="run", sequencer=None, listed_at=state.event_at)
