"""What commands print: aligned, short, and never broken by a narrow terminal."""

import datetime as dt
import json
from dataclasses import dataclass, replace

import click
import pytest

from datalake_assets.arrivals.report import ArrivalReport, TableArrivals
from datalake_assets.arrivals.requests import Waiting
from datalake_assets.cli.arrivals import _show_waiting
from datalake_assets.cli.output import (
    Column,
    aligned,
    count,
    duration,
    extra,
    fitting,
    moment,
    number,
    prose,
    show_errors,
    show_json,
    show_table,
    size,
)

COLUMNS = [Column("pipeline"), number("rows", is_extra=True), extra("newest partition"), number("behind")]
ROWS = [["flights/flights", "336,776", "2013-12-31", "0"], ["flights/weather", "1", "2013-12-30", "12"]]


def test_piped_rows_are_one_line_each_with_numbers_on_the_right() -> None:
    assert aligned(COLUMNS, ROWS) == [
        "pipeline            rows  newest partition  behind",
        "flights/flights  336,776  2013-12-31             0",
        "flights/weather        1  2013-12-30            12",
    ]


def test_a_wide_terminal_shows_every_column_and_a_narrow_one_leaves_out_the_last_extra_first() -> None:
    assert fitting(COLUMNS, ROWS, 120) == [0, 1, 2, 3]
    assert fitting(COLUMNS, ROWS, 45) == [0, 1, 3]
    assert fitting(COLUMNS, ROWS, 30) == [0, 3]
    assert fitting(COLUMNS, ROWS, 5) == [0, 3], "what is not extra stays, whatever the width"


def test_a_sentence_gives_way_before_a_column_is_left_out() -> None:
    columns = [Column("partition"), extra("run"), prose("waits for")]
    rows = [["flights/flights 2013-01-01", "0a1b2c3d", "a very long sentence about something else " * 3]]
    assert fitting(columns, rows, 80) == [0, 1, 2]


def test_times_are_whole_or_left_out_where_sentences_are_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    until = dt.datetime(2026, 2, 1, 9, tzinfo=dt.UTC)
    waits = Waiting("flights/flights", "2026-01-31", "it is throttled: 12 runs within an hour " * 3, until)
    waiting = (waits, replace(waits, partition="2026-02-01"))
    flights = TableArrivals("flights/flights", "flights", 2, 2, 9, 2, 7.0, waiting, 0, until, None, None)
    report = ArrivalReport("flights", until, (flights,), 0, None, None)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for width, is_shown in ((80, True), (60, False)):
        monkeypatch.setenv("COLUMNS", str(width))
        _show_waiting([report], None)
        lines = click.unstyle(capsys.readouterr().out).splitlines()
        assert max(map(len, lines)) <= width
        assert ("2026-02-01 09:00:00" in lines[3]) == is_shown
        assert ("a wider terminal also shows: not before, UTC" in lines) == (not is_shown)


def test_a_text_of_several_lines_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["key", "reason"], [["a", "first\nsecond\tthird"]])
    assert capsys.readouterr().out.splitlines()[1] == "a    first second third"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (999_999, "1.0 MB"), (5_400_000_000, "5.4 GB")],
)
def test_sizes_have_the_unit_that_people_read(value: int, shown: str) -> None:
    assert size(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-3, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (172_800, "2 d")],
)
def test_durations_are_as_exact_as_anybody_needs(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_moments_are_shown_in_utc_and_never_is_a_dash() -> None:
    berlin = dt.timezone(dt.timedelta(hours=1))
    assert moment(dt.datetime(2026, 1, 31, 15, 5, tzinfo=berlin)) == "2026-01-31 14:05"
    assert moment(None) == "–"


def test_counts_have_their_noun() -> None:
    assert count(1, "partition") == "1 partition"
    assert count(2000, "partition") == "2,000 partitions"
    assert count(0, "key fits", "keys fit") == "0 keys fit"


def test_json_has_dates_durations_and_dataclasses_as_programs_read_them(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass
    class Row:
        at: dt.datetime
        lag: dt.timedelta

    show_json([Row(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.timedelta(seconds=90))])
    assert json.loads(capsys.readouterr().out) == [{"at": "2026-01-01T00:00:00+00:00", "lag": 90.0}]


def test_one_error_of_many_pipelines_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    show_errors({"flights/a": "the warehouse is gone", "flights/b": "the warehouse is gone", "flights/c": "other"})
    assert capsys.readouterr().err.splitlines() == [
        "Error: flights/a and 1 more: the warehouse is gone",
        "Error: flights/c: other",
    ]
