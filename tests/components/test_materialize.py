"""What a failed step tells Dagster about another try of its run."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from datalake_assets.components import materialize
from datalake_assets.components.lake_pipeline import build_pipeline_definitions
from datalake_assets.components.pipelines import find_pipeline
from datalake_assets.errors import EmptyObject, Unavailable
from datalake_assets.ingest.outcomes import Failed

RETRIES = {"dagster/max_retries": "2", "dagster/retry_on_asset_or_op_failure": "true"}


def run_that_fails_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterRun:
    """One run of a pipeline that asks for retries, after all attempts of its step."""

    def failing(*_: Any, **__: Any) -> Iterator[Failed]:
        yield Failed("", error)

    monkeypatch.setattr(materialize, "ingest", failing)
    monkeypatch.setattr(materialize, "RETRY_SECONDS", (0, 0, 0))
    definitions = build_pipeline_definitions("flights", find_pipeline("flights/airlines").raw_spec)
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_job_def("airlines")
        done = job.execute_in_process(instance=instance, tags=RETRIES, raise_on_error=False)
        assert not done.success
        run = instance.get_run_by_id(done.run_id)
        assert run is not None
        return run


def test_a_failure_that_the_same_input_brings_again_is_left_to_people(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_that_fails_with(EmptyObject("the object is empty"), monkeypatch)
    assert run.tags["dagster/retry_on_asset_or_op_failure"] == "false"


def test_a_failure_that_may_pass_is_tried_again_by_the_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_that_fails_with(Unavailable("S3 does not answer"), monkeypatch)
    assert run.tags["dagster/retry_on_asset_or_op_failure"] == "true"
