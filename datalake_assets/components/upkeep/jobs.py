"""Jobs that keep the platform in order by the clock: one step a location, one unit of work after the other.

What a job does is told by a function that lists a location's units: a pipeline, or the whole location. A unit that
fails does not keep the others from being done; the step fails at its end and names all that failed. Each job is
written so that repeating it changes nothing, and its schedule starts none while one is still going.
"""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from datalake_assets.errors import PlatformError, TransientError

OWNER = "team:platform"
MAX_RETRIES = 2
RETRY_SECONDS = 30
MAX_NAMED_FAILURES = 20


@dataclass(frozen=True)
class Unit:
    """One thing to do: its label, and the function that does it and tells in one sentence what it did."""

    label: str
    work: Callable[[dg.OpExecutionContext], str]


@dataclass(frozen=True)
class Upkeep:
    """One job and its schedule.

    Args:
        name: of the job.
        description: what it does, for the UI.
        cron: when, in UTC.
        max_hours: a run that takes longer is ended by run monitoring, so that it cannot block its schedule for ever.
        units: what there is to do in a location; called by the run, not by the code location.
    """

    name: str
    description: str
    cron: str
    max_hours: float
    units: Callable[[str], Sequence[Unit]]


def build_upkeep(upkeep: Upkeep, locations: Sequence[str]) -> dg.Definitions:
    """The job, with one step for each location, and its schedule, running by default."""
    steps = [_build_step(upkeep, location) for location in locations]

    @dg.job(
        name=upkeep.name,
        description=upkeep.description,
        executor_def=dg.in_process_executor,
        tags={"datalake/owner": OWNER, "dagster/max_runtime": str(round(upkeep.max_hours * 3600))},
    )
    def job() -> None:
        for step in steps:
            step()

    @dg.schedule(
        name=f"{upkeep.name}_schedule",
        job=job,
        cron_schedule=upkeep.cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"{upkeep.description} Skips its turn while a run is still going.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return request_unless_going(context.instance, upkeep.name)

    return dg.Definitions(jobs=[job], schedules=[schedule])


def request_unless_going(instance: dg.DagsterInstance, job_name: str) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run of a job, but not for a second one beside a run that waits or works."""
    going = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=NOT_FINISHED_STATUSES), limit=1)
    if going:
        return dg.SkipReason(f"the run {going[0].run_id[:8]} of {job_name} is {going[0].status.value.lower()}")
    return dg.RunRequest()


def _build_step(upkeep: Upkeep, location: str) -> dg.OpDefinition:
    @dg.op(
        name=f"{upkeep.name}_{location}",
        out=dg.Out(dg.Nothing),
        retry_policy=dg.RetryPolicy(
            max_retries=MAX_RETRIES, delay=RETRY_SECONDS, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
        ),
    )
    def step(context: dg.OpExecutionContext) -> None:
        do_all(context, upkeep.units(location))

    return step


def do_all(context: dg.OpExecutionContext, units: Sequence[Unit]) -> None:
    """Do one unit after the other; the step is tried again if time alone may mend all that failed.

    Raises:
        Failure: with the error of every unit that failed.
    """
    failed: list[tuple[str, Exception]] = []
    for unit in units:
        try:
            context.log.info(f"{unit.label}: {unit.work(context)}")
        except Exception as error:  # noqa: BLE001 - also a mistake in the code stops its own unit only
            failed.append((unit.label, error))
            context.log.error(f"{unit.label}: {_told(error)}")
    if not failed:
        return
    lines = [f"{label}: {error}" for label, error in failed[:MAX_NAMED_FAILURES]]
    if len(failed) > MAX_NAMED_FAILURES:
        lines.append(f"and {len(failed) - MAX_NAMED_FAILURES} more")
    metadata: dict[str, Any] = {"failed": dg.MetadataValue.json([label for label, _ in failed])}
    is_transient = all(isinstance(error, TransientError) for _, error in failed)
    raise dg.Failure(
        description=f"{len(failed)} of {len(units)} failed:\n" + "\n".join(lines),
        metadata=metadata,
        allow_retries=is_transient,
    ) from failed[0][1]


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, PlatformError) else "".join(traceback.format_exception(error))
