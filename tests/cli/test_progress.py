"""When the demo is done, and what it says is missing."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from datalake_assets.cli.expected import build_watch
from datalake_assets.cli.progress import Watch, WatchedTable

LAKE, WAREHOUSE = ["flights", "lake", "flights"], ["flights", "warehouse", "flights"]
MODEL = ["analytics", "marts", "daily_delays"]


class FakeHistory:
    """A history whose counts the test sets: key → (partitions, time of the newest)."""

    def __init__(self, **counts: tuple[int, float]) -> None:
        self.counts = {"/".join(LAKE): (2, 10.0), "/".join(WAREHOUSE): (2, 11.0), "/".join(MODEL): (1, 20.0)}
        self.counts |= {key.replace("__", "/"): value for key, value in counts.items()}
        self.unfinished = 0

    def built_counts(self, asset_keys: Sequence[Sequence[str]]) -> dict[str, tuple[int, float]]:
        return {"/".join(key): self.counts["/".join(key)] for key in asset_keys}

    def runs(self) -> list[Any]:
        return [SimpleNamespace(dagster_run=SimpleNamespace(is_finished=False))] * self.unfinished


def watch_with(history: FakeHistory) -> Watch:
    watch = Watch([WatchedTable(LAKE, WAREHOUSE, "lake.flights", 3, 2)], [MODEL], 0.0)
    watch.history = history  # type: ignore[assignment]
    return watch


def test_the_demo_is_done_when_models_are_newer_than_all_loads() -> None:
    assert watch_with(FakeHistory()).is_done()


def test_a_model_older_than_the_last_load_is_not_done() -> None:
    watch = watch_with(FakeHistory(analytics__marts__daily_delays=(1, 10.5)))
    assert not watch.is_done()
    assert watch.progress()[-1] == ("dbt models", 0, 1)


def test_a_partition_that_is_not_loaded_is_missing() -> None:
    watch = watch_with(FakeHistory(flights__warehouse__flights=(1, 11.0)))
    assert not watch.is_done()
    assert watch.missing() == ["flights/warehouse/flights"]


def test_the_demo_is_not_done_while_a_run_is_under_way() -> None:
    history = FakeHistory()
    history.unfinished = 1
    assert not watch_with(history).is_done()


def test_what_to_wait_for_follows_from_the_landed_keys() -> None:
    keys = [
        "flights/dt=2013-01-01/flights.csv.gz",
        "flights/dt=2013-01-02/flights.csv.gz",
        "flights/dt=2013-01-02/corrections.csv.gz",
        "airlines/airlines.csv",
    ]
    watch = build_watch({"flights": keys})
    assert {table.warehouse_table: (table.files, table.partitions) for table in watch.tables} == {
        "lake.flights": (3, 2),
        "lake.airlines": (1, 1),
    }
    assert ["analytics", "marts", "daily_delays"] in watch.models


def test_a_model_need_not_be_newer_than_what_it_is_not_made_of() -> None:
    history = FakeHistory(rent_journey__warehouse__pipeline_x=(1, 30.0), rent_journey__lake__pipeline_x=(1, 29.0))
    watch = watch_with(history)
    watch.tables.append(
        WatchedTable(
            ["rent_journey", "lake", "pipeline_x"], ["rent_journey", "warehouse", "pipeline_x"], "lake.pipeline_x", 0, 1
        )
    )
    assert not watch.is_done()
    watch.reads = {"/".join(MODEL): {"/".join(WAREHOUSE)}}
    assert watch.is_done()


def test_a_table_without_warehouse_is_waited_for_in_the_lake_only() -> None:
    keys = ["listings/dt=2026-01-01/listings.csv.gz", "listings/dt=2026-01-02/listings.csv.gz"]
    watch = build_watch({"core_data": keys}, {"rent_journey/pipeline_x": ["2026-01-01", "2026-01-02"]})
    listings, metric = watch.tables
    assert (listings.lake_key, listings.warehouse_key, listings.partitions) == (
        ["core_data", "lake", "listings"],
        None,
        2,
    )
    assert metric.keys == [["rent_journey", layer, "pipeline_x"] for layer in ("lake", "warehouse")]
    assert watch.reads["analytics/marts/daily_searches_per_listing"] == {"rent_journey/warehouse/pipeline_x"}
    assert watch.missing()[:2] == ["core_data/lake/listings", "rent_journey/lake/pipeline_x"]
