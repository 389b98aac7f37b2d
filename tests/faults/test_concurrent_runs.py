"""Two runs of the same partitions at once, with an overwrite between their listings, one of them killed anywhere."""

import pytest

from tests.faults import tasks
from tests.faults.test_runs import RUN
from tests.faults.world import World, reached


def published(world: World) -> list[str]:
    """Days with a published version, and newer files that no run has read."""
    days = world.days(2)
    world.land("kills", days)
    world.recover("kills", days)
    world.land("kills", days)
    world.drain()
    return days


@pytest.mark.parametrize("point", RUN)
def test_the_older_run_dies_while_the_younger_goes_on(world: World, point: str) -> None:
    days = published(world)
    with world.watched("kills", days):
        older, _ = world.held_at(point, tasks.ingest_partitions, "kills", days, world.new_run_id())
        world.land("kills", days)
        younger = world.attempt(tasks.ingest_partitions, "kills", days, world.new_run_id())
        world.over_or_blocked(younger)
        older.kill()
        outcomes = younger.result()
    reached.add(point)
    assert [each for each in outcomes if each[0] == "Failed"] == []
    world.assert_whole("kills", days)
    world.recover("kills", days)
    world.assert_equal("kills", days)


@pytest.mark.parametrize("point", RUN)
def test_the_younger_run_dies_while_the_older_goes_on(world: World, point: str) -> None:
    days = published(world)
    with world.watched("kills", days):
        older, gate = world.held_at("ingest.prepared", tasks.ingest_partitions, "kills", days, world.new_run_id())
        world.land("kills", days)
        world.killed_at(point, tasks.ingest_partitions, "kills", days, world.new_run_id())
        gate.touch()
        outcomes = older.result()
    assert [each for each in outcomes if each[0] == "Failed"] == []
    world.assert_whole("kills", days)
    world.recover("kills", days)
    world.assert_equal("kills", days)


def overlap(world: World, name: str, partitions: list[str], point: str) -> None:
    """Hold a run at a failpoint, let another one read newer files meanwhile, and let both end well."""
    with world.watched(name, partitions):
        older, gate = world.held_at(point, tasks.ingest_partitions, name, partitions, world.new_run_id())
        world.land(name, partitions)
        younger = world.attempt(tasks.ingest_partitions, name, partitions, world.new_run_id())
        world.over_or_blocked(younger)
        gate.touch()
        outcomes = [*older.result(), *younger.result()]
    assert [each for each in outcomes if each[0] == "Failed"] == []
    world.drain()


@pytest.mark.parametrize("point", RUN)
def test_both_runs_go_on_and_the_younger_wins(world: World, point: str) -> None:
    days = published(world)
    overlap(world, "kills", days, point)
    # The younger one has read everything, so nothing is left to do.
    world.assert_equal("kills", days)


@pytest.mark.parametrize("point", ["publish.before_switch", "publish.switched", "publish.manifest", "load.locked"])
def test_two_first_runs_of_a_partition_end_with_the_younger(world: World, point: str) -> None:
    days = world.days(2)
    world.land("kills", days)
    world.drain()
    overlap(world, "kills", days, point)
    world.assert_equal("kills", days)


@pytest.mark.parametrize("point", ["publish.before_switch", "publish.switched", "load.staged", "load.locked"])
def test_two_runs_of_a_reference_table_end_with_the_younger(world: World, point: str) -> None:
    world.land("kill_reference", [""])
    world.recover("kill_reference", [""])
    overlap(world, "kill_reference", [""], point)
    world.assert_equal("kill_reference", [""])
