"""Where arrivals stand, table by table: what is there, what waits and for what, and what the queue still holds.

Nothing is counted object by object: the ledger keeps the sums of each partition.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.arrivals.dead_letters import DeadLetters
from datalake_assets.arrivals.decision import decide
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.requests import RunState, Waiting
from datalake_assets.arrivals.sources import ArrivalSource, prefixes_of

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Those that waited longest; the number of all is told beside them.
MAX_WAITING = 100


@dataclass(frozen=True)
class TableArrivals:
    """One table's raw objects and what of them is not published.

    Args:
        lag_seconds: the age of the oldest change that is not published, None when all is.
        waiting: dirty partitions and what each waits for, those that waited longest first, as many as were asked for;
            `reason` says so for partitions whose run the next tick requests.
        dead_letters: open ones whose key is below one of the table's prefixes.
        swept_at: when all its prefixes had been compared with the bucket, None before the first sweep.
    """

    source_id: str
    table: str
    partitions: int
    objects: int
    bytes: int
    dirty_partitions: int
    lag_seconds: float | None
    waiting: tuple[Waiting, ...]
    dead_letters: int
    last_arrival_at: dt.datetime | None
    last_published_at: dt.datetime | None
    swept_at: dt.datetime | None


@dataclass(frozen=True)
class Backlog:
    """What a queue holds, as SQS estimates it: to be received, received and not deleted, and not yet to be received."""

    visible: int
    in_flight: int
    delayed: int


@dataclass(frozen=True)
class ArrivalReport:
    """The arrivals of one location.

    Args:
        dead_letters: all open ones of the location, also those of no table.
        sweep_age_seconds: how long ago everything was compared with the bucket, None before the first sweep.
    """

    location: str
    read_at: dt.datetime
    tables: tuple[TableArrivals, ...]
    dead_letters: int
    sweep_age_seconds: float | None
    queue: Backlog | None


def arrival_report(
    location: str,
    sources: Sequence[ArrivalSource],
    sqs: "SQSClient | None" = None,
    queue_url: str | None = None,
    *,
    ledger: Ledger | None = None,
    run_states: Callable[[Sequence[str]], Mapping[str, RunState]] | None = None,
    most_waiting: int | None = MAX_WAITING,
) -> ArrivalReport:
    """Report on the sources of a location, in their order.

    Args:
        sqs, queue_url: the location's arrivals queue; without them the report has no backlog.
        run_states: what became of the runs with these keys, as `sensor.run_states` asks Dagster. Without it, a
            partition whose run was requested is said to wait for that run.
        most_waiting: how many waiting partitions of a table are told, None for all.

    Raises:
        Unavailable, Throttled, AccessDenied, ConfigurationError: the database or the queue.
    """
    ledger = ledger or Ledger()
    ids = [source.source_id for source in sources]
    summaries = {each.source_id: each for each in ledger.summary(ids)}
    dirty = ledger.partition_states(ids)
    read_at, swept = ledger.swept([(s.source_id, prefix) for s in sources for prefix in prefixes_of(s)])
    waiting = _waiting(ledger, sources, dirty, run_states, most_waiting)
    tables = []
    for source in sources:
        summary = summaries[source.source_id]
        own = [state for state in dirty if state.source_id == source.source_id]
        tables.append(
            TableArrivals(
                source_id=source.source_id,
                table=source.table,
                partitions=summary.partitions,
                objects=summary.objects,
                bytes=summary.bytes,
                dirty_partitions=len(own),
                lag_seconds=_age(read_at, min((state.unpublished_since for state in own), default=None)),
                waiting=waiting[source.source_id],
                dead_letters=summary.unexpected,
                last_arrival_at=summary.last_arrival_at,
                last_published_at=summary.last_published_at,
                swept_at=swept.get(source.source_id),
            )
        )
    return ArrivalReport(
        location=location,
        read_at=read_at,
        tables=tuple(tables),
        dead_letters=DeadLetters(ledger.database).count(location),
        sweep_age_seconds=_age(read_at, min(swept.values())) if len(swept) == len(ids) and swept else None,
        queue=backlog(sqs, queue_url) if sqs is not None and queue_url is not None else None,
    )


def backlog(sqs: "SQSClient", queue_url: str) -> Backlog:
    """Ask a queue how much it holds; the numbers are estimates.

    Raises:
        Unavailable, Throttled, AccessDenied, ConfigurationError: the queue.
    """
    with aws_errors(queue_url):
        found = sqs.get_queue_attributes(
            QueueUrl=queue_url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesDelayed",
            ],
        )["Attributes"]
    return Backlog(
        int(found["ApproximateNumberOfMessages"]),
        int(found["ApproximateNumberOfMessagesNotVisible"]),
        int(found["ApproximateNumberOfMessagesDelayed"]),
    )


def _waiting(
    ledger: Ledger,
    sources: Sequence[ArrivalSource],
    dirty: Sequence[PartitionState],
    run_states: Callable[[Sequence[str]], Mapping[str, RunState]] | None,
    most: int | None,
) -> dict[str, tuple[Waiting, ...]]:
    """What each dirty partition waits for, by the sensor's own decision."""
    rules = {source.source_id: source.rules for source in sources}
    if run_states is None:
        requested = {state.run_key: RunState.IN_FLIGHT for state in dirty if state.run_key and state.awaits_its_run}

        def run_states(_keys: Sequence[str]) -> Mapping[str, RunState]:
            return requested

    started_here = {source.source_id for source in sources if source.starts_runs}
    decision = decide(ledger, [each for each in dirty if each.source_id in started_here], rules, run_states)
    told = {(each.source_id, each.partition): each for each in decision.waiting}
    for request in decision.requests:
        for partition in request.partitions:
            told[request.source_id, partition] = Waiting(
                request.source_id, partition, f"the next tick: it runs for {request.reason}"
            )
    for state in dirty:
        if state.source_id not in started_here:
            told[state.source_id, state.partition] = Waiting(
                state.source_id, state.partition, "its trigger starts the run: datalake why tells when"
            )
    found: dict[str, list[Waiting]] = defaultdict(list)
    for state in sorted(dirty, key=lambda state: (state.unpublished_since, state.partition)):
        each = told.get((state.source_id, state.partition))
        if each is not None:
            found[state.source_id].append(each)
    return defaultdict(tuple, {source_id: tuple(waiting[:most]) for source_id, waiting in found.items()})


def _age(now: dt.datetime, since: dt.datetime | None) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds())
