"""`datalake versions`, `rollback`, `status` and `load` on the real lake, warehouse and event log."""

import getpass
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.cli.conftest import Datalake
from tests.integration.user import Platform, asset, flights_file

DATALAKE = str(Path(sys.executable).parent / "datalake")
LAKE, WAREHOUSE = asset("lake", "flights"), asset("warehouse", "flights")


def publish(platform: Platform, day: str, *row_counts: int) -> None:
    """Land and run a day once for each number of rows."""
    for rows in row_counts:
        platform.put_day(day, flights_file(day, rows))
        assert platform.run("flights", day).success


@pytest.fixture(scope="module")
def published(shared_platform: Platform) -> str:
    """A day that was published once, for tests that change nothing."""
    day = shared_platform.day()
    publish(shared_platform, day, 1)
    return day


def versions(datalake: Datalake, day: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(datalake("versions", "flights/flights", day, "--json").output)
    return found


def newest(platform: Platform, key: dg.AssetKey, day: str) -> dg.AssetMaterialization:
    """The newest materialization of a day in Dagster's history."""
    (record,) = platform.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[day]), limit=1
    ).records
    assert record.asset_materialization
    return record.asset_materialization


def values(event: dg.AssetMaterialization) -> dict[str, Any]:
    return {name: value.value for name, value in event.metadata.items()}


def test_versions_are_listed_newest_first(platform: Platform, datalake: Datalake) -> None:
    day = platform.day()
    publish(platform, day, 3, 5)
    found = versions(datalake, day)
    assert [(each["state"], each["row_count"]) for each in found] == [("published", 5), ("kept", 3)]
    lines = datalake("versions", "flights/flights", day).output.splitlines()
    assert lines[0].split() == ["version", "state", "rows", "size", "made,", "UTC", "run", "reason"]
    assert lines[1].startswith(found[0]["version_id"][:15])
    overview = datalake("versions", "flights/flights").output
    assert [line.split()[2:4] for line in overview.splitlines() if line.startswith(day)] == [["5", "2"]]


def test_a_rollback_asks_first_and_a_no_changes_nothing(platform: Platform, datalake: Datalake) -> None:
    day = platform.day()
    publish(platform, day, 3, 5)
    before = versions(datalake, day)
    result = datalake("rollback", "flights/flights", day, "--reason", "doubtful", answer="n\n")
    assert result.exit_code == 1
    assert "5 rows" in result.output
    assert "3 rows" in result.output
    assert "Aborted" in result.output
    assert versions(datalake, day) == before
    assert platform.numbers(day) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])


def test_a_rollback_shows_in_the_lake_the_warehouse_and_dagster(platform: Platform, datalake: Datalake) -> None:
    day = platform.day()
    publish(platform, day, 3, 5)
    of_a_run = values(newest(platform, LAKE, day)), values(newest(platform, WAREHOUSE, day))
    result = datalake("rollback", "flights/flights", day, "--reason", "wrong prices", answer="y\n")
    assert result.exit_code == 0, result.output
    assert platform.numbers(day) == ([1, 2, 3], [1, 2, 3])

    restored, _, old = versions(datalake, day)
    assert (restored["state"], restored["row_count"], restored["reason"]) == ("published", 3, "wrong prices")
    assert restored["restored_from"] == old["version_id"]
    assert "wrong prices" in datalake("versions", "flights/flights", day).output

    lake, warehouse = newest(platform, LAKE, day), newest(platform, WAREHOUSE, day)
    told = values(lake)
    assert set(of_a_run[0]) - {"notes"} <= set(told)
    assert told["version"] == restored["version_id"]
    assert told["dagster/row_count"] == 3
    assert told["restored_from"] == old["version_id"]
    assert told["reason"] == "wrong prices"
    assert told["requested_by"] == getpass.getuser()
    assert "wrong prices" in str(lake.description)
    assert set(of_a_run[1]) == set(values(warehouse))
    assert values(warehouse)["version"] == restored["version_id"]
    assert values(warehouse)["dagster/row_count"] == 3


def test_a_rollback_says_when_files_that_wait_for_their_run_will_undo_it(
    platform: Platform, datalake: Datalake
) -> None:
    day, warning = platform.day(), "wait for their run, which will replace the old rows again"
    publish(platform, day, 3, 5)
    assert warning not in datalake("rollback", "flights/flights", day, "--reason", "doubtful", answer="n\n").output
    platform.put_day(day, flights_file(day, 7))
    platform.drain()
    assert warning in datalake("rollback", "flights/flights", day, "--reason", "doubtful", answer="n\n").output


def test_a_version_can_be_named_by_how_it_begins(platform: Platform, datalake: Datalake) -> None:
    day = platform.day()
    publish(platform, day, 2, 3, 4)
    oldest = versions(datalake, day)[-1]["version_id"]
    result = datalake(
        "rollback", "flights/flights", day, "--to", oldest[:22], "--reason", "r", "--yes", "--json"
    )  # to the microsecond: the test publishes within a second
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert report["to"] == oldest
    assert (report["rows"], report["loaded"]) == (2, 2)
    assert platform.numbers(day) == ([1, 2], [1, 2])


