"""The decision behind a trigger: from news about sources to a run of what depends on them, or to a reason to wait.

Nothing here reads a clock or a database; the sensor brings all facts. Assets are named by their user string
(`flights/warehouse/flights`).
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Outcome = Literal["running", "succeeded", "failed", "unknown"]

MAX_NAMED = 3


@dataclass(frozen=True)
class Target:
    """An asset that is built after its parents.

    Args:
        parents: what it is built from; news about them makes it out of date.
        needs: what else must exist before, such as what its tests read.
    """

    key: str
    parents: frozenset[str]
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Timing:
    """How long to wait for more of the same.

    Args:
        settle_seconds: quiet time after the last news.
        max_wait_seconds: after the first news, neither more of it nor sources being loaded hold a run back.
    """

    settle_seconds: float = 5.0
    max_wait_seconds: float = 300.0


@dataclass(frozen=True)
class Change:
    """The newest materialization of a source that no run has covered, and how many there were."""

    storage_id: int
    events: int = 1

    def __add__(self, other: "Change") -> "Change":
        return Change(max(self.storage_id, other.storage_id), self.events + other.events)


@dataclass(frozen=True)
class Seen:
    """One materialization of an asset, as the tail reports it."""

    key: str
    storage_id: int
    at: float


@dataclass(frozen=True)
class Waiting:
    """What a trigger remembers between ticks.

    Args:
        pending: changed sources that a run must still cover.
        owed: changed sources that were not covered for a reason that only news can end: their run failed, or another
            source was never loaded. The next run covers them too.
        first_at, last_at: when the pending changes began and ended.
        requested: run key of the last request and the sources that it covers, until the run's end is known.
    """

    pending: Mapping[str, Change] = field(default_factory=dict)
    owed: Mapping[str, Change] = field(default_factory=dict)
    first_at: float = 0.0
    last_at: float = 0.0
    requested_key: str = ""
    requested: Mapping[str, Change] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What the sensor found out for one decision.

    Args:
        exists: sources that were materialized at least once.
        loading: sources that a run is about to materialize.
        in_flight: whether a run of this trigger is queued or running.
        outcome: what became of the run with `Waiting.requested_key`.
    """

    now: float
    exists: Collection[str] = ()
    loading: Collection[str] = ()
    in_flight: bool = False
    outcome: Outcome = "unknown"


@dataclass(frozen=True)
class Request:
    """One run: what it builds, the key that makes it unique, and why it starts."""

    run_key: str
    selection: Sequence[str]
    parents: Mapping[str, Change]
    reason: str


@dataclass(frozen=True)
class Decision:
    """A run to request or None, what to remember, and one sentence for people."""

    request: Request | None
    waiting: Waiting
    message: str


def absorb(waiting: Waiting, news: Sequence[Seen], targets: Collection[Target]) -> Waiting:
    """Add the news about sources of the targets to what is pending; news about anything else changes nothing."""
    watched = sources_of(targets)
    pending = dict(waiting.pending)
    times = [waiting.first_at, waiting.last_at] if pending else []
    for seen in news:
        if seen.key in watched:
            pending[seen.key] = pending.get(seen.key, Change(0, 0)) + Change(seen.storage_id)
            times.append(seen.at)
    if not times:
        return waiting
    return replace(waiting, pending=pending, first_at=min(times), last_at=max(times))


def decide(name: str, targets: Collection[Target], waiting: Waiting, facts: Facts, timing: Timing) -> Decision:
    """Decide whether a run starts now.

    One run at a time: what arrives while it is in flight is covered by the next one. The run key comes from the
    sources' storage ids, so that deciding twice about the same news requests the same run.
    """
    waiting = _settle_request(waiting, facts)
    if not waiting.pending:
        return Decision(None, waiting, "No source has news")
    what = _named(waiting.pending)
    if facts.in_flight:
        return Decision(None, waiting, f"{what} wait for the run in flight")
    waited = facts.now - waiting.first_at
    if waited < timing.max_wait_seconds:
        if busy := sorted(set(facts.loading) & sources_of(targets)):
            return Decision(None, waiting, f"{what} wait for {_list(busy)}, being loaded now")
        if facts.now - waiting.last_at < timing.settle_seconds:
            return Decision(None, waiting, f"{what} wait {timing.settle_seconds:g} s for more")
    return _start(name, targets, waiting, facts)


