"""Every raw record of a week is in exactly one place, and all who count agree."""

from collections import Counter
from dataclasses import dataclass

import pytest

from datalake_assets.sandbox import samples
from tests.integration.runs import Run
from tests.integration.user import Place, Platform, asset

DAYS = [str(day) for day in samples.first_days(7)]
TABLES = ("flights", "weather", "airlines", "airports", "planes")


@dataclass(frozen=True)
class Week:
    platform: Platform
    landed: samples.Landed
    runs: dict[str, Run]
    raw: dict[str, set[Place]]
    lake: dict[str, Counter[Place]]
    warehouse: dict[str, Counter[Place]]
    aside: Counter[Place]


@pytest.fixture(scope="module")
def week(shared_platform: Platform) -> Week:
    platform = shared_platform
    landed = samples.land(platform.s3, platform.account.raw_bucket, samples.first_days(7))
    runs, raw, lake, warehouse = {}, {}, {}, {}
    for table in TABLES:
        days = DAYS if table in ("flights", "weather") else None
        runs[table] = platform.run(table, days)
        prefixes = [f"{table}/dt={day}/" for day in days] if days else [f"{table}/"]
        raw[table] = set().union(*(platform.raw_records(prefix) for prefix in prefixes))
        lake[table] = platform.lake_records(table, days)
        warehouse[table] = platform.warehouse_records(table, days)
    return Week(platform, landed, runs, raw, lake, warehouse, platform.lake_records("flights_quarantine", DAYS))


@pytest.fixture(params=TABLES)
def table(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_each_run_of_the_week_succeeds(week: Week, table: str) -> None:
    assert week.runs[table].success


def test_each_raw_record_is_in_the_lake_or_in_the_quarantine(week: Week, table: str) -> None:
    aside = week.aside if table == "flights" else Counter[Place]()
    assert week.lake[table] + aside == Counter(dict.fromkeys(week.raw[table], 1))


def test_lake_and_warehouse_hold_the_same_records(week: Week, table: str) -> None:
    assert week.lake[table] == week.warehouse[table]
    assert week.lake[table]


def test_all_that_was_landed_was_counted(week: Week) -> None:
    assert sum(len(records) for records in week.raw.values()) == week.landed.rows


def test_the_broken_rows_of_the_corrections_are_set_aside(week: Week) -> None:
    (uri,) = {uri for uri, _ in week.aside}
    assert uri.endswith("flights/dt=2013-01-03/corrections.csv.gz")
    assert sorted(row for _, row in week.aside) == [3, 5, 6, 8, 10, 12]


def test_the_row_counts_of_the_metadata_are_those_of_the_tables(week: Week, table: str) -> None:
    for layer, counted in (("lake", week.lake), ("warehouse", week.warehouse)):
        found = week.runs[table].materialized(asset(layer, table))
        assert sorted(found) == (DAYS if table in ("flights", "weather") else [""])
        assert sum(each.metadata["dagster/row_count"].value for each in found.values()) == counted[table].total()
