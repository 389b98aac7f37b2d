"""A pipeline with child tables that is killed at any step of publishing: records and children end as one version."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.faults import tasks
from tests.faults.tables import table
from tests.faults.world import World, points, reached

NAME = "kill_posts"
# With two partitions, each has two objects of its own, rows set aside and rows of both children. Four tables are
# published in this order: rows set aside, comments, likes, records.
ASIDE, COMMENTS, LIKES, RECORDS = 1, 2, 3, 4
STEPS = [
    ("ingest.prepared", 1),
    ("ingest.quarantined", 1),
    ("upload.object", 5),
    ("publish.manifest", 3),
    *(("publish.before_switch", hit) for hit in (COMMENTS, LIKES, RECORDS)),
    *(("publish.switched", hit) for hit in (COMMENTS, LIKES, RECORDS)),
    ("publish.settled", LIKES),
    ("ingest.children", 1),
    ("load.committed", 1),
    ("ingest.marked", 1),
]
AT_ONCE = [
    ("publish.manifest", 3),
    ("publish.before_switch", COMMENTS),
    ("publish.switched", LIKES),
    ("ingest.children", 1),
    ("publish.before_switch", RECORDS),
]


def published(world: World) -> list[str]:
    """Days with a published version, and newer files that no run has read."""
    days = world.days(2)
    world.land(NAME, days)
    world.recover(NAME, days)
    world.land(NAME, days)
    world.drain()
    return days


def shown(world: World, name: str, day: str) -> str:
    entry = world.outsider.published(name, day)
    assert entry is not None
    return str(entry["Parameters"]["datalake_version"])


def all_shown(world: World, day: str) -> list[str]:
    return [shown(world, name, day) for name in (NAME, *(child.name for child in table(NAME).all_children))]


@pytest.mark.parametrize(("point", "hit"), STEPS)
def test_a_run_that_is_killed_is_repeated(world: World, point: str, hit: int) -> None:
    days = published(world)
    with world.watched(NAME, days):
        world.killed_at(point, tasks.ingest_partitions, NAME, days, world.new_run_id(), hit=hit)
        world.recover(NAME, days)
    world.assert_equal(NAME, days)


@pytest.mark.parametrize(("point", "hit"), [("publish.switched", COMMENTS), ("ingest.children", 1)])
def test_a_first_run_that_is_killed_is_repeated(world: World, point: str, hit: int) -> None:
    days = world.days(2)
    world.land(NAME, days)
    world.drain()
    world.killed_at(point, tasks.ingest_partitions, NAME, days, world.new_run_id(), hit=hit)
    assert world.outsider.lake(table(NAME), days[0]) is None, "children come before their records"
    world.assert_whole(NAME, days)
    world.recover(NAME, days)
    world.assert_equal(NAME, days)


@pytest.mark.parametrize(("point", "hit"), AT_ONCE)
def test_of_two_runs_at_once_the_younger_wins_in_every_table(world: World, point: str, hit: int) -> None:
    days = published(world)
    with world.watched(NAME, days):
        older, gate = world.held_at(point, tasks.ingest_partitions, NAME, days, world.new_run_id(), hit=hit)
        world.land(NAME, days)
        younger = world.attempt(tasks.ingest_partitions, NAME, days, world.new_run_id())
        world.over_or_blocked(younger)
        gate.touch()
        outcomes = [*older.result(), *younger.result()]
    assert [each for each in outcomes if each[0] == "Failed"] == []
    world.drain()
    world.assert_equal(NAME, days)


@pytest.mark.parametrize(("point", "hit"), AT_ONCE[1:4])
def test_the_younger_run_dies_while_the_older_goes_on(world: World, point: str, hit: int) -> None:
    days = published(world)
    with world.watched(NAME, days):
        older, gate = world.held_at("ingest.prepared", tasks.ingest_partitions, NAME, days, world.new_run_id())
        # The same files: what the older run publishes is all there is, and yet its children are those of the younger.
        world.killed_at(point, tasks.ingest_partitions, NAME, days, world.new_run_id(), hit=hit)
        gate.touch()
        older.result()
    world.recover(NAME, days)
    world.assert_equal(NAME, days)


@pytest.mark.parametrize(("point", "hit"), AT_ONCE[1:4])
def test_the_older_run_dies_while_the_younger_goes_on(world: World, point: str, hit: int) -> None:
    days = published(world)
    with world.watched(NAME, days):
        older, _ = world.held_at(point, tasks.ingest_partitions, NAME, days, world.new_run_id(), hit=hit)
        world.land(NAME, days)
        younger = world.attempt(tasks.ingest_partitions, NAME, days, world.new_run_id())
        world.over_or_blocked(younger)
        older.kill()
        outcomes = younger.result()
    reached.add(point)
    assert [each for each in outcomes if each[0] == "Failed"] == []
    world.recover(NAME, days)
    world.assert_equal(NAME, days)


def test_a_run_that_a_person_asked_for_and_that_is_killed_between_children_and_records_is_made_whole(
    world: World,
) -> None:
    days = world.days(2)
    world.land(NAME, days)
    world.recover(NAME, days)
    world.killed_at("ingest.children", tasks.ingest_partitions, NAME, days, world.new_run_id())
    assert world.dirty(NAME, days) == [], "no file has changed, so no sensor asks for another run"
    assert not set(days) & set(tasks.torn_partitions(NAME, datetime.now(UTC))), "a run may be at work there"
    later = datetime.now(UTC) + timedelta(hours=2)
    torn = [day for day in tasks.torn_partitions(NAME, later) if day in days]
    assert torn == days
    tasks.ingest_partitions(NAME, torn, world.new_run_id())
    world.assert_equal(NAME, days)
    assert not set(days) & set(tasks.torn_partitions(NAME, later))


@pytest.mark.parametrize(
    ("point", "hit"),
    [
        ("rollback.copied", 2),
        ("publish.switched", 1),
        ("publish.switched", 2),
        ("publish.before_switch", 3),
        *((point, 1) for point in points("rollback.", without=["rollback.copied"])),
    ],
)
def test_a_rollback_that_is_killed_is_repeated_and_can_be_gone_back_to(world: World, point: str, hit: int) -> None:
    (day,) = world.days(1)
    ids = []
    for _ in range(2):
        world.land(NAME, [day])
        world.recover(NAME, [day])
        ids.append(shown(world, NAME, day))
    with world.watched(NAME, [day]):
        world.killed_at(point, tasks.roll_back, world.home, NAME, day, ids[0], world.new_run_id(), hit=hit)
        assert tasks.roll_back(world.home, NAME, day, ids[0], world.new_run_id()) == ["Published", "Loaded"]
    first = world.states(NAME, day)[1]
    assert world.outsider.lake(table(NAME), day) == first.good
    assert world.outsider.children(table(NAME), day) == first.children
    (restored,) = set(all_shown(world, day))
    assert tasks.roll_back(world.home, NAME, day, ids[1], world.new_run_id()) == ["Published", "Loaded"]
    assert tasks.roll_back(world.home, NAME, day, restored, world.new_run_id()) == ["Published", "Loaded"]
    assert world.outsider.children(table(NAME), day) == first.children
    assert len(set(all_shown(world, day))) == 1


def test_vacuum_leaves_the_children_that_readers_see_after_a_killed_run(world: World) -> None:
    days = published(world)
    world.killed_at("ingest.children", tasks.ingest_partitions, NAME, days, world.new_run_id())
    for _ in range(2):
        for name in (NAME, *(child.name for child in table(NAME).all_children)):
            tasks.vacuum_table(name, days, 1, 0.0)
        world.assert_whole(NAME, days)
    world.recover(NAME, days)
    world.assert_equal(NAME, days)
