"""What the ledger remembers of requests, with several sensors at once."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

from datalake_assets.arrivals.conditions import SourceRules
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.partitions import Daily
from datalake_assets.arrivals.requests import PartitionsRun, runs_to_request
from tests.arrivals.builders import SOURCE, event, listed

RULES = {SOURCE: SourceRules(0, Daily(dt.date(2013, 1, 1)))}
DAYS = [f"2013-01-{n:02}" for n in range(1, 11)]


def states(ledger: Ledger) -> list[PartitionState]:
    return ledger.partition_states([SOURCE])


def request(key: str, *partitions: PartitionState) -> PartitionsRun:
    return PartitionsRun(SOURCE, partitions, key, 1, "new files")


def test_of_sensors_that_decide_from_the_same_rows_one_requests_each_run(ledger: Ledger) -> None:
    ledger.record(event(day=day) for day in DAYS)
    ready = threading.Barrier(4)

    def tick(_: int) -> list[PartitionsRun]:
        found = states(ledger)
        ready.wait(20)
        return ledger.mark_requested(runs_to_request(found, {}, found[0].read_at, RULES).requests)

    with ThreadPoolExecutor(4) as pool:
        asked = [run for runs in pool.map(tick, range(4)) for run in runs]
    assert [run.partitions for run in asked] == [tuple(DAYS)]
    assert {state.run_key for state in states(ledger)} == {asked[0].run_key}


def test_of_sensors_that_saw_different_rows_none_starts_a_second_run_of_a_partition(ledger: Ledger) -> None:
    ledger.record([event(day=DAYS[0]), event(day=DAYS[5])])
    before = states(ledger)
    ledger.record([event(day=DAYS[1])])
    (first, second, third) = states(ledger)
    assert ledger.mark_requested([request("slow sensor", before[0])]) != []
    held = ledger.mark_requested([request("both", first, second), request("third", third)])
    assert [run.run_key for run in held] == ["third"]
    assert [state.run_key for state in states(ledger)] == ["slow sensor", None, "third"]


def test_a_partition_that_was_published_meanwhile_is_not_requested(ledger: Ledger) -> None:
    ledger.record([event("a")])
    (read,) = states(ledger)
    ledger.mark_published(SOURCE, read.partition, objects=[listed("a")], version="v1")
    assert ledger.mark_requested([request("late", read)]) == []


def test_a_request_under_the_same_key_moves_its_time_and_nothing_else(ledger: Ledger) -> None:
    ledger.record([event("a")])
    ledger.mark_requested([request("key", *states(ledger))])
    (first,) = states(ledger)
    ledger.record([event("b")])
    (changed,) = states(ledger)
    ledger.mark_requested([request("key", changed)])
    (again,) = states(ledger)
    assert first.requested_at is not None
    assert again.requested_at is not None
    assert again.requested_at > first.requested_at
    assert (again.requested_seq, again.attempts, again.recent_requests) == (
        first.requested_seq,
        first.attempts,
        first.recent_requests,
    )
    assert again.changed_seq > first.changed_seq


def test_runs_of_the_last_hour_are_counted_by_source(ledger: Ledger) -> None:
    ledger.record(event(day=day) for day in DAYS)
    one, two, three, *_ = states(ledger)
    assert ledger.recent_runs([SOURCE]) == {}
    ledger.mark_requested([request("shared", one, two), request("alone", three)])
    assert ledger.recent_runs([SOURCE, "flights/other"]) == {SOURCE: 2}
    assert ledger.mark_requested([]) == []
