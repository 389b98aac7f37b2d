"""What a published version means for the ledger: it was made of the objects that its run listed.

The run's listing is news of its own, but has no time of S3's to be ordered by. What the ledger recorded before the run
began, the run saw later. What was recorded since, also by a sweep, may be newer than what the run saw: then the
ledger's state stays, and the partition stays dirty, because the version was made of something else.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from datalake_assets.arrivals.listed import ListedKeys, listed_after
from datalake_assets.arrivals.order import Arrival
from datalake_assets.arrivals.sources import RawObject
from datalake_assets.arrivals.states import SELECTED, Change, Place, known_states, lock_buckets, write

if TYPE_CHECKING:
    from sqlalchemy import Connection


def mark_published(
    connection: "Connection",
    source_id: str,
    partition: str,
    *,
    objects: Sequence[RawObject],
    version: str,
    begun_seq: int | None,
) -> None:
    """Write that `version` was made of exactly `objects`, unless a later version is known; see the `Ledger`."""
    from sqlalchemy import text

    where = {"source": source_id, "partition": partition}
    seen = {(o.bucket, o.key): o for o in objects}
    buckets = set(
        connection.execute(
            text(
                "SELECT DISTINCT bucket FROM arrival_object "
                "WHERE source_id = :source AND partition = :partition AND NOT is_marker"
            ),
            where,
        ).scalars()
    )
    buckets |= {o.bucket for o in objects}
    lock_buckets(connection, buckets)
    held: str | None = connection.execute(
        text("SELECT published_version FROM arrival_partition WHERE source_id = :source AND partition = :partition"),
        where,
    ).scalar_one_or_none()
    if held is not None and held > version:
        # A run that began later has published and told meanwhile: readers see its version, not this one.
        return
    listed = ListedKeys([]) if begun_seq is None else listed_after(connection, buckets, source_id, begun_seq)
    rows = connection.execute(
        text(
            f"SELECT {SELECTED}, changed_seq FROM arrival_object "
            "WHERE source_id = :source AND partition = :partition AND NOT is_marker"
        ),
        where,
    ).all()
    unseen: list[int] = []  # changes that the version does not have
    is_behind = False  # the version has something that a later listing did not show
    changes: list[Change] = []
    known: set[Place] = set()
    for *fields, changed_seq in rows:
        state = Arrival(*fields)
        known.add(state.place)
        told = _as_the_run_saw_it(state, seen.get(state.place))
        if told.has_content_of(state):
            continue
        if _is_overtaken(told, listed):
            is_behind = True
            continue
        # A larger last modification proves that the run saw the newer one; an older row was there before it.
        before = begun_seq is not None and changed_seq <= begun_seq
        if before or (not told.is_deleted and told.event_at > (state.listed_at or state.event_at)):
            changes.append((state, told))
        else:
            unseen.append(changed_seq)
    new = [_as_told_by_run(o, source_id, partition) for place, o in seen.items() if place not in known]
    if overtaken := {told.place for told in new if _is_overtaken(told, listed)}:
        is_behind = True
        new = [told for told in new if told.place not in overtaken]
    # A row of this key in another partition (the pattern changed) is replaced, not doubled.
    elsewhere = known_states(connection, [told.place for told in new])
    changes += [(elsewhere.get(told.place), told) for told in new]
    write(connection, changes)
    if is_behind:
        unseen.append(int(connection.execute(text("SELECT nextval('arrival_change_seq')")).scalar_one()))
    connection.execute(
        text("""
            INSERT INTO arrival_partition AS p (source_id, partition, changed_seq, objects, bytes,
                newest_event_at, first_changed_at, last_changed_at, published_seq, published_version,
                published_at)
            VALUES (:source, :partition, coalesce(CAST(:unseen_to AS bigint), 0), 0, 0, now(), now(), now(),
                coalesce(CAST(:unseen_from AS bigint) - 1, 0), :version, clock_timestamp())
            ON CONFLICT (source_id, partition) DO UPDATE SET
                changed_seq = greatest(p.changed_seq, excluded.changed_seq),
                last_changed_at = CASE WHEN excluded.changed_seq > p.changed_seq THEN clock_timestamp()
                                  ELSE p.last_changed_at END,
                published_seq = coalesce(CAST(:unseen_from AS bigint) - 1, p.changed_seq),
                published_version = excluded.published_version, published_at = excluded.published_at
        """),
        {
            **where, "version": version,
            "unseen_from": min(unseen, default=None), "unseen_to": max(unseen, default=None),
        },
    )  # fmt: skip


def _is_overtaken(told: Arrival, listed: ListedKeys) -> bool:
    """Whether a listing that was taken over since the run began says something newer of the key."""
    listed_at = listed.at(told.bucket, told.source_id, told.key)
    return listed_at is not None and (told.is_deleted or told.event_at <= listed_at)


def _as_told_by_run(o: RawObject, source_id: str, partition: str) -> Arrival:
    return Arrival(
        o.bucket, o.key, source_id, partition, o.etag, o.size, o.last_modified, version_id=o.version_id,
        origin="run", listed_at=o.last_modified,
    )  # fmt: skip


def _as_the_run_saw_it(state: Arrival, seen: RawObject | None) -> Arrival:
    if seen is not None:
        return _as_told_by_run(seen, state.source_id, state.partition)
    return replace(state, is_deleted=True, origin="run", sequencer=None, listed_at=state.event_at)
