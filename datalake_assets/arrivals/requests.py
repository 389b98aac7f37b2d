"""Which runs to request for changed partitions, and why the others wait: decided purely, from the ledger's rows.

A partition is dirty while its last change has not been published. Of the dirty partitions

* one whose last requested run is not over waits: what changed meanwhile is handled by the next run;
* one that changed less than `settle_seconds` ago waits for its other files;
* one that Dagster does not know yet (a day that is not over) waits until it does;
* one whose request never became a run, although `LOST_AFTER_SECONDS` passed, is requested again under the same run
  key, so that the first request, should it come after all, cannot start a second run;
* one whose run failed is requested again after `RETRY_AFTER_SECONDS`, with a new key, `MAX_ATTEMPTS` times in all;
  then, and when a person ended the run, it waits for a change of its files or for a person;
* all others are requested: contiguous partitions of a source together, at most `max_partitions_per_run` in a run.

A run key is made of the source, its partitions, the number of each one's last change and the attempt. Whoever decides
again from the same rows (a repeated tick, a second sensor) arrives at the same keys: Dagster starts one run per key.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from datalake_assets.arrivals.partitions import PartitionKind
from datalake_assets.names import UNPARTITIONED

LOST_AFTER_SECONDS = 60
RETRY_AFTER_SECONDS = 600
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class PartitionState:
    """One partition in the ledger; `read_at` is the database's time of reading, and all other times are its too.

    `newest_event_at` alone is S3's time. `first_changed_at` is of the changes since the partition was last clean.
    `markers` are there beside the `objects`; `recent_requests` has the time of each run that was requested within the
    last hour, oldest first.
    """

    source_id: str
    partition: str
    changed_seq: int
    objects: int
    bytes: int
    newest_event_at: dt.datetime
    first_changed_at: dt.datetime
    last_changed_at: dt.datetime
    requested_seq: int | None
    requested_at: dt.datetime | None
    run_key: str | None
    attempts: int
    published_seq: int
    published_version: str | None
    published_at: dt.datetime | None
    read_at: dt.datetime
    markers: int = 0
    recent_requests: tuple[dt.datetime, ...] = ()

    @property
    def is_dirty(self) -> bool:
        return self.changed_seq > self.published_seq


class RunState(Enum):
    """What became of a requested run; a key without a state never became one."""

    IN_FLIGHT = "in flight"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True)
class SourceRules:
    """What a source's pipeline declares about its runs."""

    settle_seconds: float
    partitions: PartitionKind
    max_partitions_per_run: int = 31


@dataclass(frozen=True)
class PartitionsRun:
    """One run to request, for one partition or a contiguous range."""

    source_id: str
    states: tuple[PartitionState, ...]
    run_key: str
    attempt: int
    reason: str

    @property
    def partitions(self) -> tuple[str, ...]:
        return tuple(state.partition for state in self.states)


@dataclass(frozen=True)
class Waiting:
    """A dirty partition that is not requested now; `until` is when time alone changes that."""

    source_id: str
    partition: str
    reason: str
    until: dt.datetime | None = None


@dataclass(frozen=True)
class Decision:
    requests: tuple[PartitionsRun, ...]
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True)
class _Candidate:
    state: PartitionState
    attempt: int
    reason: str
    together: str = ""  # candidates are only grouped with those of the same text


def runs_to_request(
    states: Sequence[PartitionState],
    runs: Mapping[str, RunState],
    now: dt.datetime,
    rules: Mapping[str, SourceRules],
) -> Decision:
    """Decide for every dirty partition whether it runs now.

    Args:
        states: partitions of the sources that `rules` names; clean ones are left out.
        runs: what became of the runs with the states' run keys.
        now: the database's time, because the states' times are (`PartitionState.read_at`).
    """
    waiting: list[Waiting] = []
    candidates: list[_Candidate] = []
    for state in states:
        if not state.is_dirty:
            continue
        found = _consider(state, runs.get(state.run_key or ""), now, rules[state.source_id])
        if isinstance(found, Waiting):
            waiting.append(found)
        else:
            candidates.append(found)
    return Decision(tuple(_grouped(candidates, rules)), tuple(waiting))


