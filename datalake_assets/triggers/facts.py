"""All that decisions need to know, for many partitions at once, from Dagster's own storage.

Nothing is remembered beside it: what was materialized, and which runs were made, is what there is. The number of
queries does not grow with the number of partitions asked for: one for materializations, and where runs matter one for
those planned, one for their records and one for their ends.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import dagster as dg

from datalake_assets.eventlog.headlines import asset_text
from datalake_assets.eventlog.lookups import (
    Ended,
    Place,
    Planned,
    makers,
    newest_materializations,
    planned_runs,
    run_ends,
)
from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.candidates import needed
from datalake_assets.triggers.conditions import input_name
from datalake_assets.triggers.model import (
    AllOf,
    AnyOf,
    Condition,
    Execution,
    Facts,
    FilesState,
    Parent,
    ParentState,
    PipelineTrigger,
    Status,
    TriggeredRun,
)
from datalake_assets.triggers.tags import WILL_RETRY_TAG, covers, inputs_of, number_of

if TYPE_CHECKING:
    import datetime as dt

Outcome = Literal["SUCCESS", "FAILED", "TIMED_OUT", "ABORTED"]
Asked = tuple[PipelineTrigger, str, FilesState | None]

# Dagster asks once for a retry that it has announced: if the code server does not answer then, none ever comes.
RETRY_COMES_SECONDS = 300.0
PARENT_RUNS = 10  # the newest of a parent's partition that are looked at
OWN_RUNS = 50


@dataclass(frozen=True)
class Gathered:
    """The facts of one decision, and in how many seconds they change by themselves (None: never)."""

    facts: Facts
    stale_in: float | None = None


@dataclass(frozen=True)
class _Run:
    """A run that touches a place."""

    planned_id: int
    run_id: str
    tags: Mapping[str, str]
    outcome: Outcome | None  # None while it waits or works, or is about to be retried
    ended_id: int
    is_started: bool
    is_made_only: bool  # written, but never handed to the queue
    stale_in: float | None


def gather(instance: dg.DagsterInstance, asked: Sequence[Asked], now: float) -> list[Gathered]:
    """The facts for each partition that is asked for, in order.

    Args:
        asked: triggers with a partition and what is known of its files.
        now: seconds of the epoch by the triggers' clock.
    """
    needs = [needed(trigger, partition) for trigger, partition, _ in asked]
    places = {_place(trigger.pipeline.asset, partition) for trigger, partition, _ in asked}
    for (trigger, _, _), pairs in zip(asked, needs, strict=True):
        places |= {_place(trigger.parents[parent].asset, partition) for parent, partition in pairs}
    data = newest_materializations(instance, places)

    parents: dict[tuple[str, str], Parent] = {}
    for (trigger, _, _), pairs in zip(asked, needs, strict=True):
        matters = {each.parent for each in executions(trigger.condition) if each.statuses != {"SUCCESS"}}
        for name, partition in pairs:
            parent = trigger.parents[name]
            # A parent that is there says all by that; of one that is not, people are told what became of its run.
            if name in matters or _place(parent.asset, partition) not in data:
                parents[name, partition] = parent
    runs = _Runs(
        instance,
        parents={(parent.assets or (parent.asset,), partition) for (_, partition), parent in parents.items()},
        own={(_own_assets(trigger), partition) for trigger, partition, _ in asked},
    )
    outcomes = _parent_states(instance, parents, data, runs)

    found = []
    for (trigger, partition, files), pairs in zip(asked, needs, strict=True):
        states = {
            pair: outcomes.get(pair) or ParentState(data.get(_place(trigger.parents[pair[0]].asset, pair[1]), 0))
            for pair in pairs
        }
        own = runs.of(_own_assets(trigger), partition)
        # One that the trigger asked for and nobody queued is asked for again, under the same key.
        own = [run for run in own if not (run.is_made_only and number_of(run.tags))]
        facts = Facts(
            now=now,
            parents={pair: state for pair, state in states.items() if state != ParentState()},
            files=files,
            runs=tuple(_triggered(own, states)),
            own_data_id=data.get(_place(trigger.pipeline.asset, partition), 0),
        )
        waits = [run.stale_in for run in own[:1] if run.stale_in is not None]
        waits += [seconds for pair in pairs if (seconds := runs.stale_in.get(pair)) is not None]
        found.append(Gathered(facts, min(waits, default=None)))
    return found


def _triggered(runs: Sequence[_Run], states: Mapping[tuple[str, str], ParentState]) -> Iterable[TriggeredRun]:
    """The child's runs, the newest first, with all that they are known to have read.

    A run reads what is there when it begins: also what came after it was decided on, and before it was made. What a
    person's run has read since, is no news either.
    """
    read_until = 0
    for run in runs:
        number = number_of(run.tags)
        if number or run.outcome == "SUCCESS":
            read_until = max(read_until, run.planned_id)
        if not number:
            yield TriggeredRun(run.run_id, 0, run.outcome, {})
            continue
        inputs = inputs_of(run.tags)
        for pair, state in states.items():
            if inputs.get(name := input_name(*pair), 0) < state.data_id < read_until:
                inputs[name] = state.data_id
        yield TriggeredRun(run.run_id, number, run.outcome, inputs)


def executions(condition: Condition) -> Iterable[Execution]:
    """All that a condition says about pipelines, however deep."""
    if isinstance(condition, Execution):
        yield condition
    elif isinstance(condition, AllOf | AnyOf):
        for term in condition.terms:
            yield from executions(term)


def statuses_of(trigger: PipelineTrigger, parent: str) -> set[Status]:
    """All statuses of a parent that the trigger's condition names."""
    return {status for each in executions(trigger.condition) if each.parent == parent for status in each.statuses}


