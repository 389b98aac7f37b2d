"""Jobs by the clock: each unit by itself, failures named at the end, never two runs at once."""

from collections.abc import Iterator, Sequence

import dagster as dg
import pytest

from datalake_assets.components.upkeep import jobs as module
from datalake_assets.components.upkeep.jobs import Unit, Upkeep, build_upkeep, request_unless_going
from datalake_assets.errors import AccessDenied, PlatformError, Unavailable


class Tables:
    """Two locations of tables, some of which fail for a while or for ever."""

    def __init__(self, **errors: Sequence[Exception]) -> None:
        self.errors = {name: list(failures) for name, failures in errors.items()}
        self.tried: list[str] = []

    def units(self, location: str) -> list[Unit]:
        return [Unit(f"{location}/{name}", lambda _, name=name: self._work(name)) for name in self._names(location)]  # type: ignore[misc]

    def _names(self, location: str) -> list[str]:
        return {"flights": ["first", "second", "third"], "content": ["fourth"]}[location]

    def _work(self, name: str) -> str:
        self.tried.append(name)
        if waiting := self.errors.get(name):
            raise waiting.pop(0)
        return "done"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def definitions(tables: Tables) -> dg.Definitions:
    return build_upkeep(
        Upkeep("tidy", "Tidy every table.", "0 * * * *", max_hours=1.5, units=tables.units), ["flights", "content"]
    )


def run(tables: Tables, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return definitions(tables).resolve_job_def("tidy").execute_in_process(instance=instance, raise_on_error=False)


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    return [
        str(event.step_failure_data.user_failure_data.description)
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    ]


def test_every_unit_of_every_location_is_done(instance: dg.DagsterInstance) -> None:
    tables = Tables()
    assert run(tables, instance).success
    assert sorted(tables.tried) == ["first", "fourth", "second", "third"]


def test_a_unit_that_fails_stops_no_other_and_is_named_at_the_end(instance: dg.DagsterInstance) -> None:
    tables = Tables(second=[AccessDenied("no grant", where="s3://lake")])
    result = run(tables, instance)
    assert not result.success
    assert sorted(tables.tried) == ["first", "fourth", "second", "third"]
    assert failures(result) == ["1 of 3 failed:\nflights/second: s3://lake: no grant"]


def test_a_mistake_in_the_code_of_one_unit_is_named_like_any_other_failure(instance: dg.DagsterInstance) -> None:
    tables = Tables(first=[KeyError("dt")], third=[Unavailable("gone")])
    result = run(tables, instance)
    (told,) = failures(result)
    assert told.startswith("2 of 3 failed:")
    assert "flights/first: 'dt'" in told
    assert "flights/third: gone" in told


def test_what_time_may_mend_is_tried_again(instance: dg.DagsterInstance) -> None:
    tables = Tables(second=[Unavailable("the warehouse restarts"), Unavailable("still")])
    assert run(tables, instance).success
    assert tables.tried.count("second") == 3


@pytest.mark.parametrize("error", [AccessDenied("no grant"), ValueError("a mistake")])
def test_what_time_does_not_mend_is_not_tried_again(error: Exception, instance: dg.DagsterInstance) -> None:
    tables = Tables(second=[error])
    assert not run(tables, instance).success
    assert tables.tried.count("second") == 1


def test_a_run_that_hangs_is_ended_so_that_the_schedule_goes_on() -> None:
    job = definitions(Tables()).resolve_job_def("tidy")
    assert job.tags["dagster/max_runtime"] == "5400"


def test_the_schedule_runs_by_default_and_says_what_it_does() -> None:
    schedule = definitions(Tables()).resolve_schedule_def("tidy_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.execution_timezone == "UTC"
    assert "Tidy every table." in (schedule.description or "")


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_no_second_run_is_requested_while_one_waits_or_works(
    status: dg.DagsterRunStatus, instance: dg.DagsterInstance
) -> None:
    job = definitions(Tables()).resolve_job_def("tidy")
    made = instance.create_run_for_job(job, status=status)
    answer = request_unless_going(instance, "tidy")
    assert isinstance(answer, dg.SkipReason)
    assert made.run_id[:8] in str(answer.skip_message)
    assert isinstance(request_unless_going(instance, "another"), dg.RunRequest)
    instance.report_run_failed(made)
    assert isinstance(request_unless_going(instance, "tidy"), dg.RunRequest)


def test_a_failure_without_retries_keeps_its_cause(instance: dg.DagsterInstance) -> None:
    cause: PlatformError = AccessDenied("no grant")
    result = run(Tables(first=[cause]), instance)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_failure_data.error is not None
    assert "no grant" in failed.step_failure_data.error.to_string()
