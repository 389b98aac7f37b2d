"""When a changed partition may run, by the words of its pipeline; times are seconds after noon of 2026-01-05."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from datalake_assets.arrivals.conditions import DailyTime, RunConditions, SourceRules
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.partitions import Daily, Unpartitioned
from datalake_assets.arrivals.readiness import NotYet, Ready, late_at, opens_at, readiness
from datalake_assets.names import UNPARTITIONED
from tests.arrivals.builders import NOON, at, state

HOUR = 3600


def rules(settle: float = 30, *, marker: bool = False, **words: Any) -> SourceRules:
    return SourceRules(settle, Daily(dt.date(2013, 1, 1)), needs_marker=marker, conditions=RunConditions(**words))


def changed(first: float = 0, last: float = 0, **more: Any) -> PartitionState:
    return state(first_changed_at=at(first), last_changed_at=at(last), **more)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_a_partition_is_ready_when_it_was_quiet_for_its_settle_time() -> None:
    assert readiness(changed(last=10), rules(), at(39)) == NotYet("it changed a moment ago", at(40))
    assert readiness(changed(last=10), rules(), at(40)) == Ready(at(40))


@pytest.mark.parametrize(("settle", "longest"), [(30, 1800), (600, 6000)])
def test_a_partition_that_never_gets_quiet_runs_all_the_same(settle: float, longest: int) -> None:
    busy = changed(0, longest - 1)
    assert readiness(busy, rules(settle), at(longest - 1)) == NotYet("it changed a moment ago", at(longest))
    assert readiness(busy, rules(settle), at(longest)) == Ready(at(longest), True, "it never got quiet")


def test_max_wait_is_counted_from_the_first_change_that_is_not_published() -> None:
    # It changed at noon, was published an hour later, and has changed during that run.
    busy = changed(0, HOUR, published_at=at(HOUR - 5), published_version="v")
    found = readiness(busy, rules(max_wait_seconds=60), at(HOUR + 20))
    assert found == NotYet("it changed a moment ago", at(HOUR + 30))


def test_a_marker_is_waited_for_as_long_as_it_takes() -> None:
    partition, wanted = changed(), rules(marker=True)
    assert readiness(partition, wanted, at(10 * HOUR)) == NotYet("its marker is not there", None)
    assert readiness(replace(partition, markers=1), wanted, at(30)) == Ready(at(30))
    assert isinstance(readiness(replace(partition, markers=1), wanted, at(29)), NotYet)


def test_max_wait_ends_the_wait_for_a_marker() -> None:
    wanted = rules(marker=True, max_wait_seconds=HOUR)
    assert readiness(changed(), wanted, at(HOUR - 1)) == NotYet("its marker is not there", at(HOUR))
    assert readiness(changed(), wanted, at(HOUR)) == Ready(
        at(HOUR), True, "waited long enough: its marker is not there"
    )


def test_so_many_files_are_waited_for() -> None:
    wanted = rules(files=24)
    assert readiness(changed(objects=23), wanted, at(HOUR)) == NotYet("23 of 24 files are there", None)
    assert readiness(changed(objects=24), wanted, at(HOUR)) == Ready(at(30))


def test_each_declared_name_needs_a_file() -> None:
    wanted = rules(files=("a.csv", "b-*.csv", "[c]?.csv"))

    def with_names(*names: str) -> Ready | NotYet:
        return readiness(changed(objects=len(names)), wanted, at(HOUR), names)

    assert with_names("a.csv") == NotYet("no file is there for b-*.csv, [c]?.csv")
    assert with_names("a.csv", "b-.txt", "[c]?.csv") == NotYet("no file is there for b-*.csv")
    assert with_names("x/a.csv", "x/b-7.csv", "x/[c]?.csv") == Ready(at(30))
    many = rules(files=tuple("abcde"))
    assert readiness(changed(), many, at(HOUR), []) == NotYet("no file is there for a, b, c and 2 more")


def test_marker_and_files_are_both_needed() -> None:
    wanted = rules(marker=True, files=2)
    assert readiness(changed(), wanted, at(HOUR)) == NotYet("its marker is not there and 1 of 2 files are there")


class TestTimeOfDay:
    SIX = rules(at=DailyTime(dt.time(6), "Europe/Berlin"))
    YESTERDAY = state(
        "2026-01-04", first_changed_at=utc("2026-01-05T01:00"), last_changed_at=utc("2026-01-05T04:59:59")
    )

    def test_a_day_runs_on_the_next_day_at_that_time_with_what_is_there(self) -> None:
        due = utc("2026-01-05T05:00")  # 06:00 in Berlin
        early = readiness(self.YESTERDAY, self.SIX, utc("2026-01-05T04:59:59"))
        assert early == NotYet("it runs at 06:00 Europe/Berlin with what is there", due)
        assert readiness(self.YESTERDAY, self.SIX, due) == Ready(due, is_overdue=True)

    def test_a_late_file_settles_as_usual(self) -> None:
        late = replace(
            self.YESTERDAY, published_version="v", published_at=utc("2026-01-05T05:01"),
            first_changed_at=utc("2026-01-05T09:00"), last_changed_at=utc("2026-01-05T09:00"),
        )  # fmt: skip
        assert isinstance(readiness(late, self.SIX, utc("2026-01-05T09:00:29")), NotYet)
        assert readiness(late, self.SIX, utc("2026-01-05T09:00:30")) == Ready(utc("2026-01-05T09:00:30"))

    def test_an_old_day_that_comes_only_now_settles_as_usual(self) -> None:
        assert readiness(changed(last=10), self.SIX, at(39)) == NotYet("it changed a moment ago", at(40))

    def test_a_table_without_partitions_runs_at_the_next_such_time_after_each_first_change(self) -> None:
        table = replace(self.SIX, partitions=Unpartitioned())
        one = state(UNPARTITIONED, first_changed_at=NOON, last_changed_at=NOON)
        due = utc("2026-01-06T05:00")
        for partition in (one, replace(one, published_version="v", published_at=utc("2026-01-05T05:01"))):
            assert readiness(partition, table, at(HOUR)) == NotYet(
                "it runs at 06:00 Europe/Berlin with what is there", due
            )
            assert readiness(partition, table, due) == Ready(due, is_overdue=True)

    @pytest.mark.parametrize(
        ("time", "day", "moment"),
        [
            ("06:00", "2026-03-28", "2026-03-28T05:00"),
            ("06:00", "2026-03-29", "2026-03-29T04:00"),  # the clocks went forward at 02:00
            ("02:30", "2026-03-29", "2026-03-29T01:30"),  # a time they skipped: 03:30 by the new ones
            ("06:00", "2026-10-25", "2026-10-25T05:00"),  # and back at 03:00
            ("02:30", "2026-10-25", "2026-10-25T00:30"),  # a time that came twice: the first one
        ],
    )
    def test_the_clocks_of_the_place_count(self, time: str, day: str, moment: str) -> None:
        assert DailyTime(dt.time.fromisoformat(time), "Europe/Berlin").on(dt.date.fromisoformat(day)) == utc(moment)

    @pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"])
    def test_the_next_such_time_is_within_a_day_and_an_hour(self, zone: str) -> None:
        for hour in range(24):
            six = DailyTime(dt.time(6), zone)
            moment = utc(f"2026-03-28T{hour:02}:00")
            assert moment < six.next_after(moment) <= moment + dt.timedelta(hours=25)
            assert six.next_after(six.next_after(moment)) > six.next_after(moment)


def test_only_changes_of_a_published_day_long_after_its_end_are_late() -> None:
    wanted = rules(late_after_seconds=86_400)
    published = state("2013-01-01", published_version="v")
    assert late_at(published, wanted) == utc("2013-01-03T00:00")
    assert late_at(state("2013-01-01"), wanted) is None
    assert late_at(published, rules()) is None
    assert late_at(replace(published, partition=UNPARTITIONED), replace(wanted, partitions=Unpartitioned())) is None
    berlin = replace(wanted, partitions=Daily(timezone="Europe/Berlin"))
    assert late_at(published, berlin) == utc("2013-01-02T23:00")


def test_a_day_opens_when_it_is_over_or_from_its_first_moment_on() -> None:
    assert opens_at(Daily(), "2026-01-05") == utc("2026-01-06T00:00")
    assert opens_at(Daily(end_offset=1), "2026-01-05") == utc("2026-01-05T00:00")
    assert opens_at(Unpartitioned(), UNPARTITIONED) is None
