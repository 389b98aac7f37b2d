"""A table that is made of the tables of two other accounts, from the query to the warehouse."""

from collections.abc import Iterator
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
from datalake_assets.components.upkeep.following import follow_all
from datalake_assets.components.upkeep.vacuuming import vacuum_pipeline
from datalake_assets.derive import sql_derivation
from datalake_assets.errors import Unavailable
from datalake_assets.explore.query import query
from datalake_assets.ingest import warehouse as loading
from datalake_assets.ingest.behind import side_by_side
from datalake_assets.ingest.outcomes import Failed, Loaded, Published
from datalake_assets.ingest.replay import quarantined, replay
from datalake_assets.ingest.restore import restore
from tests.integration import journeys
from tests.integration.journeys import LAKE, READER, WAREHOUSE, cities, days_before, declared, run
from tests.integration.user import Platform

pytestmark = pytest.mark.xdist_group("accounts")  # other buckets than those of the flights account

DAYS, LAST_DAY = 16, "2026-02-25"
LATER_DAYS = ["2026-02-26", "2026-02-27", "2026-02-28"]  # with searches, without listings
BASE = {"Berlin": (2, 14, 7), "Bonn": (0, 0, 0)}
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


@pytest.fixture(scope="module")
def prepared_days(shared_platform: Platform) -> Iterator[str]:
    """Days with listings, each with a week of searches before it: published in two runs for all tests."""
    last = days_before(LAST_DAY, DAYS)
    for each in last:
        journeys.land_listings(each, ["Berlin", "Berlin", "Bonn"])
    journeys.run_parent(shared_platform, "core_data", "listings", last)
    for each in days_before(LAST_DAY, DAYS + 6):
        journeys.land_searches(each, ["Berlin", "berlin", None])
    for number, each in enumerate(LATER_DAYS, 1):
        journeys.land_searches(each, ["Berlin"] * number)
    journeys.run_parent(shared_platform, "search", "searches", [*days_before(LAST_DAY, DAYS + 6), *LATER_DAYS])
    return iter(last)


@pytest.fixture
def day(prepared_days: Iterator[str]) -> str:
    """A day of a test's own: Berlin was searched for twice on each day of its week, Bonn never."""
    return next(prepared_days)


def table(name: str = journeys.NAME) -> GlueTable:
    return GlueTable(session(READER), name)


def in_warehouse(platform: Platform, day: str) -> list[tuple[Any, ...]]:
    return platform.warehouse("SELECT city, week FROM lake.city_week WHERE dt = %s ORDER BY 1", day)


def test_a_day_is_made_of_a_day_of_one_account_and_a_week_of_another(platform: Platform, day: str) -> None:
    result = run(platform, day)

    assert result.success, result.failure
    assert cities(day) == BASE, "of listings the day alone, of searches its week"
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


def test_the_manifest_names_the_versions_that_were_read(platform: Platform, day: str) -> None:
    assert run(platform, day).success
    shown = table().current(day)
    assert shown is not None

    manifest = read_manifest(session(READER).client("s3"), table().bucket, table().name, day, shown.version_id)

    parents = {("core_data", "listings", day), *(("search", "searches", d) for d in days_before(day, 7))}
    expected = set()
    for location, name, partition in parents:
        current = GlueTable(session(location), name).current(partition)
        assert current is not None
        expected.add((current.location, current.version_id))
    assert {(each.key, each.etag) for each in manifest.inputs} == expected


def test_a_row_that_does_not_fit_its_type_is_set_aside_with_its_reason(platform: Platform, day: str) -> None:
    land(platform, day, "Köln", "Berlin", "Bonn")

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
    outcomes = list(replay(declared().pipeline, [found], run_id="replay-1"))
    assert [type(each) for each in outcomes] == [Published, Loaded]
    assert quarantined(declared().pipeline, [day]) == [], "the query is run again, over what there is now"


def test_a_check_that_fails_keeps_the_version_before(platform: Platform, day: str) -> None:
    assert run(platform, day).success
    before = table().current(day)
    land(platform, day, "Berlin", "Bonn", "Ulm")

    refused = run(platform, day, checks=[{"row_count": {"max": 2}}])

    assert not refused.success
    assert "expected at most 2 rows" in refused.failure
    assert table().current(day) == before
    assert cities(day) == BASE
    assert in_warehouse(platform, day) == [("Berlin", 14), ("Bonn", 0)]
    assert [each.state for each in list_versions(table(), day)] == ["rejected", "published"]


