"""What nobody plans for: odd names, odd values, very many files, very large ones, full machines, our own mistakes."""

import errno
import gzip
import io
import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from datalake_assets.accounts.settings import settings
from datalake_assets.ingest import listed
from datalake_assets.ingest import prepare as preparing
from datalake_assets.ingest import warehouse as loading
from datalake_assets.mapping.writer import Writer
from tests.integration import big_file
from tests.integration.user import FLIGHTS_HEADER, Platform, asset, flight, flights_file

LAKE, WAREHOUSE = asset("lake", "flights"), asset("warehouse", "flights")
GOOD = ([1, 2, 3], [1, 2, 3])


ODD_NAMES = [
    "with space", "plus+sign", "日本 ü%41", "quote'\"&=", "[a]*?{b}", "\N{DOG FACE}" * 60, "a" * 250, "-rf", "$c`d;",
]  # fmt: skip


def test_odd_keys_are_files_like_others(platform: Platform) -> None:
    days = platform.days(len(ODD_NAMES))
    uris = [platform.put_day(day, name=f"{name}.csv.gz") for day, name in zip(days, ODD_NAMES, strict=True)]
    assert platform.run("flights", days).success
    records = platform.lake_records("flights", days)
    assert records == platform.warehouse_records("flights", days)
    assert Counter(uri for uri, _ in records) == Counter(dict.fromkeys(uris, 3))


def test_values_with_quotes_and_line_breaks_arrive_as_they_are(platform: Platform) -> None:
    day = platform.day()
    values = [
        'a "quoted" word',
        "two\nlines",
        "comma, and ; semicolon",
        "tab\tand \\ slash",
        "ü € 日本 \N{DOG FACE}",
        "'; --",
        "\\N",
    ]
    fields = ['"{}"'.format(value.replace('"', '""')) for value in values]
    lines = [flight(day, 10 + number, tailnum=field) for number, field in enumerate(fields)]
    platform.put_day(day, flights_file(day, 0, lines=lines))
    assert platform.run("flights", day).success
    frame = platform.lake("flights", [day]).sort_values("flight_number")
    assert list(frame["tail_number"]) == values
    rows = platform.warehouse("SELECT tail_number FROM lake.flights WHERE dt = %s ORDER BY flight_number", day)
    assert [value for (value,) in rows] == values
    assert set(platform.lake_records("flights", [day])) == platform.raw_records(f"flights/dt={day}/")


ODD_VALUES: list[dict[str, Any]] = [
    {"time_hour": "infinity"},
    {"time_hour": "-infinity"},
    {"time_hour": "12000-01-01T00:00:00Z"},
    {"time_hour": "0044-03-15 00:00:00 (BC)"},
    {"flight": "1e3"},
    {"distance": "99999999999"},
    {"distance": "NaN"},
    {"tailnum": "x" * 70_000},
    {"tailnum": "nul\0inside"},
    {"carrier": "\x80"},
]


def test_a_value_that_the_warehouse_cannot_hold_never_stops_its_day(platform: Platform) -> None:
    days = platform.days(len(ODD_VALUES))
    for day, changed in zip(days, ODD_VALUES, strict=True):
        platform.put_day(day, flights_file(day, 199, lines=[flight(day, 900, **changed)]))
    run = platform.run("flights", days)
    assert run.success, run.failure
    in_lake = platform.lake_records("flights", days)
    assert in_lake == platform.warehouse_records("flights", days)
    assert in_lake.total() + sum(len(platform.quarantine(day)) for day in days) == 200 * len(days)


@pytest.mark.slow
def test_many_tiny_files_are_one_partition(platform: Platform) -> None:
    day = platform.day()

    def land(number: int) -> None:
        platform.put_day(day, flights_file(day, 1, first=number), name=f"{number:03d}.csv.gz")

    with ThreadPoolExecutor(4) as pool:
        for start in range(0, 500, 100):
            list(pool.map(land, range(start, start + 100)))
            platform.drain()  # the sandbox gets slow with the messages that wait
    run = platform.run("flights", day)
    assert run.success
    assert platform.numbers(day) == (list(range(500)), list(range(500)))
    assert run.materialized(LAKE)[day].metadata["files"].value == 500


