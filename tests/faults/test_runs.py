"""A run that is killed anywhere, then repeated as a new run: every record once, readers see whole versions."""

import dagster as dg
import pytest

from tests.faults import tasks
from tests.faults.tables import pipeline
from tests.faults.world import World, points

RUN = points("ingest.", "upload.", "publish.", "load.", "ledger.marked", without=["ingest.children"])
# A location that is created, not updated, cannot have had another publisher: nobody looks for one.
FIRST_RUN = [name for name in RUN if name != "publish.settled"]
# What a second hit is: another partition of the same batch, after the first one went through.
SECOND_HITS = ["upload.object", "publish.manifest", "load.staged", "load.replaced", "load.committed", "ledger.marked"]


@pytest.mark.parametrize("point", FIRST_RUN)
def test_a_first_run_that_is_killed_is_repeated(world: World, point: str) -> None:
    days = world.days()
    world.land("kills", days)
    world.drain()
    world.killed_at(point, tasks.ingest_partitions, "kills", days, world.new_run_id())
    world.assert_whole("kills", days)
    world.recover("kills", days)
    world.assert_equal("kills", days)


@pytest.mark.parametrize("point", RUN)
def test_a_run_of_changed_files_that_is_killed_is_repeated(world: World, point: str) -> None:
    days = world.days()
    world.land("kills", days)
    world.recover("kills", days)
    world.land("kills", days)
    world.put("kills", days[0], "late.csv", b"id,city,amount,seen,batch\n99,late,1.00,2013-01-01 00:00:00,9\n")
    world.delete("kills", days[1], "b.csv")
    world.drain()
    with world.watched("kills", days):
        world.killed_at(point, tasks.ingest_partitions, "kills", days, world.new_run_id())
        world.recover("kills", days)
    world.assert_equal("kills", days)


@pytest.mark.parametrize("point", SECOND_HITS)
def test_a_run_that_is_killed_between_its_partitions_is_repeated(world: World, point: str) -> None:
    days = world.days()
    world.land("kills", days)
    world.recover("kills", days[:2])
    world.land("kills", days)
    world.drain()
    world.killed_at(point, tasks.ingest_partitions, "kills", days, world.new_run_id(), hit=2)
    world.assert_whole("kills", days)
    world.recover("kills", days)
    world.assert_equal("kills", days)


@pytest.mark.parametrize("point", RUN)
def test_a_run_that_is_killed_twice_at_the_same_place_is_repeated(world: World, point: str) -> None:
    days = world.days(1)
    world.land("kills", days)
    world.recover("kills", days)
    for _ in range(2):
        world.land("kills", days)
        world.drain()
        world.killed_at(point, tasks.ingest_partitions, "kills", days, world.new_run_id())
        world.assert_whole("kills", days)
    world.recover("kills", days)
    world.assert_equal("kills", days)


# One partition, the table itself, switched under Glue's lock: nobody is looked for, whatever came before.
@pytest.mark.parametrize("point", FIRST_RUN)
def test_a_run_of_a_reference_table_that_is_killed_is_repeated(world: World, point: str) -> None:
    world.land("kill_reference", [""])
    world.recover("kill_reference", [""])
    world.land("kill_reference", [""])
    world.drain()
    world.killed_at(point, tasks.ingest_partitions, "kill_reference", [""], world.new_run_id())
    world.assert_whole("kill_reference", [""])
    world.recover("kill_reference", [""])
    world.assert_equal("kill_reference", [""])


@pytest.mark.parametrize("point", ["ingest.prepared", "ingest.published", "load.committed", "ingest.marked"])
def test_dagster_knows_what_is_published_after_a_killed_run_was_repeated(world: World, point: str) -> None:
    days = world.days()
    world.land("kills", days)
    world.drain()
    world.killed_at(point, tasks.run_job, world.home, "kills", days, world.new_run_id())
    world.assert_whole("kills", days)
    assert tasks.run_job(world.home, "kills", days, world.new_run_id())
    world.assert_equal("kills", days)
    with dg.DagsterInstance.from_config(world.home) as instance:
        for day in days:
            entry = world.outsider.published("kills", day)
            assert entry is not None
            for key in (pipeline("kills").lake_key, pipeline("kills").warehouse_asset_key):
                (told,) = instance.fetch_materializations(
                    dg.AssetRecordsFilter(asset_key=dg.AssetKey(key), asset_partitions=[day]), limit=1
                ).records
                assert told.asset_materialization is not None
                version = told.asset_materialization.metadata["version"].value
                assert version == entry["Parameters"]["datalake_version"], f"{key} {day}"
