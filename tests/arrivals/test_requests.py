import datetime as dt
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.arrivals.conditions import DailyTime, RunConditions, SourceRules
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.partitions import Daily, Unpartitioned
from datalake_assets.arrivals.readiness import late_at
from datalake_assets.arrivals.requests import (
    BUSY_RUNS_PER_HOUR,
    LOST_AFTER_SECONDS,
    MAX_ATTEMPTS,
    RETRY_AFTER_SECONDS,
    Decision,
    Recent,
    RunState,
    runs_to_request,
)
from datalake_assets.names import UNPARTITIONED
from tests.arrivals.builders import NOON, SOURCE, at, state

RULES = {
    SOURCE: SourceRules(settle_seconds=10, partitions=Daily(dt.date(2013, 1, 1)), max_partitions_per_run=3),
    "flights/airlines": SourceRules(settle_seconds=10, partitions=Unpartitioned()),
}
LATER = at(3600)


def decide(*states: PartitionState, runs: dict[str, RunState] | None = None, now: dt.datetime = LATER) -> Decision:
    return runs_to_request(states, runs or {}, now, RULES)


def requested(one: PartitionState, *, attempt: int = 1, seconds: float = 100) -> PartitionState:
    return replace(one, requested_seq=one.changed_seq, requested_at=at(seconds), run_key="key", attempts=attempt)


def only_reason(decision: Decision) -> str:
    assert decision.requests == ()
    (waiting,) = decision.waiting
    return waiting.reason


def test_contiguous_days_share_runs_of_limited_size() -> None:
    days = [f"2013-01-{n:02}" for n in (1, 2, 3, 4, 6)]
    decision = decide(*map(state, reversed(days)))
    assert [r.partitions for r in decision.requests] == [
        ("2013-01-01", "2013-01-02", "2013-01-03"), ("2013-01-04",), ("2013-01-06",)
    ]  # fmt: skip
    assert len({r.run_key for r in decision.requests}) == 3


def test_sources_never_share_a_run() -> None:
    decision = decide(state(), state(UNPARTITIONED, source_id="flights/airlines"))
    assert {(r.source_id, r.partitions) for r in decision.requests} == {
        (SOURCE, ("2013-01-01",)),
        ("flights/airlines", (UNPARTITIONED,)),
    }


def test_a_clean_partition_is_left_out() -> None:
    assert decide(state(published_seq=7)) == Decision((), ())


def test_a_partition_settles_before_it_runs() -> None:
    decision = decide(state(), now=at(9))
    assert only_reason(decision) == "it changed a moment ago"
    assert decision.waiting[0].until == at(10)
    assert len(decide(state(), now=at(10)).requests) == 1


def test_a_day_that_is_not_over_waits() -> None:
    today = state("2026-01-05", changed_seq=9)
    assert only_reason(decide(today)) == "its time is not over"
    assert len(decide(today, now=at(86_400)).requests) == 1


def test_a_partition_that_the_pipeline_no_longer_has_waits_with_the_reason() -> None:
    assert "before the pipeline's first partition" in only_reason(decide(state("2012-12-31")))


def test_a_day_at_the_end_of_the_calendar_holds_no_other_partition_up() -> None:
    decision = decide(state("9999-12-31"), state("2013-01-01"))
    assert [run.partitions for run in decision.requests] == [("2013-01-01",)]
    assert "after the last day that a partition can have" in decision.waiting[0].reason


def test_times_of_the_last_day_can_be_reckoned() -> None:
    ten_years = 3660 * 86_400.0
    rules = SourceRules(
        settle_seconds=ten_years,
        partitions=Daily(dt.date(2013, 1, 1)),
        conditions=RunConditions(at=DailyTime(dt.time(23), "America/Los_Angeles"), late_after_seconds=ten_years),
    )
    decision = runs_to_request([state("9899-12-31")], {}, LATER, {SOURCE: rules})
    assert only_reason(decision) == "its time is not over"
    assert "until 9900-01-01" in str(decision.waiting[0])
    assert late_at(state("9899-12-31", published_version="v1"), rules) is not None


