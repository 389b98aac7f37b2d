"""A table that is made of the tables of two other accounts, from the query to the warehouse."""

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from datalake_assets.accounts import grants
from datalake_assets.accounts.registry import Registry, registry
from datalake_assets.accounts.sessions import session
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.history import list_versions
from datalake_assets.catalog.manifest import read_manifest
from datalake_assets.components.following import follow_all
from datalake_assets.components.vacuuming import vacuum_pipeline
from datalake_assets.errors import Unavailable
from datalake_assets.explore.query import query
from datalake_assets.ingest import warehouse as loading
from datalake_assets.ingest.behind import side_by_side
from datalake_assets.ingest.outcomes import Failed, Loaded, Published
from datalake_assets.ingest.replay import quarantined, replay
from datalake_assets.ingest.restore import restore
from tests.integration import journeys
from tests.integration.journeys import LAKE, READER, WAREHOUSE, cities, declared, publish_week, run
from tests.integration.user import Platform

COUNTED = "SELECT city, count(*) AS listings FROM core_data.listings GROUP BY city"
COUNTED_COLUMNS = [{"name": "city", "type": "varchar"}, {"name": "listings", "type": "int"}]


def counted(**changed: Any) -> dict[str, Any]:
    """A smaller pipeline: the listings of a day by city."""
    return {
        "reads": ["core_data/listings"],
        "sql": COUNTED,
        "columns": COUNTED_COLUMNS,
        "checks": [],
        "warehouse": None,
        **changed,
    }


def land(platform: Platform, day: str, *listings: str) -> None:
    journeys.land_listings(day, listings)
    journeys.run_parent(platform, "core_data", "listings", [day])


def table(name: str = journeys.NAME) -> GlueTable:
    return GlueTable(session(READER), name)


def in_warehouse(platform: Platform, day: str) -> list[tuple[Any, ...]]:
    return platform.warehouse("SELECT city, week FROM lake.city_week WHERE dt = %s ORDER BY 1", day)


def test_a_day_is_made_of_a_day_of_one_account_and_a_week_of_another(platform: Platform) -> None:
    day = "2026-02-10"
    publish_week(platform, day, listings=["Berlin", "Berlin", "Bonn"], searches=["Berlin", "berlin", None])
    journeys.land_listings("2026-02-09", ["Ulm"])
    journeys.run_parent(platform, "core_data", "listings", ["2026-02-09"])

    result = run(platform, day)

    assert result.success, result.failure
    assert cities(day) == {"Berlin": (2, 14, 7), "Bonn": (0, 0, 0)}, "of listings the day alone, of searches its week"
    assert in_warehouse(platform, day) == [("Berlin", 14), ("Bonn", 0)]
    assert set(result.materialized(WAREHOUSE)) == {day}
    told = result.materialized(LAKE)[day].metadata
    assert (told["rows_in"].value, told["dagster/row_count"].value, told["files"].value) == (2, 2, 8)
    lineage: Any = told["dagster/column_lineage"].value
    (city,) = lineage.deps_by_column["city"]
    assert (city.asset_key.path, city.column_name) == (["core_data", "lake", "listings"], "city")
    assert {check.check_name: check.passed for check in result.checks} == {
        "quarantine": True,
        "unique_city": True,
        "plausible": True,
    }


def test_the_manifest_names_the_versions_that_were_read(platform: Platform) -> None:
    day = "2026-02-20"
    publish_week(platform, day, listings=["Berlin"], searches=["Berlin"])
    assert run(platform, day).success
    shown = table().current(day)
    assert shown is not None

    manifest = read_manifest(session(READER).client("s3"), table().bucket, table().name, day, shown.version_id)

    parents = {("core_data", "listings", day), *(("search", "searches", d) for d in journeys.days_before(day, 7))}
    expected = set()
    for location, name, partition in parents:
        current = GlueTable(session(location), name).current(partition)
        assert current is not None
        expected.add((current.location, current.version_id))
    assert {(each.key, each.etag) for each in manifest.inputs} == expected


