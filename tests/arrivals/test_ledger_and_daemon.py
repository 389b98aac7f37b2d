"""Ledger and daemon in every order: nothing runs twice at once, and nothing is forgotten."""

import datetime as dt
from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from datalake_assets.arrivals.conditions import SourceRules
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.partitions import Daily, Unpartitioned
from datalake_assets.arrivals.requests import (
    LOST_AFTER_SECONDS,
    MAX_ATTEMPTS,
    RETRY_AFTER_SECONDS,
    PartitionsRun,
    RunState,
    runs_to_request,
)
from tests.arrivals.builders import NOON, SOURCE, at, state

RULES = {
    SOURCE: SourceRules(settle_seconds=10, partitions=Daily(dt.date(2013, 1, 1)), max_partitions_per_run=3),
    "flights/airlines": SourceRules(settle_seconds=10, partitions=Unpartitioned()),
}
LATER = at(3600)


@dataclass
class ModelRun:
    """A run as Dagster would have it: it publishes what its partitions were when it began."""

    request: PartitionsRun
    state: RunState = RunState.IN_FLIGHT
    seen: dict[str, int] = field(default_factory=dict)


class LedgerAndDaemon(RuleBasedStateMachine):
    """Files change, requests get lost, runs succeed and fail: nothing runs twice at once, nothing is forgotten."""

    @initialize()
    def start(self) -> None:
        self.now: dt.datetime = NOON
        self.seq = 0
        self.partitions: dict[str, PartitionState] = {}
        self.runs: dict[str, ModelRun] = {}
        self.delayed: list[PartitionsRun] = []

    @rule(day=st.integers(1, 3))
    def change(self, day: int) -> None:
        self.seq += 1
        partition = f"2013-01-{day:02}"
        known = self.partitions.get(partition, state(partition, changed_seq=0, read_at=self.now))
        self.partitions[partition] = replace(known, changed_seq=self.seq, last_changed_at=self.now)

    @rule(seconds=st.sampled_from([11, LOST_AFTER_SECONDS, RETRY_AFTER_SECONDS]), arrives=st.booleans())
    def tick(self, seconds: int, arrives: bool) -> None:
        self.now += dt.timedelta(seconds=seconds)
        known = {key: run.state for key, run in self.runs.items()}
        for request in runs_to_request(list(self.partitions.values()), known, self.now, RULES).requests:
            for each in request.states:
                asked = replace(each, requested_at=self.now)
                if each.run_key != request.run_key:
                    asked = replace(
                        asked, requested_seq=each.changed_seq, run_key=request.run_key, attempts=request.attempt
                    )
                self.partitions[each.partition] = asked
            self.delayed.append(request)
        if arrives:
            self.daemon_catches_up()

    @rule()
    def daemon_catches_up(self) -> None:
        """Requests become runs, however long ago they were made; one for each key."""
        for request in self.delayed:
            if request.run_key not in self.runs:
                seen = {p: self.partitions[p].changed_seq for p in request.partitions}
                self.runs[request.run_key] = ModelRun(request, seen=seen)
        self.delayed.clear()

    @rule(count=st.integers(1, 3))
    def daemon_loses_requests(self, count: int) -> None:
        del self.delayed[:count]

    @rule(data=st.data(), ended=st.sampled_from([RunState.SUCCEEDED, RunState.FAILED]))
    def end_a_run(self, data: st.DataObject, ended: RunState) -> None:
        alive = sorted(key for key, run in self.runs.items() if run.state is RunState.IN_FLIGHT)
        if alive:
            run = self.runs[data.draw(st.sampled_from(alive))]
            run.state = ended
            if ended is RunState.SUCCEEDED:
                for partition, seq in run.seen.items():
                    self.publish(partition, seq)

    def publish(self, partition: str, seq: int) -> None:
        self.partitions[partition] = replace(
            self.partitions[partition], published_seq=seq, published_version="v", published_at=self.now
        )

    @invariant()
    def no_partition_is_in_two_runs_at_once(self) -> None:
        running = [
            partition
            for run in getattr(self, "runs", {}).values()
            if run.state is RunState.IN_FLIGHT
            for partition in run.seen
        ]
        assert len(running) == len(set(running))

    @invariant()
    def no_state_of_a_partition_is_run_too_often(self) -> None:
        tries: dict[tuple[str, int], int] = {}
        for run in getattr(self, "runs", {}).values():
            for each in run.seen.items():
                tries[each] = tries.get(each, 0) + 1
        assert max(tries.values(), default=0) <= MAX_ATTEMPTS

    def teardown(self) -> None:
        """In quiet, with runs that succeed, everything gets published that has attempts left."""
        for _ in range(20):
            self.tick(seconds=RETRY_AFTER_SECONDS, arrives=True)
            for run in self.runs.values():
                if run.state is RunState.IN_FLIGHT:
                    run.state = RunState.SUCCEEDED
                    for partition, seq in run.seen.items():
                        self.publish(partition, seq)
        for each in self.partitions.values():
            assert not each.is_dirty or each.attempts == MAX_ATTEMPTS


TestLedgerAndDaemon = LedgerAndDaemon.TestCase
TestLedgerAndDaemon.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
