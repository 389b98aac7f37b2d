"""The arrival sensor of a location: from news in the queue to requested runs.

A tick drains the account's queue into the ledger, tells Dagster which raw partitions changed (one materialization each,
never one for a file), and requests the runs that `requests.runs_to_request` decides on. Its cursor is the number of the
last ledger change that was told. An idle tick costs one SQS call and one query.

Runs are requested in two steps: the ledger remembers the request, then the tick returns it. A tick that dies in between
is repeated under the same run keys, and Dagster starts one run per key. Of two sensors at once, the ledger lets one
request a partition; the other one decides anew at its next tick.
"""

import datetime as dt
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg

from datalake_assets.arrivals.deadline import within
from datalake_assets.arrivals.decision import decide
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.notices import Notices
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.queue import STATEMENT_SECONDS, DrainResult, drain
from datalake_assets.arrivals.requests import Decision, PartitionsRun, RunState
from datalake_assets.arrivals.run_tags import partition_tags
from datalake_assets.arrivals.sources import ArrivalSource, Matcher
from datalake_assets.errors import ConfigurationError, TransientError
from datalake_assets.failpoints import failpoint
from datalake_assets.names import UNPARTITIONED

if TYPE_CHECKING:
    from datalake_assets.accounts.registry import Account

# Both daemon loops look every 5 s: any interval up to that means every loop, and 5 itself often means every second one.
MINIMUM_INTERVAL_SECONDS = 1
TICK_SECONDS = 20.0  # Dagster ends a tick after 60
DRAIN_SECONDS = 7.0  # and `queue.GRACE_SECONDS` where something hangs
REQUEST_SECONDS = 4.0  # kept for writing down what is decided
# Materializations that the daemon writes for the tick; the cursor carries the rest to the next one.
ANNOUNCED_PER_SECOND = 50
MIN_ANNOUNCED = 50
MAX_TOLD_WAITING = 10
RUN_KEYS_PER_QUERY = 100

RUN_KEY_TAG = "dagster/run_key"
_WILL_RETRY_TAG = "dagster/will_retry"
RETRY_COMES_SECONDS = 300.0


def build_arrival_sensor(
    location: str,
    sources: Sequence[ArrivalSource],
    *,
    jobs: Sequence[Any] = (),
    minimum_interval_seconds: int = MINIMUM_INTERVAL_SECONDS,
) -> dg.SensorDefinition:
    """Build the one arrival sensor of a location, running by default.

    Args:
        sources: all sources of the account's raw bucket; a key of none of them becomes a dead letter.
        jobs: the jobs that the sources' targets name. Sources either all name a job, or none does.

    Raises:
        ConfigurationError: a target has no job, or two sources have the same id.
    """
    by_id = {source.source_id: source for source in sources}
    if len(by_id) != len(sources):
        raise ConfigurationError("two sources have the same id", where=f"location {location}")
    wanted = {source.target for source in sources}
    targets: dict[str, Any]
    if wanted == {None}:
        keys = [dg.AssetKey(list(source.lake_asset_key)) for source in sources]
        targets = {"asset_selection": dg.AssetSelection.assets(*keys)}
    else:
        named = {job.name: job for job in jobs}
        if missing := sorted(str(name) for name in wanted if name not in named):
            raise ConfigurationError(
                f"the arrival sensor has no job {', '.join(missing)}",
                where=f"location {location}",
                expected=f"one of {', '.join(sorted(named)) or 'none given'}",
            )
        targets = {"jobs": [named[name] for name in sorted(name for name in wanted if name is not None)]}
    rules = {source.source_id: source.rules for source in sources}
    matcher = Matcher(sources)

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from datalake_assets.accounts.sessions import session

        ends = _Timer(TICK_SECONDS)
        aws = session(location)
        account = aws.account
        ledger = Ledger(statement_seconds=STATEMENT_SECONDS)
        drained: DrainResult | TransientError
        try:
            drained = drain(
                aws.client("sqs", quick=True),
                _queue_url(location),
                matcher,
                ledger,
                location=location,
                bucket=account.raw_bucket,
                deadline_seconds=DRAIN_SECONDS,
            )
        except TransientError as error:
            # What the ledger knows already can run all the same.
            drained = error
        told = _told(context.cursor)
        instance = context.instance

        def look() -> tuple[list[PartitionState], Decision, list[PartitionsRun]]:
            states = ledger.work(list(by_id), told)
            dirty = [state for state in states if state.is_dirty and by_id[state.source_id].starts_runs]
            decision = decide(
                ledger,
                dirty,
                rules,
                lambda keys: run_states(instance, keys, lambda: ends.seconds_left() < REQUEST_SECONDS),
            )
            failpoint("sensor.decided")
            Notices(ledger.database).record(decision.notices)
            requests = ledger.mark_requested(decision.requests)
            failpoint("sensor.requested")
            return states, decision, requests

        # Whoever is late with it has requested what Dagster never hears of: it is requested again after a minute.
        states, decision, requests = within(
            max(ends.seconds_left(), REQUEST_SECONDS), look, what=f"decision on runs of {location}"
        )
        if isinstance(drained, TransientError):
            if not requests:
                raise drained
            context.log.warning(str(drained))
        room = max(MIN_ANNOUNCED, int(ends.seconds_left() * ANNOUNCED_PER_SECOND))
        news = sorted((s for s in states if s.changed_seq > told), key=lambda s: s.changed_seq)[:room]
        for request in requests:
            context.log.info(f"{request.run_key}: {request.reason}")
        return dg.SensorResult(
            run_requests=[_run_request(by_id[request.source_id], request) for request in requests],
            skip_reason=None if isinstance(drained, TransientError) or requests else _summary(drained, decision),
            asset_events=[_materialization(by_id[state.source_id], state, account) for state in news],
            cursor=str(news[-1].changed_seq if news else told),
        )

    return dg.SensorDefinition(
        name=f"{location}_arrivals",
        evaluation_fn=tick,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts runs for raw objects that arrive in the {location} account.",
        **targets,
    )