def test_a_second_rollback_does_not_bring_back_what_the_first_one_took_away(
    platform: Platform, datalake: Datalake
) -> None:
    day = platform.day()
    publish(platform, day, 3, 5)
    assert datalake("rollback", "flights/flights", day, "--reason", "first", "--yes").exit_code == 0
    again = datalake("rollback", "flights/flights", day, "--reason", "again", "--yes")
    assert again.exit_code == 1
    assert "again already, because: first. Name the version with --to" in again.output
    assert platform.numbers(day)[0] == [1, 2, 3]


def test_a_rollback_without_its_warehouse_says_so_and_a_load_makes_up_for_it(
    platform: Platform, datalake: Datalake
) -> None:
    day = platform.day()
    publish(platform, day, 3, 5)
    secret = platform.secret()
    platform.put_secret(json.dumps(secret | {"port": 1}))
    try:
        result = datalake("rollback", "flights/flights", day, "--reason", "r", "--yes")
    finally:
        platform.put_secret(json.dumps(secret))
    assert result.exit_code == 1
    (error,) = [line for line in result.output.splitlines() if line.startswith("Error")]
    assert "the lake shows the old rows, but the warehouse was not loaded" in error
    assert "datalake load" in error
    assert platform.numbers(day) == ([1, 2, 3], [1, 2, 3, 4, 5])

    behind = datalake("tables", "flights/flights", "--behind", "--partitions")
    assert behind.exit_code == 1
    assert f"flights/flights {day}" in behind.output
    loaded = datalake("load", "flights/flights", day)
    assert loaded.exit_code == 0, loaded.output
    assert f"flights/flights {day}: 3 rows" in loaded.output
    assert platform.numbers(day) == ([1, 2, 3], [1, 2, 3])
    assert values(newest(platform, WAREHOUSE, day))["dagster/row_count"] == 3
    assert "holds every published version" in datalake("load", "flights/flights", day).output


def test_a_rollback_killed_before_the_warehouse_is_finished_by_its_repetition(
    platform: Platform, datalake: Datalake
) -> None:
    day = platform.day()
    publish(platform, day, 3, 5)
    old = versions(datalake, day)[-1]["version_id"]
    command = ["rollback", "flights/flights", day, "--to", old, "--reason", "killed", "--yes"]
    killed = subprocess.run(
        [DATALAKE, *command],
        env={**os.environ, "DATALAKE_FAILPOINTS": "rollback.told=kill"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert platform.numbers(day) == ([1, 2, 3], [1, 2, 3, 4, 5])
    assert values(newest(platform, LAKE, day))["reason"] == "killed"
    count = len(versions(datalake, day))
    assert datalake(*command).exit_code == 0
    assert platform.numbers(day) == ([1, 2, 3], [1, 2, 3])
    assert len(versions(datalake, day)) == count, "the restored version is loaded, not restored again"


def test_lake_and_warehouse_are_side_by_side(platform: Platform, datalake: Datalake) -> None:
    day = platform.day()
    publish(platform, day, 3, 5)
    (summary,) = json.loads(datalake("tables", "flights/flights", "--partitions", "--json").output)
    assert summary["pipeline"] == "flights/flights"
    (mine,) = [each for each in summary["versions"] if each["partition"] == day]
    assert (mine["rows_lake"], mine["rows_warehouse"]) == (5, 5)
    assert mine["lake_version"] == mine["warehouse_version"] == versions(datalake, day)[0]["version_id"]
    (line,) = [
        line
        for line in datalake("tables", "flights/flights", "--partitions").output.splitlines()
        if line.startswith(f"flights/flights {day}")
    ]
    assert line.endswith("the same")
    shown = datalake("tables").output.splitlines()
    assert [line.split()[0] for line in shown[1:]] == sorted(line.split()[0] for line in shown[1:])


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["versions", "flights/flight"], "there is no pipeline 'flights/flight'. Did you mean flights/flights?"),
        (["rollback", "flights/flights", "--reason", "r"], "no partition is named"),
        (["rollback", "flights/flights", "2013-02-30", "--reason", "r"], "'2013-02-30' is no day of the calendar"),
        (["rollback", "flights/flights", "2013-01-09", "--reason", "r"], "nothing of flights/flights 2013-01-09 is"),
        (["rollback", "flights/flights", "2013-12-31", "--reason", " "], "the reason is empty"),
        (["load", "flights/weather", "yesterday"], "'yesterday' is not a date"),
        (["tables", "wether"], "there is no pipeline 'wether'. Did you mean flights/weather?"),
        (["vacuum", "xyzzy"], "there is no pipeline 'xyzzy'; expected one of content/movie_posts"),
    ],
)
def test_a_wrong_name_is_one_clear_line(
    command: list[str], told: str, published: str, platform: Platform, datalake: Datalake
) -> None:
    result = datalake(*command)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith("Error: ")
    assert told in line
