"""What becomes of a partition that is made of several, or of none."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from datalake_assets.errors import InvalidName
from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.model import (
    AllOf,
    Decision,
    Done,
    Due,
    ParentState,
    PipelineTrigger,
    Start,
    Wait,
)
from datalake_assets.triggers.rules import decide
from datalake_assets.triggers.schedules import Schedule, TimeOfDay
from tests.triggers.trigger_builders import (
    BOTH,
    DAY,
    HOURLY,
    LISTINGS,
    NO_PARTITIONS,
    SEARCHES,
    after,
    facts,
    failed,
    is_start,
    on_day,
    ran,
    seconds,
    there,
    triggered,
)


class TestWindows:
    def test_seven_days_are_all_needed(self) -> None:
        trigger = triggered(after(SEARCHES, last=7))
        days = {(SEARCHES, f"2026-11-{day}"): there(day) for day in range(14, 21)}
        decision = on_day(trigger, parents=days)
        assert isinstance(decision, Start)
        assert decision.reason == f"{SEARCHES} 2026-11-14 to 2026-11-20 succeeded"
        assert len(decision.inputs) == 7
        del days[SEARCHES, "2026-11-16"]
        waiting = on_day(trigger, parents=days)
        assert isinstance(waiting, Wait)
        assert [each.what for each in waiting.missing] == [f"{SEARCHES} 2026-11-16"]

    def test_a_window_reaches_no_further_back_than_the_parent(self) -> None:
        young = Calendar("day", date(2026, 11, 19))
        trigger = triggered(after(SEARCHES, last=7), calendars={SEARCHES: young})
        days = {(SEARCHES, "2026-11-19"): there(1), (SEARCHES, DAY): there(2)}
        assert is_start(on_day(trigger, parents=days))

    def test_a_pipeline_that_needs_its_own_day_before_begins_with_its_first(self) -> None:
        calendar = Calendar("day", date(2026, 11, 20))
        name = "rent_journey/pipeline_x"
        trigger = triggered(after(name, offset=-1), calendar=calendar, calendars={name: calendar})
        assert is_start(on_day(trigger))
        known = {(name, DAY): there(4)}
        assert is_start(decide(trigger, "2026-11-21", facts("2026-11-22 00:00", parents=known)))
        assert isinstance(decide(trigger, "2026-11-22", facts("2026-11-23 00:00", parents=known)), Wait)

    def test_a_parent_that_has_no_partition_for_a_day_never_lets_it_start(self) -> None:
        trigger = triggered(after(SEARCHES), calendars={SEARCHES: Calendar("day", date(2026, 1, 1), date(2026, 2, 1))})
        decision = on_day(trigger)
        assert isinstance(decision, Wait)
        assert decision.missing[0].what == f"{SEARCHES}, which has no partition for it"

    def test_a_day_needs_all_its_hours(self) -> None:
        trigger = triggered(after(SEARCHES), calendars={SEARCHES: HOURLY})
        hours = {(SEARCHES, f"{DAY}-{hour:02}:00"): there(hour + 1) for hour in range(24)}
        assert is_start(on_day(trigger, parents=hours))
        del hours[SEARCHES, f"{DAY}-13:00"]
        assert isinstance(on_day(trigger, parents=hours), Wait)


class TestParentsWithoutPartitions:
    CITIES = "core_data/cities"
    TRIGGER = triggered(AllOf((after(LISTINGS), after(CITIES))), calendars={CITIES: NO_PARTITIONS})

    def test_it_is_enough_that_their_data_is_there(self) -> None:
        cities = {(self.CITIES, UNPARTITIONED): there(2)}
        assert isinstance(on_day(self.TRIGGER, listings=there(9)), Wait)
        decision = on_day(self.TRIGGER, listings=there(9), parents=cities)
        assert isinstance(decision, Start)
        assert decision.inputs == {f"{LISTINGS}@{DAY}": 9, self.CITIES: 2}

    def test_their_news_run_the_newest_partition_again_and_no_older_one(self) -> None:
        trigger = replace(self.TRIGGER, reruns_on_update=True)
        known: dict[str, Any] = {
            "listings": there(9),
            "parents": {(self.CITIES, UNPARTITIONED): there(30)},
            "runs": [ran(1, listings=9, **{self.CITIES: 2})],
        }
        assert is_start(on_day(trigger, "2026-11-21 12:00", **known))
        assert isinstance(on_day(trigger, "2026-11-22 12:00", **known), Done)


class TestChildrenWithoutPartitions:
    TRIGGER = triggered(AllOf((after(LISTINGS), after(SEARCHES))), calendar=NO_PARTITIONS)
    WHOLE = UNPARTITIONED

    def decision(self, trigger: PipelineTrigger, now: str = "2026-11-21 07:00", **known: Any) -> Decision:
        states = {
            (LISTINGS, UNPARTITIONED): known.pop("listings", ParentState()),
            (SEARCHES, UNPARTITIONED): known.pop("searches", ParentState()),
        }
        return decide(trigger, UNPARTITIONED, facts(now, parents=states, **known))

    def test_each_parent_must_have_news_since_the_last_run(self) -> None:
        first = self.decision(self.TRIGGER, listings=there(9), searches=there(7))
        assert isinstance(first, Start)
        assert (first.run_key, first.inputs) == ("rent_journey/pipeline_x||1", {LISTINGS: 9, SEARCHES: 7})
        runs = [ran(1, **{LISTINGS: 9, SEARCHES: 7})]
        waiting = self.decision(self.TRIGGER, listings=there(20), searches=there(7), runs=runs)
        assert isinstance(waiting, Wait)
        assert [each.what for each in waiting.missing] == [f"news of {SEARCHES}"]
        again = self.decision(self.TRIGGER, listings=there(20), searches=there(21), runs=runs)
        assert isinstance(again, Start)
        assert again.number == 2

    def test_after_a_failure_the_news_of_one_parent_are_enough(self) -> None:
        runs = [ran(2, "FAILED", **{LISTINGS: 20, SEARCHES: 21}), ran(1, **{LISTINGS: 9, SEARCHES: 7})]
        assert isinstance(self.decision(self.TRIGGER, listings=there(20), searches=there(21), runs=runs), Done)
        assert is_start(self.decision(self.TRIGGER, listings=there(30), searches=there(21), runs=runs))

    def test_what_was_built_by_hand_waits_for_news(self) -> None:
        known: dict[str, Any] = {"listings": there(9), "searches": there(7), "own_data_id": 8}
        assert isinstance(self.decision(self.TRIGGER, **known), Wait)
        known["searches"] = there(12)
        assert is_start(self.decision(self.TRIGGER, **known))

    def test_each_tick_of_a_schedule_runs_it_once(self) -> None:
        trigger = triggered(Due(Schedule("0 3,15 * * *")), calendar=NO_PARTITIONS)
        first = self.decision(trigger, "2026-11-21 03:00")
        assert isinstance(first, Start)
        runs = [ran(1, **first.inputs)]
        waiting = self.decision(trigger, "2026-11-21 03:01", runs=runs)
        assert isinstance(waiting, Wait)
        assert waiting.until == seconds("2026-11-21 15:00")
        assert is_start(self.decision(trigger, "2026-11-21 15:00", runs=runs))
        late = [ran(1, "FAILED", **first.inputs)]
        assert isinstance(self.decision(trigger, "2026-11-21 03:01", runs=late), Done)
        assert is_start(self.decision(trigger, "2026-11-21 15:00", runs=late))

    def test_each_failure_of_a_parent_is_news_for_a_fallback(self) -> None:
        trigger = triggered(after(LISTINGS, "FAILED"), calendar=NO_PARTITIONS)
        first = self.decision(trigger, listings=failed(4))
        assert isinstance(first, Start)
        runs = [ran(1, **first.inputs)]
        assert isinstance(self.decision(trigger, listings=failed(4), runs=runs), Wait)
        assert isinstance(self.decision(trigger, listings=there(9), runs=runs), Wait)
        assert is_start(self.decision(trigger, listings=failed(12, data_id=9), runs=runs))

    def test_at_latest_runs_it_once_a_day_with_what_is_new(self) -> None:
        trigger = replace(self.TRIGGER, at_latest=TimeOfDay(9))
        runs = [ran(1, **{LISTINGS: 9, SEARCHES: 7, "at_latest": int(seconds("2026-11-20 09:00"))})]
        news: dict[str, Any] = {"listings": there(20), "searches": there(7)}
        assert isinstance(self.decision(trigger, "2026-11-21 08:59", **news, runs=runs), Wait)
        forced = self.decision(trigger, "2026-11-21 09:00", **news, runs=runs)
        assert isinstance(forced, Start)
        runs = [ran(2, **forced.inputs), *runs]
        assert isinstance(self.decision(trigger, "2026-11-21 09:01", **news, runs=runs), Wait)
        news["searches"] = there(30)
        assert isinstance(self.decision(trigger, "2026-11-21 10:00", **news, runs=runs), Wait)
        assert is_start(self.decision(trigger, "2026-11-22 09:00", **news, runs=runs))
        assert isinstance(
            self.decision(trigger, "2026-11-22 09:00", listings=there(20), searches=there(7), runs=runs), Wait
        )

    def test_not_before_is_of_each_day(self) -> None:
        trigger = replace(self.TRIGGER, not_before=TimeOfDay(6, 0, "Europe/Berlin"))
        known: dict[str, Any] = {"listings": there(9), "searches": there(7)}
        decision = self.decision(trigger, "2026-11-21 04:59", **known)
        assert isinstance(decision, Wait)
        assert decision.until == seconds("2026-11-21 05:00")
        assert is_start(self.decision(trigger, "2026-11-21 05:00", **known))


def test_what_is_no_partition_is_refused() -> None:
    for text in ("2025-12-31", "yesterday", UNPARTITIONED, "2026-W01-1"):
        with pytest.raises(InvalidName):
            decide(BOTH, text, facts("2026-11-21 07:00"))
