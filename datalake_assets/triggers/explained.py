"""Words for people: what was decided and why, and what a trigger waits for in general."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.model import (
    STATUSES,
    AllOf,
    AnyOf,
    Arrived,
    Condition,
    Decision,
    Due,
    Execution,
    ParentState,
    PipelineTrigger,
    Span,
    Start,
    Status,
    Wait,
)

MAX_NAMED_PARTITIONS = 3
_VERBS: dict[Status, str] = {
    "SUCCESS": "succeeded",
    "FAILED": "failed",
    "TIMED_OUT": "timed out",
    "ABORTED": "was aborted",
    "RUNNING": "has started",
}


def told(trigger: PipelineTrigger, partition: str, decision: Decision) -> str:
    """One sentence about a decision: `rent_journey/pipeline_x 2026-11-20 waits for search/searches 2026-11-20`."""
    subject = named(trigger.pipeline.name, partition)
    if isinstance(decision, Start):
        return f"{subject} starts: {decision.reason}"
    if isinstance(decision, Wait):
        return f"{subject} waits for {both(missing.what for missing in decision.missing)}"
    return f"{subject} is left alone: {decision.reason}"


def rule_in_words(trigger: PipelineTrigger) -> str:
    """When the pipeline runs: `when core_data/listings succeeded, not before 06:00 UTC`."""
    text = _condition_in_words(trigger.condition)
    if trigger.not_before:
        text += f", not before {trigger.not_before}"
    if trigger.at_latest:
        text += f", at the latest at {trigger.at_latest} with what is there"
    if trigger.reruns_on_update:
        text += "; again when a parent has newer data"
    return text


def named(pipeline: str, *partitions: str) -> str:
    """`core_data/listings 2026-11-20`; of many partitions the first three."""
    keys = [key for key in partitions if key != UNPARTITIONED]
    return f"{pipeline} {_some(keys)}" if keys else pipeline


def both(texts: Iterable[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = list(texts) or ["nothing"]
    return f"{', '.join(first)} {word} {last}" if first else last


def at(moment: datetime, time_zone: str) -> str:
    """`2026-11-21 03:00 Europe/Berlin`."""
    return f"{moment.astimezone(ZoneInfo(time_zone)):%Y-%m-%d %H:%M} {time_zone}"


def held(execution: Execution, partitions: Sequence[str], states: Sequence[ParentState]) -> str:
    """What is true of a parent: `core_data/listings 2026-11-20 succeeded`."""
    found = {_which(state, execution.statuses) for state in states}
    verbs = [_VERBS[status] for status in STATUSES if status in found]
    if len(partitions) > 1:
        subject = f"{execution.parent} {partitions[0]} to {partitions[-1]}"
    else:
        subject = named(execution.parent, *partitions)
    return f"{subject} {both(verbs, 'or')}"


def lacking(execution: Execution, partitions: Sequence[str], states: Sequence[ParentState]) -> str:
    """What is waited for: `search/searches 2026-11-20 (FAILED at its last run)`."""
    subject = named(execution.parent, *partitions)
    if execution.statuses != {"SUCCESS"}:
        subject += f" to be {both([status for status in STATUSES if status in execution.statuses], 'or')}"
    notes = {_note(state, execution.statuses) for state in states}
    note = notes.pop() if len(notes) == 1 else ""
    return f"{subject} ({note})" if note else subject


def _which(state: ParentState, statuses: frozenset[Status]) -> Status:
    """The status to tell of several that are true: data first, then how the last run ended."""
    if "SUCCESS" in statuses and state.data_id:
        return "SUCCESS"
    return state.outcome if state.outcome in statuses and state.outcome is not None else "RUNNING"


def _note(state: ParentState, statuses: frozenset[Status]) -> str:
    if state.outcome is not None and state.outcome != "SUCCESS":
        return f"{state.outcome} at its last run"
    if state.data_id and "SUCCESS" not in statuses:
        return "it succeeded"
    return "it is running" if state.started and state.outcome is None and not state.data_id else ""


def _some(keys: Sequence[str]) -> str:
    if len(keys) <= MAX_NAMED_PARTITIONS:
        return both(keys)
    return f"{', '.join(keys[:MAX_NAMED_PARTITIONS])} and {len(keys) - MAX_NAMED_PARTITIONS} more"


def _condition_in_words(condition: Condition) -> str:
    if isinstance(condition, Due):
        return f"at {condition.schedule}"
    if isinstance(condition, Arrived):
        return "when its files are there"
    if isinstance(condition, Execution):
        return f"when {_execution_in_words(condition)}"
    terms = [
        f"({_condition_in_words(term)})" if isinstance(term, AllOf | AnyOf) else _condition_in_words(term)
        for term in condition.terms
    ]
    return both(terms, "and" if isinstance(condition, AllOf) else "or")


def _execution_in_words(execution: Execution) -> str:
    verbs = both([_VERBS[status] for status in STATUSES if status in execution.statuses], "or")
    return f"{execution.parent}{_span_in_words(execution.span)} {verbs}"


def _span_in_words(span: Span) -> str:
    moved = f", {span.offset:+} partitions" if span.offset else ""
    return f" (last {span.last}{moved})" if span.last > 1 else f" ({moved[2:]})" if moved else ""