def _place(asset: tuple[str, ...], partition: str) -> Place:
    return asset_text(asset), None if partition == UNPARTITIONED else partition


def _own_assets(trigger: PipelineTrigger) -> tuple[tuple[str, ...], ...]:
    return trigger.pipeline.assets or (trigger.pipeline.asset,)


class _Runs:
    """The runs that touch the partitions of pipelines, read at once."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        *,
        parents: Collection[tuple[tuple[tuple[str, ...], ...], str]],
        own: Collection[tuple[tuple[tuple[str, ...], ...], str]],
    ) -> None:
        everything = {_place(asset, partition) for assets, partition in {*parents, *own} for asset in assets}
        self._planned = planned_runs(instance, everything)
        wanted = {run.run_id for assets, partition in parents for run in self._newest(assets, partition)[:PARENT_RUNS]}
        wanted |= {run.run_id for assets, partition in own for run in self._newest(assets, partition)[:OWN_RUNS]}
        self._records = _records(instance, wanted)
        over = [run_id for run_id, record in self._records.items() if record.dagster_run.is_finished]
        self._ends = run_ends(instance, over) if over else {}
        self.stale_in: dict[tuple[str, str], float | None] = {}

    def of(self, assets: tuple[tuple[str, ...], ...], partition: str) -> list[_Run]:
        """The runs of a partition, the newest first."""
        return [
            _run(planned, record, self._ends.get(planned.run_id))
            for planned in self._newest(assets, partition)
            if (record := self._records.get(planned.run_id)) is not None
            and (partition == UNPARTITIONED or covers(record.dagster_run.tags, partition))
        ]

    def _newest(self, assets: tuple[tuple[str, ...], ...], partition: str) -> list[Planned]:
        """Each run once, by the first of its events."""
        first: dict[str, int] = {}
        for asset in assets:
            for planned in self._planned.get(_place(asset, partition), ()):
                first[planned.run_id] = min(first.get(planned.run_id, planned.storage_id), planned.storage_id)
        return [
            Planned(storage_id, run_id)
            for run_id, storage_id in sorted(first.items(), key=lambda item: item[1], reverse=True)
        ]


def _records(instance: dg.DagsterInstance, run_ids: Collection[str]) -> dict[str, dg.RunRecord]:
    if not run_ids:
        return {}
    found = instance.get_run_records(dg.RunsFilter(run_ids=sorted(run_ids)))
    return {record.dagster_run.run_id: record for record in found}


def _run(planned: Planned, record: dg.RunRecord, ended: Ended | None) -> _Run:
    run = record.dagster_run
    outcome: Outcome | None = None
    stale_in = None
    if run.status is dg.DagsterRunStatus.SUCCESS:
        outcome = "SUCCESS"
    elif run.is_finished:
        timed_out = ended is not None and ended.timed_out
        canceled = run.status is dg.DagsterRunStatus.CANCELED
        outcome = "TIMED_OUT" if timed_out else "ABORTED" if canceled else "FAILED"
        if not canceled and run.tags.get(WILL_RETRY_TAG) == "true":
            left = RETRY_COMES_SECONDS - (time.time() - _seconds(record.update_timestamp))
            if left > 0:
                outcome, stale_in = None, left
    return _Run(
        planned.storage_id,
        run.run_id,
        run.tags,
        outcome,
        ended.storage_id if ended else 0,
        record.start_time is not None,
        run.status is dg.DagsterRunStatus.NOT_STARTED,
        stale_in,
    )


def _seconds(moment: "dt.datetime") -> float:
    import datetime as dt

    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def _parent_states(
    instance: dg.DagsterInstance,
    parents: Mapping[tuple[str, str], Parent],
    data: Mapping[Place, int],
    runs: _Runs,
) -> dict[tuple[str, str], ParentState]:
    """What became of these partitions of parents by their runs."""
    touching = {pair: runs.of(parent.assets or (parent.asset,), pair[1]) for pair, parent in parents.items()}
    ids = {pair: data.get(_place(parent.asset, pair[1]), 0) for pair, parent in parents.items()}
    # A run of many partitions that failed at one of them has made the others: whose data is it?
    doubtful = {ids[pair] for pair, found in touching.items() if ids[pair] and any(_is_bad(run) for run in found)}
    made_by = makers(instance, doubtful) if doubtful else {}
    states = {}
    for pair, found in touching.items():
        ended = next((run for run in found if run.outcome is not None), None)
        outcome = ended.outcome if ended else None
        if ended is not None and _is_bad(ended) and made_by.get(ids[pair]) == ended.run_id:
            outcome = "SUCCESS"
        started = [run.planned_id for run in found if run.is_started]
        states[pair] = ParentState(
            data_id=ids[pair],
            outcome=outcome,
            outcome_id=ended.ended_id if ended else 0,
            started=bool(started),
            started_id=max(started, default=0),
        )
        # While a retry may still come, nothing is known; when it does not, no event tells.
        runs.stale_in[pair] = found[0].stale_in if found else None
    return states


def _is_bad(run: _Run) -> bool:
    return run.outcome not in (None, "SUCCESS")
