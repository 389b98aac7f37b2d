"""Which runs to request for changed partitions, and why the others wait: decided purely, from the ledger's rows.

A partition is dirty while its last change has not been published. Of the dirty partitions

* one whose last requested run is not over waits: what changed meanwhile is handled by the next run;
* one that Dagster does not know yet (a day that is not over) waits until it does;
* one whose request never became a run, although `LOST_AFTER_SECONDS` passed, is requested again under the same run
  key, whatever changed meanwhile: the first request, should it come after all, cannot start a second run;
* one that has not settled, or lacks the files that its pipeline declares, waits (`readiness`);
* one whose run failed is requested again after `RETRY_AFTER_SECONDS`, with a new key, `MAX_ATTEMPTS` times in all;
  then, and when a person ended the run, it waits for a change of its files or for a person;
* a late one may wait for a person, and one that ran too often within an hour for its next turn;
* all others are requested, several in a run (`batches`), as far as the pipeline may have more runs at once.

A run key is made of the source, its partitions, the number of each one's last change and the attempt. Whoever decides
again from the same rows (a repeated tick, a second sensor) arrives at the same keys: Dagster starts one run per key.
"""

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from datalake_assets.arrivals.batches import batches, has_ranges, run_size
from datalake_assets.arrivals.conditions import SourceRules
from datalake_assets.arrivals.notices import Kind, Notice
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.readiness import NotYet, late_at, opens_at, readiness
from datalake_assets.names import UNPARTITIONED

LOST_AFTER_SECONDS = 60
RETRY_AFTER_SECONDS = 600
MAX_ATTEMPTS = 3
HOUR = dt.timedelta(hours=1)
# From this many runs of a pipeline within an hour on, a partition waits for others to share its run.
BUSY_RUNS_PER_HOUR = 8
MAX_COMPANY_SECONDS = 300.0
MAX_NAMED_REASONS = 3


class RunState(Enum):
    """What became of a requested run; a key without a state never became one."""

    UNKNOWN = "there was no time to ask"
    IN_FLIGHT = "in flight"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True)
class PartitionsRun:
    """One run to request, for one partition or several in their order, with or without gaps between them."""

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

    def __str__(self) -> str:
        until = f", until {self.until.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC" if self.until else ""
        return f"{self.source_id} {self.partition}".rstrip() + f" waits: {self.reason}{until}"


@dataclass(frozen=True)
class Decision:
    """What to request, what waits, and what people should hear."""

    requests: tuple[PartitionsRun, ...]
    waiting: tuple[Waiting, ...]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Recent:
    """What a decision needs to know beside the partitions' rows.

    Args:
        runs: how many runs each source has requested within the last hour.
        names: of the objects of partitions (source, partition) whose pipeline waits for a list of files.
    """

    runs: Mapping[str, int]
    names: Mapping[tuple[str, str], Sequence[str]]


NOTHING_RECENT = Recent({}, {})


@dataclass(frozen=True)
class _Candidate:
    state: PartitionState
    attempt: int
    reason: str
    since: dt.datetime
    is_overdue: bool = False


def runs_to_request(
    states: Sequence[PartitionState],
    runs: Mapping[str, RunState],
    now: dt.datetime,
    rules: Mapping[str, SourceRules],
    recent: Recent = NOTHING_RECENT,
) -> Decision:
    """Decide for every dirty partition whether it runs now.

    Args:
        states: all dirty partitions of the sources that `rules` names; clean ones are left out.
        runs: what became of the runs with the states' run keys.
        now: the database's time, because the states' times are (`PartitionState.read_at`).
    """
    requests: list[PartitionsRun] = []
    waiting: list[Waiting] = []
    notices: list[Notice] = []
    by_source: dict[str, list[PartitionState]] = defaultdict(list)
    for state in sorted((s for s in states if s.is_dirty), key=lambda s: (s.source_id, s.partition)):
        by_source[state.source_id].append(state)
    for source_id, dirty in by_source.items():
        decided = _Source(rules[source_id], runs, now, recent.names)
        decided.consider(dirty)
        decided.share_runs(recent.runs.get(source_id, 0))
        requests += decided.requests
        waiting += decided.waiting
        notices += decided.notices
    return Decision(tuple(requests), tuple(waiting), tuple(notices))