def test_a_repeated_run_gives_the_same_and_reads_what_parents_show_then(platform: Platform, day: str) -> None:
    assert run(platform, day).success
    first = journeys.lake(day).drop(columns="v").to_dict("records")

    assert run(platform, day).success
    assert journeys.lake(day).drop(columns="v").to_dict("records") == first

    land(platform, day, "Berlin", "Ulm")
    assert run(platform, day).success
    assert cities(day) == {"Berlin": (2, 14, 7), "Ulm": (0, 0, 0)}
    assert in_warehouse(platform, day) == [("Berlin", 14), ("Ulm", 0)]


def test_days_of_one_run_are_computed_each_of_its_own_window(platform: Platform, prepared_days: Iterator[str]) -> None:
    assert prepared_days is not None
    for each in LATER_DAYS[1:]:
        journeys.land_listings(each, ["Berlin"])
    journeys.run_parent(platform, "core_data", "listings", LATER_DAYS[1:])

    result = run(platform, LATER_DAYS)

    assert not result.success
    assert result.failure_metadata["failed_partitions"] == LATER_DAYS[:1]
    assert f"not published yet: core_data/listings {LATER_DAYS[0]}" in result.failure
    assert cities(LATER_DAYS[1]) == {"Berlin": (2, 5 * 2 + 1 + 2, 7)}
    assert cities(LATER_DAYS[2]) == {"Berlin": (3, 4 * 2 + 1 + 2 + 3, 7)}


def test_windows_begin_with_the_parent_and_what_they_lack_is_named(platform: Platform) -> None:
    days = first, second, third, fourth = days_before("2026-01-04", 4)
    for account, name in (("core_data", "listings"), ("search", "searches")):
        journeys.clear(account, name, days)
    for each in (second, third, fourth):
        journeys.land_listings(each, ["Berlin"])
    journeys.run_parent(platform, "core_data", "listings", [second, third, fourth])
    for each in (first, second):
        journeys.land_searches(each, ["Berlin"])
    journeys.run_parent(platform, "search", "searches", [first, second])

    assert run(platform, second).success
    assert cities(second) == {"Berlin": (1, 2, 2)}, "there is no day before the first"

    failed = run(platform, fourth)

    assert not failed.success
    assert failed.failure_metadata["kinds"] == "NoObjects"
    assert f"not published yet: search/searches {third}, {fourth}. Materialize them first" in failed.failure
    assert failed.restarts == 0
    assert table().current(fourth) is None

    lenient = ["core_data/listings", {"table": "search/searches", "partitions": {"last": 7}, "required": False}]
    assert run(platform, fourth, reads=lenient).success
    assert cities(fourth) == {"Berlin": (0, 2, 2)}


