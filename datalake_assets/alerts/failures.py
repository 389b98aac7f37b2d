"""Which failed runs are worth an alert, and what to say about them.

A run that Dagster will retry is not: the last attempt is. The promise to retry may be broken, though (the location is
gone, the daemon is down), so that a run stays under watch until its successor exists.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import dagster as dg
from dagster._core.storage.dagster_run import RunsFilter
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTO_RETRY_RUN_ID_TAG,
    PARTITION_NAME_TAG,
    RETRY_NUMBER_TAG,
    WILL_RETRY_TAG,
)

from datalake_assets.alerts.cause import failed_step, root_cause
from datalake_assets.alerts.message import FailedRun, compose
from datalake_assets.alerts.outbox import Note
from datalake_assets.eventlog.tail import RUN_FAILED, RunChanged, read_news

OWNER_TAG = "datalake/owner"
REASON_TAG = "datalake/reason"

RUN_FAILED_KIND = "run_failed"
LOOK_BACK_SECONDS = 3600
# The tag that says whether a run will be retried is written just after the event.
TAG_SECONDS = 5.0
RETRY_SECONDS = 600.0
FAILURES_PER_TICK = 500

Verdict = Literal["alert", "wait", "retried"]


@dataclass(frozen=True)
class Reading:
    """Messages to record, and the cursor to keep once they are."""

    notes: Sequence[Note]
    cursor: str
    waiting: int = 0
    has_more: bool = False


@dataclass(frozen=True)
class _State:
    tail: str | None = None
    watched: Mapping[str, float] = field(default_factory=dict)


def judge(tags: Mapping[str, str], *, retries_enabled: bool, age_seconds: float) -> Verdict:
    """Decide about one failed run from its tags and the time since it failed."""
    if AUTO_RETRY_RUN_ID_TAG in tags:
        return "retried"
    will_retry = tags.get(WILL_RETRY_TAG)
    if will_retry == "false" or not retries_enabled:
        return "alert"
    if will_retry == "true":
        return "wait" if age_seconds < RETRY_SECONDS else "alert"
    return "wait" if age_seconds < TAG_SECONDS else "alert"


def read_failures(instance: dg.DagsterInstance, cursor: str | None, *, ui_url: str, now: float) -> Reading:
    """Return the messages for runs of all locations that failed for good since the cursor; change nothing."""
    state = _parse(cursor)
    news = read_news(instance, state.tail, RUN_FAILED, limit=FAILURES_PER_TICK, look_back_seconds=LOOK_BACK_SECONDS)
    failures = [event for event in news.events if isinstance(event, RunChanged)]
    failures += _again(instance, state.watched, {each.run_id for each in failures})
    notes, watched = [], {}
    for failure in failures:
        verdict = judge(failure.tags, retries_enabled=instance.run_retries_enabled, age_seconds=now - failure.at)
        if verdict == "alert":
            notes.append(_note(failure, ui_url))
        elif verdict == "wait":
            watched[failure.run_id] = failure.at
    after = json.dumps({"tail": news.cursor, "watched": watched}, separators=(",", ":"))
    return Reading(notes, after, waiting=len(watched), has_more=news.has_more)


def _again(instance: dg.DagsterInstance, watched: Mapping[str, float], known: set[str]) -> list[RunChanged]:
    """The failures under watch, with the tags that their runs have now."""
    ids = [run_id for run_id in watched if run_id not in known]
    if not ids:
        return []
    found = []
    for run in instance.get_runs(RunsFilter(run_ids=ids)):
        entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.PIPELINE_FAILURE)
        if not entries:
            continue
        origin = run.remote_job_origin
        found.append(
            RunChanged(
                0,
                watched[run.run_id],
                run.run_id,
                "FAILED",
                run.job_name,
                origin.location_name if origin else None,
                dict(run.tags),
                entries[-1],
            )
        )
    return found


def _note(failure: RunChanged, ui_url: str) -> Note:
    tags = failure.tags
    event = failure.entry.get_dagster_event()
    failed = FailedRun(
        run_id=failure.run_id,
        job=failure.job,
        location=failure.location or "unknown",
        status=failure.status,
        partition=_partition(tags),
        step=failed_step(event),
        cause=root_cause(event),
        owner=tags.get(OWNER_TAG),
        reason=tags.get(REASON_TAG),
        attempts=int(tags.get(RETRY_NUMBER_TAG, "0")) + 1,
        ui_url=ui_url,
    )
    return Note(RUN_FAILED_KIND, f"{RUN_FAILED_KIND}:{failure.run_id}", compose(failed), failure.location)


def _partition(tags: Mapping[str, str]) -> str | None:
    if PARTITION_NAME_TAG in tags:
        return tags[PARTITION_NAME_TAG]
    first, last = tags.get(ASSET_PARTITION_RANGE_START_TAG), tags.get(ASSET_PARTITION_RANGE_END_TAG)
    if first and first == last:
        return first
    return f"{first} to {last}" if first and last else None


def _parse(cursor: str | None) -> _State:
    if not cursor:
        return _State()
    read = json.loads(cursor)
    return _State(read["tail"], {run_id: float(at) for run_id, at in read["watched"].items()})
