"""A million objects over a thousand partitions cost at most a hundred runs, in whatever order and however fast."""

import datetime as dt
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.arrivals.batches import STORM_FACTOR, batches, run_size
from datalake_assets.arrivals.conditions import RunConditions, SourceRules
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.partitions import AnyKey, Daily
from datalake_assets.arrivals.requests import HOUR, PartitionsRun, Recent, RunState, runs_to_request
from tests.arrivals.builders import NOON, SOURCE, at, state

PARTITIONS = 1_000
OBJECTS_EACH = 1_000
MAX_RUNS = 100
CAP = 4
RULES = {SOURCE: SourceRules(30, Daily(dt.date(2001, 1, 1)), conditions=RunConditions(max_concurrent_runs=CAP))}


def day(n: int) -> str:
    return (dt.date(2001, 1, 1) + dt.timedelta(days=n)).isoformat()


ORDERS = {
    "contiguous": [day(n) for n in range(PARTITIONS)],
    "alternating": [day(2 * n) for n in range(PARTITIONS)],
    "random": random.Random(7).sample([day(n) for n in range(5 * PARTITIONS)], PARTITIONS),
}


Arrivals = Callable[[Sequence[str], float], list[tuple[float, str, int]]]


@dataclass
class Run:
    """A run in flight: it publishes what its partitions were when it began."""

    request: PartitionsRun
    ends_at: dt.datetime
    seen: dict[str, int]


class Storm:
    """Objects that arrive, a sensor that ticks, and runs that take their time; a model of ledger and Dagster."""

    def __init__(self) -> None:
        self.now = NOON
        self.seq = 0
        self.partitions: dict[str, PartitionState] = {}
        self.running: dict[str, Run] = {}
        self.ended: dict[str, RunState] = {}
        self.requested: dict[str, dt.datetime] = {}

    def arrive(self, partition: str, objects: int) -> None:
        self.seq += objects
        known = self.partitions.get(partition)
        if known is None:
            known = state(partition, changed_seq=0, objects=0, first_changed_at=self.now)
        first = known.first_changed_at if known.is_dirty else self.now
        self.partitions[partition] = replace(
            known, changed_seq=self.seq, objects=known.objects + objects, first_changed_at=first,
            last_changed_at=self.now,
        )  # fmt: skip

    def tick(self) -> None:
        self._end_runs()
        dirty = [each for each in self.partitions.values() if each.is_dirty]
        states = {**self.ended, **dict.fromkeys(self.running, RunState.IN_FLIGHT)}
        recent = {
            each.run_key
            for each in self.partitions.values()
            if each.requested_at and each.requested_at > self.now - HOUR
        }
        decision = runs_to_request(dirty, states, self.now, RULES, Recent({SOURCE: len(recent)}, {}))
        for request in decision.requests:
            assert request.run_key not in self.requested, "a run was requested twice"
            self.requested[request.run_key] = self.now
            for each in request.states:
                assert not any(each.partition in run.seen for run in self.running.values())
                self.partitions[each.partition] = replace(
                    each, requested_seq=each.changed_seq, requested_at=self.now, run_key=request.run_key,
                    attempts=request.attempt, recent_requests=(*each.recent_requests, self.now),
                )  # fmt: skip
            seconds = 10 + 0.5 * len(request.states)
            seen = {p: self.partitions[p].changed_seq for p in request.partitions}
            self.running[request.run_key] = Run(request, self.now + dt.timedelta(seconds=seconds), seen)
        assert len(self.running) <= CAP

    def _end_runs(self) -> None:
        for key, run in list(self.running.items()):
            if run.ends_at > self.now:
                continue
            del self.running[key]
            self.ended[key] = RunState.SUCCEEDED
            for partition, seq in run.seen.items():
                self.partitions[partition] = replace(
                    self.partitions[partition], published_seq=seq, published_version="v", published_at=run.ends_at
                )

    def blow(self, arrivals: Sequence[tuple[float, str, int]], tick_seconds: float) -> None:
        """Let (seconds, partition, objects) arrive in their order, and tick until all is published."""
        n = 0
        while n < len(arrivals) or any(each.is_dirty for each in self.partitions.values()):
            self.now += dt.timedelta(seconds=tick_seconds)
            assert self.now < at(86_400), "it does not come to an end"
            end, now = self.now, self.now
            while n < len(arrivals) and at(arrivals[n][0]) <= end:
                self.now = at(arrivals[n][0])
                self.arrive(*arrivals[n][1:])
                n += 1
            self.now = now
            self.tick()
        assert sum(each.objects for each in self.partitions.values()) == sum(count for *_, count in arrivals)