def test_without_a_grant_nothing_is_read_and_the_line_to_add_is_told(
    platform: Platform, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_aws_itself_refuses_a_table_that_is_not_granted(
    platform: Platform, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_derivation, "require_grant", lambda *_: None)
    flights = {"table": "flights/flights", "required": False}
    failed = run(
        platform,
        day,
        **counted(reads=[flights], sql="SELECT origin AS city, 1 AS listings FROM flights.flights"),
    )
    assert not failed.success
    assert failed.failure_metadata["kinds"] == "AccessDenied"


def test_an_older_version_comes_back_in_lake_and_warehouse(platform: Platform, day: str) -> None:
    assert run(platform, day).success
    land(platform, day, "Bonn")
    assert run(platform, day).success
    assert set(cities(day)) == {"Bonn"}

    published, loaded = restore(declared().pipeline, day, to=None, reason="the later one was wrong", run_id="back-1")

    assert isinstance(published, Published), published
    assert isinstance(loaded, Loaded), loaded
    assert cities(day) == BASE
    assert in_warehouse(platform, day) == [("Berlin", 14), ("Bonn", 0)]


def test_vacuum_removes_old_versions_of_the_table(platform: Platform, day: str) -> None:
    for _ in range(3):
        assert run(platform, day).success

    def vacuum() -> int:
        results = vacuum_pipeline(declared(), keep_versions=1, grace=timedelta(0))
        return sum(len(result.removed) for result in results)

    assert vacuum() + vacuum() >= 2, "marked first, then removed"
    assert [each.state for each in list_versions(table(), day)] == ["published"]
    assert cities(day) == BASE


def test_the_warehouse_follows_when_a_load_has_failed(
    platform: Platform, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def fail(_pipeline: Any, versions: dict[str, str], _run: str) -> Any:
            yield from (Failed(partition, Unavailable("no warehouse")) for partition in versions)

        patch.setattr("datalake_assets.ingest.run.load_versions", fail)
        assert not run(platform, day).success
    (found,) = [each for each in side_by_side(declared().pipeline) if each.partition == day]
    assert found.is_behind
    told: list[dg.AssetMaterialization] = []
    assert day in follow_all(declared(), run_id="follow-1", report=told.append)
    assert in_warehouse(platform, day) == [("Berlin", 14), ("Bonn", 0)]
    assert [each.partition for each in told if each.asset_key == WAREHOUSE] == [day]


def test_a_run_that_is_tried_again_keeps_what_it_has_published(
    platform: Platform, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_an_empty_result_and_rows_of_nulls_are_results(platform: Platform, day: str) -> None:
    small: dict[str, Any] = counted(name="city_count")
    nulls = "SELECT CAST(NULL AS VARCHAR) AS city, CAST(NULL AS INTEGER) AS listings FROM core_data.listings"
    assert journeys.run_spec(platform, day, **{**small, "sql": f"{COUNTED} HAVING count(*) > 5"}).success
    shown = table("city_count").current(day)
    assert shown is not None
    assert shown.row_count == 0
    result = journeys.run_spec(platform, day, **{**small, "sql": nulls})
    assert result.success, result.failure
    assert len(journeys.lake(day, "city_count")) == 3


def test_a_table_without_partitions_is_made_of_all_days(platform: Platform, prepared_days: Iterator[str]) -> None:
    assert prepared_days is not None
    days = ["2026-03-01", "2026-03-02"]
    for each in days:
        journeys.land_listings(each, ["Ulm", "Trier"])
    journeys.run_parent(platform, "core_data", "listings", days)
    whole: dict[str, Any] = counted(
        name="city_total",
        partitions=None,
        sql="SELECT city, count(*) AS listings FROM core_data.listings WHERE city IN ('Ulm', 'Trier') "
        "AND dt >= DATE '2026-03-01' GROUP BY ALL",
        warehouse={"table": "lake.city_total", "mode": "merge", "key": ["city"]},
    )
    result = journeys.run_spec(platform, None, **whole)
    assert result.success, result.failure
    with query("SELECT city, listings FROM city_total ORDER BY 1", account=READER) as found:
        assert list(found) == [("Trier", 2), ("Ulm", 2)]
    assert platform.warehouse("SELECT city, listings FROM lake.city_total ORDER BY 1") == [("Trier", 2), ("Ulm", 2)]


def test_types_that_parquet_or_the_lake_lack_are_cast_or_told(platform: Platform, day: str) -> None:
    wide = {
        "name": "city_types",
        "columns": [
            {"name": "total", "type": "decimal(38,0)"},
            {"name": "at", "type": "timestamp"},
            {"name": "tags", "type": "array<varchar>"},
            {"name": "share", "type": "double"},
        ],
        "sql": "SELECT sum(9007199254740993::BIGINT) AS total, TIMESTAMPTZ '2026-08-12 12:00:00+02' AS at, "
        "['a', NULL] AS tags, 0.1::DOUBLE + 0.2::DOUBLE AS share FROM core_data.listings",
    }
    result = journeys.run_spec(platform, day, **counted(**wide))
    assert result.success, result.failure
    (row,) = journeys.lake(day, "city_types").to_dict("records")
    assert (str(row["total"]), row["share"]) == (str(3 * 9007199254740993), 0.1 + 0.2)
    assert str(row["at"]) == "2026-08-12 10:00:00"
    odd = "SELECT 'x' AS city, INTERVAL 1 DAY AS listings FROM core_data.listings"
    failed = journeys.run_spec(platform, day, **counted(name="city_odd", sql=odd))
    assert not failed.success
    assert "cannot be stored" in failed.failure
    assert "Cast it" in failed.failure
