"""Which partitions are looked at, and when."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datalake_assets.errors import InvalidName
from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.calendars import Calendar, instant
from datalake_assets.triggers.candidates import affected, due_at, due_between, needed, next_due
from datalake_assets.triggers.model import AllOf, AnyOf, Arrived, Condition, Due, PipelineTrigger
from datalake_assets.triggers.schedules import Schedule, TimeOfDay
from tests.triggers.test_calendars import calendars, moments, zones
from tests.triggers.trigger_builders import (
    DAILY,
    DAY,
    HOURLY,
    LISTINGS,
    NO_PARTITIONS,
    SEARCHES,
    after,
    seconds,
    triggered,
    utc,
)

NOW = seconds("2026-11-21 07:00")
AT_THREE = Due(Schedule("0 3 * * *", "Europe/Berlin"))
BERLIN = Calendar("day", date(2026, 1, 1), time_zone="Europe/Berlin")


def test_day_needs_day_in_the_order_of_the_declaration_and_once() -> None:
    trigger = triggered(AllOf((after(SEARCHES), AnyOf((after(LISTINGS), after(SEARCHES, "FAILED"))))))
    assert needed(trigger, DAY) == [(SEARCHES, DAY), (LISTINGS, DAY)]


def test_a_day_needs_the_hours_of_its_own_clocks() -> None:
    trigger = triggered(after(SEARCHES), calendar=BERLIN, calendars={SEARCHES: HOURLY})
    assert len(needed(trigger, "2026-03-29")) == 23
    assert len(needed(trigger, "2026-10-25")) == 25
    assert needed(trigger, DAY)[0] == (SEARCHES, "2026-11-19-23:00")


def test_a_day_on_other_clocks_needs_both_days_that_it_touches() -> None:
    trigger = triggered(after(LISTINGS), calendars={LISTINGS: BERLIN})
    assert needed(trigger, DAY) == [(LISTINGS, "2026-11-20"), (LISTINGS, "2026-11-21")]
    assert affected(trigger, LISTINGS, DAY, NOW) == ["2026-11-19", "2026-11-20"]


def test_an_hour_needs_its_day() -> None:
    trigger = triggered(after(LISTINGS), calendar=HOURLY)
    assert needed(trigger, f"{DAY}-13:00") == [(LISTINGS, DAY)]
    assert len(affected(trigger, LISTINGS, DAY, NOW)) == 24


def test_news_of_a_day_concern_the_seven_days_that_end_with_it_or_later() -> None:
    trigger = triggered(after(SEARCHES, last=7))
    assert affected(trigger, SEARCHES, DAY, NOW) == [f"2026-11-{day}" for day in range(20, 27)]


def test_old_partitions_are_as_good_as_new_ones() -> None:
    trigger = triggered(after(LISTINGS))
    assert affected(trigger, LISTINGS, "2026-01-01", NOW) == ["2026-01-01"]
    assert affected(trigger, LISTINGS, "2025-12-31", NOW) == []
    assert affected(trigger, LISTINGS, "not a day", NOW) == []


def test_a_child_without_partitions_looks_at_its_parents_as_a_whole() -> None:
    trigger = triggered(AllOf((after(LISTINGS), AT_THREE)), calendar=NO_PARTITIONS)
    assert needed(trigger, UNPARTITIONED) == [(LISTINGS, UNPARTITIONED)]
    assert affected(trigger, LISTINGS, DAY, NOW) == [UNPARTITIONED]
    due = due_between(trigger, NOW, NOW + 86400)
    assert due == [(UNPARTITIONED, seconds("2026-11-22 02:00"))]
    assert next_due(trigger, NOW) == due[0]
    assert due_at(trigger, UNPARTITIONED) is None


def test_news_of_a_parent_without_partitions_concern_the_last_week() -> None:
    trigger = triggered(after("core_data/cities"), calendars={"core_data/cities": NO_PARTITIONS})
    assert needed(trigger, DAY) == [("core_data/cities", UNPARTITIONED)]
    assert affected(trigger, "core_data/cities", UNPARTITIONED, NOW) == [f"2026-11-{day}" for day in range(14, 21)]
    ended = triggered(
        after("core_data/cities"),
        calendar=Calendar("day", date(2026, 1, 1), date(2026, 2, 1)),
        calendars={"core_data/cities": NO_PARTITIONS},
    )
    assert affected(ended, "core_data/cities", UNPARTITIONED, NOW) == ["2026-01-31"]


@settings(max_examples=30, deadline=None)
@given(calendars, calendars, st.integers(1, 8), st.integers(-4, 2), moments)
def test_news_concern_exactly_the_partitions_that_need_them(
    child: Calendar, parent: Calendar, last: int, offset: int, moment: datetime
) -> None:
    trigger = triggered(after(LISTINGS, last=last, offset=offset), calendar=child, calendars={LISTINGS: parent})
    reach = timedelta(days=10)
    needs = {key: needed(trigger, key) for key in child.ended_between(moment - reach, moment + reach)}
    for each in parent.ended_between(moment, moment + timedelta(hours=30))[:4]:
        expected = [key for key, pairs in needs.items() if (LISTINGS, each) in pairs]
        assert affected(trigger, LISTINGS, each, NOW) == expected


def test_a_partition_is_looked_at_when_it_ends_and_at_each_of_its_times() -> None:
    trigger = triggered(Arrived(), not_before=TimeOfDay(6), at_latest=TimeOfDay(9, 30))
    assert due_between(trigger, seconds("2026-11-20 12:00"), seconds("2026-11-21 12:00")) == [
        (DAY, seconds("2026-11-21 00:00")),
        (DAY, seconds("2026-11-21 06:00")),
        (DAY, seconds("2026-11-21 09:30")),
    ]
    assert due_at(trigger, DAY) == seconds("2026-11-21 06:00")
    assert next_due(trigger, seconds("2026-11-21 06:00")) == (DAY, seconds("2026-11-21 09:30"))


def test_the_end_of_a_partition_starts_what_waits_for_nothing_of_the_same_time() -> None:
    cities = "core_data/cities"
    calendars = {cities: NO_PARTITIONS}
    midnight = (DAY, seconds("2026-11-21"))
    for early in (after(cities), after(LISTINGS, offset=-1), AnyOf((after(LISTINGS), after(cities)))):
        trigger = triggered(early, calendars=calendars)
        assert due_between(trigger, midnight[1] - 60, midnight[1]) == [midnight]
        assert next_due(trigger, midnight[1] - 60) == midnight
    for later in (after(LISTINGS), after(LISTINGS, last=3), AllOf((after(LISTINGS), after(cities)))):
        trigger = triggered(later, calendars=calendars)
        assert due_between(trigger, midnight[1] - 60, midnight[1]) == []
        assert next_due(trigger, midnight[1] - 60) is None


def test_a_stretch_begins_after_its_first_moment_and_ends_with_its_last() -> None:
    trigger = triggered(AT_THREE)
    at_three = seconds("2026-11-21 02:00")
    assert due_between(trigger, at_three - 1, at_three) == [(DAY, at_three)]
    assert due_between(trigger, at_three, at_three + 1) == []
    assert due_between(trigger, at_three + 1, at_three) == []


def test_a_tick_brings_all_that_ended_since_the_tick_before() -> None:
    mondays = triggered(Due(Schedule("0 3 * * 1")))
    monday = seconds("2026-11-23 03:00")
    assert due_between(mondays, monday - 60, monday) == [(f"2026-11-{day}", monday) for day in range(16, 23)]
    assert next_due(mondays, NOW) == ("2026-11-22", monday)
    assert due_at(mondays, "2026-11-18") == monday


def test_the_partition_of_a_tick_is_the_day_before_also_when_clocks_change() -> None:
    trigger = triggered(Due(Schedule("30 2 * * *", "Europe/Berlin")), calendar=BERLIN)
    ticks = dict(due_between(trigger, seconds("2026-03-27"), seconds("2026-03-31")))
    assert ticks["2026-03-28"] == seconds("2026-03-29 01:00")
    assert len(ticks) == 4
    autumn = due_between(trigger, seconds("2026-10-24 12:00"), seconds("2026-10-25 12:00"))
    assert autumn == [("2026-10-24", seconds("2026-10-25 01:30"))]


def test_midnight_in_the_middle_of_an_outage_loses_nothing() -> None:
    trigger = triggered(AllOf((AT_THREE, after(LISTINGS))))
    found = due_between(trigger, seconds("2026-11-18 23:00"), seconds("2026-11-21 12:00"))
    assert [key for key, _ in found] == ["2026-11-18", "2026-11-19", "2026-11-20"]


def test_a_pipeline_that_has_ended_is_due_no_more() -> None:
    ended = triggered(AT_THREE, calendar=Calendar("day", date(2026, 1, 1), date(2026, 2, 1)))
    assert next_due(ended, NOW) is None
    assert due_between(ended, seconds("2026-01-31 12:00"), NOW) == [("2026-01-31", seconds("2026-02-01 02:00"))]
    ahead = triggered(AT_THREE, calendar=Calendar("day", date(2027, 5, 1)))
    assert next_due(ahead, NOW) == ("2027-05-01", seconds("2027-05-02 01:00"))
    assert next_due(triggered(after(LISTINGS)), NOW) is None


def test_times_are_refused_for_what_is_no_partition() -> None:
    with pytest.raises(InvalidName):
        due_at(triggered(AT_THREE), "2026-13-01")
    with pytest.raises(InvalidName):
        needed(triggered(after(LISTINGS)), UNPARTITIONED)


crons = st.sampled_from(["0 3 * * *", "30 2 * * *", "0 * * * *", "0 6 * * 1,4", "0 5 1 * *", "15 4,16 * * *"])
times = st.none() | st.builds(TimeOfDay, st.integers(0, 23), st.sampled_from([0, 30]), zones)
triggers = st.builds(
    triggered,
    st.sampled_from(["parent", "files", "schedule", "both", "either"]).flatmap(
        lambda kind: st.builds(Schedule, crons, zones).map(lambda schedule: condition_of(kind, schedule))
    ),
    calendar=calendars.map(lambda calendar: replace(calendar, start=date(2026, 1, 1))),
    not_before=times,
    at_latest=times,
)


def condition_of(kind: str, schedule: Schedule) -> Condition:
    conditions: dict[str, Condition] = {
        "parent": after(LISTINGS),
        "files": Arrived(),
        "schedule": Due(schedule),
        "both": AllOf((Due(schedule), after(LISTINGS))),
        "either": AnyOf((Due(schedule), after(LISTINGS))),
    }
    return conditions[kind]


@settings(max_examples=25, deadline=None)
@given(triggers, st.datetimes(datetime(2026, 1, 10), datetime(2026, 12, 20), timezones=st.just(UTC)))
def test_time_is_found_as_a_search_through_all_partitions_finds_it(trigger: PipelineTrigger, since: datetime) -> None:
    until = since + timedelta(days=2)
    calendar, condition = trigger.pipeline.calendar, trigger.condition
    schedules = [each.schedule for each in getattr(condition, "terms", (condition,)) if isinstance(each, Due)]
    expected = set()
    for key in calendar.ended_between(since - timedelta(days=40), until):
        end = calendar.window(key)[1]
        found = [
            min(tick for tick in each.ticks_between(end - timedelta(seconds=1), end + timedelta(days=40)))
            for each in schedules
        ]
        day = calendar.end_day(key)
        found += [max(end, time.on(day)) for time in (trigger.not_before, trigger.at_latest) if time]
        if isinstance(condition, Arrived):
            found.append(end)
        expected |= {(key, moment.timestamp()) for moment in found if since < moment <= until}
    result = due_between(trigger, since.timestamp(), until.timestamp())
    assert set(result) == expected
    assert [moment for _, moment in result] == sorted(moment for _, moment in result)
    assert len(result) == len(expected)
    following = next_due(trigger, since.timestamp())
    if result:
        assert following == max(pair for pair in result if pair[1] == result[0][1])
    else:
        assert following is None or following[1] > until.timestamp()
    # Cut anywhere, nothing is lost and nothing comes twice.
    middle = instant((since.timestamp() + until.timestamp()) / 2 + 17.3).timestamp()
    cut = due_between(trigger, since.timestamp(), middle) + due_between(trigger, middle, until.timestamp())
    assert sorted(cut) == sorted(result)


def test_the_smallest_stretches_find_what_one_long_one_finds() -> None:
    trigger = triggered(AllOf((AT_THREE, after(LISTINGS))), at_latest=TimeOfDay(9), calendar=DAILY)
    begin = utc("2026-11-21 01:58").timestamp()
    found = [each for n in range(300) for each in due_between(trigger, begin + n * 0.9, begin + (n + 1) * 0.9)]
    assert found == [(DAY, seconds("2026-11-21 02:00"))]