def test_a_partition_without_objects_waits_unless_it_was_published() -> None:
    assert "no objects" in only_reason(decide(state(objects=0)))
    assert len(decide(state(objects=0, published_version="v1", published_seq=3)).requests) == 1


def test_what_is_in_flight_is_never_requested_again() -> None:
    one = requested(state())
    assert only_reason(decide(one, runs={"key": RunState.IN_FLIGHT})) == "its run is in flight"
    changed = replace(one, changed_seq=8)
    assert only_reason(decide(changed, runs={"key": RunState.IN_FLIGHT})) == "its run is in flight"


def test_a_request_that_may_still_become_a_run_is_waited_for() -> None:
    one = replace(requested(state(), seconds=3590), changed_seq=8)
    assert only_reason(decide(one)) == "its run was requested"


def test_a_lost_request_is_repeated_under_the_same_key() -> None:
    first = decide(state("2013-01-01"), state("2013-01-02"))
    (run,) = first.requests
    lost = [
        replace(s, requested_seq=s.changed_seq, requested_at=at(3600), run_key=run.run_key, attempts=1)
        for s in run.states
    ]
    assert decide(*lost, now=at(3600 + LOST_AFTER_SECONDS - 1)).requests == ()
    fresh = state("2013-01-03")
    again = decide(*lost, fresh, now=at(3600 + LOST_AFTER_SECONDS))
    assert [r.run_key for r in again.requests if r.partitions == run.partitions] == [run.run_key]


def test_a_lost_request_keeps_its_key_although_its_partition_changed_meanwhile() -> None:
    """The first request may still be on its way: under another key it would start a second run at the same time."""
    (run,) = decide(state("2013-01-01"), state("2013-01-02")).requests
    asked = [
        replace(s, requested_seq=s.changed_seq, requested_at=at(3600), run_key=run.run_key, attempts=1, changed_seq=9)
        for s in run.states
    ]
    (again,) = decide(*asked, now=at(3600 + LOST_AFTER_SECONDS)).requests
    assert (again.run_key, again.partitions, again.reason) == (
        run.run_key,
        run.partitions,
        "the first request was lost",
    )
    # Once the run is known and over, what changed after its request is a new run.
    (new,) = decide(*asked, runs={run.run_key: RunState.SUCCEEDED}, now=at(4000)).requests
    assert new.run_key != run.run_key


def test_a_request_that_was_followed_by_a_publication_is_not_waited_for() -> None:
    one = replace(requested(state(), seconds=100), changed_seq=9, published_version="v", published_at=at(200))
    (again,) = decide(one).requests
    assert (again.run_key != "key", again.reason) == (True, "changed files")


def test_a_pipeline_has_at_most_so_many_runs_at_once_and_the_rest_waits_with_the_reason() -> None:
    flying = [requested(state(f"2013-02-{n:02}")) for n in (1, 2)]
    flying = [replace(s, run_key=f"key {n}") for n, s in enumerate(flying)]
    ready = [state(f"2013-01-{n:02}") for n in range(1, 8)]
    decision = decide(*flying, *ready, runs=dict.fromkeys(("key 0", "key 1"), RunState.IN_FLIGHT))
    assert [r.partitions for r in decision.requests] == [
        ("2013-01-01", "2013-01-02", "2013-01-03"), ("2013-01-04", "2013-01-05", "2013-01-06")
    ]  # fmt: skip
    (last,) = [w for w in decision.waiting if w.partition == "2013-01-07"]
    assert "2 runs of its pipeline are requested or in flight, 4 may be (max_concurrent_runs)" in last.reason


