"""Partitions as stretches of time: the same as Dagster's, also when clocks change."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datalake_assets.errors import InvalidName
from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.calendars import Calendar, Every
from tests.triggers.trigger_builders import utc

# Clocks that change at 1, 2 and 3 o'clock and at midnight, by half an hour, never, and with odd offsets.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Africa/Cairo",
    "America/Havana",
    "America/Santiago",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
]
zones = st.sampled_from(ZONES)
calendars = st.builds(
    Calendar,
    every=st.sampled_from(["day", "hour"]),
    start=st.dates(date(2026, 1, 1), date(2026, 12, 1)),
    end=st.none() | st.dates(date(2026, 12, 1), date(2027, 2, 1)),
    time_zone=zones,
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 3, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(second=0, microsecond=0)
)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("every", ["day", "hour"])
def test_keys_and_windows_of_a_year_are_those_of_dagster(zone: str, every: Every) -> None:
    calendar = Calendar(every, date(2026, 1, 5), time_zone=zone)
    now = datetime(2027, 1, 10, tzinfo=UTC)
    if every == "day":
        theirs: dg.TimeWindowPartitionsDefinition = dg.DailyPartitionsDefinition("2026-01-05", timezone=zone)
    else:
        theirs = dg.HourlyPartitionsDefinition("2026-01-05-00:00", timezone=zone)
    keys = list(theirs.get_partition_keys(current_time=now))
    ours = calendar.ended_between(datetime(2025, 12, 1, tzinfo=UTC), now)
    if zone == "Australia/Lord_Howe" and every == "hour":
        # Dagster counts hours from the half hour for some days after the change.
        keys, ours = keys[:2000], ours[:2000]
    assert ours == keys
    # Windows are compared where they are not simply the next hour.
    for key in keys if every == "day" else [key for key in keys if key[5:10] in ("03-29", "10-25", "03-08", "11-01")]:
        window = theirs.time_window_for_partition_key(key)
        assert [each.timestamp() for each in calendar.window(key)] == [window.start.timestamp(), window.end.timestamp()]


def test_days_have_23_or_25_hours_when_clocks_change() -> None:
    calendar = Calendar("day", time_zone="Europe/Berlin")
    lengths = {day: calendar.window(day)[1] - calendar.window(day)[0] for day in ("2026-03-29", "2026-10-25")}
    assert lengths == {"2026-03-29": timedelta(hours=23), "2026-10-25": timedelta(hours=25)}


def test_the_hour_that_clocks_show_twice_is_two_partitions() -> None:
    calendar = Calendar("hour", time_zone="Europe/Berlin")
    assert calendar.overlapping(utc("2026-10-25 00:00"), utc("2026-10-25 02:00")) == [
        "2026-10-25-02:00",
        "2026-10-25-02:00+0100",
    ]
    assert calendar.window("2026-10-25-02:00+0100")[0] == utc("2026-10-25 01:00")
    assert not calendar.has("2026-03-29-02:00")


@pytest.mark.parametrize(
    ("every", "text"),
    [
        ("day", "2026-02-30"),
        ("day", "2026-W01-1"),
        ("day", "20260101"),
        ("day", "2025-12-31"),
        ("day", "2027-01-01"),
        ("day", "2026-01-01-00:00"),
        ("day", ""),
        ("hour", "2026-01-01"),
        ("hour", "2026-01-01-00:30"),
        ("hour", "2026-01-01-24:00"),
        ("hour", "2026-01-01-00:00+0100"),
        ("hour", "2027-01-01-00:00"),
        ("hour", "2025-12-31-23:00"),
        (None, "2026-01-01"),
    ],
)
def test_what_is_no_key_is_refused(every: Every | None, text: str) -> None:
    calendar = Calendar(every, date(2026, 1, 1), date(2027, 1, 1))
    assert not calendar.has(text)
    with pytest.raises(InvalidName):
        calendar.window(text)


def test_a_pipeline_without_partitions_has_one_that_is_always_there() -> None:
    calendar = Calendar()
    assert calendar.has(UNPARTITIONED)
    assert calendar.overlapping(utc("2026-01-01"), utc("2026-01-02")) == [UNPARTITIONED]
    assert calendar.newest_over(utc("2026-01-01")) is None


@settings(max_examples=60, deadline=None)
@given(calendars, moments, st.timedeltas(timedelta(0), timedelta(days=4)))
def test_overlapping_partitions_are_those_whose_windows_overlap(
    calendar: Calendar, begin: datetime, length: timedelta
) -> None:
    end = begin + length
    around = calendar.ended_between(begin - timedelta(days=3), end + timedelta(days=3))
    windows = {key: calendar.window(key) for key in around}
    expected = [key for key in around if windows[key][0] < end and begin < windows[key][1] and begin < end]
    assert calendar.overlapping(begin, end) == expected
    over = [key for key in around if windows[key][1] <= end]
    assert calendar.ended_between(begin, end) == [key for key in over if windows[key][1] > begin]
    if over:
        assert calendar.newest_over(end) == over[-1]


@settings(max_examples=60, deadline=None)
@given(calendars, moments, st.integers(1, 9), st.integers(-5, 3))
def test_reaching_is_the_inverse_of_stretch(calendar: Calendar, moment: datetime, last: int, offset: int) -> None:
    window = moment, moment + timedelta(hours=5)
    around = calendar.ended_between(moment - timedelta(days=20), moment + timedelta(days=20))
    stretches = {key: calendar.stretch(key, last=last, offset=offset) for key in around}
    expected = [key for key, (begin, end) in stretches.items() if begin < window[1] and window[0] < end]
    assert calendar.reaching(*window, last=last, offset=offset) == expected


def test_seven_days_are_seven_midnights_not_168_hours() -> None:
    calendar = Calendar("day", time_zone="Europe/Berlin")
    assert calendar.stretch("2026-03-31", last=7) == (utc("2026-03-24 23:00"), utc("2026-03-31 22:00"))
