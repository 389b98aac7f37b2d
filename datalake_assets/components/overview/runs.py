"""The newest runs of many pipelines at once, and of one partition, as people are told about them."""

import datetime as dt
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from datalake_assets.eventlog.lookups import makers
from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.tags import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    REASON_TAG,
    TRIGGERED_TAG,
    WILL_RETRY_TAG,
    covers,
)

if TYPE_CHECKING:
    import dagster as dg

Outcome = Literal["SUCCESS", "FAILED", "TIMED_OUT", "ABORTED", "RUNNING", "QUEUED"]
Assets = tuple[tuple[str, ...], ...]

GOING: frozenset[Outcome] = frozenset({"RUNNING", "QUEUED"})
# Dagster asks once for a retry that it has announced: if the code server does not answer then, none ever comes.
RETRY_COMES_SECONDS = 300.0
RUNS_TOLD = 20
PER_QUERY = 1_000
_USER_TAG = "user"
_STARTED_BY = (
    ("dagster/backfill", "by backfill {}"),
    ("dagster/parent_run_id", "to repeat run {}"),
    ("dagster/schedule_name", "by schedule {}"),
    ("dagster/sensor_name", "by sensor {}"),
)


@dataclass(frozen=True)
class RunTold:
    """One run of a pipeline.

    Args:
        outcome: how it ended, or RUNNING or QUEUED (which is also a failed one whose retry is on its way).
        partitions: as its tags say: a key, `first..last`, or empty for a run without.
        why: what started it, in words.
        made_at, started_at, ended_at: in UTC; None for what has not happened.
        triggered: whether the trigger of the pipeline asked for it.
    """

    run_id: str
    outcome: Outcome
    partitions: str
    why: str
    made_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    triggered: bool

    @property
    def at(self) -> dt.datetime:
        """When it came to its outcome."""
        return self.ended_at or self.started_at or self.made_at

    @property
    def is_bad(self) -> bool:
        return self.outcome in ("FAILED", "TIMED_OUT", "ABORTED")


def last_runs(instance: "dg.DagsterInstance", pipelines: Mapping[str, Assets]) -> dict[str, RunTold]:
    """The newest run of each pipeline that has had one, whoever started it.

    Args:
        pipelines: the assets that a run of each builds.
    """
    from datalake_assets.eventlog.headlines import PLANNED, asset_text

    owners = {asset_text(asset): name for name, assets in pipelines.items() for asset in assets}
    newest: dict[str, int] = {}
    for asset, storage_id in newest_events(instance, owners.keys(), PLANNED).items():
        newest[owners[asset]] = max(storage_id, newest.get(owners[asset], 0))
    made_for = makers(instance, newest.values())
    told = _told(instance, list(made_for.values()))
    return {name: told[run_id] for name, each in newest.items() if (run_id := made_for.get(each)) in told}


def newest_events(instance: "dg.DagsterInstance", assets: Collection[str], event_type: str) -> dict[str, int]:
    """Storage id of the newest event of a type for each asset, of whatever partition; what was wiped is left out.

    Args:
        assets: as Dagster's tables spell them.
    """
    import sqlalchemy as sa
    from dagster._core.storage.event_log import AssetKeyTable, SqlEventLogStorageTable

    from datalake_assets.eventlog.headlines import sql_storage

    events, keys, found = SqlEventLogStorageTable.c, AssetKeyTable.c, dict[str, int]()
    # For each asset one step down the index, however long its history is.
    newest = (
        sa.select(sa.func.max(events.id))
        .where(
            events.asset_key == keys.asset_key,
            events.dagster_event_type == event_type,
            sa.or_(keys.wipe_timestamp.is_(None), events.timestamp > keys.wipe_timestamp),
        )
        .correlate(AssetKeyTable)
        .scalar_subquery()
    )
    wanted = sorted(assets)
    with sql_storage(instance).index_connection() as connection:
        for at in range(0, len(wanted), PER_QUERY):
            query = sa.select(keys.asset_key, newest).where(keys.asset_key.in_(wanted[at : at + PER_QUERY]))
            found |= {asset: int(newest_id) for asset, newest_id in connection.execute(query).all() if newest_id}
    return found


