"""Whatever is lost, late, repeated or unreachable: each run starts, and once."""

import pytest

from datalake_assets.errors import Unavailable
from datalake_assets.triggers.memory import Memory
from datalake_assets.triggers.model import Due, FilesState
from datalake_assets.triggers.pipeline_sensor import (
    CANDIDATES_PER_TICK,
    FILES_AGAIN_SECONDS,
    LOST_AFTER_SECONDS,
    STARTS_PER_TICK,
    evaluate,
)
from datalake_assets.triggers.schedules import Schedule
from datalake_assets.triggers.watch import Watch, fingerprint
from tests.triggers.sensor_cases import (
    CASE,
    FALLBACK,
    FILES,
    LISTINGS,
    NEXT,
    ON_FAILURE,
    SEARCHES,
    X_AFTER_BOTH,
    D,
    X,
    only,
)
from tests.triggers.world import (
    World,
    all_of,
    ended,
    seconds,
    succeeded,
    trigger,
)


@pytest.mark.parametrize("lost", ["tick", "runs", "cursor", "queue"])
def test_whatever_is_lost_of_a_tick_one_run_starts(world: World, lost: str) -> None:
    world.succeed(LISTINGS, D)
    world.succeed(SEARCHES, D)
    made = world.tick(CASE, lost=lost)
    world.now += LOST_AFTER_SECONDS
    made += world.tick(CASE)
    world.now += LOST_AFTER_SECONDS
    made += world.settle(CASE)

    assert set(made) == {(X.name, D)}
    assert len(world.runs_of(X, D)) == 1


def test_a_lost_cursor_starts_nothing_again(world: World) -> None:
    world.fail(LISTINGS, D)
    world.succeed(LISTINGS, D)
    world.succeed(SEARCHES, D)
    assert world.settle(CASE) == [(X.name, D)]
    world.memory = Memory()
    assert world.settle(CASE) == []


@pytest.mark.parametrize("text", ["", "17", "{}", '{"version":99}', "{broken"])
def test_a_cursor_that_cannot_be_read_is_a_lost_one(text: str) -> None:
    assert Memory.parse(text) == Memory()


def test_two_sensors_at_once_ask_for_the_same_run(world: World) -> None:
    world.succeed(LISTINGS, D)
    world.succeed(SEARCHES, D)
    keys = {start.run_key for _ in range(2) for _, _, start in world.look(CASE).starts}
    assert keys == {f"{X.name}|{D}|1"}


def test_parents_that_succeed_twice_and_at_once_start_one_run(world: World) -> None:
    again = only(trigger(X, X_AFTER_BOTH.condition, LISTINGS, SEARCHES, reruns_on_update=True))
    for _ in range(2):
        world.succeed(LISTINGS, D)
        world.succeed(SEARCHES, D)
    assert world.tick(again) == [(X.name, D)]
    assert world.settle(again) == []


def test_what_came_between_the_decision_and_the_run_does_not_start_another_one(world: World) -> None:
    again = only(trigger(X, succeeded(SEARCHES), SEARCHES, reruns_on_update=True))
    world.succeed(SEARCHES, D)
    done = world.look(again)
    world.succeed(SEARCHES, D)
    [(_, _, start)] = done.starts
    tags = {
        "datalake/triggered": f"{X.name}|{D}",
        "datalake/trigger_number": "1",
        "datalake/inputs": f'{{"{SEARCHES.name}@{D}":{start.inputs[f"{SEARCHES.name}@{D}"]}}}',
    }
    world.succeed(X, D, tags=tags)
    assert world.settle(again) == []


