"""What the event log tells a decision about parents and about the pipeline's own runs."""

import time

import dagster as dg
import pytest

from datalake_assets.triggers.facts import RETRY_COMES_SECONDS, gather
from datalake_assets.triggers.model import Facts, ParentState, PipelineTrigger
from tests.triggers.world import WHOLE, World, all_of, ended, pipeline, succeeded, trigger

D, NEXT = "2026-11-20", "2026-11-21"
LISTINGS = pipeline("core_data/listings", warehouse=True)
SEARCHES = pipeline("search/searches")
CITIES = pipeline("core_data/cities", WHOLE)
CHILD = pipeline("rent_journey/pipeline_x")
AFTER_BOTH = trigger(CHILD, all_of(succeeded(LISTINGS), succeeded(SEARCHES)), LISTINGS, SEARCHES)
RETRIED = {"dagster/max_retries": "1", "dagster/retry_on_asset_or_op_failure": "true"}
FALLBACK = trigger(CHILD, ended(LISTINGS, "FAILED", "TIMED_OUT"), LISTINGS)


def facts(world: World, of: PipelineTrigger, partition: str = D) -> Facts:
    [found] = gather(world.instance, [(of, partition, None)], world.now)
    return found.facts


def listings(world: World, partition: str = D) -> ParentState:
    return facts(world, FALLBACK, partition).parents.get((LISTINGS.name, partition), ParentState())


def test_of_what_never_happened_nothing_is_known(world: World) -> None:
    assert facts(world, AFTER_BOTH) == Facts(world.now)


def test_a_partition_is_there_when_its_last_asset_was_materialized_for_it(world: World) -> None:
    world.succeed(LISTINGS, D)

    found = facts(world, AFTER_BOTH).parents
    assert found[LISTINGS.name, D].data_id > 0
    assert (SEARCHES.name, D) not in found
    assert facts(world, AFTER_BOTH, NEXT).parents == {}


def test_a_materialization_that_a_person_reported_counts(world: World) -> None:
    world.report(LISTINGS, D)
    assert listings(world).data_id > 0


def test_a_failure_is_told_and_takes_no_success_away(world: World) -> None:
    world.succeed(LISTINGS, D)
    before = listings(world)
    world.fail(LISTINGS, D)
    after = listings(world)

    assert (before.outcome, after.outcome) == ("SUCCESS", "FAILED")
    assert after.data_id == before.data_id
    assert after.outcome_id > before.outcome_id


def test_two_failures_have_two_ids(world: World) -> None:
    world.fail(LISTINGS, D)
    first = listings(world)
    world.fail(LISTINGS, D)
    assert listings(world).outcome_id > first.outcome_id > 0


def test_a_run_that_took_too_long_is_timed_out_and_one_that_a_person_ended_is_aborted(world: World) -> None:
    world.time_out(LISTINGS, D)
    assert listings(world).outcome == "TIMED_OUT"
    world.cancel(world.start(LISTINGS, D))
    assert listings(world).outcome == "ABORTED"


def test_a_run_that_will_be_retried_has_not_failed(world: World) -> None:
    world.fail(LISTINGS, D, tags=RETRIED)
    assert listings(world) == ParentState(started=True, started_id=listings(world).started_id)


def test_a_retry_that_never_comes_is_a_failure_in_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.fail(LISTINGS, D, tags=RETRIED)
    [found] = gather(world.instance, [(FALLBACK, D, None)], world.now)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + RETRY_COMES_SECONDS)

    assert found.stale_in is not None
    assert 0 < found.stale_in <= RETRY_COMES_SECONDS
    assert listings(world).outcome == "FAILED"


def test_a_run_of_a_range_that_failed_at_one_partition_has_made_the_others(world: World) -> None:
    run = world.start(LISTINGS, D, until=NEXT)
    world.publish(run, LISTINGS, D)
    world.break_off(run)

    assert listings(world, D).outcome == "SUCCESS"
    assert listings(world, NEXT).outcome == "FAILED"


def test_a_range_with_gaps_touches_only_what_it_names(world: World) -> None:
    tags = {"datalake/partitions": '["2026-11-18","2026-11-20..2026-11-21"]'}
    world.fail(LISTINGS, "2026-11-18", until=NEXT, tags=tags)

    outcomes = [listings(world, f"2026-11-{day}").outcome for day in (18, 19, 20, 21)]
    assert outcomes == ["FAILED", None, "FAILED", "FAILED"]


