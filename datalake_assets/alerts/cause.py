"""The one line that says why a run failed: the root exception, not what wrapped it."""

from collections.abc import Iterator

import dagster as dg
from dagster._core.events import JobFailureData
from dagster_shared.error import SerializableErrorInfo

from datalake_assets.errors import PlatformError


def failed_step(event: dg.DagsterEvent) -> str | None:
    """The first step that failed, if the run got as far as a step."""
    step = _first_step_failure(event)
    return step.step_key if step else None


def root_cause(event: dg.DagsterEvent) -> str:
    """Return the cause of a run's failure in one line.

    A step that says itself why it failed (`dagster.Failure`) is believed: its first line, and how many follow. An
    error of the platform says what was found and what to do, so it is preferred to whatever it was raised from;
    otherwise the innermost exception of the first failed step is the cause.
    """
    if told := _told_by_the_step(event):
        return told
    errors = [*_chain(_step_error(event)), *_chain(_run_error(event))]
    ours = {kind.__name__ for kind in _kinds(PlatformError)}
    for error in errors:
        if error.cls_name in ours:
            return _one_line(error.message)
    innermost = list(_chain(_step_error(event) or _run_error(event)))
    if innermost:
        return _one_line(innermost[-1].message)
    return _one_line(event.message or "The run failed without a message")


def _told_by_the_step(event: dg.DagsterEvent) -> str | None:
    step = _first_step_failure(event)
    failure = step.step_failure_data.user_failure_data if step else None
    lines = [line for line in (failure.description or "").splitlines() if line.strip()] if failure else []
    if not lines:
        return None
    return _one_line(lines[0]) + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")


def _chain(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    while error is not None:
        yield error
        error = error.cause


def _step_error(event: dg.DagsterEvent) -> SerializableErrorInfo | None:
    step = _first_step_failure(event)
    return step.step_failure_data.error if step else None


def _run_error(event: dg.DagsterEvent) -> SerializableErrorInfo | None:
    data = event.event_specific_data
    return data.error if isinstance(data, JobFailureData) else None


def _first_step_failure(event: dg.DagsterEvent) -> dg.DagsterEvent | None:
    data = event.event_specific_data
    return data.first_step_failure_event if isinstance(data, JobFailureData) else None


def _kinds(kind: type[PlatformError]) -> Iterator[type[PlatformError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)


def _one_line(text: str) -> str:
    """Drop line breaks and the module in front of an exception's name."""
    line = " ".join(text.split())
    name, colon, rest = line.partition(": ")
    return f"{name.rpartition('.')[2]}{colon}{rest}" if colon and " " not in name else line
