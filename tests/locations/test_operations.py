"""The operations location's jobs, as their schedules run them."""

from typing import Any

import dagster as dg
import pytest

from datalake_assets import definitions
from datalake_assets.accounts.sessions import session
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.errors import Unavailable
from tests.integration.user import Platform, asset, flights_file

JOBS = ("sweep_recent", "sweep_everything", "warehouse_follows_lake", "vacuum")
WAREHOUSE = asset("warehouse", "flights")


@pytest.fixture(scope="module")
def operations() -> dg.Definitions:
    found: dg.Definitions = definitions.operations
    return found


def run(operations: dg.Definitions, job: str, platform: Platform) -> dg.ExecuteInProcessResult:
    return operations.resolve_job_def(job).execute_in_process(instance=platform.instance, raise_on_error=False)


def lose_notifications(platform: Platform) -> None:
    sqs = session("flights").client("sqs")
    queue = sqs.get_queue_url(QueueName=platform.account.arrivals_queue)["QueueUrl"]
    # Not purge_queue, which SQS allows once a minute only.
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def objects_of(day: str) -> int:
    """The objects of a day that the ledger knows."""
    states = Ledger().partition_states(["flights/flights"], only_dirty=False)
    return sum(state.objects for state in states if state.partition == day)


def test_each_job_has_a_description_a_limit_and_a_schedule_that_runs(operations: dg.Definitions) -> None:
    for name in JOBS:
        job = operations.resolve_job_def(name)
        assert job.description
        assert int(job.tags["dagster/max_runtime"]) > 0
        schedule = operations.resolve_schedule_def(f"{name}_schedule")
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        units = {f"{name}_{location}" for location in ("content", "core_data", "flights", "search")}
        assert units <= {node.name for node in job.nodes}


@pytest.mark.slow
def test_a_file_whose_notification_was_lost_is_found_in_a_day_that_changed_lately(
    platform: Platform, operations: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datalake_assets.components.upkeep import sweeping

    monkeypatch.setattr(sweeping, "FEW_PARTITIONS", 10_000)  # so many days of other tests changed lately, too
    known, unknown = platform.days(1)[0], platform.days(1)[0]
    platform.put_day(known)
    platform.drain()
    platform.put_day(known, name="late.csv.gz")
    platform.put_day(unknown)
    lose_notifications(platform)
    assert run(operations, "sweep_recent", platform).success
    assert (objects_of(known), objects_of(unknown)) == (2, 0)
    assert run(operations, "sweep_everything", platform).success
    assert (objects_of(known), objects_of(unknown)) == (2, 1)


def test_the_warehouse_follows_the_lake_and_dagster_sees_it(platform: Platform, operations: dg.Definitions) -> None:
    day = platform.day()
    platform.put_day(day, flights_file(day, 4))
    assert platform.run("flights", day).success
    platform.warehouse("DELETE FROM lake._load_ledger WHERE partition_key = %s RETURNING 1", day)
    result = run(operations, "warehouse_follows_lake", platform)
    assert result.success
    events = [event for event in result.all_events if event.is_step_materialization and event.partition == day]
    (event,) = events
    assert event.asset_key == WAREHOUSE
    assert event.step_materialization_data.materialization.metadata["dagster/row_count"].value == 4
    again = run(operations, "warehouse_follows_lake", platform)
    assert not [event for event in again.all_events if event.is_step_materialization and event.partition == day]


def test_a_pipeline_whose_vacuum_fails_stops_no_other_and_is_named(
    platform: Platform, operations: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datalake_assets.components.upkeep import vacuuming

    day = platform.day()
    platform.put_day(day)
    assert platform.run("flights", day).success
    visited: list[str] = []
    real = vacuuming.vacuum_pipeline

    def failing_for_airports(declared: Any, **options: Any) -> Any:
        visited.append(declared.name)
        if declared.name == "flights/airports":
            raise ValueError("a mistake")
        return real(declared, **options)

    monkeypatch.setattr(vacuuming, "vacuum_pipeline", failing_for_airports)
    result = run(operations, "vacuum", platform)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    told = str(failed.step_failure_data.user_failure_data.description)
    assert told == "1 of 5 failed:\nflights/airports: a mistake"
    assert [name for name in visited if name.startswith("flights/")][-1] == "flights/weather"


def test_a_schedule_waits_for_the_run_before(platform: Platform, operations: dg.Definitions) -> None:
    schedule = operations.resolve_schedule_def("sweep_recent_schedule")
    job = operations.resolve_job_def("sweep_recent")

    def tick() -> Any:
        with dg.build_schedule_context(instance=platform.instance) as context:
            return schedule.evaluate_tick(context)

    assert len(tick().run_requests) == 1
    going = platform.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    try:
        assert not tick().run_requests
        assert "sweep_recent is started" in tick().skip_message
    finally:
        platform.instance.report_run_failed(going)
    assert len(tick().run_requests) == 1


def test_what_failed_in_the_warehouse_is_named_with_its_partition(platform: Platform) -> None:
    from datalake_assets.components.pipelines import find_pipeline
    from datalake_assets.components.upkeep.following import one_error
    from datalake_assets.errors import RowCountMismatch
    from datalake_assets.ingest.outcomes import Failed

    declared = find_pipeline("flights/flights")
    transient, permanent = Unavailable("gone"), RowCountMismatch("3 rows")
    error = one_error(declared, [Failed("2013-01-01", transient), Failed("2013-01-02", permanent)], tried=5)
    assert isinstance(error, RowCountMismatch), "what a person has to mend comes first"
    assert str(error) == "flights/flights 2013-01-02: 2 of 5 partitions failed, the first with: 3 rows"
    mistake = KeyError("dt")
    assert one_error(declared, [Failed("2013-01-01", transient), Failed("2013-01-02", mistake)], tried=2) is mistake