def test_a_run_of_another_asset_of_the_pipeline_touches_it(world: World) -> None:
    world.fail(LISTINGS, D, assets=[("core_data", "lake", "listings")])
    assert listings(world).outcome == "FAILED"


def test_a_run_that_waits_in_the_queue_has_not_started(world: World) -> None:
    run = world.run(LISTINGS, D)
    assert not listings(world).started
    world.begin(run)
    assert listings(world).started


def test_the_childs_runs_are_known_by_what_they_were_made_for(world: World) -> None:
    by_hand = world.fail(CHILD, D)
    tags = {"datalake/triggered": f"{CHILD.name}|{D}", "datalake/trigger_number": "1", "datalake/inputs": '{"a@b":7}'}
    asked_for = world.start(CHILD, D, tags=tags)
    world.succeed(CHILD, NEXT)

    newest, older = facts(world, AFTER_BOTH).runs
    assert (newest.run_id, newest.number, newest.outcome, newest.inputs) == (asked_for.run_id, 1, None, {"a@b": 7})
    assert (older.run_id, older.number, older.outcome, older.inputs) == (by_hand.run_id, 0, "FAILED", {})


def test_a_run_has_seen_what_was_there_when_it_was_made(world: World) -> None:
    world.succeed(LISTINGS, D)
    tags = {"datalake/triggered": f"{CHILD.name}|{D}", "datalake/trigger_number": "1", "datalake/inputs": "{}"}
    world.succeed(CHILD, D, tags=tags)
    data_id = facts(world, AFTER_BOTH).parents[LISTINGS.name, D].data_id
    assert facts(world, AFTER_BOTH).runs[0].inputs == {f"{LISTINGS.name}@{D}": data_id}

    world.succeed(LISTINGS, D)
    assert facts(world, AFTER_BOTH).runs[0].inputs == {}
    world.succeed(CHILD, D)
    assert facts(world, AFTER_BOTH).runs[1].inputs[f"{LISTINGS.name}@{D}"] > data_id, "a person has run it since"


def test_a_run_that_was_written_and_never_queued_is_asked_for_again(world: World) -> None:
    tags = {"datalake/triggered": f"{CHILD.name}|{D}", "datalake/trigger_number": "1"}
    world.run(CHILD, D, tags=tags)
    assert facts(world, AFTER_BOTH).runs == ()


def test_a_parent_without_partitions_is_known_as_a_whole(world: World) -> None:
    child = trigger(CHILD, succeeded(CITIES), CITIES)
    world.succeed(CITIES)
    first = facts(world, child).parents[CITIES.name, ""]
    world.succeed(CITIES)
    assert facts(world, child).parents[CITIES.name, ""].data_id > first.data_id > 0


def test_a_child_without_partitions_sees_the_newest_of_a_parents_partitions(world: World) -> None:
    whole = pipeline("rent_journey/report", WHOLE)
    child = trigger(whole, ended(SEARCHES, "SUCCESS", "FAILED"), SEARCHES)
    world.succeed(SEARCHES, D)
    first = facts(world, child, "").parents[SEARCHES.name, ""]
    world.fail(SEARCHES, NEXT)
    then = facts(world, child, "").parents[SEARCHES.name, ""]

    assert (first.outcome, then.outcome) == ("SUCCESS", "FAILED")
    assert then.data_id == first.data_id
    assert then.started_id > first.started_id


def test_what_was_wiped_is_not_there(world: World) -> None:
    world.succeed(SEARCHES, D)
    world.instance.wipe_assets([dg.AssetKey(list(SEARCHES.asset))])
    assert facts(world, AFTER_BOTH).parents[SEARCHES.name, D].data_id == 0


def test_many_partitions_are_asked_about_with_a_handful_of_queries(world: World) -> None:
    days = [f"2026-10-{day:02}" for day in range(1, 31)]
    for day in days[:3]:
        world.succeed(LISTINGS, day)
        world.fail(SEARCHES, day)
    facts(world, AFTER_BOTH)  # the first query of a process asks PostgreSQL for its types
    sent = queries(world, lambda: gather(world.instance, [(AFTER_BOTH, day, None) for day in days], world.now))
    assert len(sent) <= 5, sent


def queries(world: World, work: object) -> list[str]:
    import sqlalchemy

    from datalake_assets.eventlog.storage import shared_engine

    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    engine = shared_engine(world.instance.event_log_storage.postgres_url)  # type: ignore[attr-defined]
    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    try:
        work()  # type: ignore[operator]
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", note)
    return sent
