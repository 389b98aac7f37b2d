"""From what happens to runs that start: each once, whatever is lost, repeated or late."""

import dagster as dg
import pytest

from datalake_assets.errors import ConfigurationError
from datalake_assets.triggers.memory import Memory
from datalake_assets.triggers.model import Due, Execution, FilesState, Span, Start, Wait
from datalake_assets.triggers.pipeline_sensor import (
    _hold,
    build_pipeline_sensor,
)
from datalake_assets.triggers.schedules import Schedule
from datalake_assets.triggers.watch import Watch
from tests.triggers.sensor_cases import (
    CASE,
    FALLBACK,
    FILES,
    LISTINGS,
    NEXT,
    REPORT,
    SEARCHES,
    X_AFTER_BOTH,
    D,
    X,
    only,
)
from tests.triggers.test_facts import queries
from tests.triggers.world import (
    WHOLE,
    World,
    all_of,
    any_of,
    ended,
    pipeline,
    seconds,
    succeeded,
    trigger,
)


def test_the_day_of_the_case_study(world: World) -> None:
    world.now = seconds("2026-11-21 03:00")
    world.fail(LISTINGS, D)
    assert world.settle(CASE) == [(FALLBACK.name, D)]
    world.now = seconds("2026-11-21 05:00")
    world.succeed(SEARCHES, D)
    assert world.settle(CASE) == []
    world.now = seconds("2026-11-21 07:00")
    world.succeed(LISTINGS, D)
    assert world.settle(CASE) == [(X.name, D)]

    world.now = seconds("2026-11-22 03:00")
    world.succeed(LISTINGS, NEXT)
    assert world.settle(CASE) == []
    world.now = seconds("2026-11-22 05:00")
    world.succeed(SEARCHES, NEXT)
    assert world.settle(CASE) == [(X.name, NEXT)]


