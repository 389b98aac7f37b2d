"""What Dagster is told: the quarantine check, parts of a job, and metadata under its standard keys."""

import dagster as dg
import pytest

from tests.integration.runs import Run
from tests.integration.user import Platform, asset, flight, flights_file

LAKE, WAREHOUSE = asset("lake", "flights"), asset("warehouse", "flights")
CHECK = dg.AssetCheckKey(LAKE, "quarantine")


def bad_lines(day: str, count: int) -> list[str]:
    return [flight(day, 900 + number, distance="far") for number in range(count)]


def quarantine_check(run: Run) -> dg.AssetCheckEvaluation:
    (found,) = [check for check in run.checks if check.check_name == CHECK.name]
    return found


def test_the_check_passes_below_the_limit_and_counts(platform: Platform) -> None:
    days = platform.days(2)
    platform.put_day(days[0], flights_file(days[0], 199, lines=bad_lines(days[0], 1)))
    platform.put_day(days[1])
    check = quarantine_check(platform.run("flights", days))
    told = {key: value.value for key, value in check.metadata.items()}
    assert check.passed
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert (told["rows_in"], told["rows_quarantined"], told["highest_share"]) == (203, 1, 0.005)
    assert told["quarantine_table"] == "flights_lake.flights_quarantine"
    (record,) = check.metadata["partitions"].records  # type: ignore[attr-defined]
    assert record.data["partition"] == days[0]
    assert "1 × distance_miles" in record.data["reasons"]


def test_the_check_fails_above_the_limit_in_any_partition(platform: Platform) -> None:
    days = platform.days(2)
    platform.put_day(days[0], flights_file(days[0], 2000))
    platform.put_day(days[1], flights_file(days[1], 3, lines=bad_lines(days[1], 1)))
    run = platform.run("flights", days)
    check = quarantine_check(run)
    assert not run.success
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert check.metadata["highest_share"].value == 0.25
    assert sorted(run.materialized(LAKE)) == days[:1]


def test_the_check_says_nothing_about_files_that_were_not_read(platform: Platform) -> None:
    days = platform.days(2)
    platform.put_day(days[0], b"not gzip")
    assert platform.run("flights", days[0]).checks == []
    platform.put_day(days[1])
    check = quarantine_check(platform.run("flights", days))
    assert (check.metadata["partitions_read"].value, check.metadata["partitions_not_read"].value) == (1, 1)


def test_the_check_alone_looks_at_what_is_published(platform: Platform) -> None:
    day = platform.day()
    platform.put_day(day, flights_file(day, 199, lines=bad_lines(day, 1)))
    assert platform.run("flights", day).success
    location = platform.glue_location("flights", day)
    platform.put_day(day, b"not gzip")

    run = platform.run("flights", day, assets=(), checks=[CHECK])

    assert run.success
    (check,) = run.checks
    assert check.passed
    assert (check.metadata["rows_in"].value, check.metadata["rows_quarantined"].value) == (200, 1)
    (record,) = check.metadata["partitions"].records  # type: ignore[attr-defined]
    assert "1 × distance_miles" in record.data["reasons"], "the manifest keeps why"
    assert platform.glue_location("flights", day) == location
    assert run.materialized(LAKE) == run.materialized(WAREHOUSE) == {}


def test_the_lake_alone_is_not_loaded_and_the_warehouse_alone_loads_it(platform: Platform) -> None:
    day = platform.day()
    platform.put_day(day)
    lake = platform.run("flights", day, assets=[LAKE])
    assert lake.success
    assert platform.numbers(day) == ([1, 2, 3], [])
    assert list(lake.materialized(LAKE)) == [day]
    assert lake.materialized(WAREHOUSE) == {}

    warehouse = platform.run("flights", day, assets=[WAREHOUSE])
    assert warehouse.success
    assert platform.numbers(day) == ([1, 2, 3], [1, 2, 3])
    assert warehouse.materialized(LAKE) == {}
    assert list(warehouse.materialized(WAREHOUSE)) == [day]


def test_the_warehouse_alone_says_when_nothing_is_published(platform: Platform) -> None:
    day = platform.day()
    platform.put_day(day)
    run = platform.run("flights", day, assets=[WAREHOUSE])
    assert not run.success
    assert f"nothing is published yet for {day}" in run.failure
    assert "Materialize flights/lake/flights first" in run.failure


@pytest.fixture(scope="module")
def materialized(shared_platform: Platform) -> dict[str, dg.AssetMaterialization]:
    day = shared_platform.day()
    shared_platform.put_day(day)
    run = shared_platform.run("flights", day)
    return {"lake": run.materialized(LAKE)[day], "warehouse": run.materialized(WAREHOUSE)[day], "day": day}  # type: ignore[dict-item]


def test_materializations_carry_dagsters_standard_keys(materialized: dict[str, dg.AssetMaterialization]) -> None:
    lake, warehouse, day = materialized["lake"].metadata, materialized["warehouse"].metadata, materialized["day"]
    assert (lake["dagster/row_count"].value, warehouse["dagster/row_count"].value) == (3, 3)
    assert lake["dagster/table_name"].value == "flights_lake.flights"
    assert warehouse["dagster/table_name"].value == "lake.flights"
    assert str(lake["dagster/uri"].value).startswith(f"s3://datalake-flights-lake/flights/dt={day}/v=")
    lake_columns = {column.name: column.type for column in lake["dagster/column_schema"].value.columns}
    warehouse_columns = {column.name: column.type for column in warehouse["dagster/column_schema"].value.columns}
    assert list(lake_columns) == list(warehouse_columns)
    assert lake_columns["flight_number"] == "int"
    assert (lake_columns["dt"], lake_columns["_source_row"]) == ("date", "bigint")


def test_column_lineage_leads_from_the_warehouse_to_the_raw_columns(
    materialized: dict[str, dg.AssetMaterialization],
) -> None:
    in_warehouse = materialized["warehouse"].metadata["dagster/column_lineage"].value.deps_by_column["destination"]
    assert [(dep.asset_key, dep.column_name) for dep in in_warehouse] == [(LAKE, "destination")]
    in_lake = materialized["lake"].metadata["dagster/column_lineage"].value.deps_by_column["destination"]
    assert [(dep.asset_key, dep.column_name) for dep in in_lake] == [(asset("raw", "flights"), "dest")]


def test_the_columns_of_the_metadata_are_those_of_the_tables(
    platform: Platform, materialized: dict[str, dg.AssetMaterialization]
) -> None:
    told = [column.name for column in materialized["warehouse"].metadata["dagster/column_schema"].value.columns]
    rows = platform.warehouse(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = 'lake' AND table_name = 'flights' ORDER BY ordinal_position"
    )
    assert [name for (name,) in rows] == told