def test_days_with_gaps_share_runs_only_when_there_would_be_too_many() -> None:
    few = decide(*(state(f"2013-01-{n:02}") for n in (1, 3, 5, 7)))
    assert [len(r.partitions) for r in few.requests] == [1, 1, 1, 1]
    many = decide(*(state(f"2013-01-{n:02}") for n in (1, 3, 5, 7, 9)))
    assert [r.partitions for r in many.requests] == [
        ("2013-01-01", "2013-01-03", "2013-01-05"), ("2013-01-07", "2013-01-09")
    ]  # fmt: skip


def test_who_waits_longest_comes_first() -> None:
    days = [f"2013-01-{n:02}" for n in range(1, 31, 2)]
    states = [state(each, first_changed_at=at(-n)) for n, each in enumerate(days)]
    decision = decide(*states)
    assert len(decision.requests) == 4
    assert {w.partition for w in decision.waiting} == set(days[:3])


def test_partitions_of_a_busy_pipeline_wait_for_each_other_but_not_for_long() -> None:
    recent = Recent({SOURCE: BUSY_RUNS_PER_HOUR}, {})
    one = state(last_changed_at=at(0))
    until = at(10 + 10 * BUSY_RUNS_PER_HOUR)
    early = runs_to_request([one], {}, until - dt.timedelta(seconds=1), RULES, recent)
    assert only_reason(early) == "8 runs of its pipeline within an hour: it shares one"
    assert early.waiting[0].until == until
    assert len(runs_to_request([one], {}, until, RULES, recent).requests) == 1
    quiet = Recent({SOURCE: BUSY_RUNS_PER_HOUR - 1}, {})
    assert len(runs_to_request([one], {}, at(10), RULES, quiet).requests) == 1


def test_a_partition_that_ran_too_often_within_an_hour_is_throttled_and_says_so_once() -> None:
    rules = {SOURCE: SourceRules(10, Daily(dt.date(2013, 1, 1)), conditions=RunConditions(max_runs_per_hour=2))}
    one = replace(
        requested(state(published_version="v", published_at=at(2000)), seconds=1900),
        recent_requests=(at(-1500), at(600), at(1900)), changed_seq=9, first_changed_at=at(2100),
        last_changed_at=at(2100),
    )  # fmt: skip
    held = runs_to_request([one], {}, at(2200), rules)
    assert held.requests == ()
    assert held.waiting[0].until == at(600 + 3600)
    assert "2 runs within an hour, 2 are allowed (max_runs_per_hour)" in str(held.waiting[0])
    (notice,) = held.notices
    assert (notice.location, notice.kind, notice.partition) == ("flights", "throttled", "2013-01-01")
    later = runs_to_request([replace(one, changed_seq=10)], {}, at(2300), rules)
    assert later.notices[0].dedup_key == notice.dedup_key
    assert len(runs_to_request([one], {}, at(600 + 3600), rules).requests) == 1


LATE = replace(
    state(published_version="v", published_at=at(-900)), first_changed_at=NOON, last_changed_at=NOON
)  # of 2013, and 2026 now


def test_late_files_rerun_their_partition_with_their_reason_and_tell_people_once() -> None:
    rules = {SOURCE: SourceRules(10, Daily(), conditions=RunConditions(late_after_seconds=86_400))}
    decision = runs_to_request([LATE], {}, at(10), rules)
    (request,), (notice,) = decision.requests, decision.notices
    assert request.reason == "late files: changed at 2026-01-05 12:00 UTC, late from 2013-01-03 00:00 UTC on"
    assert (notice.kind, notice.reason) == ("late", request.reason)
    assert runs_to_request([LATE], {}, at(20), rules).notices == (notice,)
    assert runs_to_request([replace(LATE, changed_seq=8)], {}, at(20), rules).notices != (notice,)


def test_late_files_may_wait_for_a_person() -> None:
    words = RunConditions(late_after_seconds=86_400, reruns_late_files=False)
    rules = {SOURCE: SourceRules(10, Daily(), conditions=words)}
    decision = runs_to_request([LATE], {}, at(10), rules)
    assert "materialize it to take them" in only_reason(decision)
    assert len(decision.notices) == 1
    assert runs_to_request([state()], {}, at(10), rules).requests != ()  # its first files are not late


