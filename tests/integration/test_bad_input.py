"""Files that cannot become their partition: each fails its own day, says why, and is mended by a better file."""

import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.runs import Run
from tests.integration.user import FLIGHTS_HEADER, Platform, asset, flight, flights_file, flights_text

OLD, MENDED = [1, 2, 3], [71, 72]


@dataclass(frozen=True)
class Case:
    """A file that is wrong, and the words that its failure must have."""

    name: str
    body: Callable[[str], bytes]
    kind: str
    words: tuple[str, ...]


def _without(column: str, day: str) -> bytes:
    at = FLIGHTS_HEADER.split(",").index(column)
    lines = [line.split(",") for line in flights_text(day).splitlines()]
    return gzip.compress("\n".join(",".join(fields[:at] + fields[at + 1 :]) for fields in lines).encode())


def _noise(size: int) -> bytes:
    return random.Random(7).randbytes(size)


CASES = [
    Case("truncated gzip", lambda day: flights_file(day, 500)[:-700], "UnreadableObject", ("truncated", "Land it")),
    Case("not gzip", lambda day: flights_text(day).encode(), "UnreadableObject", ("not gzip data", "expected gzip")),
    Case("gzip with a wrong checksum", lambda day: flights_file(day)[:-8] + b"\0" * 8, "UnreadableObject", ("broken",)),
    Case("zero bytes", lambda _: b"", "EmptyObject", ("zero bytes", "Land it again with a header")),
    Case("gzip of nothing", lambda _: gzip.compress(b""), "EmptyObject", ("empty once decompressed",)),
    Case("blank lines", lambda _: gzip.compress(b"\n\r\n\n"), "EmptyObject", ("blank lines",)),
    Case("wrong header", lambda _: gzip.compress(b"a,b\n1,2\n"), "WrongHeader", ("lacks", "'a', 'b'")),
    Case("no carrier", lambda day: _without("carrier", day), "WrongHeader", ("lacks 'carrier'", "Mend the file")),
    Case("binary", lambda _: gzip.compress(_noise(20_000)), "UnreadableObject", ("binary data",)),
    Case("binary, not packed", lambda _: _noise(20_000), "UnreadableObject", ("not gzip data",)),
    Case("too many bad rows", lambda day: flights_file(day, 9, lines=[flight(day, 10, distance="far")]),
         "TooManyBadRows", ("1 of 10 rows", "distance_miles 'far'", "at most 0.01", "flights_lake.flights_quarantine")),
    Case("open quote", lambda day: flights_file(day, 3, lines=[flight(day, 4, dest='"BO'), *[flight(day, 5)] * 20]),
         "UnreadableObject", ("quote is not closed", "Mend the file")),
]  # fmt: skip


