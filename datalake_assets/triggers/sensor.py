"""The sensor of a trigger: read the tail, gather the facts, decide, request."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES, RunsFilter

from datalake_assets.errors import ConfigurationError
from datalake_assets.eventlog.tail import MATERIALIZED, Materialized, read_news
from datalake_assets.names import identifier
from datalake_assets.triggers.decision import (
    Change,
    Decision,
    Facts,
    Outcome,
    Request,
    Seen,
    Target,
    Timing,
    Waiting,
    absorb,
    decide,
    sources_of,
)

REASON_TAG = "datalake/reason"
PARENTS_TAG = "datalake/parents"
TRIGGER_TAG = "datalake/trigger"
TRIGGER_KEY_TAG = "datalake/trigger_key"

MAX_TAG_CHARACTERS = 500
MAX_RUNS_LOOKED_AT = 500
NEWS_PER_TICK = 5_000

UnresolvedJob = Any  # Dagster keeps the type of `define_asset_job` to itself


def build_trigger_sensor(
    location: str,
    *,
    job: UnresolvedJob,
    targets: Collection[Target],
    timing: Timing | None = None,
) -> dg.SensorDefinition:
    """Return the sensor that runs `job` for the targets whose sources have new materializations.

    Each request carries why it was made in its tags and in the tick's message. A failed run is not repeated by the
    sensor; its sources are covered again by the run that the next news starts, or by a re-execution by hand.

    Args:
        location: the location of the targets; names the sensor.
        job: an asset job that can build every target.
        targets: what is built from what.
        timing: how long to wait for more news.

    Raises:
        ConfigurationError: no target has a source outside.
    """
    name = f"{identifier(location, what='location')}_trigger"
    if not sources_of(targets):
        raise ConfigurationError("a trigger without sources would never start a run", where=f"location {location}")
    waits = timing or Timing()

    # One second: the daemon's loop takes five, and an interval of five would miss every second turn.
    @dg.sensor(
        name=name,
        job=job,
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Build what depends on newly materialized sources.",
    )
    def trigger(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        decision, cursor = evaluate(context.instance, context.cursor, name, targets, waits)
        context.update_cursor(cursor)
        if decision.request is None:
            return dg.SkipReason(decision.message)
        context.log.info(decision.message)
        return dg.SensorResult(run_requests=[_run_request(name, decision.request)])

    return trigger


def evaluate(
    instance: dg.DagsterInstance,
    cursor: str | None,
    name: str,
    targets: Collection[Target],
    timing: Timing,
    *,
    now: float | None = None,
) -> tuple[Decision, str]:
    """Read the news, decide, and return the decision with the next cursor; change nothing."""
    import time

    tail, before = _parse(cursor)
    news = read_news(instance, tail, MATERIALIZED, limit=NEWS_PER_TICK)
    seen = [
        Seen(event.asset_key.to_user_string(), event.storage_id, event.at)
        for event in news.events
        if isinstance(event, Materialized)
    ]
    waiting = absorb(before, seen, targets)
    moment = time.time() if now is None else now
    if news.has_more:
        decision = Decision(None, waiting, "More news are waiting to be read")
    elif waiting.pending or waiting.requested_key:
        decision = decide(name, targets, waiting, _facts(instance, name, targets, waiting, moment), timing)
    else:
        decision = Decision(None, waiting, "No source has news")
    return decision, json.dumps({"tail": news.cursor, "waiting": asdict(decision.waiting)}, separators=(",", ":"))


def _facts(instance: dg.DagsterInstance, name: str, targets: Collection[Target], waiting: Waiting, now: float) -> Facts:
    active = instance.get_runs(RunsFilter(statuses=IN_PROGRESS_RUN_STATUSES), limit=MAX_RUNS_LOOKED_AT)
    sources = sources_of(targets)
    entries = [
        record.asset_entry
        for record in instance.get_asset_records([dg.AssetKey.from_user_string(key) for key in sorted(sources)])
    ]
    active_ids = {run.run_id for run in active}
    loading = {entry.asset_key.to_user_string() for entry in entries if entry.last_run_id in active_ids}
    loading.update(key.to_user_string() for run in active for key in run.asset_selection or ())
    return Facts(
        now=now,
        exists={entry.asset_key.to_user_string() for entry in entries if entry.last_materialization is not None},
        loading=loading & sources,
        in_flight=any(run.tags.get(TRIGGER_TAG) == name for run in active),
        outcome=_outcome(instance, waiting.requested_key),
    )


def _outcome(instance: dg.DagsterInstance, requested_key: str) -> Outcome:
    """What became of a request; a re-execution by hand carries the tag of the run it repeats."""
    if not requested_key:
        return "unknown"
    runs = instance.get_runs(RunsFilter(tags={TRIGGER_KEY_TAG: requested_key}), limit=20)
    if not runs:
        return "unknown"
    if any(run.is_success for run in runs):
        return "succeeded"
    return "failed" if all(run.is_finished for run in runs) else "running"


def _run_request(name: str, request: Request) -> dg.RunRequest:
    parents = ",".join(f"{key}@{change.storage_id}" for key, change in sorted(request.parents.items()))
    return dg.RunRequest(
        run_key=request.run_key,
        asset_selection=[dg.AssetKey.from_user_string(key) for key in request.selection],
        tags={
            TRIGGER_TAG: name,
            TRIGGER_KEY_TAG: request.run_key,
            REASON_TAG: request.reason[:MAX_TAG_CHARACTERS],
            PARENTS_TAG: parents[:MAX_TAG_CHARACTERS],
        },
    )


def _parse(cursor: str | None) -> tuple[str | None, Waiting]:
    if not cursor:
        return None, Waiting()
    read = json.loads(cursor)
    state = read["waiting"]
    changes = {name: _changes(state[name]) for name in ("pending", "owed", "requested")}
    return read["tail"], Waiting(**{**state, **changes})


def _changes(read: Mapping[str, Mapping[str, int]]) -> dict[str, Change]:
    return {key: Change(**change) for key, change in read.items()}
