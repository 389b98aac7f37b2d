"""Rollbacks and vacuums that are killed anywhere and repeated: readers never miss a version, the warehouse follows."""

import pytest

from tests.faults import tasks
from tests.faults.tables import table
from tests.faults.world import World, points, reached

ROLLBACK = [
    *points("rollback."),
    *points("publish.", without=["publish.audited"]),
    *points("load."),
]
VACUUM = points("vacuum.")


def with_versions(world: World, count: int) -> tuple[str, list[str]]:
    """A day that was published so often, and the ids of its versions."""
    (day,) = world.days(1)
    ids = []
    for _ in range(count):
        world.land("kills", [day])
        world.recover("kills", [day])
        ids.append(shown(world, day))
    return day, ids


def shown(world: World, day: str) -> str:
    """The id of the version that readers of the lake see."""
    entry = world.outsider.published("kills", day)
    assert entry is not None
    return str(entry["Parameters"]["datalake_version"])


def versions_of(world: World, day: str) -> set[str]:
    """The versions of which objects are left."""
    prefix = f"kills/dt={day}/v="
    pages = world.outsider.s3.get_paginator("list_objects_v2").paginate(
        Bucket=world.outsider.account.lake_bucket, Prefix=prefix
    )
    return {item["Key"].removeprefix(prefix).split("/")[0] for page in pages for item in page.get("Contents", [])}


def shows_rows_of(world: World, day: str, state: int) -> bool:
    """Whether lake and warehouse show the bucket as it was in a state."""
    wanted = world.states("kills", day)[state].good
    return world.outsider.lake(table("kills"), day) == wanted == world.outsider.warehouse(table("kills"), [day])[day]


def vacuum(world: World, day: str) -> None:
    tasks.vacuum_table("kills", [day], 1, 0.0)


@pytest.mark.parametrize("point", ROLLBACK)
def test_a_rollback_that_is_killed_is_repeated(world: World, point: str) -> None:
    day, ids = with_versions(world, 2)
    with world.watched("kills", [day]):
        world.killed_at(point, tasks.roll_back, world.home, "kills", day, ids[0], world.new_run_id())
        world.assert_whole("kills", [day])
        assert tasks.roll_back(world.home, "kills", day, ids[0], world.new_run_id()) == ["Published", "Loaded"]
    assert shows_rows_of(world, day, 1), "two files were landed for the first version"
    # The next files end what a person had decided.
    world.land("kills", [day])
    world.recover("kills", [day])
    world.assert_equal("kills", [day])


@pytest.mark.parametrize("point", ["rollback.published", "rollback.told", *points("load.")])
def test_the_warehouse_follows_a_rollback_that_was_killed(world: World, point: str) -> None:
    day, ids = with_versions(world, 2)
    world.killed_at(point, tasks.roll_back, world.home, "kills", day, ids[0], world.new_run_id())
    tasks.load_what_is_behind("kills", [day], world.new_run_id())
    assert shows_rows_of(world, day, 1)


@pytest.mark.parametrize("point", ["rollback.copied", "publish.before_switch", "publish.switched", "load.locked"])
def test_a_run_during_a_rollback_ends_with_one_winner_in_lake_and_warehouse(world: World, point: str) -> None:
    day, ids = with_versions(world, 2)
    world.land("kills", [day])
    world.drain()
    with world.watched("kills", [day]):
        rollback, gate = world.held_at(point, tasks.roll_back, world.home, "kills", day, ids[0], world.new_run_id())
        run = world.attempt(tasks.ingest_partitions, "kills", [day], world.new_run_id())
        world.over_or_blocked(run)
        gate.touch()
        rollback.result()
        run.result()
    world.drain()
    loaded = world.outsider.loaded(table("kills"))
    assert loaded[day] == shown(world, day)
    assert world.outsider.warehouse(table("kills"), [day])[day] == world.outsider.lake(table("kills"), day)


@pytest.mark.parametrize("point", VACUUM)
def test_a_vacuum_that_is_killed_is_repeated(world: World, point: str) -> None:
    day, ids = with_versions(world, 3)
    with world.watched("kills", [day]):
        if point != "vacuum.marked":
            vacuum(world, day)
        world.killed_at(point, tasks.vacuum_table, "kills", [day], 1, 0.0)
        world.assert_equal("kills", [day])
        vacuum(world, day)
        vacuum(world, day)
    assert versions_of(world, day) == {ids[-1]}
    world.assert_equal("kills", [day])


@pytest.mark.parametrize("point", ["upload.object", "upload.done", "publish.audited"])
def test_what_a_killed_run_has_uploaded_is_removed(world: World, point: str) -> None:
    day, _ = with_versions(world, 1)
    world.land("kills", [day])
    world.drain()
    world.killed_at(point, tasks.ingest_partitions, "kills", [day], world.new_run_id(), hit=2)
    world.recover("kills", [day])
    vacuum(world, day)
    vacuum(world, day)
    assert versions_of(world, day) == {shown(world, day)}
    world.assert_equal("kills", [day])


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "goes on"])
@pytest.mark.parametrize("point", VACUUM)
def test_a_run_during_a_vacuum_is_published(world: World, point: str, is_killed: bool) -> None:
    day, _ = with_versions(world, 2)
    if point != "vacuum.marked":
        vacuum(world, day)
    with world.watched("kills", [day]):
        held, gate = world.held_at(point, tasks.vacuum_table, "kills", [day], 1, 0.0)
        world.land("kills", [day])
        world.recover("kills", [day])
        if is_killed:
            held.kill()
            reached.add(point)
        else:
            gate.touch()
            held.result()
    world.assert_equal("kills", [day])


@pytest.mark.parametrize("point", VACUUM)
def test_a_rollback_to_a_version_that_is_being_removed_leaves_readers_a_whole_one(world: World, point: str) -> None:
    day, ids = with_versions(world, 2)
    if point != "vacuum.marked":
        vacuum(world, day)
    with world.watched("kills", [day]):
        held, gate = world.held_at(point, tasks.vacuum_table, "kills", [day], 1, 0.0)
        rollback = world.attempt(tasks.roll_back, world.home, "kills", day, ids[0], world.new_run_id())
        world.over_or_blocked(rollback)
        gate.touch()
        held.result()
    world.assert_whole("kills", [day])
    tasks.load_what_is_behind("kills", [day], world.new_run_id())
    assert world.outsider.warehouse(table("kills"), [day])[day] == world.outsider.lake(table("kills"), day)
    world.land("kills", [day])
    world.recover("kills", [day])
    world.assert_equal("kills", [day])
