"""Which partitions of another table one partition of the result needs."""

from datetime import date

import pytest

from datalake_assets.derive.reads import Read
from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.model import Span

DAILY = Calendar("day", date(2026, 1, 1))


def needed(span: Span, partition: str, *, own: Calendar = DAILY, other: Calendar = DAILY) -> list[str] | None:
    return Read("search", "searches", other, (), span).needed(own, partition)


def test_the_same_day_is_needed_by_default() -> None:
    assert needed(Span(), "2026-02-03") == ["2026-02-03"]


def test_a_window_ends_with_the_day_and_begins_with_the_table() -> None:
    assert needed(Span(last=3), "2026-02-03") == ["2026-02-01", "2026-02-02", "2026-02-03"]
    assert needed(Span(last=3), "2026-01-02") == ["2026-01-01", "2026-01-02"]


def test_an_offset_moves_the_window() -> None:
    assert needed(Span(last=2, offset=-1), "2026-02-03") == ["2026-02-01", "2026-02-02"]
    assert needed(Span(offset=-1), "2026-01-01") == []


def test_another_time_zone_takes_both_days_that_are_touched() -> None:
    berlin = Calendar("day", date(2026, 1, 1), time_zone="Europe/Berlin")
    assert needed(Span(), "2026-02-03", other=berlin) == ["2026-02-03", "2026-02-04"]


@pytest.mark.parametrize(("own", "other"), [(DAILY, Calendar()), (Calendar(), DAILY), (Calendar(), Calendar())])
def test_a_table_without_partitions_takes_whatever_is_there(own: Calendar, other: Calendar) -> None:
    assert needed(Span(), "2026-02-03" if own.every else "", own=own, other=other) is None
