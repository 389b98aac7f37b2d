"""What becomes of a partition, case by case."""

from dataclasses import replace
from typing import Any

import pytest

from datalake_assets.triggers.explained import told
from datalake_assets.triggers.model import (
    AllOf,
    AnyOf,
    Arrived,
    Done,
    Due,
    FilesState,
    ParentState,
    Start,
    Wait,
)
from datalake_assets.triggers.schedules import Schedule, TimeOfDay
from tests.triggers.trigger_builders import (
    AT_THREE,
    BOTH,
    DAY,
    LISTINGS,
    SEARCHES,
    after,
    failed,
    is_start,
    on_day,
    ran,
    seconds,
    there,
    triggered,
)

FALLBACK = triggered(after(LISTINGS, "FAILED", "TIMED_OUT"), name="rent_journey/fallback")


class TestTheCaseStudy:
    def test_the_child_waits_for_the_parent_that_failed(self) -> None:
        decision = on_day(BOTH, "2026-11-21 05:00", listings=failed(4), searches=there(7))
        assert isinstance(decision, Wait)
        assert [each.what for each in decision.missing] == [f"{LISTINGS} {DAY} (FAILED at its last run)"]
        assert (decision.missing[0].parent, decision.missing[0].partitions) == (LISTINGS, (DAY,))
        assert decision.until is None
        assert told(BOTH, DAY, decision) == (
            "rent_journey/pipeline_x 2026-11-20 waits for core_data/listings 2026-11-20 (FAILED at its last run)"
        )

    def test_the_child_starts_when_the_repair_succeeded(self) -> None:
        assert on_day(BOTH, listings=there(9), searches=there(7)) == Start(
            run_key=f"rent_journey/pipeline_x|{DAY}|1",
            number=1,
            reason=f"{LISTINGS} {DAY} succeeded, {SEARCHES} {DAY} succeeded",
            inputs={f"{LISTINGS}@{DAY}": 9, f"{SEARCHES}@{DAY}": 7},
        )

    def test_the_fallback_starts_at_the_failure(self) -> None:
        decision = on_day(FALLBACK, "2026-11-21 03:01", listings=failed(4))
        assert isinstance(decision, Start)
        assert (decision.reason, decision.inputs) == (f"{LISTINGS} {DAY} failed", {})

    @pytest.mark.parametrize("state", [failed(8), there(9), failed(12, data_id=9)], ids=["again", "repair", "both"])
    def test_the_fallback_runs_again_neither_after_a_second_failure_nor_after_the_repair(
        self, state: ParentState
    ) -> None:
        for reruns in (False, True):
            trigger = replace(FALLBACK, reruns_on_update=reruns)
            assert isinstance(on_day(trigger, listings=state, runs=[ran(1)]), Done)
            assert isinstance(on_day(trigger, listings=state, runs=[ran(1, "FAILED")]), Done)

    def test_the_fallback_is_not_wanted_where_the_parent_succeeded(self) -> None:
        decision = on_day(FALLBACK, listings=there(9))
        assert isinstance(decision, Done)
        assert "it succeeded" in decision.reason

    def test_a_failed_rerun_of_a_parent_takes_its_success_not_away(self) -> None:
        assert is_start(on_day(BOTH, listings=failed(12, data_id=9), searches=there(7)))


