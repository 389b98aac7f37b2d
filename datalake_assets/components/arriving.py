"""Where the arrivals of declared pipelines stand, by the rules that the sensor itself decides by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from datalake_assets.components.pipelines import DeclaredPipeline
from datalake_assets.names import UNPARTITIONED

if TYPE_CHECKING:
    from datalake_assets.arrivals.dead_letters import DeadLetter
    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.order import Arrival
    from datalake_assets.arrivals.partition_state import PartitionState
    from datalake_assets.arrivals.report import ArrivalReport
    from datalake_assets.arrivals.requests import RunState

    RunStates = Callable[[Sequence[str]], Mapping[str, RunState]]

MAX_OBJECTS = 1_000


def report_arrivals(declared: Sequence[DeclaredPipeline], run_states: "RunStates | None") -> "list[ArrivalReport]":
    """One report for each location, of these pipelines.

    Args:
        run_states: what became of the runs with these keys; without it, what was requested is said to be on its way.

    Raises:
        Unavailable, AccessDenied, ConfigurationError: the database or a queue.
    """
    from datalake_assets.accounts.aws_errors import aws_errors
    from datalake_assets.accounts.sessions import session
    from datalake_assets.arrivals.report import arrival_report

    reports = []
    for location, pipelines in groupby(sorted(declared, key=lambda each: each.name), key=lambda each: each.location):
        aws = session(location)
        sqs, name = aws.client("sqs"), aws.account.arrivals_queue
        with aws_errors(f"queue {name} of account {location}"):
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        reports.append(arrival_report(location, [each.source for each in pipelines], sqs, url, run_states=run_states))
    return reports


def dead_letters(*, with_closed: bool, limit: int) -> "list[DeadLetter]":
    """The newest dead letters of all locations, newest first; only open ones unless `with_closed`."""
    from datalake_assets.arrivals.dead_letters import DeadLetters

    table = DeadLetters()
    return table.newest(limit=limit) if with_closed else table.unresolved(limit=limit)


@dataclass(frozen=True)
class Explained:
    """All that the ledger knows of one partition, and what the sensor decides about it.

    Args:
        state: None if nothing of the partition ever arrived.
        objects: the first `MAX_OBJECTS` that are there, markers too, in key order.
        decision: in words.
    """

    state: "PartitionState | None"
    objects: "tuple[Arrival, ...]"
    decision: str


def explain(declared: DeclaredPipeline, partition: str, run_states: "RunStates | None") -> Explained:
    """Explain one partition; raises as `report_arrivals`."""
    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.report import arrival_report

    source, ledger = declared.source, Ledger()
    states = ledger.partition_states([source.source_id], only_dirty=False)
    state = next((each for each in states if each.partition == partition), None)
    if state is None:
        return Explained(None, (), "nothing of it has arrived")
    objects = tuple(_objects(declared, partition, ledger))
    if not state.is_dirty:
        if state.is_published:
            return Explained(state, objects, "its last change is published, there is nothing to do")
        return Explained(state, objects, "no data of it has arrived, there is nothing to do")
    (table,) = arrival_report(declared.location, [source], run_states=run_states, most_waiting=None).tables
    told = next((each for each in table.waiting if each.partition == partition), None)
    if told is None:
        return Explained(state, objects, "it was published just now")
    until = f", until {told.until:%Y-%m-%d %H:%M:%S} UTC" if told.until else ""
    return Explained(state, objects, f"waits: {told.reason}{until}")


def is_unprocessed(declared: DeclaredPipeline, partition: str) -> bool:
    """Whether a partition has changed files that are not published yet; raises as `report_arrivals`."""
    from datalake_assets.arrivals.ledger import Ledger

    return any(each.partition == partition for each in Ledger().partition_states([declared.source.source_id]))


def _objects(declared: DeclaredPipeline, partition: str, ledger: "Ledger") -> "list[Arrival]":
    from datalake_assets.arrivals.sources import fewest_prefixes

    source = declared.source
    patterns = [*source.patterns, *([source.marker] if source.marker else [])]
    within = None if partition == UNPARTITIONED else partition
    found: list[Arrival] = []
    for prefix in fewest_prefixes(pattern.prefix(within) for pattern in patterns):
        for batch in ledger.live_objects(declared.pipeline.account.raw_bucket, prefix):
            found += [each for each in batch if (each.source_id, each.partition) == (source.source_id, partition)]
            if len(found) >= MAX_OBJECTS:
                return found[:MAX_OBJECTS]
    return found