def one_after_the_other(order: Sequence[str], seconds: float) -> list[tuple[float, str, int]]:
    """Each partition's objects come together, in two halves, one partition after the other."""
    step = seconds / len(order)
    return [(step * (n + part / 2), p, OBJECTS_EACH // 2) for n, p in enumerate(order) for part in (0, 1)]


def all_mixed(order: Sequence[str], seconds: float) -> list[tuple[float, str, int]]:
    """Ten portions of each partition's objects come at any time."""
    chance = random.Random(11)
    return sorted((chance.uniform(0, seconds), p, OBJECTS_EACH // 10) for p in order for _ in range(10))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("arrivals", "seconds"),
    [(one_after_the_other, 0), (one_after_the_other, 3_600), (all_mixed, 1_000), (all_mixed, 3_600)],
)
def test_a_storm_costs_few_runs(order: str, arrivals: Arrivals, seconds: float) -> None:
    storm = Storm()
    storm.blow(arrivals(ORDERS[order], seconds), tick_seconds=15)
    assert len(storm.partitions) == PARTITIONS
    assert len(storm.requested) <= MAX_RUNS


def test_a_few_files_now_and_then_wait_for_nobody() -> None:
    storm = Storm()
    storm.blow([(600 * n, day(n), 1) for n in range(20)], tick_seconds=10)
    waits = [at - NOON - dt.timedelta(seconds=600 * n) for n, at in enumerate(storm.requested.values())]
    assert max(waits) <= dt.timedelta(seconds=40)


days = st.sets(st.integers(0, 300)).map(lambda found: [day(n) for n in sorted(found)])


@given(days, st.integers(1, 40), st.integers(1, 8))
def test_batches_lose_nothing_repeat_nothing_and_use_gaps_only_when_they_must(
    partitions: list[str], size: int, slots: int
) -> None:
    kind = Daily()
    found = batches(partitions, kind, size, slots)
    assert [p for batch in found for p in batch] == partitions
    assert all(1 <= len(batch) <= size for batch in found)
    exact = batches(partitions, kind, size, len(partitions))
    assert all(kind.successor(a) == b for batch in exact for a, b in pairwise(batch))
    if len(exact) <= slots:
        assert found == exact
    else:
        assert len(found) == -(-len(partitions) // size)


def test_keys_without_an_order_share_no_run() -> None:
    assert batches(["a", "b"], AnyKey(), 31, 1) == [["a"], ["b"]]


def test_runs_grow_with_what_waits_and_stay_bounded() -> None:
    assert [run_size(waiting, 31) for waiting in (1, 310, 500, 1_000, 10**6)] == [31, 31, 50, 93, 93]
    assert run_size(1, 31, is_busy=True) == 31 * STORM_FACTOR


@given(days, st.integers(1, 6), st.integers(0, 40))
def test_requests_of_a_source_stay_within_its_cap_and_follow_from_the_rows_alone(
    partitions: list[str], cap: int, recent_runs: int
) -> None:
    rules = {SOURCE: replace(RULES[SOURCE], conditions=RunConditions(max_concurrent_runs=cap))}
    rows = [state(partition) for partition in partitions]
    recent = Recent({SOURCE: recent_runs}, {})
    decision = runs_to_request(rows, {}, at(3600), rules, recent)
    assert len(decision.requests) <= cap
    asked = [p for request in decision.requests for p in request.partitions]
    assert sorted([*asked, *(waits.partition for waits in decision.waiting)]) == partitions
    assert bool(decision.requests) == bool(partitions)
    assert runs_to_request(rows[::-1], {}, at(3600), rules, recent) == decision
