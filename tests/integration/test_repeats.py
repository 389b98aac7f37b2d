"""Runs that are repeated, overlap, or meet other files than before: the tables are those of the files, once."""

import threading
from typing import Any

import dagster as dg
import pytest

from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.ingest import listed
from datalake_assets.ingest import prepare as preparing
from datalake_assets.warehouse.connection import connect
from tests.integration.runs import Run
from tests.integration.user import Platform, asset, flight, flights_file

LAKE, WAREHOUSE = asset("lake", "flights"), asset("warehouse", "flights")


def both(numbers: list[int]) -> tuple[list[int], list[int]]:
    return numbers, numbers


@pytest.mark.parametrize("as_range", [True, False], ids=["as a range", "as a partition"])
def test_a_repeated_run_gives_the_same_rows(platform: Platform, as_range: bool) -> None:
    day = platform.day()
    platform.put_day(day)
    for _ in range(2):
        assert platform.run("flights", [day] if as_range else day).success
        assert platform.numbers(day) == both([1, 2, 3])
    assert platform.warehouse_records("flights", [day]).total() == 3


def test_a_file_overwritten_added_or_deleted_gives_the_new_truth(platform: Platform) -> None:
    day = platform.day()
    platform.put_day(day)
    assert platform.run("flights", day).success
    platform.put_day(day, flights_file(day, 2, first=11))
    assert platform.run("flights", day).success
    assert platform.numbers(day) == both([11, 12])
    platform.put_day(day, flights_file(day, 1, first=21), name="late.csv.gz")
    assert platform.run("flights", day).success
    assert platform.numbers(day) == both([11, 12, 21])
    platform.remove(f"flights/dt={day}/flights.csv.gz")
    assert platform.run("flights", day).success
    assert platform.numbers(day) == both([21])


def run_beside(platform: Platform, partitions: str | list[str]) -> Run:
    """A run on an instance of its own: the ephemeral one's SQLite takes one writer."""
    with dg.DagsterInstance.ephemeral() as instance:
        return platform.run("flights", partitions, instance=instance)