def test_an_idle_tick_costs_one_query(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datalake_assets.eventlog.headlines.SETTLED_SECONDS", -1.0)
    world.succeed(LISTINGS, D)
    world.tick(CASE)
    world.tick(CASE)

    sent = queries(world, lambda: world.tick(CASE))
    assert len(sent) == 1, sent


def test_a_tick_says_what_it_waits_for(world: World) -> None:
    world.succeed(LISTINGS, D)
    world.fail(SEARCHES, D)
    [found] = [each for each in world.look(CASE).decided if each.trigger is X_AFTER_BOTH]

    assert isinstance(found.decision, Wait)
    assert found.sentence == f"{X.name} {D} waits for {SEARCHES.name} {D} (FAILED at its last run)"


def test_the_run_tells_why_it_was_started_and_from_what(world: World) -> None:
    world.succeed(LISTINGS, D)
    world.succeed(SEARCHES, D)
    world.tick(CASE)
    [run] = world.runs_of(X, D)

    assert run.tags["datalake/reason"] == f"{LISTINGS.name} {D} succeeded, {SEARCHES.name} {D} succeeded"
    assert run.tags["datalake/trigger_number"] == "1"
    assert f"{LISTINGS.name}@{D}" in run.tags["datalake/inputs"]
    assert run.tags["dagster/run_key"] == f"{X.name}|{D}|1"
    assert run.tags["dagster/partition"] == D


def test_a_repaired_parent_runs_the_chain_again_where_that_is_asked_for(world: World) -> None:
    x = trigger(X, succeeded(LISTINGS), LISTINGS, reruns_on_update=True)
    report = trigger(REPORT, succeeded(X), X, reruns_on_update=True)
    once = trigger(FALLBACK, succeeded(X), X)
    chain = Watch([x, report, once])
    world.succeed(LISTINGS, D)
    assert sorted(world.settle(chain)) == [(FALLBACK.name, D), (X.name, D), (REPORT.name, D)]
    world.succeed(LISTINGS, D)
    assert sorted(world.settle(chain)) == [(X.name, D), (REPORT.name, D)]


def test_a_parent_of_an_old_partition_starts_the_child_of_that_partition(world: World) -> None:
    world.succeed(SEARCHES, "2026-03-01")
    world.succeed(LISTINGS, "2026-03-01")
    assert world.settle(CASE) == [(X.name, "2026-03-01")]


def test_a_failed_child_is_started_again_when_its_parent_was_repaired(world: World) -> None:
    watch = only(trigger(X, succeeded(SEARCHES), SEARCHES))
    world.succeed(SEARCHES, D)
    assert world.tick(watch) == [(X.name, D)]
    [run] = world.runs_of(X, D)
    world.break_off(run)
    assert world.settle(watch) == []
    world.succeed(SEARCHES, D)
    assert world.settle(watch) == [(X.name, D)]
    assert {run.tags["dagster/run_key"] for run in world.runs_of(X, D)} == {f"{X.name}|{D}|{n}" for n in (1, 2)}


def test_news_that_come_while_the_child_runs_are_looked_at_when_it_ends(world: World) -> None:
    watch = only(trigger(X, succeeded(SEARCHES), SEARCHES, reruns_on_update=True))
    world.succeed(SEARCHES, D)
    assert world.tick(watch) == [(X.name, D)]
    world.succeed(SEARCHES, D)
    assert world.tick(watch) == []
    world.end_all(X, D)
    assert world.settle(watch) == [(X.name, D)]


def test_a_run_that_a_person_started_counts(world: World) -> None:
    world.succeed(LISTINGS, D)
    by_hand = world.start(X, D)
    world.succeed(SEARCHES, D)
    assert world.settle(CASE) == [], "it is running"
    world.publish(by_hand, X, D)
    world.finish(by_hand)
    assert world.settle(CASE) == [], "it was built from all that is there"


def test_a_fallback_runs_once_however_often_its_parent_fails(world: World) -> None:
    for _ in range(3):
        world.fail(LISTINGS, D)
        world.settle(CASE)
    world.succeed(LISTINGS, D)
    world.fail(LISTINGS, D)
    assert world.settle(CASE) == []
    assert len(world.runs_of(FALLBACK, D)) == 1


def test_every_status_starts_what_waits_for_it(world: World) -> None:
    children = {
        status: pipeline(f"rent_journey/on_{status.lower()}")
        for status in ("SUCCESS", "FAILED", "TIMED_OUT", "ABORTED", "RUNNING")
    }
    watch = Watch([trigger(child, ended(SEARCHES, status), SEARCHES) for status, child in children.items()])  # type: ignore[arg-type]

    def started() -> set[str]:
        return {name.rpartition("on_")[2].upper() for name, _ in world.settle(watch)}

    run = world.run(SEARCHES, D)
    assert started() == set()
    world.begin(run)
    assert started() == {"RUNNING"}
    world.cancel(run)
    assert started() == {"ABORTED"}
    world.time_out(SEARCHES, D)
    assert started() == {"TIMED_OUT"}
    world.fail(SEARCHES, D)
    assert started() == {"FAILED"}
    world.succeed(SEARCHES, D)
    assert started() == {"SUCCESS"}


def test_a_schedule_waits_for_its_parents_and_its_parents_for_the_schedule(world: World) -> None:
    watch = only(trigger(X, all_of(Due(Schedule("0 6 * * *")), succeeded(SEARCHES)), SEARCHES))
    world.now = seconds("2026-11-21 05:00")
    world.succeed(SEARCHES, D)
    assert world.settle(watch) == []
    world.now = seconds("2026-11-21 06:00")
    assert world.settle(watch) == [(X.name, D)]
    world.now = seconds("2026-11-22 06:00")
    assert world.settle(watch) == []
    world.succeed(SEARCHES, NEXT)
    assert world.settle(watch) == [(X.name, NEXT)]


def test_the_last_days_of_a_parent_are_waited_for(world: World) -> None:
    watch = only(trigger(X, Execution(SEARCHES.name, span=Span(last=3)), SEARCHES))
    for day in ("2026-11-18", "2026-11-20"):
        world.succeed(SEARCHES, day)
    assert world.settle(watch) == []
    world.succeed(SEARCHES, "2026-11-19")
    assert world.settle(watch) == [(X.name, D)]


def test_a_child_without_partitions_runs_after_each_news(world: World) -> None:
    whole = pipeline("rent_journey/whole", WHOLE)
    watch = only(trigger(whole, succeeded(SEARCHES), SEARCHES))
    world.succeed(SEARCHES, D)
    assert world.settle(watch) == [(whole.name, "")]
    assert world.settle(watch) == []
    world.succeed(SEARCHES, NEXT)
    assert world.settle(watch) == [(whole.name, "")]


def test_files_and_a_schedule_start_a_run_when_both_are_there(world: World) -> None:
    watch = only(FILES)
    world.now = seconds("2026-11-21 02:00")
    world.report_files(FILES, D, FilesState(7, reason="it changed a moment ago", until=world.now + 30))
    assert world.settle(watch) == []
    world.now = seconds("2026-11-21 03:00")
    assert world.settle(watch) == []
    world.report_files(FILES, D, FilesState(7, is_ready=True))
    assert world.settle(watch) == [(FILES.pipeline.name, D)]


def test_files_that_settle_are_looked_at_again_in_time(world: World) -> None:
    watch = only(FILES)
    world.report_files(FILES, D, FilesState(7, reason="it changed a moment ago", until=world.now + 30))
    assert world.settle(watch) == []
    world.files.known[FILES.pipeline.name, D] = FilesState(7, is_ready=True)
    assert world.settle(watch) == []
    world.now += 30
    assert world.settle(watch) == [(FILES.pipeline.name, D)]


def test_files_from_before_the_look_back_are_found_in_the_ledger(world: World) -> None:
    world.files.known[FILES.pipeline.name, "2026-10-01"] = FilesState(7, is_ready=True)
    assert (FILES.pipeline.name, "2026-10-01") in [
        (each.trigger.pipeline.name, each.partition) for each in world.look(only(FILES)).decided
    ]


def test_alternatives_start_one_run(world: World) -> None:
    watch = only(trigger(X, any_of(succeeded(SEARCHES), succeeded(LISTINGS)), SEARCHES, LISTINGS))
    world.succeed(SEARCHES, D)
    assert world.settle(watch) == [(X.name, D)]
    world.succeed(LISTINGS, D)
    assert world.settle(watch) == []


def test_the_sensor_asks_for_the_run_of_the_pipelines_job(world: World) -> None:
    @dg.asset(key=list(X.asset), partitions_def=dg.DailyPartitionsDefinition("2026-01-01"))
    def x() -> None: ...

    job = dg.define_asset_job(X.job, selection=[x])
    sensor = build_pipeline_sensor("rent_journey", [X_AFTER_BOTH], jobs=[job])
    definitions = dg.Definitions(assets=[x], jobs=[job], sensors=[sensor])
    with dg.build_sensor_context(instance=world.instance, definitions=definitions) as context:
        idle = sensor(context)
        world.succeed(LISTINGS, D)
        world.succeed(SEARCHES, D)
        started = sensor(context)

    assert isinstance(idle, dg.SensorResult)
    assert isinstance(started, dg.SensorResult)
    assert str(idle.skip_reason and idle.skip_reason.skip_message) == "no news"
    assert started.run_requests is not None
    [request] = started.run_requests
    assert (request.job_name, request.run_key) == (X.job, f"{X.name}|{D}|1")
    assert sensor.name == "rent_journey_triggers"


def test_a_tick_that_found_nothing_goes_on_looking(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def meanwhile(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            world.succeed(SEARCHES, D)

    monkeypatch.setattr("datalake_assets.triggers.pipeline_sensor.time.sleep", meanwhile)
    monkeypatch.setattr("datalake_assets.triggers.clock.now", lambda: world.now)
    done = _hold(world.instance, Memory(), only(trigger(X, succeeded(SEARCHES), SEARCHES)), world.files, 3600.0)

    assert [partition for _, partition, _ in done.starts] == [D]
    assert len(slept) == 3


def test_a_trigger_without_its_job_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no job pipeline_x"):
        build_pipeline_sensor("rent_journey", [X_AFTER_BOTH], jobs=[])


def test_a_decision_is_the_same_for_people_and_for_the_sensor(world: World) -> None:
    from datalake_assets.triggers.why import explain

    world.succeed(LISTINGS, D)
    world.succeed(SEARCHES, D)
    told = explain(world.instance, X_AFTER_BOTH, D, now=world.now)
    [(_, _, start)] = world.look(only(X_AFTER_BOTH)).starts
    assert isinstance(told.decision, Start)
    assert told.decision == start
