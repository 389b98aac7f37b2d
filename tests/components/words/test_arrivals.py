"""What `trigger.arrivals` may say, and where its mistakes are reported."""

import datetime as dt
from pathlib import Path

import pytest

from datalake_assets.arrivals.conditions import DailyTime, RunConditions
from datalake_assets.arrivals.partitions import Daily
from datalake_assets.components.declarations import read_declarations
from datalake_assets.components.lake_pipeline import build_arrival_source
from datalake_assets.components.words.arrivals import ArrivalTrigger
from tests.components.test_declarations import GOOD, complaint, write

SETTLE = "    arrivals: {settle: 5s}\n"
PARTITIONS = '  partitions: {daily: "2026-01-01"}\n'


def with_words(*lines: str) -> str:
    assert SETTLE in GOOD
    return GOOD.replace(SETTLE, "    arrivals:\n      settle: 5s\n" + "".join(f"      {line}\n" for line in lines))


def test_without_a_word_a_partition_settles_and_nothing_else(tmp_path: Path) -> None:
    trigger = ArrivalTrigger()
    assert (trigger.settle, trigger.conditions()) == (30.0, RunConditions())


def test_all_words_reach_the_arrival_source(tmp_path: Path) -> None:
    text = with_words(
        "max_wait: 2h",
        'marker: "orders/dt={partition}/_SUCCESS"',
        'files: ["a.csv", "b-*.csv"]',
        "late_after: 1d",
        "late_files: alert",
        "max_runs_per_hour: 3",
        "max_concurrent_runs: 2",
    )
    write(tmp_path, text)
    (found,) = read_declarations(tmp_path)
    source = build_arrival_source("flights", found.spec)
    assert source.marker is not None
    assert source.marker.match("orders/dt=2026-01-02/_SUCCESS") == "2026-01-02"
    rules = source.rules
    assert (rules.settle_seconds, rules.needs_marker, rules.max_wait_seconds) == (5.0, True, 7200.0)
    assert rules.partitions == Daily(dt.date(2026, 1, 1))
    assert rules.conditions == RunConditions(7200.0, ("a.csv", "b-*.csv"), None, 86_400.0, False, 3, 2)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('at: "06:00"', DailyTime(dt.time(6))),
        ('at: {time: "6:30", timezone: "Europe/Berlin"}', DailyTime(dt.time(6, 30), "Europe/Berlin")),
    ],
)
def test_a_time_of_day_is_a_text_or_has_a_time_zone(tmp_path: Path, line: str, expected: DailyTime) -> None:
    write(tmp_path, with_words(line))
    (found,) = read_declarations(tmp_path)
    assert found.spec.trigger.arrivals.conditions().at == expected


@pytest.mark.parametrize(
    ("lines", "line", "expected"),
    [
        (["files: []"], 12, "a number from 1, or a list of name patterns"),
        (["files: 0"], 12, "expected a number from 1"),
        (["files: true"], 12, "expected a number from 1"),
        (['files: "24"'], 12, "expected a number from 1"),
        (["files: [a.csv, a.csv]"], 12, "'a.csv' is there twice"),
        (["files: [2026/a.csv]"], 12, "the last part of a key"),
        (["files: [_SUCCESS]"], 12, "is a marker"),
        (["late_files: alert"], 12, "late_files needs late_after"),
        (["late_after: 1d", "late_files: ignore"], 13, "allowed: alert_and_rerun, alert"),
        (["late_after: tomorrow"], 12, "30s or 5m"),
        (["max_wait: 4s"], 12, "less than settle, 5 s"),
        (['at: "25:00"'], 12, '"00:00" to "23:59"'),
        (['at: "noon"'], 12, '"00:00" to "23:59"'),
        (["at: 16:30"], 12, 'in quotes, for example "16:30"'),
        (['at: {time: "06:00", timezone: Europe/Berlim}'], 12, "did you mean 'Europe/Berlin'?"),
        (['at: {time: "06:00", zone: UTC}'], 12, "allowed: time, timezone"),
        (['at: "06:00"', "files: 24"], 13, "files contradicts at"),
        (['at: "06:00"', "max_wait: 1h"], 13, "max_wait contradicts at"),
        (["marker: orders/_SUCCESS"], 12, "marker"),
        (['marker: "orders/dt={day}/_SUCCESS"'], 12, "unknown field {day}"),
        (["max_runs_per_hour: 0"], 12, "max_runs_per_hour"),
        (["max_concurrent_runs: 0"], 12, "max_concurrent_runs"),
        (["setle: 5s"], 12, "did you mean 'settle'?"),
    ],
)
def test_a_mistake_is_reported_at_its_word(tmp_path: Path, lines: list[str], line: int, expected: str) -> None:
    path = write(tmp_path, with_words(*lines))
    text = complaint(tmp_path)
    assert f"{path}:{line}:" in text
    assert expected in text
    assert text.startswith("1 mistake ")


def test_all_contradictions_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, with_words('at: "06:00"', "max_wait: 1s", "files: 2", "late_files: alert"))
    assert complaint(tmp_path).startswith("4 mistakes")


def test_a_table_without_partitions_has_no_late_files_and_no_partition_in_its_marker(tmp_path: Path) -> None:
    text = with_words("late_after: 1d", 'marker: "orders/dt={partition}/_SUCCESS"')
    text = text.replace(PARTITIONS, "").replace("dt={partition}/*.csv", "*.csv")
    write(tmp_path, text.replace("mode: copy, dist: order_id, sort: [dt]", "mode: merge, key: [order_id]"))
    found = complaint(tmp_path)
    assert "arrivals.late_after: late_after counts from the end of a partition's day" in found
    assert "arrivals.marker: " in found