class TestOnce:
    def test_a_parent_that_succeeds_twice_starts_its_child_once(self) -> None:
        decision = on_day(BOTH, listings=there(20), searches=there(7), runs=[ran(1, listings=9, searches=7)])
        assert isinstance(decision, Done)
        assert "does not run it again" in decision.reason

    def test_with_rerun_on_parent_update_it_starts_again_under_the_next_number(self) -> None:
        trigger = replace(BOTH, reruns_on_update=True)
        decision = on_day(trigger, listings=there(20), searches=there(7), runs=[ran(1, listings=9, searches=7)])
        assert isinstance(decision, Start)
        assert decision.run_key == f"rent_journey/pipeline_x|{DAY}|2"
        assert decision.inputs[f"{LISTINGS}@{DAY}"] == 20
        assert decision.reason == f"{LISTINGS} {DAY} has newer data than run 00000001 was started for"

    def test_a_run_in_flight_is_waited_for(self) -> None:
        trigger = replace(BOTH, reruns_on_update=True)
        known: dict[str, Any] = {"listings": there(20), "searches": there(7)}
        assert on_day(trigger, **known, runs=[ran(1, None, listings=9)]) == Done("run 00000001 is under way")
        assert isinstance(on_day(trigger, **known, runs=[ran(0, None)]), Done)

    def test_a_failed_child_starts_again_only_for_newer_data(self) -> None:
        known: dict[str, Any] = {"listings": there(9), "searches": there(7)}
        decision = on_day(BOTH, **known, runs=[ran(1, "FAILED", listings=9, searches=7)])
        assert isinstance(decision, Done)
        assert f"`datalake rerun rent_journey/pipeline_x {DAY}`" in decision.reason
        for outcome in ("FAILED", "TIMED_OUT", "ABORTED"):
            again = on_day(BOTH, **known, runs=[ran(1, outcome, listings=5, searches=7)])
            assert isinstance(again, Start)
            assert again.number == 2
            assert again.reason.endswith(f"which ended {outcome}")

    def test_a_failed_child_that_a_person_repaired_is_left_alone(self) -> None:
        known: dict[str, Any] = {"listings": there(20), "searches": there(7), "own_data_id": 30}
        runs = [ran(0, "SUCCESS"), ran(1, "FAILED", listings=9, searches=7)]
        assert isinstance(on_day(BOTH, **known, runs=runs), Done)

    def test_a_success_by_hand_before_the_run_that_failed_repairs_nothing(self) -> None:
        runs = [ran(1, "FAILED", listings=9, searches=7), ran(0, "SUCCESS")]
        assert is_start(on_day(BOTH, listings=there(20), searches=there(7), own_data_id=5, runs=runs))

    def test_a_repetition_that_succeeded_counts_as_the_run_that_it_repeats(self) -> None:
        runs = [ran(1, "SUCCESS", listings=9, searches=7), ran(1, "FAILED", listings=9, searches=7)]
        assert isinstance(on_day(BOTH, listings=there(20), searches=there(7), own_data_id=12, runs=runs), Done)
        again = on_day(replace(BOTH, reruns_on_update=True), listings=there(20), searches=there(7), runs=runs)
        assert isinstance(again, Start)
        assert again.number == 2

    def test_a_failure_by_hand_does_not_keep_the_trigger_from_starting(self) -> None:
        decision = on_day(BOTH, listings=there(9), searches=there(7), runs=[ran(0, "FAILED")])
        assert isinstance(decision, Start)
        assert decision.number == 1

    def test_a_partition_built_by_hand_runs_only_for_newer_inputs(self) -> None:
        assert isinstance(on_day(BOTH, listings=there(9), searches=there(7), own_data_id=10), Done)
        assert is_start(on_day(BOTH, listings=there(12), searches=there(7), own_data_id=10))
        # Before its parents were there: what was built then is not what they will give.
        assert isinstance(on_day(BOTH, own_data_id=3), Done)
        assert is_start(on_day(BOTH, listings=there(9), searches=there(7), own_data_id=3))

    def test_a_parent_that_joined_the_trigger_after_the_run_is_no_lost_start(self) -> None:
        runs = [ran(1, listings=9)]
        assert isinstance(on_day(BOTH, listings=there(9), searches=there(20), runs=runs), Done)
        trigger = replace(BOTH, reruns_on_update=True)
        assert is_start(on_day(trigger, listings=there(9), searches=there(20), runs=runs))