def sources_of(targets: Collection[Target]) -> set[str]:
    """The parents and needs of the targets that are not targets themselves."""
    keys = {target.key for target in targets}
    return {each for target in targets for each in target.parents | target.needs if each not in keys}


def affected_by(changed: Collection[str], targets: Collection[Target]) -> list[str]:
    """The targets downstream of any changed source, sorted."""
    found: set[str] = set()
    while True:
        reached = {target.key for target in targets if target.parents & (found | set(changed))}
        if reached <= found:
            return sorted(found)
        found |= reached


def _settle_request(waiting: Waiting, facts: Facts) -> Waiting:
    if not waiting.requested_key or facts.outcome == "running":
        return waiting
    done = replace(waiting, requested_key="", requested={})
    if facts.outcome == "succeeded":
        return done
    if facts.outcome == "failed":
        # Not started again by itself: the same input fails again. The next news, or a person, does it.
        return replace(done, owed=_merged(waiting.owed, waiting.requested))
    # The run was never created: ask for it again, under the same key.
    if not waiting.pending:
        done = replace(done, first_at=facts.now, last_at=0.0)
    return replace(done, pending=_merged(waiting.requested, waiting.pending))


def _start(name: str, targets: Collection[Target], waiting: Waiting, facts: Facts) -> Decision:
    covered = _merged(waiting.owed, waiting.pending)
    affected = affected_by(covered, targets)
    missing = {key: _missing(key, targets, facts.exists) for key in affected}
    ready = [key for key in affected if not missing[key]]
    blocked = sorted({source for key in affected for source in missing[key]})
    left = {
        source: change
        for source, change in covered.items()
        if any(missing[key] for key in affected_by([source], targets))
    }
    after = Waiting(owed=left)
    if not ready:
        message = f"{_named(covered)} wait for {_list(blocked)}, never loaded so far"
        return Decision(None, after if affected else Waiting(), message)
    reason = f"new: {_named(waiting.pending)}"
    if again := {source: change for source, change in waiting.owed.items() if source not in waiting.pending}:
        reason += f"; again: {_named(again)}"
    request = Request(_run_key(name, covered, ready), ready, covered, reason)
    message = f"Build {len(ready)} of {len(targets)}, {reason}"
    if blocked:
        message += f"; the rest waits for {_list(blocked)}"
    return Decision(request, replace(after, requested_key=request.run_key, requested=covered), message)


def _missing(key: str, targets: Collection[Target], exists: Collection[str]) -> set[str]:
    """The sources above a target that were never materialized."""
    by_key = {target.key: target for target in targets}
    todo, visited = [key], set[str]()
    while todo:
        each = todo.pop()
        if each not in visited:
            visited.add(each)
            if each in by_key:
                todo.extend(by_key[each].parents | by_key[each].needs)
    return {each for each in visited if each not in by_key and each not in exists}


def _merged(one: Mapping[str, Change], other: Mapping[str, Change]) -> dict[str, Change]:
    merged = dict(one)
    for key, change in other.items():
        merged[key] = merged[key] + change if key in merged else change
    return merged


def _run_key(name: str, covered: Mapping[str, Change], selection: Sequence[str]) -> str:
    text = ";".join([*(f"{key}={covered[key].storage_id}" for key in sorted(covered)), *selection])
    newest = max(change.storage_id for change in covered.values())
    return f"{name}:{newest}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _named(changes: Mapping[str, Change]) -> str:
    return _list([f"{key} ({changes[key].events})" for key in sorted(changes)])


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