@dataclass
class Story:
    """One run over all broken days and the good ones between them, and one after the files were mended."""

    platform: Platform
    days: dict[str, str]
    good: list[str]
    broken: Run
    seen: dict[str, tuple[list[int], list[int]]]
    locations: dict[str, tuple[str, str]]
    dirty: set[str]
    mended: Run
    seen_after: dict[str, tuple[list[int], list[int]]]
    rows_aside: list[dict[str, Any]] = field(default_factory=list)
    rows_aside_after: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def story(shared_platform: Platform) -> Story:
    platform = shared_platform
    all_days = platform.days(len(CASES) + 3)
    good = [all_days[0], all_days[len(CASES) // 2], all_days[-1]]
    broken = dict(zip((case.name for case in CASES), sorted(set(all_days) - set(good)), strict=True))
    for day in all_days:
        platform.put_day(day)
    assert platform.run("flights", all_days).success
    before = {day: platform.glue_location("flights", day) for day in all_days}
    for case in CASES:
        platform.put_day(broken[case.name], case.body(broken[case.name]))
    for day in good:
        platform.put_day(day, flights_file(day, 2, first=51))
    platform.drain()
    failed = platform.run("flights", all_days)
    told = Story(
        platform,
        broken,
        good,
        failed,
        platform.all_numbers(all_days),
        {day: (before[day], platform.glue_location("flights", day)) for day in all_days},
        {day for day in all_days if platform.is_dirty("flights/flights", day)},
        failed,
        {},
        platform.quarantine(broken["too many bad rows"]),
    )
    for case in CASES:
        platform.put_day(broken[case.name], flights_file(broken[case.name], 2, first=71))
    told.mended = platform.run("flights", all_days)
    told.seen_after = platform.all_numbers(all_days)
    told.rows_aside_after = platform.quarantine(broken["too many bad rows"])
    assert platform.leftovers() == []
    return told


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_the_failure_says_what_is_wrong_where_and_what_to_do(story: Story, case: Case) -> None:
    day = story.days[case.name]
    (line,) = [line for line in story.broken.failure.splitlines() if line.startswith(f"{day}: ")]
    assert f"s3://{story.platform.account.raw_bucket}/flights/dt={day}/flights.csv.gz: " in line
    for word in case.words:
        assert word in line
    assert case.kind in story.broken.failure_metadata["kinds"]


def test_readers_still_see_the_old_version_of_what_failed(story: Story, case: Case) -> None:
    day = story.days[case.name]
    assert story.seen[day] == (OLD, OLD)
    before, after = story.locations[day]
    assert before == after
    assert day not in story.broken.materialized(asset("lake", "flights"))
    assert day not in story.broken.materialized(asset("warehouse", "flights"))


def test_what_failed_stays_work_for_the_arrival_sensor(story: Story) -> None:
    assert story.dirty == set(story.days.values())


def test_the_other_days_are_published_loaded_and_materialized(story: Story) -> None:
    assert not story.broken.success
    assert sorted(story.broken.failure_metadata["failed_partitions"]) == sorted(story.days.values())
    for layer in ("lake", "warehouse"):
        found = story.broken.materialized(asset(layer, "flights"))
        assert sorted(found) == story.good
        assert {each.metadata["dagster/row_count"].value for each in found.values()} == {2}
    assert {day: story.seen[day] for day in story.good} == dict.fromkeys(story.good, ([51, 52], [51, 52]))


def test_each_failure_is_named_once(story: Story) -> None:
    assert len(story.broken.failure.splitlines()) == len(CASES)


def test_a_permanent_failure_is_not_tried_again(story: Story) -> None:
    assert story.broken.restarts == 0


def test_a_better_file_is_all_it_takes(story: Story, case: Case) -> None:
    assert story.mended.success
    assert story.seen_after[story.days[case.name]] == (MENDED, MENDED)


def test_rows_above_the_limit_can_be_looked_at_and_vanish_when_mended(story: Story) -> None:
    (row,) = story.rows_aside
    assert row["_source_row"] == 11
    assert row["_column"] == "distance_miles"
    assert "far" in row["_reason"]
    assert "far" in row["_raw"]
    assert story.rows_aside_after == []


def test_a_file_with_a_header_only_is_a_day_without_rows(platform: Platform) -> None:
    day = platform.day()
    platform.put_day(day)
    assert platform.run("flights", day).success
    platform.put_day(day, flights_file(day, 0))
    run = platform.run("flights", day)
    assert run.success
    assert platform.numbers(day) == ([], [])
    assert run.materialized(asset("lake", "flights"))[day].metadata["dagster/row_count"].value == 0


def test_a_day_whose_files_are_all_gone_fails_and_stays_as_it_was(platform: Platform) -> None:
    day = platform.day()
    platform.put_day(day)
    assert platform.run("flights", day).success
    platform.remove(f"flights/dt={day}/flights.csv.gz")
    run = platform.run("flights", day)
    assert not run.success
    assert f"s3://datalake-flights-raw/flights/dt={day}/: flights has no raw objects for {day}" in run.failure
    assert "Upload the files" in run.failure
    assert platform.numbers(day) == (OLD, OLD)


def test_a_reference_table_with_a_wrong_header_keeps_its_rows(platform: Platform) -> None:
    platform.put("airlines/airlines.csv", "carrier,name\nAA,American\n")
    assert platform.run("airlines").success
    platform.put("airlines/airlines.csv", "code,name\nAA,Other\n")
    run = platform.run("airlines")
    assert not run.success
    assert run.failure.startswith("s3://datalake-flights-raw/airlines/airlines.csv: the header lacks 'carrier'")
    assert list(platform.lake("airlines")["name"]) == ["American"]
    assert platform.warehouse("SELECT name FROM lake.airlines") == [("American",)]