def test_what_waits_says_for_what_and_until_when() -> None:
    (waiting,) = decide(state(), now=at(9)).waiting
    assert str(waiting) == ("flights/flights 2013-01-01 waits: it changed a moment ago, until 2026-01-05 12:00:10 UTC")
    (ahead,) = decide(state("2026-01-05")).waiting
    assert ahead.until == dt.datetime(2026, 1, 6, tzinfo=dt.UTC)


def test_a_run_whose_state_could_not_be_asked_keeps_its_partition_waiting() -> None:
    assert "no time to ask" in only_reason(decide(requested(state()), runs={"key": RunState.UNKNOWN}))


def test_a_change_after_a_finished_run_is_requested_with_a_new_key() -> None:
    (first,) = decide(state()).requests
    changed = replace(requested(state()), changed_seq=8, run_key=first.run_key)
    for ended in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELED):
        (again,) = decide(changed, runs={first.run_key: ended}).requests
        assert (again.run_key != first.run_key, again.attempt) == (True, 1)


def test_a_failed_run_is_repeated_after_a_while_and_not_for_ever() -> None:
    runs = {"key": RunState.FAILED}
    one = requested(state(), seconds=100)
    early = decide(one, runs=runs, now=at(100 + RETRY_AFTER_SECONDS - 1))
    assert only_reason(early) == "its run failed"
    assert early.waiting[0].until == at(100 + RETRY_AFTER_SECONDS)
    (again,) = decide(one, runs=runs, now=at(100 + RETRY_AFTER_SECONDS)).requests
    assert again.attempt == 2
    assert again.run_key != decide(state()).requests[0].run_key
    assert "3 runs failed" in only_reason(decide(requested(state(), attempt=MAX_ATTEMPTS), runs=runs, now=at(10**6)))


def test_a_run_that_a_person_ended_is_not_repeated() -> None:
    assert "ended by a person" in only_reason(
        decide(requested(state()), runs={"key": RunState.CANCELED}, now=at(10**6))
    )


def test_a_run_that_succeeded_without_publishing_counts_as_failed() -> None:
    assert only_reason(decide(requested(state()), runs={"key": RunState.SUCCEEDED}, now=at(200))) == "its run failed"


partition_states = st.builds(
    lambda day, changed, published, requested_at, run_key, attempts, objects: state(
        (dt.date(2013, 1, 1) + dt.timedelta(days=day)).isoformat(),
        changed_seq=changed, published_seq=published, requested_at=requested_at, run_key=run_key,
        requested_seq=None if requested_at is None else changed - attempts % 2, attempts=attempts, objects=objects,
    ),
    st.integers(0, 30), st.integers(1, 9), st.integers(0, 9), st.none() | st.integers(0, 3000).map(at),
    st.sampled_from(["k1", "k2", None]), st.integers(0, 4), st.integers(0, 2),
)  # fmt: skip


@given(
    states=st.lists(partition_states, unique_by=lambda s: s.partition, max_size=20),
    runs=st.dictionaries(st.sampled_from(["k1", "k2"]), st.sampled_from(RunState)),
    now=st.integers(0, 5000).map(at),
)
def test_every_dirty_partition_is_requested_once_or_waits_with_a_reason(
    states: list[PartitionState], runs: dict[str, RunState], now: dt.datetime
) -> None:
    decision = runs_to_request(states, runs, now, RULES)
    asked = [p for r in decision.requests for p in r.partitions]
    waits = [w.partition for w in decision.waiting]
    assert sorted(asked + waits) == sorted(s.partition for s in states if s.is_dirty)
    for run in decision.requests:
        assert all(runs.get(s.run_key or "") is not RunState.IN_FLIGHT for s in run.states)
        if run.reason != "the first request was lost":
            assert len(run.states) <= 3
    assert runs_to_request(list(reversed(states)), runs, now, RULES) == decision
