"""By when partitions are expected: by a pipeline's own times, or by those of what it waits for."""

from datetime import UTC, date, datetime

import pytest

from datalake_assets.components.overview.expectations import Expectations, Timed
from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.model import Arrived, Condition, Due, Execution, Parent, PipelineTrigger, Span
from datalake_assets.triggers.schedules import Schedule, TimeOfDay
from tests.triggers.world import DAILY, WHOLE, all_of, any_of, ended, pipeline, seconds, succeeded, trigger

HOURLY = Calendar("hour", date(2026, 1, 1))
BERLIN = Calendar("day", date(2026, 1, 1), time_zone="Europe/Berlin")
DAY = "2026-11-20"
A, B, CHILD = pipeline("a/one"), pipeline("b/two"), pipeline("c/child")
AT_THREE, AT_FIVE = Due(Schedule("0 3 * * *")), Due(Schedule("0 5 * * *"))


def expectations(*triggers: PipelineTrigger, **others: Timed) -> Expectations:
    timed = {each.pipeline.name: Timed(each.pipeline.calendar, each) for each in triggers}
    return Expectations({**timed, **{name.replace("__", "/"): each for name, each in others.items()}})


def child(
    condition: Condition, of: Parent = CHILD, parents: tuple[Parent, ...] = (A, B), **more: object
) -> Expectations:
    return expectations(trigger(A, AT_THREE), trigger(B, AT_FIVE), trigger(of, condition, *parents, **more))


def shown(found: Expectations, name: str = CHILD.name, partition: str = DAY) -> str | None:
    moment = found.moment(name, partition)
    return None if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (AT_THREE, "2026-11-21 03:00"),
        (all_of(succeeded(A), succeeded(B)), "2026-11-21 05:00"),
        (any_of(succeeded(A), succeeded(B)), "2026-11-21 03:00"),
        (all_of(AT_THREE, succeeded(B)), "2026-11-21 05:00"),
        (all_of(AT_THREE, Arrived()), "2026-11-21 03:00"),
        (any_of(all_of(succeeded(A), succeeded(B)), AT_FIVE), "2026-11-21 05:00"),
        (Execution(A.name, span=Span(offset=-1)), "2026-11-21 00:00"),
        (Execution(A.name, span=Span(last=7)), "2026-11-21 03:00"),
        (Arrived(), None),
        (ended(A, "FAILED"), None),
        (all_of(succeeded(B), ended(A, "FAILED", "ABORTED")), None),
        (any_of(succeeded(B), ended(A, "FAILED")), "2026-11-21 05:00"),
        (ended(A, "SUCCESS", "FAILED"), "2026-11-21 03:00"),
    ],
)
def test_a_condition_is_expected_to_be_true(condition: Condition, expected: str | None) -> None:
    assert shown(child(condition)) == expected


def test_times_of_the_day_bound_what_is_expected() -> None:
    both = all_of(succeeded(A), succeeded(B))
    assert shown(child(both, not_before=TimeOfDay(6))) == "2026-11-21 06:00"
    assert shown(child(both, at_latest=TimeOfDay(4))) == "2026-11-21 04:00"
    assert shown(child(Arrived(), at_latest=TimeOfDay(9))) == "2026-11-21 09:00"


def test_a_day_of_hours_is_expected_when_its_last_hour_is() -> None:
    hours = pipeline("h/hours", HOURLY)
    found = expectations(trigger(hours, Due(Schedule("10 * * * *"))), trigger(CHILD, succeeded(hours), hours))
    assert shown(found) == "2026-11-21 00:10"
    assert shown(found, hours.name, "2026-11-20-05:00") == "2026-11-20 06:10"


def test_nothing_is_expected_before_its_own_day_is_over() -> None:
    early = pipeline("e/berlin", BERLIN)
    found = expectations(
        trigger(early, Due(Schedule("30 0 * * *", "Europe/Berlin"))), trigger(CHILD, succeeded(early), early)
    )
    assert shown(found, early.name) == "2026-11-20 23:30"
    assert shown(found) == "2026-11-21 23:30", "UTC's day touches two of Berlin's"


def test_arrivals_that_open_at_a_time_are_expected_then() -> None:
    found = expectations(trigger(CHILD, succeeded(A), A), a__one=Timed(DAILY, opens=TimeOfDay(7, 30)))
    assert shown(found) == "2026-11-21 07:30"


def test_pipelines_that_wait_for_each_other_expect_nothing() -> None:
    found = expectations(trigger(A, succeeded(B), B), trigger(B, succeeded(A), A))
    assert shown(found, A.name) is None


def test_what_is_missing_in_a_row_up_to_now_is_late_since_its_first_day() -> None:
    found = child(AT_THREE)
    now = seconds("2026-11-21 12:00")
    fresh = found.freshness(CHILD.name, {"2026-11-17", "2026-11-18"}, now)
    assert (fresh.due, fresh.missing) == (DAY, 2)
    assert fresh.late_since == seconds("2026-11-20 03:00")
    assert (fresh.next, fresh.next_at) == ("2026-11-21", seconds("2026-11-22 03:00"))
    assert found.freshness(CHILD.name, {DAY}, now).late_since is None, "an older gap is history"


def test_between_the_end_of_a_day_and_its_time_that_day_is_next() -> None:
    fresh = child(AT_THREE).freshness(CHILD.name, {"2026-11-19"}, seconds("2026-11-21 01:00"))
    assert (fresh.due, fresh.missing) == ("2026-11-19", 0)
    assert (fresh.next, fresh.next_at) == (DAY, seconds("2026-11-21 03:00"))


def test_a_schedule_of_mondays_tells_the_next_monday() -> None:
    fresh = child(Due(Schedule("0 3 * * 1"))).freshness(CHILD.name, {DAY}, seconds("2026-11-21 12:00"))
    assert fresh.next_at == seconds("2026-11-23 03:00")
    assert fresh.late_since == seconds("2026-11-16 03:00"), "what Monday should have made is missing"


def test_without_partitions_each_tick_asks_for_newer_data() -> None:
    whole = pipeline("w/whole", WHOLE)
    found = expectations(trigger(whole, AT_THREE))
    now = seconds("2026-11-21 12:00")
    assert found.moment(whole.name, UNPARTITIONED) is None
    assert found.freshness_as_a_whole(whole.name, seconds("2026-11-21 03:01"), now).late_since is None
    late = found.freshness_as_a_whole(whole.name, seconds("2026-11-20 03:01"), now)
    assert late.late_since == seconds("2026-11-21 03:00")
    assert late.next_at == seconds("2026-11-22 03:00")