class _Source:
    """The decision for one source: first each partition by itself, then the runs that they share."""

    def __init__(
        self,
        rules: SourceRules,
        runs: Mapping[str, RunState],
        now: dt.datetime,
        names: Mapping[tuple[str, str], Sequence[str]],
    ) -> None:
        self._rules, self._runs, self._now, self._names = rules, runs, now, names
        self._live: set[str] = set()  # keys of runs that are requested or in flight
        self._lost: dict[str, list[PartitionState]] = defaultdict(list)
        self._candidates: list[_Candidate] = []
        self.requests: list[PartitionsRun] = []
        self.waiting: list[Waiting] = []
        self.notices: list[Notice] = []

    def consider(self, states: Sequence[PartitionState]) -> None:
        """Sort partitions into those that run, those that wait and those whose request was lost."""
        for state in states:
            found = self._consider(state)
            if isinstance(found, _Candidate):
                self._candidates.append(found)
            elif found is not None:
                self.waiting.append(Waiting(state.source_id, state.partition, found.reason, found.until))

    def _consider(self, state: PartitionState) -> _Candidate | NotYet | None:
        key, now = state.run_key or "", self._now
        run = self._runs.get(key)
        if run is RunState.IN_FLIGHT:
            self._live.add(key)
            return NotYet("its run is in flight")
        if run is RunState.UNKNOWN:
            self._live.add(key)
            return NotYet("this tick had no time to ask what became of its run")
        if refusal := self._rules.partitions.refusal(state.partition):
            return NotYet(f"the pipeline has no such partition: {refusal}")
        if not self._rules.partitions.is_open(state.partition, now):
            return NotYet("its time is not over", opens_at(self._rules.partitions, state.partition))
        if run is None and state.awaits_its_run:
            self._live.add(key)
            return self._requested_before(state)
        if state.objects == 0 and not state.is_published:
            return NotYet("it has no objects and was never published")
        found = readiness(state, self._rules, now, self._names.get((state.source_id, state.partition), ()))
        if isinstance(found, NotYet):
            return found
        if run is not None and state.requested_seq == state.changed_seq:
            again = self._after(run, state)
            return again if isinstance(again, NotYet) else self._throttled(again)
        reason = "changed files" if state.is_published else "new files"
        if (late := late_at(state, self._rules)) is not None and state.last_changed_at > late:
            reason = f"late files: changed at {_shown(state.last_changed_at)}, late from {_shown(late)} on"
            if not self._rules.conditions.reruns_late_files and state.unpublished_since > late:
                reason += "; they do not rerun it: materialize it to take them"
                self._notice("late", state, reason, state.changed_seq)
                return NotYet(reason)
            self._notice("late", state, reason, state.changed_seq)
        if found.note:
            reason += f" ({found.note})"
        return self._throttled(_Candidate(state, 1, reason, found.since, found.is_overdue))

    def _requested_before(self, state: PartitionState) -> NotYet | None:
        """A request that Dagster does not know (yet); its partitions are asked for together or not at all."""
        assert state.requested_at is not None
        until = state.requested_at + dt.timedelta(seconds=LOST_AFTER_SECONDS)
        if self._now < until:
            return NotYet("its run was requested", until)
        self._lost[state.run_key or ""].append(state)
        return None

    def _after(self, run: RunState, state: PartitionState) -> _Candidate | NotYet:
        """What follows a run that ended and left its partition dirty, although nothing changed since its request."""
        if run is RunState.CANCELED:
            return NotYet("its run was ended by a person: run it again, or upload a mended file")
        if state.attempts >= MAX_ATTEMPTS:
            return NotYet(f"{state.attempts} runs failed: upload a mended file, or run it again")
        assert state.requested_at is not None
        until = state.requested_at + dt.timedelta(seconds=RETRY_AFTER_SECONDS)
        if self._now < until:
            return NotYet("its run failed", until)
        attempt = state.attempts + 1
        return _Candidate(state, attempt, f"attempt {attempt} after a failed run", until)

    def _throttled(self, candidate: _Candidate) -> _Candidate | NotYet:
        """Hold a partition back that ran as often within the hour as it may."""
        state, most = candidate.state, self._rules.conditions.max_runs_per_hour
        recent = sorted(at for at in state.recent_requests if at > self._now - HOUR)
        if len(recent) < most:
            return candidate
        until = recent[-most] + HOUR
        reason = f"it is throttled: {len(recent)} runs within an hour, {most} are allowed (max_runs_per_hour)"
        # Files that go on coming are one throttling, not one each: told at most once an hour.
        self._notice("throttled", state, f"{candidate.reason}; {reason}", f"{recent[-1]:%Y-%m-%dT%H}")
        return NotYet(reason, until)

    def _notice(self, kind: Kind, state: PartitionState, reason: str, once: object) -> None:
        location = state.source_id.partition("/")[0]
        dedup_key = f"{kind}:{state.source_id}:{state.partition}:{once}"
        self.notices.append(Notice(location, state.source_id, state.partition, kind, reason, dedup_key))

    def share_runs(self, recent_runs: int) -> None:
        """Request what was lost again, then as many runs for the others as the pipeline may still have."""
        for key, states in self._lost.items():
            attempt = max(state.attempts for state in states)
            source_id = states[0].source_id
            self.requests.append(PartitionsRun(source_id, tuple(states), key, attempt, "the first request was lost"))
        if not self._candidates:
            return
        most = self._rules.conditions.max_concurrent_runs
        slots = most - len(self._live)
        full = (
            f"{len(self._live)} runs of its pipeline are requested or in flight, {most} may be (max_concurrent_runs); "
            "it shares one of the next"
        )
        if slots <= 0:
            self._wait(self._candidates, full)
        elif (until := self._company_until(recent_runs)) is not None:
            self._wait(self._candidates, f"{recent_runs} runs of its pipeline within an hour: it shares one", until)
        else:
            runs = self._batched(slots, is_busy=recent_runs >= BUSY_RUNS_PER_HOUR)
            # Who waits longest comes first.
            runs.sort(key=lambda run: (min(c.state.unpublished_since for c in run), run[0].state.partition))
            self.requests += sorted(map(_run, runs[:slots]), key=lambda run: (run.attempt, run.partitions))
            for batch in runs[slots:]:
                self._wait(batch, full)
        self.waiting.sort(key=lambda waits: waits.partition)

    def _company_until(self, recent_runs: int) -> dt.datetime | None:
        """How long partitions of a busy pipeline wait for others: the longer, the more runs it had."""
        candidates, rules = self._candidates, self._rules
        if (
            recent_runs < BUSY_RUNS_PER_HOUR
            or any(candidate.is_overdue for candidate in candidates)
            or not has_ranges([candidate.state.partition for candidate in candidates], rules.partitions)
        ):
            return None
        seconds = min(MAX_COMPANY_SECONDS, rules.settle_seconds * recent_runs)
        until = min(candidate.since for candidate in candidates) + dt.timedelta(seconds=seconds)
        return until if self._now < until else None

    def _batched(self, slots: int, *, is_busy: bool) -> list[list[_Candidate]]:
        size = run_size(len(self._candidates), self._rules.max_partitions_per_run, is_busy=is_busy)
        by_attempt: dict[int, dict[str, _Candidate]] = defaultdict(dict)
        for candidate in self._candidates:
            by_attempt[candidate.attempt][candidate.state.partition] = candidate
        found: list[list[_Candidate]] = []
        for n, alike in enumerate(by_attempt.values(), start=1):
            # The classes after this one need a run each, at least.
            left = slots - len(found) - (len(by_attempt) - n)
            shared = batches(list(alike), self._rules.partitions, size, left)
            found += [[alike[partition] for partition in batch] for batch in shared]
        return found

    def _wait(self, candidates: Sequence[_Candidate], reason: str, until: dt.datetime | None = None) -> None:
        self.waiting += [Waiting(c.state.source_id, c.state.partition, reason, until) for c in candidates]


def _run(batch: Sequence[_Candidate]) -> PartitionsRun:
    states = tuple(candidate.state for candidate in batch)
    source_id, attempt = states[0].source_id, batch[0].attempt
    reasons = sorted({candidate.reason for candidate in batch})
    more = f" and {len(reasons) - MAX_NAMED_REASONS} more reasons" if len(reasons) > MAX_NAMED_REASONS else ""
    reason = " and ".join(reasons[:MAX_NAMED_REASONS]) + more
    return PartitionsRun(source_id, states, _run_key(source_id, states, attempt), attempt, reason)


def _run_key(source_id: str, states: Sequence[PartitionState], attempt: int) -> str:
    """A readable start, and a digest that makes it unique."""
    digest = hashlib.sha256(
        "\n".join([source_id, str(attempt), *(f"{s.partition}@{s.changed_seq}" for s in states)]).encode()
    ).hexdigest()[:16]
    first, last = states[0].partition, states[-1].partition
    span = "" if first == UNPARTITIONED else f":{first}" if first == last else f":{first}..{last}"
    return f"{source_id}{span}:{digest}"


def _shown(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