@pytest.mark.slow
def test_a_large_file_takes_bounded_memory(platform: Platform) -> None:
    day, rows, limit = platform.day(), 500_000, 256_000_000
    body = io.BytesIO()
    with gzip.GzipFile(fileobj=body, mode="wb", compresslevel=1) as file:
        file.write(f"{FLIGHTS_HEADER}\n".encode())
        before, after = (part.encode() for part in flight(day, "#").split("#"))
        for start in range(0, rows, 10_000):
            file.write(b"".join(b"%b%d%b\n" % (before, number, after) for number in range(start, start + 10_000)))
    platform.put_day(day, body.getvalue())

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", big_file.__name__, day],
        env={**os.environ, "DATALAKE_MEMORY_LIMIT": f"{limit // 1_000_000}MB"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["success"], done.stderr[-3000:]
    assert len(platform.lake("flights", [day], columns=["flight_number"])) == rows
    # DuckDB's limit leaves out its threads' buffers and the allocator's slack; the file itself is 50 MB of text.
    assert told["peak_bytes"] - told["idle_bytes"] < 2 * limit


def test_too_little_memory_is_told_and_mended(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    day = platform.day()
    platform.put_day(day, flights_file(day, 20_000))
    with monkeypatch.context() as patch:
        patch.setattr(preparing, "_share", lambda *_: "2MB")
        failed = platform.run("flights", day)
    assert not failed.success
    assert failed.failure_metadata["kinds"] == "OutOfSpace"
    assert "DuckDB ran out of memory" in failed.failure
    assert "Raise DATALAKE_MEMORY_LIMIT" in failed.failure
    assert platform.run("flights", day).success


def test_a_full_disk_is_told_and_mended(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    days = platform.days(2)
    for day in days:
        platform.put_day(day)
    real = Path.open

    def full(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "w" in mode and path.parent.name == "raw" and path.parent.parent.name == "0":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, mode, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        failed = platform.run("flights", days)
    assert not failed.success
    assert failed.failure.startswith(f"{days[0]}: flights {days[0]}: the disk is full")
    assert "TMPDIR" in failed.failure
    assert sorted(failed.materialized(WAREHOUSE)) == days[1:]
    assert platform.run("flights", days[0]).success


def test_a_disk_that_duckdb_finds_full_is_told(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:

    day = platform.day()
    platform.put_day(day)

    def full(*_: object, **__: object) -> None:
        raise duckdb.IOException("IO Error: Could not write file: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_copy_good", full)
        failed = platform.run("flights", day)
    assert failed.failure_metadata["kinds"] == "OutOfSpace"
    assert "No space left on device" in failed.failure
    assert platform.run("flights", day).success


def mistake_for(day: str, real: Any, *, at: int) -> Any:
    """The function, with a mistake for one partition."""

    def wrong(*arguments: Any, **options: Any) -> Any:
        if day in str(arguments[at]):
            raise ZeroDivisionError("somebody divided by nothing")
        return real(*arguments, **options)

    return wrong


@pytest.mark.parametrize("place", ["prepare", "load"])
def test_a_mistake_in_the_code_stops_its_own_day_and_shows_its_traceback(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    days = platform.days(3)
    for day in days:
        platform.put_day(day)
    with monkeypatch.context() as patch:
        if place == "prepare":
            patch.setattr(listed, "list_partition", mistake_for(days[1], listed.list_partition, at=3))
        else:
            patch.setattr(loading, "read_manifest", mistake_for(days[1], loading.read_manifest, at=3))
        failed = platform.run("flights", days)

    assert not failed.success
    assert failed.restarts == 0
    assert failed.failure == f"{days[1]}: a mistake in the code: ZeroDivisionError: somebody divided by nothing"
    assert "in wrong" in failed.traceback
    assert "ZeroDivisionError" in failed.traceback
    assert sorted(failed.materialized(WAREHOUSE)) == [days[0], days[2]]
    assert platform.run("flights", days[1]).success
    assert platform.all_numbers(days) == dict.fromkeys(days, GOOD)


def test_a_mistake_that_stops_all_days_names_them_all(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    from datalake_assets.ingest.tables import PipelineTables

    days = platform.days(2)
    for day in days:
        platform.put_day(day)

    def wrong(*_: object) -> None:
        raise ZeroDivisionError("somebody divided by nothing")

    with monkeypatch.context() as patch:
        patch.setattr(PipelineTables, "publish_lake", wrong)
        failed = platform.run("flights", days)
    assert sorted(failed.failure_metadata["failed_partitions"]) == days
    assert "in wrong" in failed.traceback
    assert platform.run("flights", days).success


def test_a_setting_that_is_missing_is_told(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delenv("DATALAKE_DATABASE_URL")
        settings.cache_clear()
        failed = platform.run("flights", "2013-12-24")
    settings.cache_clear()
    assert "DATALAKE_DATABASE_URL: Field required" in failed.failure


def test_a_run_of_more_days_than_one_batch_is_whole(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    from datalake_assets.ingest import run as running

    days = platform.days(5)
    for day in days:
        platform.put_day(day, b"broken" if day == days[1] else None)
    monkeypatch.setattr(running, "BATCH", 2)
    failed = platform.run("flights", days)
    assert failed.failure_metadata["failed_partitions"] == [days[1]]
    assert sorted(failed.materialized(WAREHOUSE)) == [day for day in days if day != days[1]]
