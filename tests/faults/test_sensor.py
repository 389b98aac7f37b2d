"""A sensor that is killed anywhere, or ticks twice at once: one run for each partition and change."""

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence

import dagster as dg
import pytest

from tests.faults import tasks
from tests.faults.tables import table
from tests.faults.world import World, points, reached

SENSOR = points("sensor.")
TICK = ["drain.received", "drain.deleted", "ledger.written", *SENSOR]

Asked = Sequence[tuple[str, str, dict[str, str]]]


class Daemon:
    """What Dagster's daemon does with a tick's requests: one run for each run key."""

    def __init__(self, world: World, instance: dg.DagsterInstance) -> None:
        self.world, self.instance = world, instance
        self.cursor: str | None = None
        self.started: list[tuple[str, dict[str, str]]] = []

    def submit(self, answer: tuple[str | None, Asked]) -> None:
        self.cursor, asked = answer
        for key, job, tags in asked:
            if self.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": key})):
                continue
            run = dg.DagsterRun(
                job_name=job,
                run_id=str(uuid.uuid4()),
                tags={**tags, "dagster/run_key": key},
                status=dg.DagsterRunStatus.STARTED,
            )
            self.instance.add_run(run)
            self.started.append((run.run_id, {**tags, "dagster/run_key": key}))

    def tick(self) -> None:
        self.submit(self.world.attempt(tasks.tick, self.world.home, self.cursor).result())

    def run_keys(self, days: Sequence[str]) -> Counter[tuple[str, int | None]]:
        """How many runs were started for each of the days, by the ledger's last request."""
        with self.world.platform_database() as cursor:
            cursor.execute(
                "SELECT partition, requested_seq, run_key FROM arrival_partition WHERE source_id = %s "
                "AND partition = ANY(%s)",
                [table("kills").source_id, list(days)],
            )
            asked = cursor.fetchall()
        keys = [tags["dagster/run_key"] for _, tags in self.started]
        return Counter({(day, seq): keys.count(key) for day, seq, key in asked})

    def finish(self, days: Sequence[str]) -> None:
        """End the runs of these days well."""
        for day in days:
            outcomes = tasks.ingest_partitions("kills", [day], self.world.new_run_id())
            assert [each for each in outcomes if each[0] == "Failed"] == []
        for run_id, _ in self.started:
            run = self.instance.get_run_by_id(run_id)
            assert run is not None
            if not run.is_finished:
                self.instance.report_engine_event("done", run)
                self.instance._run_storage.handle_run_event(
                    run_id,
                    dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job_name=run.job_name),
                )


@pytest.fixture
def daemon(world: World) -> Iterator[Daemon]:
    with dg.DagsterInstance.from_config(world.home) as instance:
        yield Daemon(world, instance)


@pytest.mark.parametrize("point", TICK)
def test_a_tick_that_is_killed_is_repeated(world: World, daemon: Daemon, point: str) -> None:
    days = world.days()
    world.land("kills", days)
    world.killed_at(point, tasks.tick, world.home, daemon.cursor)
    world.drain()
    daemon.tick()
    daemon.tick()
    assert set(daemon.run_keys(days).values()) == {1}
    first = len(daemon.started)

    daemon.finish(days)
    daemon.tick()
    assert len(daemon.started) == first, "nothing changed, so nothing is asked for"
    world.assert_equal("kills", days)

    world.land("kills", days[:1])
    world.killed_at(point, tasks.tick, world.home, daemon.cursor)
    world.drain()
    daemon.tick()
    daemon.tick()
    assert len(daemon.started) == first + 1
    assert daemon.run_keys(days[:1]) == {next(iter(daemon.run_keys(days[:1]))): 1}
    daemon.finish(days[:1])
    world.assert_equal("kills", days)


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "goes on"])
@pytest.mark.parametrize("point", SENSOR)
def test_two_sensors_at_once_ask_for_one_run(world: World, daemon: Daemon, point: str, is_killed: bool) -> None:
    days = world.days()
    world.land("kills", days)
    world.drain()
    first, gate = world.held_at(point, tasks.tick, world.home, None)
    second = world.attempt(tasks.tick, world.home, None)
    world.over_or_blocked(second)
    if is_killed:
        first.kill()
        reached.add(point)
    else:
        gate.touch()
        daemon.submit(first.result())
    daemon.submit(second.result())
    daemon.tick()
    assert set(daemon.run_keys(days).values()) == {1}
    assert len(daemon.started) == 1, "contiguous days share a run"
    daemon.finish(days)
    daemon.tick()
    assert len(daemon.started) == 1
    world.assert_equal("kills", days)


@pytest.mark.parametrize("point", SENSOR)
def test_a_change_between_two_ticks_at_once_is_run_once(world: World, daemon: Daemon, point: str) -> None:
    days = world.days(1)
    world.land("kills", days)
    world.drain()
    first, gate = world.held_at(point, tasks.tick, world.home, None)
    world.land("kills", days)
    second = world.attempt(tasks.tick, world.home, None)
    world.over_or_blocked(second)
    gate.touch()
    daemon.submit(first.result())
    daemon.submit(second.result())
    assert 1 <= len(daemon.started) <= 2, "one for each change"
    daemon.finish(days)
    daemon.tick()
    assert 1 <= len(daemon.started) <= 2
    world.assert_equal("kills", days)