def test_a_backfill_of_a_year_starts_each_day_once(world: World) -> None:
    watch = only(trigger(X, succeeded(SEARCHES), SEARCHES))
    world.now = seconds("2027-01-05 12:00")
    run = world.start(SEARCHES, "2026-01-01", until="2026-11-20")
    days = SEARCHES.calendar.overlapping(*(SEARCHES.calendar.window("2026-01-01")[0], SEARCHES.calendar.window(D)[1]))
    world.publish(run, SEARCHES, *days)
    world.finish(run)
    starts: list[str] = []
    memory = Memory()
    for _ in range(len(days) // STARTS_PER_TICK + 1):
        done = evaluate(world.instance, memory, watch, world.files, now=world.now)
        starts += [partition for _, partition, _ in done.starts]
        memory = Memory.parse(str(done.memory))
    assert starts == days
    assert len(days) < CANDIDATES_PER_TICK


def test_midnights_in_an_outage_start_each_day_that_was_missed(world: World) -> None:
    watch = only(trigger(X, Due(Schedule("0 3 * * *"))))
    world.now = seconds("2026-11-20 12:00")
    assert world.settle(watch) == [(X.name, "2026-11-19")], "a new pipeline catches up with its day"
    world.now = seconds("2026-11-23 03:30")
    assert world.settle(watch) == [(X.name, day) for day in ("2026-11-20", "2026-11-21", "2026-11-22")]
    assert world.settle(watch) == []


def test_an_event_that_was_committed_late_is_not_missed(world: World) -> None:
    import sqlalchemy

    from datalake_assets.eventlog.storage import shared_engine

    watch = only(trigger(X, succeeded(SEARCHES), SEARCHES))
    world.report(SEARCHES, D)
    world.report(LISTINGS, D)
    # Hidden as by a transaction that is not over, while a later one is.
    with shared_engine(world.instance.event_log_storage.postgres_url).connect() as connection:  # type: ignore[attr-defined]
        run = connection.execute
        run(sqlalchemy.text("CREATE TABLE hidden AS SELECT * FROM event_logs WHERE asset_key LIKE '%searches%'"))
        run(sqlalchemy.text("DELETE FROM event_logs WHERE asset_key LIKE '%searches%'"))
        assert world.settle(watch) == []
        run(sqlalchemy.text("INSERT INTO event_logs SELECT * FROM hidden"))
    assert world.settle(watch) == [(X.name, D)]


def test_a_new_pipeline_catches_up_with_its_day(world: World) -> None:
    world.succeed(LISTINGS, D)
    assert world.settle(only(ON_FAILURE)) == []
    world.fail(LISTINGS, NEXT)
    world.now = seconds("2026-11-22 12:00")
    assert world.settle(only(ON_FAILURE)) == [(FALLBACK.name, NEXT)]
    both = Watch([ON_FAILURE, trigger(X, succeeded(LISTINGS), LISTINGS)])
    assert world.settle(both) == [(X.name, D)]


def test_a_trigger_is_known_by_what_it_says_and_not_by_the_process(world: World) -> None:
    other = trigger(FALLBACK, ended(LISTINGS, "TIMED_OUT", "FAILED"), LISTINGS)
    assert fingerprint(other) == fingerprint(ON_FAILURE)
    assert fingerprint(trigger(FALLBACK, ended(LISTINGS, "FAILED"), LISTINGS)) != fingerprint(ON_FAILURE)


def test_a_pipeline_that_was_deleted_is_forgotten(world: World) -> None:
    watch = only(trigger(X, all_of(succeeded(SEARCHES), Due(Schedule("0 18 * * *"))), SEARCHES))
    world.succeed(SEARCHES, NEXT)
    world.now = seconds("2026-11-22 12:00")
    world.settle(watch)
    assert world.memory.wake
    world.now = seconds("2026-11-23 12:00")
    assert world.settle(only(ON_FAILURE)) == []
    assert not world.memory.wake


def test_a_ledger_that_does_not_answer_holds_back_only_what_needs_files(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_wanted: object) -> None:
        raise Unavailable("the platform database does not answer")

    watch = Watch([FILES, trigger(X, succeeded(SEARCHES), SEARCHES)])
    world.succeed(SEARCHES, D)
    with monkeypatch.context() as broken:
        broken.setattr(world.files, "states", gone)
        [warning] = world.look(watch).warnings
        assert "decided on later" in warning
        assert world.tick(watch) == [(X.name, D)]
    world.files.known[FILES.pipeline.name, D] = FilesState(7, is_ready=True)
    world.now += FILES_AGAIN_SECONDS
    assert (FILES.pipeline.name, D) in world.settle(watch)