def runs_of(instance: "dg.DagsterInstance", assets: Assets, partition: str) -> list[RunTold]:
    """The newest runs of a partition, the newest first, at most `RUNS_TOLD`."""
    from datalake_assets.eventlog.headlines import asset_text
    from datalake_assets.eventlog.lookups import planned_runs

    key = None if partition == UNPARTITIONED else partition
    planned = planned_runs(instance, {(asset_text(asset), key) for asset in assets})
    first: dict[str, int] = {}
    for runs in planned.values():
        for run in runs:
            first[run.run_id] = min(run.storage_id, first.get(run.run_id, run.storage_id))
    run_ids = sorted(first, key=first.__getitem__, reverse=True)[:RUNS_TOLD]
    told = _told(instance, run_ids, partition)
    return [told[run_id] for run_id in run_ids if run_id in told]


def made_at(instance: "dg.DagsterInstance", storage_ids: Collection[int]) -> dict[int, float]:
    """When these events happened, in seconds of the epoch, by storage id."""
    import sqlalchemy as sa
    from dagster._core.storage.event_log import SqlEventLogStorageTable

    from datalake_assets.eventlog.headlines import sql_storage

    table, found, ids = SqlEventLogStorageTable.c, dict[int, float](), sorted(set(storage_ids))
    with sql_storage(instance).index_connection() as connection:
        for at in range(0, len(ids), PER_QUERY):
            query = sa.select(table.id, table.timestamp).where(table.id.in_(ids[at : at + PER_QUERY]))
            found |= {int(row[0]): _utc(row[1]).timestamp() for row in connection.execute(query).all()}
    return found


def _told(instance: "dg.DagsterInstance", run_ids: Sequence[str], partition: str = UNPARTITIONED) -> dict[str, RunTold]:
    """These runs by id, without those that were never handed to the queue or do not take the partition."""
    import dagster as dg

    from datalake_assets.eventlog.lookups import run_ends

    records: list[dg.RunRecord] = []
    for at in range(0, len(run_ids), 500):
        records += instance.get_run_records(dg.RunsFilter(run_ids=list(run_ids[at : at + 500])))
    records = [
        record
        for record in records
        if record.dagster_run.status is not dg.DagsterRunStatus.NOT_STARTED
        and (partition == UNPARTITIONED or covers(record.dagster_run.tags, partition))
    ]
    bad = [r.dagster_run.run_id for r in records if r.dagster_run.is_finished and not r.dagster_run.is_success]
    ends = run_ends(instance, bad) if bad else {}
    found = {}
    for record in records:
        run_id = record.dagster_run.run_id
        ended = ends.get(run_id)
        found[run_id] = _run_told(record, timed_out=ended is not None and ended.timed_out)
    return found


def _run_told(record: "dg.RunRecord", *, timed_out: bool) -> RunTold:
    run = record.dagster_run
    tags = run.tags
    return RunTold(
        run_id=run.run_id,
        outcome=_outcome(record, timed_out=timed_out),
        partitions=_partitions(tags),
        why=_why(tags),
        made_at=_utc(record.create_timestamp),
        started_at=dt.datetime.fromtimestamp(record.start_time, dt.UTC) if record.start_time else None,
        ended_at=dt.datetime.fromtimestamp(record.end_time, dt.UTC) if record.end_time else None,
        triggered=TRIGGERED_TAG in tags,
    )


def _outcome(record: "dg.RunRecord", *, timed_out: bool) -> Outcome:
    import dagster as dg

    run = record.dagster_run
    if run.status is dg.DagsterRunStatus.SUCCESS:
        return "SUCCESS"
    if not run.is_finished:
        return "RUNNING" if record.start_time else "QUEUED"
    age = time.time() - _utc(record.update_timestamp).timestamp()
    if run.is_failure and run.tags.get(WILL_RETRY_TAG) == "true" and age < RETRY_COMES_SECONDS:
        return "QUEUED"
    if timed_out:
        return "TIMED_OUT"
    return "FAILED" if run.is_failure else "ABORTED"


def _partitions(tags: Mapping[str, str]) -> str:
    if PARTITION_TAG in tags:
        return tags[PARTITION_TAG]
    first, last = tags.get(RANGE_START_TAG, ""), tags.get(RANGE_END_TAG, "")
    return first if first == last else f"{first}..{last}"


def _why(tags: Mapping[str, str]) -> str:
    """`core_data/listings 2026-11-20 succeeded`, or who did it: a repetition has the reason of what it repeats."""
    for tag, words in _STARTED_BY[:2]:
        if tag in tags:
            return words.format(tags[tag].partition("-")[0])
    if REASON_TAG in tags:
        return tags[REASON_TAG]
    for tag, words in _STARTED_BY[2:]:
        if tag in tags:
            return words.format(tags[tag])
    return f"by {tags[_USER_TAG]}" if tags.get(_USER_TAG) else "by hand"


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