class _Timer:
    """Tells how much is left of so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def seconds_left(self) -> float:
        return max(0.0, self._end - time.monotonic())


def run_states(
    instance: dg.DagsterInstance, run_keys: Sequence[str], out_of_time: Callable[[], bool] = lambda: False
) -> Mapping[str, RunState]:
    """What became of the runs with these keys; keys that never became a run are left out.

    A re-execution carries the key of its first run, so the newest run of a key counts, and any that is not over. Keys
    that there is no time for are `UNKNOWN`.
    """
    found: dict[str, RunState] = {}
    keys = sorted(set(run_keys))
    random.shuffle(keys)  # so that it is never always the same ones that there is no time for
    for at in range(0, len(keys), RUN_KEYS_PER_QUERY):
        asked = keys[at : at + RUN_KEYS_PER_QUERY]
        if out_of_time():
            found |= dict.fromkeys(asked, RunState.UNKNOWN)
            continue
        # Newest first, so that the first state of a key is that of its newest run.
        for record in instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: asked})):
            run = record.dagster_run
            key, state = run.tags[RUN_KEY_TAG], _run_state(record)
            # An older run that failed keeps its promise of a retry for ever: the newer run is that retry.
            if state is not None and (key not in found or (state is RunState.IN_FLIGHT and not run.is_finished)):
                found[key] = state
    return found


def _run_state(record: dg.RunRecord) -> RunState | None:
    run = record.dagster_run
    if run.status is dg.DagsterRunStatus.NOT_STARTED:
        # Written, but never handed to the run queue: the daemon does that when its key is requested again.
        return None
    if run.status is dg.DagsterRunStatus.SUCCESS:
        return RunState.SUCCEEDED
    if run.status is dg.DagsterRunStatus.CANCELED:
        return RunState.CANCELED
    if run.status is dg.DagsterRunStatus.FAILURE:
        if run.tags.get(_WILL_RETRY_TAG) != "true":
            return RunState.FAILED
        # Dagster asks once for the retry: if the code server does not answer then, no retry ever comes.
        since = dt.datetime.now(dt.UTC) - _utc(record.update_timestamp)
        return RunState.IN_FLIGHT if since < dt.timedelta(seconds=RETRY_COMES_SECONDS) else RunState.FAILED
    return RunState.IN_FLIGHT


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _run_request(source: ArrivalSource, request: PartitionsRun) -> dg.RunRequest:
    tags = {
        "datalake/reason": request.reason,
        "datalake/objects": str(sum(state.objects for state in request.states)),
        "datalake/source": request.source_id,
        "datalake/attempt": str(request.attempt),
    }
    if source.is_partitioned:
        tags |= partition_tags(request.partitions, source.partitions)
    return dg.RunRequest(
        run_key=request.run_key,
        job_name=source.target,
        asset_selection=None if source.target else [dg.AssetKey(list(source.lake_asset_key))],
        tags=tags,
    )


def _materialization(source: ArrivalSource, state: PartitionState, account: "Account") -> dg.AssetMaterialization:
    partition = None if state.partition == UNPARTITIONED else state.partition
    return dg.AssetMaterialization(
        asset_key=dg.AssetKey(list(source.asset_key)),
        partition=partition,
        description=f"{state.objects} objects",
        metadata={
            "objects": dg.MetadataValue.int(state.objects),
            "bytes": dg.MetadataValue.int(state.bytes),
            "newest_arrival": dg.MetadataValue.timestamp(state.newest_event_at),
            "dagster/uri": f"s3://{account.raw_bucket}/{source.patterns[0].prefix(partition)}",
        },
    )


def _summary(drained: DrainResult, decision: Decision) -> str:
    """The tick's line in the UI."""
    told = [f"{drained.messages} messages"] if drained.messages else ["nothing arrived"]
    if drained.new_dead_letters:
        told.append(f"{drained.new_dead_letters} new dead letters")
    told.extend(str(waiting) for waiting in decision.waiting[:MAX_TOLD_WAITING])
    if len(decision.waiting) > MAX_TOLD_WAITING:
        told.append(f"and {len(decision.waiting) - MAX_TOLD_WAITING} more wait")
    return "; ".join(told)


def _told(cursor: str | None) -> int:
    """The number of the last change that Dagster knows; a new sensor tells everything that is in the ledger."""
    return int(cursor) if cursor and cursor.isdecimal() else 0


@cache
def _queue_url(location: str) -> str:
    from datalake_assets.accounts.aws_errors import aws_errors
    from datalake_assets.accounts.sessions import session

    aws = session(location)
    name = aws.account.arrivals_queue
    with aws_errors(f"queue {name} of account {location}"):
        return aws.client("sqs", quick=True).get_queue_url(QueueName=name)["QueueUrl"]
