"""Ticks on the clocks of a place, against a search through every minute."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datalake_assets.triggers.schedules import Schedule, TimeOfDay, cron_refusal
from tests.triggers.test_calendars import ZONES
from tests.triggers.trigger_builders import utc

MINUTE = timedelta(minutes=1)
# Each first of two days has a change of clocks in the second or none.
DAYS = ["2026-01-10", "2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-12-30"]


def minutes_of_clocks(zone: str, begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Each minute that clocks show or skip, with the moment that counts for it."""
    place = ZoneInfo(zone)
    shown: dict[datetime, datetime] = {}
    moment = begin - timedelta(hours=3)
    while moment < end + timedelta(hours=3):
        shown[moment.astimezone(place).replace(tzinfo=None)] = moment  # the second time wins
        moment += MINUTE
    local, last = min(shown), max(shown)
    while local <= last:
        following = local
        while following not in shown:
            following += MINUTE
        yield local, shown[following]
        local += MINUTE


def expected_ticks(
    hours: set[int], minute: int, weekdays: set[int], zone: str, begin: datetime, end: datetime
) -> list[datetime]:
    found = {
        moment
        for local, moment in minutes_of_clocks(zone, begin, end)
        if local.hour in hours and local.minute == minute and local.isoweekday() in weekdays
    }
    return sorted(moment for moment in found if begin < moment <= end)


@settings(max_examples=40, deadline=None)
@given(
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=3),
    minute=st.sampled_from([0, 15, 30, 59]),
    weekdays=st.sampled_from([set(range(1, 8)), {1}, {6, 7}, {7, 1, 3}]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney"]),
    day=st.sampled_from(DAYS),
)
def test_a_time_ticks_once_a_day_after_a_gap_and_not_twice(
    hours: set[int], minute: int, weekdays: set[int], zone: str, day: str
) -> None:
    named = "*" if weekdays == set(range(1, 8)) else ",".join(str(each % 7) for each in sorted(weekdays))
    schedule = Schedule(f"{minute} {','.join(map(str, sorted(hours)))} * * {named}", zone)
    begin = utc(day)
    end = begin + timedelta(days=2)
    expected = expected_ticks(hours, minute, weekdays, zone, begin, end)
    assert list(schedule.ticks_between(begin, end)) == expected
    for tick in expected:
        assert schedule.first_from(tick) == schedule.last_until(tick) == tick
        assert schedule.first_from(tick - MINUTE) == schedule.last_until(tick + MINUTE) == tick
    if not expected:
        assert schedule.first_from(end) > end


@pytest.mark.parametrize("zone", [zone for zone in ZONES if zone != "Australia/Lord_Howe"])
def test_every_hour_ticks_in_each_real_hour(zone: str) -> None:
    ticks = list(Schedule("30 * * * *", zone).ticks_between(utc("2026-01-01"), utc("2027-01-01")))
    assert len(ticks) == 365 * 24
    assert {after - before for before, after in pairwise(ticks)} == {timedelta(hours=1)}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hour", [0, 1, 2, 3, 12, 23])
def test_a_daily_time_ticks_once_each_day_of_a_year_in_every_place(zone: str, hour: int) -> None:
    ticks = list(Schedule(f"30 {hour} * * *", zone).ticks_between(utc("2026-01-02"), utc("2027-01-02")))
    assert len(ticks) == 365
    days = [tick.astimezone(ZoneInfo(zone)).date() for tick in ticks]
    assert days == [days[0] + timedelta(days=n) for n in range(365)]


def test_a_skipped_time_ticks_at_the_end_of_the_gap_and_a_doubled_one_the_second_time() -> None:
    schedule = Schedule("30 2 * * *", "Europe/Berlin")
    assert schedule.first_from(utc("2026-03-29 00:00")) == utc("2026-03-29 01:00")
    assert list(schedule.ticks_between(utc("2026-10-25 00:00"), utc("2026-10-25 12:00"))) == [utc("2026-10-25 01:30")]
    assert TimeOfDay(2, 30, "Europe/Berlin").on(date(2026, 3, 29)) == utc("2026-03-29 01:00")
    assert TimeOfDay(2, 30, "Europe/Berlin").on(date(2026, 10, 25)) == utc("2026-10-25 01:30")


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["0 3 * * *", "*/20 * * * *", "0 0 1 * *", "0 6 29 2 *", "0 12 * * 1"]),
    st.sampled_from(ZONES),
    st.lists(st.datetimes(datetime(2026, 1, 1), datetime(2026, 6, 1), timezones=st.just(UTC)), min_size=3, max_size=3),
)
def test_a_stretch_of_time_can_be_cut_anywhere(cron: str, zone: str, moments: list[datetime]) -> None:
    schedule = Schedule(cron, zone)
    begin, middle, end = sorted(moments)
    end = min(end, begin + timedelta(days=40))
    middle = min(middle, end)
    whole = list(schedule.ticks_between(begin, end))
    assert whole == [*schedule.ticks_between(begin, middle), *schedule.ticks_between(middle, end)]
    assert whole == sorted(set(whole))


def test_a_leap_day_is_found_years_ahead() -> None:
    assert Schedule("0 6 29 2 *").first_from(utc("2026-01-01")) == utc("2028-02-29 06:00")
    assert list(Schedule("0 6 29 2 *").ticks_between(utc("2026-01-01"), utc("2029-01-01"))) == [utc("2028-02-29 06:00")]


@pytest.mark.parametrize(
    "cron",
    ["", "0 3 * *", "0 3 * * * *", "60 3 * * *", "@daily", "0 0 30 2 *", "0 0 31 4 *", "*/90 * * * *", "0 3 * * 1-1"],
)
def test_a_cron_expression_that_never_ticks_is_refused(cron: str) -> None:
    assert cron_refusal(cron)


def test_a_date_that_does_not_exist_is_not_blamed_on_the_number_of_fields_alone() -> None:
    assert "a date that exists" in (cron_refusal("0 0 31 2 *") or "")


@pytest.mark.parametrize("cron", ["0 3 * * *", "*/5 * * * *", "0 3 * * MON-FRI", "0 6 29 2 *", "0 0 L * *"])
def test_a_cron_expression_that_ticks_is_taken(cron: str) -> None:
    assert cron_refusal(cron) is None


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 3 * * *", "03:00 Europe/Berlin"),
        ("5 3,15 * * *", "03:05 and 15:05 Europe/Berlin"),
        ("0 3 * * 1,2", "Mon, Tue 03:00 Europe/Berlin"),
        ("0 3 * * MON-FRI", "Mon-Fri 03:00 Europe/Berlin"),
        ("15 * * * *", "every hour at :15 Europe/Berlin"),
        ("*/5 * * * *", "*/5 * * * * Europe/Berlin"),
        ("0 3 1 * *", "0 3 1 * * Europe/Berlin"),
    ],
)
def test_a_schedule_reads_as_people_say_it(cron: str, words: str) -> None:
    assert str(Schedule(cron, "Europe/Berlin")) == words
