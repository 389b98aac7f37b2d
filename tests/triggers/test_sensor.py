"""The trigger's sensor on a real instance: its requests, its cursor, and the tags that say why."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import DagsterRunStatus

from datalake_assets.errors import ConfigurationError
from datalake_assets.triggers.decision import Target, Timing
from datalake_assets.triggers.sensor import TRIGGER_KEY_TAG, TRIGGER_TAG, build_trigger_sensor, evaluate

NAME = "analytics_trigger"
NO_WAIT = Timing(settle_seconds=0, max_wait_seconds=0)
FLIGHTS = "flights/warehouse/flights"


@dg.asset(key=["analytics", "staging", "stg_flights"], deps=[dg.AssetKey(["flights", "warehouse", "flights"])])
def stg_flights() -> None: ...


@dg.asset(key=["analytics", "marts", "delays"], deps=[stg_flights])
def delays() -> None: ...


TARGETS = [
    Target("analytics/staging/stg_flights", frozenset({FLIGHTS})),
    Target("analytics/marts/delays", frozenset({"analytics/staging/stg_flights"})),
]
JOB = dg.define_asset_job("models", selection=[stg_flights, delays])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def load(instance: dg.DagsterInstance, partition: str) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(FLIGHTS.split("/"), partition=partition))


def start(instance: dg.DagsterInstance, run_key: str, status: DagsterRunStatus) -> dg.DagsterRun:
    return instance.create_run_for_job(
        dg.GraphDefinition(name="models").to_job(), tags={TRIGGER_TAG: NAME, TRIGGER_KEY_TAG: run_key}, status=status
    )


def test_new_partitions_of_a_source_request_one_run_of_what_is_downstream(instance: dg.DagsterInstance) -> None:
    load(instance, "2013-01-01")
    load(instance, "2013-01-02")
    sensor = build_trigger_sensor("analytics", job=JOB, targets=TARGETS, timing=NO_WAIT)
    definitions = dg.Definitions(assets=[stg_flights, delays], jobs=[JOB], sensors=[sensor])
    with dg.build_sensor_context(instance=instance, definitions=definitions) as context:
        result = sensor(context)

    assert isinstance(result, dg.SensorResult)
    assert result.run_requests is not None
    [request] = result.run_requests
    assert request.asset_selection == [delays.key, stg_flights.key]
    assert request.tags["datalake/reason"] == "new: flights/warehouse/flights (2)"
    assert request.tags["datalake/parents"].startswith("flights/warehouse/flights@")
    assert context.cursor


def test_a_quiet_tick_says_why_nothing_starts(instance: dg.DagsterInstance) -> None:
    sensor = build_trigger_sensor("analytics", job=JOB, targets=TARGETS, timing=NO_WAIT)
    with dg.build_sensor_context(instance=instance) as context:
        result = sensor(context)

    assert isinstance(result, dg.SkipReason)
    assert result.skip_message == "No source has news"


def test_a_tick_whose_cursor_was_lost_requests_the_same_run(instance: dg.DagsterInstance) -> None:
    load(instance, "2013-01-01")
    one, _ = evaluate(instance, None, NAME, TARGETS, NO_WAIT)
    two, _ = evaluate(instance, None, NAME, TARGETS, NO_WAIT)

    assert one.request is not None
    assert one.request == two.request


def test_the_next_run_waits_for_the_one_in_flight(instance: dg.DagsterInstance) -> None:
    load(instance, "2013-01-01")
    first, cursor = evaluate(instance, None, NAME, TARGETS, NO_WAIT)
    assert first.request is not None
    run = start(instance, first.request.run_key, DagsterRunStatus.STARTED)
    load(instance, "2013-01-02")
    held, cursor = evaluate(instance, cursor, NAME, TARGETS, NO_WAIT)
    instance.report_run_failed(run)
    then, cursor = evaluate(instance, cursor, NAME, TARGETS, NO_WAIT)

    assert held.request is None
    assert "wait for the run in flight" in held.message
    assert then.request is not None
    assert then.request.run_key != first.request.run_key


def test_a_run_that_succeeded_leaves_nothing_to_do(instance: dg.DagsterInstance) -> None:
    load(instance, "2013-01-01")
    first, cursor = evaluate(instance, None, NAME, TARGETS, NO_WAIT)
    assert first.request is not None
    start(instance, first.request.run_key, DagsterRunStatus.SUCCESS)
    then, cursor = evaluate(instance, cursor, NAME, TARGETS, NO_WAIT)

    assert then.request is None
    assert then.waiting.requested_key == ""
    assert not then.waiting.owed


def test_a_source_that_a_run_is_about_to_load_is_waited_for(instance: dg.DagsterInstance) -> None:
    load(instance, "2013-01-01")

    @dg.asset(key=FLIGHTS.split("/"))
    def loaded() -> None: ...

    job = dg.Definitions(assets=[loaded], jobs=[dg.define_asset_job("load", [loaded])]).resolve_job_def("load")
    instance.create_run_for_job(job, asset_selection=frozenset({loaded.key}), status=DagsterRunStatus.STARTED)
    held, _ = evaluate(instance, None, NAME, TARGETS, Timing(settle_seconds=0, max_wait_seconds=600))

    assert held.request is None
    assert "being loaded now" in held.message


def test_a_trigger_without_sources_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="never start"):
        build_trigger_sensor("analytics", job=JOB, targets=[Target("a", frozenset())])