def test_a_row_that_does_not_fit_its_type_is_set_aside_with_its_reason(platform: Platform) -> None:
    day = "2026-03-02"
    publish_week(platform, day, listings=["Köln", "Berlin", "Bonn"], searches=["Berlin"])

    result = run(platform, day)

    assert result.success, result.failure
    assert set(cities(day)) == {"Berlin", "Bonn"}
    (row,) = journeys.lake(day, "city_week_quarantine").to_dict("records")
    assert row["_reason"] == "rate 'many' is not a valid decimal(6,2)"
    assert (row["_column"], row["_source_file"]) == ("rate", "sql:rent_journey/city_week")
    assert '"city":"Köln"' in row["_raw"].replace('": "', '":"')
    (found,) = quarantined(declared().pipeline, [day])
    assert (found.rows, found.rows_published, found.is_refused) == (1, 2, False)

    land(platform, day, "Berlin", "Bonn")
    assert any(isinstance(each, Published) for each in replay(declared().pipeline, [found], run_id="replay-1"))
    assert quarantined(declared().pipeline, [day]) == [], "the query is run again, over what there is now"


def test_a_check_that_fails_keeps_the_version_before(platform: Platform) -> None:
    day = "2026-03-12"
    publish_week(platform, day, listings=["Berlin"], searches=["Berlin"])
    assert run(platform, day).success
    before = table().current(day)
    land(platform, day, "Berlin", "Bonn")

    refused = run(platform, day, checks=[{"row_count": {"max": 1}}])

    assert not refused.success
    assert "expected at most 1 rows" in refused.failure
    assert table().current(day) == before
    assert set(cities(day)) == {"Berlin"}
    assert in_warehouse(platform, day) == [("Berlin", 7)]
    assert [each.state for each in list_versions(table(), day)] == ["rejected", "published"]


def test_a_repeated_run_gives_the_same_and_reads_what_parents_show_then(platform: Platform) -> None:
    day = "2026-03-22"
    publish_week(platform, day, listings=["Berlin"], searches=["Berlin"])
    assert run(platform, day).success
    first = journeys.lake(day).drop(columns="v").to_dict("records")

    assert run(platform, day).success
    assert journeys.lake(day).drop(columns="v").to_dict("records") == first

    land(platform, day, "Berlin", "Ulm")
    assert run(platform, day).success
    assert cities(day) == {"Berlin": (1, 7, 7), "Ulm": (0, 0, 0)}
    assert in_warehouse(platform, day) == [("Berlin", 7), ("Ulm", 0)]


def test_days_of_one_run_are_computed_each_of_its_own_window(platform: Platform) -> None:
    days = ["2026-04-08", "2026-04-09", "2026-04-10"]
    publish_week(platform, days[-1], listings=["Berlin"], searches=["Berlin"])
    for each in journeys.days_before("2026-04-03", 2):
        journeys.land_searches(each, ["Berlin"] * 5)
    journeys.run_parent(platform, "search", "searches", journeys.days_before("2026-04-03", 2))
    for each in days[1:]:
        land(platform, each, "Berlin")

    result = run(platform, days)

    assert not result.success
    assert result.failure_metadata["failed_partitions"] == [days[0]]
    assert "not published yet: core_data/listings 2026-04-08" in result.failure
    assert cities(days[1]) == {"Berlin": (1, 11, 7)}
    assert cities(days[2]) == {"Berlin": (1, 7, 7)}


def test_a_day_of_a_parent_that_is_missing_is_named_and_nothing_is_published(platform: Platform) -> None:
    day = "2026-05-02"
    publish_week(platform, day, listings=["Berlin"], searches=["Berlin"])
    glue = session("search").client("glue")
    lost = journeys.days_before(day, 7)[2:4]
    for each in lost:
        glue.delete_partition(
            DatabaseName=registry().account("search").glue_database, TableName="searches", PartitionValues=[each]
        )

    failed = run(platform, day)

    assert not failed.success
    assert failed.failure_metadata["kinds"] == "NoObjects"
    assert f"not published yet: search/searches {lost[0]}, {lost[1]}. Materialize them first" in failed.failure
    assert failed.restarts == 0
    assert table().current(day) is None

    lenient = ["core_data/listings", {"table": "search/searches", "partitions": {"last": 7}, "required": False}]
    assert run(platform, day, reads=lenient).success
    assert cities(day) == {"Berlin": (1, 5, 5)}


