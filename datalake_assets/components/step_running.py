"""Run one attempt of a step within a Dagster run: its log, its metadata, and what its failure means.

Imported by runs only.
"""

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from datalake_assets.errors import PlatformError, StepFailed, TransientError
from datalake_assets.names import UNPARTITIONED, partition_key
from datalake_assets.steps.model import Attempt, Dbt, Step
from datalake_assets.steps.run import run_step
from datalake_assets.triggers.calendars import Calendar

LOOK_SECONDS = 15.0  # at the run, whether it is still wanted


def run_attempt(
    context: dg.OpExecutionContext, location: str, pipeline: str, step: Step, calendar: Calendar, folder: Path
) -> None:
    """Run a step; returns when it has succeeded.

    Raises:
        Failure: it has not; Dagster tries it again if the step has retries left and another try may help.
    """
    partition = partition_key(context.partition_key) if context.has_partition_key else UNPARTITIONED
    attempt = Attempt(
        location=location,
        pipeline=pipeline,
        step=step,
        folder=folder,
        run_id=context.run_id,
        partition=partition,
        window=calendar.window(partition) if partition != UNPARTITIONED else None,
        number=context.retry_number + 1,
    )
    watch = _RunWatch(context)
    try:
        if isinstance(step.work, Dbt):
            from datalake_assets.components.step_dbt import build_selected

            metadata = build_selected(context, attempt, step.work, is_orphaned=watch.is_over)
        else:
            metadata = run_step(attempt, tell=context.log.info, is_orphaned=watch.is_over)
    except PlatformError as error:
        raise _failure(error) from error
    if metadata:
        context.add_output_metadata({name: _shown(value) for name, value in metadata.items()})


class _RunWatch:
    """Tells a step that nobody wants it any more.

    A run whose code server died, or whose worker was taken for dead, is started again while its old process may still
    live; and a process of a step may outlive the run's own, which would have ended it.
    """

    def __init__(self, context: dg.OpExecutionContext) -> None:
        self._instance = context.instance
        self._run_id = context.run_id
        is_own_process = context.job_def.executor_def.name != dg.in_process_executor.name
        self._parent = os.getppid() if is_own_process and multiprocessing.parent_process() else None
        self._look_at = time.monotonic() + LOOK_SECONDS

    def is_over(self) -> bool:
        if self._parent is not None and os.getppid() != self._parent:
            return True
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_SECONDS
        try:
            run = self._instance.get_run_by_id(self._run_id)
        except Exception:  # noqa: BLE001 - of whatever storage there is: a database that is away ends no step
            return False
        return run is None or run.status in FINISHED_STATUSES


def _failure(error: PlatformError) -> dg.Failure:
    # Of a program only its author knows whether another try helps; a missing file stays missing.
    return dg.Failure(
        description=str(error),
        metadata={"kind": type(error).__name__},
        allow_retries=isinstance(error, StepFailed | TransientError),
    )


def _shown(value: Any) -> Any:
    if value is None:
        return dg.MetadataValue.null()
    if isinstance(value, dict | list):
        return dg.MetadataValue.json(value)
    return value if isinstance(value, bool | int | float) else str(value)