class TestTime:
    def test_no_partition_runs_before_it_is_over(self) -> None:
        trigger = triggered(after(LISTINGS, offset=-1))
        known: dict[str, Any] = {"parents": {(LISTINGS, "2026-11-19"): there(3)}}
        decision = on_day(trigger, "2026-11-20 23:59", **known)
        assert isinstance(decision, Wait)
        assert decision.until == seconds("2026-11-21 00:00")
        assert is_start(on_day(trigger, "2026-11-21 00:00", **known))

    def test_a_schedule_starts_at_its_first_tick_after_the_partition(self) -> None:
        trigger = triggered(AT_THREE)
        decision = on_day(trigger, "2026-11-21 01:59")
        assert isinstance(decision, Wait)
        assert decision.until == seconds("2026-11-21 02:00")
        assert decision.missing[0].what == "2026-11-21 03:00 Europe/Berlin"
        started = on_day(trigger, "2026-11-21 02:00")
        assert isinstance(started, Start)
        assert started.reason == "it was due at 2026-11-21 03:00 Europe/Berlin"
        assert isinstance(on_day(trigger, "2026-11-22 02:00", runs=[ran(1)]), Done)

    def test_a_schedule_starts_a_partition_that_an_outage_left_behind(self) -> None:
        assert is_start(on_day(triggered(AT_THREE), "2026-12-05 12:00"))

    def test_not_before_holds_back_what_is_complete(self) -> None:
        trigger = replace(BOTH, not_before=TimeOfDay(6, 0, "Europe/Berlin"))
        known: dict[str, Any] = {"listings": there(9), "searches": there(7)}
        decision = on_day(trigger, "2026-11-21 04:59", **known)
        assert isinstance(decision, Wait)
        assert decision.until == seconds("2026-11-21 05:00")
        assert is_start(on_day(trigger, "2026-11-21 05:00", **known))

    def test_at_latest_starts_with_what_is_there(self) -> None:
        trigger = replace(BOTH, at_latest=TimeOfDay(9))
        waiting = on_day(trigger, "2026-11-21 08:59", listings=there(9), searches=failed(7))
        assert isinstance(waiting, Wait)
        assert waiting.until == seconds("2026-11-21 09:00")
        decision = on_day(trigger, "2026-11-21 09:00", listings=there(9), searches=failed(7))
        assert isinstance(decision, Start)
        assert decision.reason == (
            f"09:00 UTC is the latest, {LISTINGS} {DAY} succeeded; without {SEARCHES} {DAY} (FAILED at its last run)"
        )
        assert decision.inputs == {f"{LISTINGS}@{DAY}": 9}

    def test_at_latest_waits_for_the_first_that_is_there(self) -> None:
        trigger = replace(BOTH, at_latest=TimeOfDay(9))
        assert isinstance(on_day(trigger, "2026-11-21 09:00"), Wait)
        assert is_start(on_day(trigger, "2026-11-21 10:30", searches=there(12)))

    def test_what_came_after_at_latest_runs_it_again_only_if_declared(self) -> None:
        trigger = replace(BOTH, at_latest=TimeOfDay(9))
        known: dict[str, Any] = {"listings": there(9), "searches": there(30), "runs": [ran(1, listings=9)]}
        assert isinstance(on_day(trigger, "2026-11-21 10:00", **known), Done)
        assert is_start(on_day(replace(trigger, reruns_on_update=True), "2026-12-21 10:00", **known))

    def test_at_latest_does_not_start_an_old_partition_of_a_backfill_with_half_its_parents(self) -> None:
        trigger = replace(BOTH, at_latest=TimeOfDay(9))
        assert isinstance(on_day(trigger, "2026-12-20 10:00", listings=there(9)), Wait)
        assert is_start(on_day(trigger, "2026-12-20 10:00", listings=there(9), searches=there(10)))

    def test_a_fallback_runs_when_its_parent_is_late(self) -> None:
        trigger = replace(FALLBACK, at_latest=TimeOfDay(9))
        assert isinstance(on_day(trigger, "2026-11-21 08:59"), Wait)
        assert is_start(on_day(trigger, "2026-11-21 09:00"))
        assert isinstance(on_day(trigger, "2026-11-21 09:00", listings=there(4)), Done)

    def test_not_before_counts_more_than_at_latest(self) -> None:
        trigger = replace(BOTH, not_before=TimeOfDay(10), at_latest=TimeOfDay(9))
        assert isinstance(on_day(trigger, "2026-11-21 09:30", listings=there(4)), Wait)
        assert is_start(on_day(trigger, "2026-11-21 10:00", listings=there(4)))

    def test_times_are_of_the_day_after_the_partition_on_their_own_clocks(self) -> None:
        trigger = replace(BOTH, not_before=TimeOfDay(6, 0, "America/New_York"))
        known: dict[str, Any] = {"listings": there(9), "searches": there(7)}
        assert isinstance(on_day(trigger, "2026-11-21 10:59", **known), Wait)
        assert is_start(on_day(trigger, "2026-11-21 11:00", **known))


class TestAlternatives:
    TRIGGER = triggered(AnyOf((Due(Schedule("0 5 * * *")), AllOf((after(LISTINGS), after(SEARCHES))))))

    def test_at_five_or_when_both_are_there(self) -> None:
        assert is_start(on_day(self.TRIGGER, "2026-11-21 04:00", listings=there(9), searches=there(7)))
        assert is_start(on_day(self.TRIGGER, "2026-11-21 05:00"))
        decision = on_day(self.TRIGGER, "2026-11-21 04:00", listings=there(9))
        assert isinstance(decision, Wait)
        assert [each.what for each in decision.missing] == [f"2026-11-21 05:00 UTC or {SEARCHES} {DAY}"]
        assert decision.until == seconds("2026-11-21 05:00")

    def test_once_whichever_comes_first(self) -> None:
        assert isinstance(on_day(self.TRIGGER, "2026-11-21 05:00", listings=there(9), runs=[ran(1)]), Done)

    def test_an_old_partition_waits_for_what_else_is_asked_for(self) -> None:
        assert isinstance(on_day(self.TRIGGER, "2026-12-21 05:00", listings=there(9)), Wait)
        assert is_start(on_day(self.TRIGGER, "2026-12-21 05:00", listings=there(9), searches=there(10)))

    def test_conditions_nest(self) -> None:
        other = "core_data/cities"
        trigger = triggered(AllOf((after(LISTINGS), AnyOf((after(SEARCHES), after(other, "FAILED"))))))
        assert isinstance(on_day(trigger, listings=there(9)), Wait)
        assert is_start(on_day(trigger, listings=there(9), searches=there(7)))
        assert is_start(on_day(trigger, listings=there(9), parents={(other, DAY): failed(3)}))
        waiting = on_day(trigger, listings=there(9), parents={(other, DAY): there(3)})
        assert isinstance(waiting, Wait)
        assert [each.what for each in waiting.missing] == [f"{SEARCHES} {DAY}"]

    @pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
    def test_each_bad_end_is_a_status_of_its_own(self, status: Any) -> None:
        trigger = triggered(after(LISTINGS, status))
        for outcome in ("FAILED", "TIMED_OUT", "ABORTED"):
            assert is_start(on_day(trigger, listings=failed(4, outcome=outcome))) is (outcome == status)

    def test_running_is_true_from_the_first_start_on(self) -> None:
        trigger = triggered(after(LISTINGS, "RUNNING"))
        assert isinstance(on_day(trigger), Wait)
        assert is_start(on_day(trigger, listings=ParentState(started=True)))
        assert is_start(on_day(trigger, listings=there(4)))
        assert isinstance(on_day(trigger, listings=there(4), runs=[ran(1)]), Done)