def test_the_first_days_of_a_parent_have_a_shorter_window(platform: Platform) -> None:
    day = "2026-01-02"
    land(platform, day, "Berlin")
    for each in ("2026-01-01", day):
        journeys.land_searches(each, ["Berlin"])
    journeys.run_parent(platform, "search", "searches", ["2026-01-01", day])
    assert run(platform, day).success
    assert cities(day) == {"Berlin": (1, 2, 2)}


def test_without_a_grant_nothing_is_read_and_the_line_to_add_is_told(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = "2026-05-12"
    known = registry()
    ungranted = {
        name: account.model_copy(update={"grants": {}}) if name == "search" else account
        for name, account in known.accounts.items()
    }
    monkeypatch.setattr(grants, "registry", lambda: Registry(known.platform, ungranted))

    failed = run(platform, day)

    assert not failed.success
    assert failed.failure_metadata["kinds"] == "AccessDenied"
    assert "rent_journey may not read search/lake/searches" in failed.failure
    assert "`searches: [rent_journey]`" in failed.failure


def test_aws_itself_refuses_a_table_that_is_not_granted(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    day = "2026-05-22"
    platform.put_day("2013-02-02")
    assert platform.run("flights", "2013-02-02").success
    from datalake_assets.derive import sql_derivation

    monkeypatch.setattr(sql_derivation, "require_grant", lambda *_: None)
    flights = {"table": "flights/flights", "required": False}
    failed = run(
        platform,
        day,
        **counted(reads=[flights], sql="SELECT origin AS city, 1 AS listings FROM flights.flights"),
    )
    assert not failed.success
    assert failed.failure_metadata["kinds"] == "AccessDenied"


def test_an_older_version_comes_back_in_lake_and_warehouse(platform: Platform) -> None:
    day = "2026-06-02"
    publish_week(platform, day, listings=["Berlin"], searches=["Berlin"])
    assert run(platform, day).success
    land(platform, day, "Bonn")
    assert run(platform, day).success
    assert set(cities(day)) == {"Bonn"}

    published, loaded = restore(declared().pipeline, day, to=None, reason="the later one was wrong", run_id="back-1")

    assert isinstance(published, Published), published
    assert isinstance(loaded, Loaded), loaded
    assert set(cities(day)) == {"Berlin"}
    assert in_warehouse(platform, day) == [("Berlin", 7)]


def test_vacuum_removes_old_versions_of_the_table(platform: Platform) -> None:
    day = "2026-06-12"
    publish_week(platform, day, listings=["Berlin"], searches=["Berlin"])
    for _ in range(3):
        assert run(platform, day).success

    def vacuum() -> int:
        results = vacuum_pipeline(declared(), keep_versions=1, grace=timedelta(0))
        return sum(len(result.removed) for result in results)

    assert vacuum() + vacuum() >= 2, "marked first, then removed"
    assert [each.state for each in list_versions(table(), day)] == ["published"]
    assert set(cities(day)) == {"Berlin"}


def test_the_warehouse_follows_when_a_load_has_failed(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    day = "2026-06-22"
    publish_week(platform, day, listings=["Berlin"], searches=["Berlin"])
    with monkeypatch.context() as patch:

        def fail(_pipeline: Any, versions: dict[str, str], _run: str) -> Any:
            yield from (Failed(partition, Unavailable("no warehouse")) for partition in versions)

        patch.setattr("datalake_assets.ingest.run.load_versions", fail)
        assert not run(platform, day).success
    assert loading.load_versions is not None
    (found,) = [each for each in side_by_side(declared().pipeline) if each.partition == day]
    assert found.is_behind
    told: list[dg.AssetMaterialization] = []
    assert day in follow_all(declared(), run_id="follow-1", report=told.append)
    assert in_warehouse(platform, day) == [("Berlin", 7)]
    assert [each.partition for each in told if each.asset_key == WAREHOUSE] == [day]


def test_a_run_that_is_tried_again_keeps_what_it_has_published(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = "2026-07-02"
    publish_week(platform, day, listings=["Berlin"], searches=["Berlin"])
    original, attempts = loading.load_versions, []

    def fail_once(pipeline: Any, versions: Any, run_id: str) -> Any:
        attempts.append(dict(versions))
        if len(attempts) == 1:
            return iter([Failed(partition, Unavailable("no warehouse")) for partition in versions])
        return original(pipeline, versions, run_id)

    monkeypatch.setattr("datalake_assets.ingest.run.load_versions", fail_once)
    result = run(platform, day)
    assert result.success, result.failure
    assert result.restarts == 1
    assert attempts[0] == attempts[1], "the same version is loaded, none is made anew"
    assert result.materialized_partitions(LAKE) == [day]


def test_an_empty_result_and_rows_of_nulls_are_results(platform: Platform) -> None:
    day = "2026-07-12"
    land(platform, day, "Berlin")
    small: dict[str, Any] = counted(name="city_count")
    nulls = "SELECT CAST(NULL AS VARCHAR) AS city, CAST(NULL AS INTEGER) AS listings FROM core_data.listings"
    assert journeys.run_spec(platform, day, **{**small, "sql": f"{COUNTED} HAVING count(*) > 5"}).success
    shown = table("city_count").current(day)
    assert shown is not None
    assert shown.row_count == 0
    result = journeys.run_spec(platform, day, **{**small, "sql": nulls})
    assert result.success, result.failure
    assert len(journeys.lake(day, "city_count")) == 1


def test_a_table_without_partitions_is_made_of_all_days(platform: Platform) -> None:
    for day in ("2026-08-01", "2026-08-02"):
        land(platform, day, "Ulm", "Trier")
    whole: dict[str, Any] = counted(
        name="city_total",
        partitions=None,
        sql="SELECT city, count(*) AS listings FROM core_data.listings WHERE city IN ('Ulm', 'Trier') "
        "AND dt >= DATE '2026-08-01' GROUP BY ALL",
        warehouse={"table": "lake.city_total", "mode": "merge", "key": ["city"]},
    )
    result = journeys.run_spec(platform, None, **whole)
    assert result.success, result.failure
    with query("SELECT city, listings FROM city_total ORDER BY 1", account=READER) as found:
        assert list(found) == [("Trier", 2), ("Ulm", 2)]
    assert platform.warehouse("SELECT city, listings FROM lake.city_total ORDER BY 1") == [("Trier", 2), ("Ulm", 2)]


def test_types_that_parquet_or_the_lake_lack_are_cast_or_told(platform: Platform) -> None:
    day = "2026-08-12"
    land(platform, day, "Berlin")
    wide = {
        "name": "city_types",
        "columns": [
            {"name": "total", "type": "decimal(38,0)"},
            {"name": "at", "type": "timestamp"},
            {"name": "tags", "type": "array<varchar>"},
            {"name": "share", "type": "double"},
        ],
        "sql": "SELECT sum(9007199254740993::BIGINT) AS total, TIMESTAMPTZ '2026-08-12 12:00:00+02' AS at, "
        "['a', NULL] AS tags, 0.1::DOUBLE + 0.2 AS share FROM core_data.listings",
    }
    result = journeys.run_spec(platform, day, **counted(**wide))
    assert result.success, result.failure
    (row,) = journeys.lake(day, "city_types").to_dict("records")
    assert (str(row["total"]), row["share"]) == ("9007199254740993", 0.1 + 0.2)
    assert str(row["at"]) == "2026-08-12 10:00:00"
    odd = "SELECT 'x' AS city, INTERVAL 1 DAY AS listings FROM core_data.listings"
    failed = journeys.run_spec(platform, day, **counted(name="city_odd", sql=odd))
    assert not failed.success
    assert "cannot be stored" in failed.failure
    assert "Cast it" in failed.failure
