"""What the sensor takes a run for that Dagster retries by itself."""

import uuid
from collections.abc import Iterator

import dagster as dg
import pytest

from datalake_assets.arrivals import sensor
from datalake_assets.arrivals.requests import RunState
from datalake_assets.arrivals.sensor import run_states


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def add(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, *, parent: str | None = None, **tags: str) -> str:
    run_id = str(uuid.uuid4())
    more = {f"dagster/{name}": value for name, value in tags.items()}
    instance.add_run(
        dg.DagsterRun(
            job_name="flights",
            run_id=run_id,
            status=status,
            tags={"dagster/run_key": "key", **more},
            parent_run_id=parent,
            root_run_id=parent,
        )
    )
    return run_id


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (dg.DagsterRunStatus.SUCCESS, RunState.SUCCEEDED),
        (dg.DagsterRunStatus.FAILURE, RunState.FAILED),
        (dg.DagsterRunStatus.CANCELED, RunState.CANCELED),
        (dg.DagsterRunStatus.STARTED, RunState.IN_FLIGHT),
    ],
)
def test_the_retry_of_a_crashed_run_counts_not_the_crashed_run(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, state: RunState
) -> None:
    crashed = add(instance, dg.DagsterRunStatus.FAILURE, will_retry="true")
    add(instance, status, parent=crashed)
    assert run_states(instance, ["key"]) == {"key": state}


def test_a_crashed_run_is_in_flight_until_its_retry_is_there(instance: dg.DagsterInstance) -> None:
    add(instance, dg.DagsterRunStatus.FAILURE, will_retry="true")
    assert run_states(instance, ["key"]) == {"key": RunState.IN_FLIGHT}


def test_a_crashed_run_whose_retry_never_came_has_failed(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(instance, dg.DagsterRunStatus.FAILURE, will_retry="true")
    monkeypatch.setattr(sensor, "RETRY_COMES_SECONDS", 0.0)
    assert run_states(instance, ["key"]) == {"key": RunState.FAILED}


def test_an_older_run_that_is_not_over_counts(instance: dg.DagsterInstance) -> None:
    add(instance, dg.DagsterRunStatus.STARTED)
    add(instance, dg.DagsterRunStatus.FAILURE, will_retry="false")
    assert run_states(instance, ["key"]) == {"key": RunState.IN_FLIGHT}


def test_the_newest_run_of_a_key_says_what_became_of_it() -> None:
    @dg.job
    def nothing() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:

        def run(key: str, status: dg.DagsterRunStatus, **tags: str) -> None:
            instance.create_run_for_job(nothing, status=status, tags={"dagster/run_key": key, **tags})

        run("failed", dg.DagsterRunStatus.FAILURE)
        run("retried", dg.DagsterRunStatus.FAILURE, **{"dagster/will_retry": "true"})
        run("repaired", dg.DagsterRunStatus.FAILURE)
        run("repaired", dg.DagsterRunStatus.SUCCESS)
        run("again", dg.DagsterRunStatus.FAILURE)
        run("again", dg.DagsterRunStatus.STARTED)
        run("ended", dg.DagsterRunStatus.CANCELED)
        keys = ["failed", "retried", "repaired", "again", "ended", "never", *(f"other {n}" for n in range(200))]
        assert run_states(instance, keys) == {
            "failed": RunState.FAILED,
            "retried": RunState.IN_FLIGHT,
            "repaired": RunState.SUCCEEDED,
            "again": RunState.IN_FLIGHT,
            "ended": RunState.CANCELED,
        }