class Gate:
    """Holds the first run that has listed its objects until it is opened."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.has_listed = threading.Event()
        self._open = threading.Event()
        self._is_first = True
        stage = preparing.stage

        def gated(*arguments: Any, **options: Any) -> Any:
            files = stage(*arguments, **options)
            if self._is_first:
                self._is_first = False
                self.has_listed.set()
                assert self._open.wait(60)
            return files

        patch.setattr(preparing, "stage", gated)

    def open(self) -> None:
        self._open.set()


def test_a_run_that_was_overtaken_does_not_bring_old_rows_back(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = platform.day()
    # Its bad row is set aside after the quicker run found no quarantine to replace.
    platform.put_day(day, flights_file(day, 150, lines=[flight(day, 151, distance="far")]))
    gate = Gate(monkeypatch)
    slow: list[Run] = []
    thread = threading.Thread(target=lambda: slow.append(run_beside(platform, day)))
    thread.start()
    assert gate.has_listed.wait(60)
    platform.put_day(day, flights_file(day, 2, first=11))
    quick = platform.run("flights", day)
    gate.open()
    thread.join(60)
    platform.drain()

    assert quick.success
    assert slow[0].success
    assert platform.numbers(day) == both([11, 12])
    assert slow[0].materialized(LAKE) == {}, "it has published nothing"
    assert platform.glue_partition("flights_quarantine", day), "the slow run has published its quarantine"
    assert platform.quarantine(day) == []
    assert not platform.is_dirty("flights/flights", day)


def test_a_file_that_comes_during_a_run_keeps_its_partition_as_work(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = platform.day()
    platform.put_day(day)
    gate = Gate(monkeypatch)
    runs: list[Run] = []
    thread = threading.Thread(target=lambda: runs.append(run_beside(platform, day)))
    thread.start()
    assert gate.has_listed.wait(60)
    platform.put_day(day, flights_file(day, 1, first=21), name="late.csv.gz")
    platform.drain()
    gate.open()
    thread.join(60)

    assert runs[0].success
    assert platform.numbers(day) == both([1, 2, 3])
    assert platform.is_dirty("flights/flights", day)
    assert platform.run("flights", day).success
    assert platform.numbers(day) == both([1, 2, 3, 21])
    assert not platform.is_dirty("flights/flights", day)


def test_two_runs_of_one_partition_at_once_end_with_one_winner(platform: Platform) -> None:
    days = platform.days(2)
    for day in days:
        platform.put_day(day)
    runs: list[Run] = []
    threads = [threading.Thread(target=lambda: runs.append(run_beside(platform, days))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert [run.success for run in runs] == [True] * 3
    for day in days:
        assert platform.numbers(day) == both([1, 2, 3])
        version = platform.glue_location("flights", day).rstrip("/").rpartition("v=")[2]
        loaded = platform.warehouse(
            "SELECT version FROM lake._load_ledger WHERE table_name = 'flights' AND partition_key = %s", day
        )
        assert loaded == [(version,)]


def test_an_object_overwritten_while_it_is_read_is_read_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = platform.day()
    platform.put_day(day)
    real, calls = listed.list_partition, []

    def list_then_overwrite(*arguments: Any, **options: Any) -> Any:
        found = real(*arguments, **options)
        if not calls:
            platform.put_day(day, flights_file(day, 2, first=11))
        calls.append(found)
        return found

    monkeypatch.setattr(listed, "list_partition", list_then_overwrite)
    run = platform.run("flights", day)
    assert run.success
    assert run.restarts == 1
    assert platform.numbers(day) == both([11, 12])


def test_a_reference_table_takes_changed_new_and_vanished_rows(platform: Platform) -> None:
    platform.put("airlines/airlines.csv", "carrier,name\nAA,American\nUA,United\nB6,JetBlue\n")
    assert platform.run("airlines").success
    platform.put("airlines/airlines.csv", "carrier,name\nAA,American Airlines\nB6,JetBlue\nDL,Delta\n")
    run = platform.run("airlines")
    assert run.success
    wanted = [("AA", "American Airlines"), ("B6", "JetBlue"), ("DL", "Delta")]
    assert platform.warehouse("SELECT carrier, name FROM lake.airlines ORDER BY 1") == wanted
    frame = platform.lake("airlines").sort_values("carrier")
    assert list(zip(frame["carrier"], frame["name"], strict=True)) == wanted
    assert run.materialized(asset("warehouse", "airlines"))[""].metadata["dagster/row_count"].value == 3


def test_a_key_that_is_there_twice_fails_the_load_and_is_named(platform: Platform) -> None:
    platform.put("airlines/airlines.csv", "carrier,name\nAA,American\n")
    assert platform.run("airlines").success
    platform.put("airlines/airlines.csv", "carrier,name\nAA,American\nAA,Alpha\nUA,United\n")
    failed = platform.run("airlines")
    assert not failed.success
    assert "the key (carrier) is not unique: AA (2 times)" in failed.failure
    assert "lake.airlines" in failed.failure
    assert platform.warehouse("SELECT carrier FROM lake.airlines") == [("AA",)]
    platform.put("airlines/airlines.csv", "carrier,name\nAA,American\nUA,United\n")
    assert platform.run("airlines").success
    assert platform.warehouse("SELECT carrier FROM lake.airlines ORDER BY 1") == [("AA",), ("UA",)]


def test_a_warehouse_table_that_was_dropped_is_loaded_again(platform: Platform) -> None:
    platform.put("planes/planes.csv", "tailnum,year,type,manufacturer,model,engines,seats,speed,engine\nN1,NA,,,,,,,\n")
    assert platform.run("planes").success
    with connect(warehouse_secret("flights")) as connection:
        connection.execute("DROP TABLE lake.planes")
    assert platform.run("planes", assets=[asset("warehouse", "planes")]).success
    assert platform.warehouse("SELECT tail_number FROM lake.planes") == [("N1",)]
