"""The arrival sensor of a location: from news in the queue to requested runs.

A tick drains the account's queue into the ledger, tells Dagster which raw partitions changed (one materialization each,
never one for a file), and requests the runs that `requests.runs_to_request` decides on. Its cursor is the number of the
last ledger change that was told. An idle tick costs one SQS call and one query.

Runs are requested in two steps: the ledger remembers the request, then the tick returns it. A tick that dies in between
is repeated under the same run keys, and Dagster starts one run per key.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg

from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.queue import DrainResult, drain
from datalake_assets.arrivals.requests import (
    Decision,
    PartitionsRun,
    PartitionState,
    RunState,
    SourceRules,
    runs_to_request,
)
from datalake_assets.arrivals.sources import ArrivalSource, Matcher
from datalake_assets.errors import ConfigurationError
from datalake_assets.names import UNPARTITIONED

if TYPE_CHECKING:
    from datalake_assets.accounts.registry import Account

# Both daemon loops look every 5 s: any interval up to that means every loop, and 5 itself often means every second one.
MINIMUM_INTERVAL_SECONDS = 1
DRAIN_SECONDS = 10.0  # of the 20 that a tick may take
MAX_ANNOUNCED = 200  # materializations a tick; the cursor carries the rest to the next one
MAX_TOLD_WAITING = 10
RUN_KEYS_PER_QUERY = 100

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
RUN_KEY_TAG = "dagster/run_key"
_WILL_RETRY_TAG = "dagster/will_retry"


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
    rules = {
        s.source_id: SourceRules(s.settle_seconds, s.partitions, s.max_partitions_per_run) for s in sources
    }
    matcher = Matcher(sources)

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from datalake_assets.accounts.sessions import session

        aws = session(location)
        account = aws.account
        ledger = Ledger()
        sqs = aws.client("sqs")
        drained = drain(
            sqs,
            _queue_url(location),
            matcher,
            ledger,
            location=location,
            bucket=account.raw_bucket,
            deadline_seconds=DRAIN_SECONDS,
        )
        told = _told(context.cursor)
        states = ledger.work(list(by_id), told)
        news = sorted((s for s in states if s.changed_seq > told), key=lambda s: s.changed_seq)[:MAX_ANNOUNCED]
        dirty = [state for state in states if state.is_dirty]
        decision = Decision((), ())
        if dirty:
            runs = run_states(context.instance, [state.run_key for state in dirty if state.run_key])
            decision = runs_to_request(dirty, runs, max(state.read_at for state in dirty), rules)
            ledger.mark_requested(decision.requests)
        for request in decision.requests:
            context.log.info(f"{request.run_key}: {request.reason}")
        return dg.SensorResult(
            run_requests=[_run_request(by_id[request.source_id], request) for request in decision.requests],
            skip_reason=None if decision.requests else _summary(drained, decision),
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


def run_states(instance: dg.DagsterInstance, run_keys: Sequence[str]) -> Mapping[str, RunState]:
    """What became of the runs with these keys; keys that never became a run are left out.

    A re-execution carries the key of its first run, so the newest run of a key counts, and any that is not over.
    """
    found: dict[str, RunState] = {}
    keys = sorted(set(run_keys))
    for at in range(0, len(keys), RUN_KEYS_PER_QUERY):
        # Newest first, so that the first state of a key is that of its newest run.
        runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: keys[at : at + RUN_KEYS_PER_QUERY]}))
        for run in runs:
            key, state = run.tags[RUN_KEY_TAG], _run_state(run)
            if key not in found or state is RunState.IN_FLIGHT:
                found[key] = state
    return found


def _run_state(run: dg.DagsterRun) -> RunState:
    if run.status is dg.DagsterRunStatus.SUCCESS:
        return RunState.SUCCEEDED
    if run.status is dg.DagsterRunStatus.CANCELED:
        return RunState.CANCELED
    if run.status is dg.DagsterRunStatus.FAILURE:
        return RunState.IN_FLIGHT if run.tags.get(_WILL_RETRY_TAG) == "true" else RunState.FAILED
    return RunState.IN_FLIGHT


def _run_request(source: ArrivalSource, request: PartitionsRun) -> dg.RunRequest:
    tags = {
        "datalake/reason": request.reason,
        "datalake/objects": str(sum(state.objects for state in request.states)),
        "datalake/source": request.source_id,
        "datalake/attempt": str(request.attempt),
    }
    if source.is_partitioned:
        # Always a range, also of one: an asset with BackfillPolicy.single_run() gets its keys from these tags.
        tags[RANGE_START_TAG], tags[RANGE_END_TAG] = request.partitions[0], request.partitions[-1]
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
    told.extend(
        f"{waiting.source_id} {waiting.partition}".rstrip() + f" waits: {waiting.reason}"
        for waiting in decision.waiting[:MAX_TOLD_WAITING]
    )
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
        return aws.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
