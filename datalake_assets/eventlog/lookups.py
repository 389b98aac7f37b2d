"""What the event log knows of many partitions at once: when they were materialized, and which runs touch them.

A run touches what it was planned for: Dagster writes one event for each asset and partition when it makes a run,
whoever asks for it and however it is selected. Assets are texts (`headlines.asset_text`); the partition None stands for
an asset without partitions, or for whatever partition of it is the newest. Each function sends one query, or one for
every `PER_QUERY` assets, partitions or runs.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

import dagster as dg

from datalake_assets.eventlog.headlines import ENDS, MATERIALIZATION, PLANNED, sql_storage

Place = tuple[str, str | None]

PER_QUERY = 400
NEWEST_RUNS = 20
_CANCELING = dg.DagsterEventType.PIPELINE_CANCELING.value
_FAILURE = dg.DagsterEventType.PIPELINE_FAILURE.value
# Run monitoring says only in words that a run took too long: in the failure that it reports, and before, as it cancels.
_TIMED_OUT = "%maximum runtime of%"


@dataclass(frozen=True)
class Planned:
    """A run that is to materialize something, or was; ids grow with the time that runs are made."""

    storage_id: int
    run_id: str


@dataclass(frozen=True)
class Touched:
    """An asset, and which partition of it, that a run was made for."""

    run_id: str
    asset: str
    partition: str | None


@dataclass(frozen=True)
class Ended:
    """The last event by which a run ended, and whether it was ended because it took too long."""

    storage_id: int
    timed_out: bool


def newest_materializations(instance: dg.DagsterInstance, places: Collection[Place]) -> dict[Place, int]:
    """Storage id of each place's newest materialization; what was never materialized, or wiped since, is left out."""
    import sqlalchemy as sa
    from dagster._core.storage.event_log import AssetKeyTable, SqlEventLogStorageTable

    table, keys = SqlEventLogStorageTable.c, AssetKeyTable.c
    wanted, found = set(places), dict[Place, int]()

    def alive(query: "sa.Select[Any]") -> "sa.Select[Any]":
        joined = SqlEventLogStorageTable.outerjoin(AssetKeyTable, table.asset_key == keys.asset_key)
        return query.select_from(joined).where(
            table.dagster_event_type == MATERIALIZATION,
            sa.or_(keys.wipe_timestamp.is_(None), table.timestamp > keys.wipe_timestamp),
        )

    for assets, partitions in _grid(wanted):
        query = alive(sa.select(table.asset_key, table.partition, sa.func.max(table.id))).where(
            table.asset_key.in_(assets), table.partition.in_(partitions)
        )
        for asset, partition, storage_id in _rows(instance, query.group_by(table.asset_key, table.partition)):
            if (asset, partition) in wanted:
                found[asset, partition] = int(storage_id)
    for whole in _chunks(sorted(asset for asset, partition in wanted if partition is None)):
        # One descent of the index for each, however long its history is.
        each = [
            alive(sa.select(table.id, table.asset_key))
            .where(table.asset_key == asset)
            .order_by(table.id.desc())
            .limit(1)
            .subquery()
            for asset in whole
        ]
        for storage_id, asset in _rows(instance, sa.union_all(*(sa.select(one.c.id, one.c.asset_key) for one in each))):
            found[asset, None] = int(storage_id)
    return found