def _consider(
    state: PartitionState, run: RunState | None, now: dt.datetime, rules: SourceRules
) -> _Candidate | Waiting:
    def wait(reason: str, seconds: float | None = None, since: dt.datetime | None = None) -> Waiting:
        until = since + dt.timedelta(seconds=seconds) if since is not None and seconds is not None else None
        return Waiting(state.source_id, state.partition, reason, until)

    def has_passed(seconds: float, since: dt.datetime) -> bool:
        return now >= since + dt.timedelta(seconds=seconds)

    requested_at = state.requested_at
    if run is RunState.IN_FLIGHT:
        return wait("its run is in flight")
    if refusal := rules.partitions.refusal(state.partition):
        return wait(f"the pipeline has no such partition: {refusal}")
    if state.objects == 0 and state.published_version is None:
        return wait("it has no objects and was never published")
    if not rules.partitions.is_open(state.partition, now):
        return wait("its time is not over")
    if requested_at is not None and run is None and not has_passed(LOST_AFTER_SECONDS, requested_at):
        return wait("its run was requested", LOST_AFTER_SECONDS, requested_at)
    if not has_passed(rules.settle_seconds, state.last_changed_at):
        return wait("it changed a moment ago", rules.settle_seconds, state.last_changed_at)
    if requested_at is None or state.requested_seq != state.changed_seq:
        reason = "new files" if state.published_version is None else "changed files"
        return _Candidate(state, 1, reason)
    if run is None:
        return _Candidate(state, state.attempts, "the first request was lost", state.run_key or "")
    if run is RunState.CANCELED:
        return wait("its run was ended by a person: run it again, or upload a mended file")
    if state.attempts >= MAX_ATTEMPTS:
        return wait(f"{state.attempts} runs failed: upload a mended file, or run it again")
    if not has_passed(RETRY_AFTER_SECONDS, requested_at):
        return wait("its run failed", RETRY_AFTER_SECONDS, requested_at)
    return _Candidate(state, state.attempts + 1, f"attempt {state.attempts + 1} after a failed run")


def _grouped(candidates: list[_Candidate], rules: Mapping[str, SourceRules]) -> list[PartitionsRun]:
    def group_of(candidate: _Candidate) -> tuple[str, int, str]:
        return candidate.state.source_id, candidate.attempt, candidate.together

    requests: list[PartitionsRun] = []
    ordered = sorted(candidates, key=lambda c: (*group_of(c), c.state.partition))
    for (source_id, attempt, _), group in groupby(ordered, key=group_of):
        rule = rules[source_id]
        batch: list[_Candidate] = []
        for candidate in group:
            if batch and (
                len(batch) == rule.max_partitions_per_run
                or rule.partitions.successor(batch[-1].state.partition) != candidate.state.partition
            ):
                requests.append(_run(source_id, attempt, batch))
                batch = []
            batch.append(candidate)
        requests.append(_run(source_id, attempt, batch))
    return requests


def _run(source_id: str, attempt: int, batch: list[_Candidate]) -> PartitionsRun:
    states = tuple(candidate.state for candidate in batch)
    reason = " and ".join(sorted({candidate.reason for candidate in batch}))
    return PartitionsRun(source_id, states, _run_key(source_id, states, attempt), attempt, reason)


def _run_key(source_id: str, states: Sequence[PartitionState], attempt: int) -> str:
    """A readable start, and a digest that makes it unique."""
    digest = hashlib.sha256(
        "\n".join([source_id, str(attempt), *(f"{s.partition}@{s.changed_seq}" for s in states)]).encode()
    ).hexdigest()[:16]
    first, last = states[0].partition, states[-1].partition
    span = "" if first == UNPARTITIONED else f":{first}" if first == last else f":{first}..{last}"
    return f"{source_id}{span}:{digest}"