class TestFiles:
    TRIGGER = triggered(
        AllOf((AT_THREE, Arrived())), name="core_data/listings", raw_asset=("core_data", "raw", "listings")
    )

    def test_schedule_and_files_are_both_needed(self) -> None:
        ready = FilesState(sequence=5, is_ready=True)
        assert isinstance(on_day(self.TRIGGER, "2026-11-21 01:00", files=ready), Wait)
        assert isinstance(on_day(self.TRIGGER, "2026-11-21 02:00", files=FilesState()), Wait)
        decision = on_day(self.TRIGGER, "2026-11-21 02:00", files=ready)
        assert isinstance(decision, Start)
        assert decision.inputs == {"files": 5}

    def test_files_that_settle_wake_the_decision_up(self) -> None:
        files = FilesState(5, False, "it changed a moment ago", until=seconds("2026-11-21 02:05"))
        decision = on_day(self.TRIGGER, "2026-11-21 02:01", files=files)
        assert isinstance(decision, Wait)
        assert (decision.until, decision.missing[0].what) == (files.until, "its files (it changed a moment ago)")

    def test_late_files_run_it_again_unless_they_only_alert(self) -> None:
        files = FilesState(sequence=8, is_ready=True, published=5)
        runs = [ran(1, files=5)]
        assert is_start(on_day(self.TRIGGER, files=files, runs=runs, own_data_id=9))
        quiet = FilesState(sequence=5, is_ready=True, published=5)  # as the ledger tells of late files that only alert
        assert isinstance(on_day(self.TRIGGER, files=quiet, runs=runs, own_data_id=9), Done)

    def test_late_files_settle_before_they_run_it_again(self) -> None:
        files = FilesState(8, False, "it changed a moment ago", until=seconds("2026-11-21 07:05"), published=5)
        decision = on_day(self.TRIGGER, files=files, runs=[ran(1, files=5)], own_data_id=9)
        assert isinstance(decision, Wait)
        assert decision.until == files.until

    def test_files_that_a_run_by_hand_published_are_no_news(self) -> None:
        files = FilesState(sequence=8, is_ready=True, published=8)
        assert isinstance(on_day(self.TRIGGER, files=files, runs=[ran(1, files=5)], own_data_id=9), Done)
        assert isinstance(on_day(self.TRIGGER, files=files, own_data_id=9), Done)

    def test_a_failed_run_starts_again_for_new_files(self) -> None:
        runs = [ran(1, "FAILED", files=5)]
        assert isinstance(on_day(self.TRIGGER, files=FilesState(5, True), runs=runs), Done)
        assert is_start(on_day(self.TRIGGER, files=FilesState(8, True), runs=runs))

    def test_a_new_parent_version_runs_it_again_with_the_files_that_it_had(self) -> None:
        trigger = triggered(AllOf((after(LISTINGS), Arrived())), raw_asset=("a", "raw", "b"), reruns_on_update=True)
        files = FilesState(5, False, "nothing has changed", published=5)
        runs = [ran(1, listings=9, files=5)]
        assert is_start(on_day(trigger, listings=there(20), files=files, runs=runs))

    def test_at_latest_needs_at_least_one_file(self) -> None:
        trigger = replace(self.TRIGGER, at_latest=TimeOfDay(9))
        assert isinstance(on_day(trigger, "2026-11-21 09:00", files=FilesState()), Wait)
        assert is_start(on_day(trigger, "2026-11-21 09:00", files=FilesState(3, False, "1 of 2 files are there")))