def planned_runs(instance: dg.DagsterInstance, places: Collection[Place]) -> dict[Place, list[Planned]]:
    """The runs that were made for each place, the newest first; of an asset as a whole the `NEWEST_RUNS` newest."""
    import sqlalchemy as sa
    from dagster._core.storage.event_log import SqlEventLogStorageTable

    table = SqlEventLogStorageTable.c
    wanted, found = set(places), defaultdict[Place, list[Planned]](list)
    for assets, partitions in _grid(wanted):
        query = sa.select(table.id, table.run_id, table.asset_key, table.partition).where(
            table.asset_key.in_(assets), table.dagster_event_type == PLANNED, table.partition.in_(partitions)
        )
        for storage_id, run_id, asset, partition in _rows(instance, query):
            if (asset, partition) in wanted:
                found[asset, partition].append(Planned(int(storage_id), run_id))
    for whole in _chunks(sorted(asset for asset, partition in wanted if partition is None)):
        each = [
            sa.select(table.id, table.run_id, table.asset_key)
            .where(table.asset_key == asset, table.dagster_event_type == PLANNED)
            .order_by(table.id.desc())
            .limit(NEWEST_RUNS)
            .subquery()
            for asset in whole
        ]
        together = sa.union_all(*(sa.select(one.c.id, one.c.run_id, one.c.asset_key) for one in each))
        for storage_id, run_id, asset in _rows(instance, together):
            found[asset, None].append(Planned(int(storage_id), run_id))
    return {
        place: sorted(runs, key=lambda run: run.storage_id, reverse=True)[: NEWEST_RUNS if place[1] is None else None]
        for place, runs in found.items()
    }


def touched_by(instance: dg.DagsterInstance, run_ids: Collection[str], assets: Collection[str]) -> list[Touched]:
    """What of these assets the runs were made for."""
    import sqlalchemy as sa
    from dagster._core.storage.event_log import SqlEventLogStorageTable

    table, among = SqlEventLogStorageTable.c, set(assets)
    found = []
    for ids in _chunks(sorted(run_ids)):
        query = sa.select(table.run_id, table.asset_key, table.partition).where(
            table.run_id.in_(ids), table.dagster_event_type == PLANNED
        )
        found += [Touched(*row) for row in _rows(instance, query) if row[1] in among]
    return found


def makers(instance: dg.DagsterInstance, storage_ids: Collection[int]) -> dict[int, str]:
    """The runs that these events belong to, by storage id; the run of an event that was reported by hand is empty."""
    import sqlalchemy as sa
    from dagster._core.storage.event_log import SqlEventLogStorageTable

    table = SqlEventLogStorageTable.c
    found: dict[int, str] = {}
    for ids in _chunks(sorted(storage_ids)):
        rows = _rows(instance, sa.select(table.id, table.run_id).where(table.id.in_(ids)))
        found |= {int(storage_id): run_id for storage_id, run_id in rows}
    return found


def run_ends(instance: dg.DagsterInstance, run_ids: Collection[str]) -> dict[str, Ended]:
    """How these runs ended; those that have not are left out."""
    import sqlalchemy as sa
    from dagster._core.storage.event_log import SqlEventLogStorageTable

    table = SqlEventLogStorageTable.c
    found: dict[str, Ended] = {}
    too_long = sa.and_(table.dagster_event_type.in_((_CANCELING, _FAILURE)), table.event.like(_TIMED_OUT))
    ended = table.dagster_event_type.in_(ENDS)
    for ids in _chunks(sorted(run_ids)):
        query = (
            sa.select(
                table.run_id,
                sa.func.max(sa.case((ended, table.id), else_=0)),
                sa.func.max(sa.case((too_long, 1), else_=0)),
            )
            .where(table.run_id.in_(ids), table.dagster_event_type.in_((*ENDS, _CANCELING)))
            .group_by(table.run_id)
        )
        found |= {row[0]: Ended(int(row[1]), bool(row[2])) for row in _rows(instance, query) if row[1]}
    return found


def _grid(places: Collection[Place]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Blocks of assets and partitions that together hold all places with a partition, and perhaps more."""
    by_asset: dict[str, set[str]] = defaultdict(set)
    for asset, partition in places:
        if partition is not None:
            by_asset[asset].add(partition)
    # Assets of the same partitions share a query: most wait for the same day.
    by_partitions: Mapping[frozenset[str], list[str]] = defaultdict(list)
    for asset, partitions in by_asset.items():
        by_partitions[frozenset(partitions)].append(asset)
    for shared, assets in by_partitions.items():
        yield from product(_chunks(sorted(assets)), _chunks(sorted(shared)))


_T = TypeVar("_T")


def _chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for at in range(0, len(values), PER_QUERY):
        yield values[at : at + PER_QUERY]


def _rows(instance: dg.DagsterInstance, query: Any) -> Sequence[Any]:
    with sql_storage(instance).index_connection() as connection:
        return connection.execute(query).all()
