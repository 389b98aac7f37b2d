"""What fails a check stays from readers and is kept for inspection; what only warns is published and told."""

import dagster as dg
import pytest

from datalake_assets.accounts.sessions import session
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.history import VersionInfo, list_versions
from datalake_assets.components.lake_pipeline import build_pipeline_definitions
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from tests.integration import trips
from tests.integration.runs import Run
from tests.integration.trips import LAKE, WAREHOUSE
from tests.integration.user import Platform

GOOD: list[trips.Row] = [(1, "5.00", "Rome"), (2, "7.50", "Oslo")]


def both(numbers: list[int]) -> tuple[list[int], list[int]]:
    return numbers, numbers


def versions(day: str) -> list[VersionInfo]:
    return list_versions(GlueTable(session("flights"), "trips"), day)


def checks(run: Run) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in run.checks}


def records(check: dg.AssetCheckEvaluation) -> list[dict[str, object]]:
    return [dict(record.data) for record in check.metadata["partitions"].records]  # type: ignore[attr-defined]


def test_a_version_that_fails_a_check_is_kept_and_readers_see_the_one_before(platform: Platform) -> None:
    day = platform.day()
    trips.put(platform, day, GOOD)
    assert trips.run(platform, day).success
    location = platform.glue_location("trips", day)
    uri = trips.put(platform, day, [*GOOD, (1, "3.00", "Paris"), (4, "-1.00", "Bonn")])

    failed = trips.run(platform, day)

    assert not failed.success
    assert "AuditFailed" in failed.failure_metadata["kinds"]
    assert "unique_trip_id: 2 of 4 rows fail, expected that no two rows share their trip_id" in failed.failure
    assert f"{uri} row 2 (trip_id=1), {uri} row 4 (trip_id=1)" in failed.failure
    assert f"price_is_positive: 1 of 4 rows fail, expected that each row has price >= 0; for example {uri} row 5" in (
        failed.failure
    )
    assert failed.restarts == 0, "the same files fail again"
    assert failed.materialized(LAKE) == failed.materialized(WAREHOUSE) == {}
    assert platform.glue_location("trips", day) == location
    assert trips.numbers(platform, day) == both([1, 2])

    rejected, published = versions(day)
    assert (rejected.state, published.state) == ("rejected", "published")
    assert rejected.run_id == failed.id
    assert rejected.row_count == 4, "the rows are there to be looked at"
    assert [text.partition(":")[0] for text in rejected.failed_checks] == ["unique_trip_id", "price_is_positive"]

    trips.put(platform, day, [*GOOD, (3, "3.00", "Paris")])
    assert trips.run(platform, day).success
    assert trips.numbers(platform, day) == both([1, 2, 3])


def test_a_partition_that_fails_a_check_does_not_keep_the_others_of_its_run(platform: Platform) -> None:
    days = platform.days(3)
    for day in days:
        trips.put(platform, day, GOOD)
    trips.put(platform, days[1], [(1, "-1", "Rome")] * 2)
    run = trips.run(platform, days)

    assert not run.success
    assert run.failure_metadata["failed_partitions"] == [days[1]]
    assert sorted(run.materialized(LAKE)) == sorted(run.materialized(WAREHOUSE)) == [days[0], days[2]]
    assert platform.glue_location("trips", days[1]) == ""
    found = checks(run)
    assert set(found) == {"quarantine", "unique_trip_id", "not_null_city", "row_count", "price_is_positive"}
    assert {name for name, check in found.items() if not check.passed} == {"unique_trip_id", "price_is_positive"}
    worst = found["price_is_positive"]
    assert worst.severity is dg.AssetCheckSeverity.ERROR
    assert (worst.metadata["partitions_checked"].value, worst.metadata["partitions_failed"].value) == (3, 1)
    assert str(worst.description).startswith(f"{days[1]}: 2 of 2 rows fail")
    (record,) = records(worst)
    assert (record["partition"], record["passed"], record["failed_rows"]) == (days[1], False, 2)
    assert [record["partition"] for record in records(found["row_count"])] == days


def test_a_check_that_warns_lets_its_version_be_published(platform: Platform) -> None:
    day = platform.day()
    trips.put(platform, day, [*GOOD, (3, "1", "")])
    run = trips.run(platform, day)
    assert run.success
    assert trips.numbers(platform, day) == both([1, 2, 3])
    warned = checks(run)["not_null_city"]
    assert not warned.passed
    assert warned.severity is dg.AssetCheckSeverity.WARN
    assert "row 4 (city=null)" in str(warned.description)
    assert [version.state for version in versions(day)] == ["published"]


def test_too_many_bad_rows_are_told_as_such_and_what_could_be_mapped_is_kept(platform: Platform) -> None:
    day = platform.day()
    trips.put(platform, day, [(1, "1", "Rome"), (2, "cheap", "Oslo")])
    run = trips.run(platform, day)
    assert not run.success
    assert run.failure_metadata["kinds"] == "TooManyBadRows"
    (rejected,) = versions(day)
    assert (rejected.state, rejected.row_count) == ("rejected", 1)
    assert "1 of 2 rows (50.00%) are bad" in rejected.failed_checks[0]
    assert f"s3://{platform.account.lake_bucket}/trips/dt={day}/v={rejected.version_id}/" in run.failure
    assert not checks(run)["quarantine"].passed


def test_checks_alone_look_at_what_is_published(platform: Platform) -> None:
    day = platform.day()
    rows: list[trips.Row] = [(1, "1", ""), (2, "2", "Oslo")]
    trips.put(platform, day, rows)
    assert trips.run(platform, day).success
    location = platform.glue_location("trips", day)
    keys = [dg.AssetCheckKey(LAKE, name) for name in ("not_null_city", "quarantine")]
    again = trips.run(platform, day, checks=keys)
    assert again.success
    found = checks(again)
    assert set(found) == {"not_null_city", "quarantine"}
    assert not found["not_null_city"].passed
    assert found["quarantine"].passed
    assert platform.glue_location("trips", day) == location


def test_a_check_that_was_declared_later_looks_at_what_is_published_and_changes_nothing(platform: Platform) -> None:
    day = platform.day()
    trips.put(platform, day, GOOD)
    assert trips.run(platform, day).success
    location = platform.glue_location("trips", day)
    trips.put(platform, day, [(9, 1, "Bonn")])
    changed = build_pipeline_definitions(
        "flights",
        PipelineSpec.model_validate({**trips.SPEC, "checks": [{"expression": "trip_id > 1", "name": "high"}]}),
    )
    job = changed.resolve_job_def("trips").get_subset(asset_check_selection={dg.AssetCheckKey(LAKE, "high")})
    run = Run(job.execute_in_process(instance=platform.instance, partition_key=day, raise_on_error=False))
    assert run.success
    (check,) = run.checks
    assert not check.passed
    assert "1 of 2 rows fail" in str(check.description)
    assert "row 2 (trip_id=1)" in str(check.description)
    assert platform.glue_location("trips", day) == location
    assert trips.numbers(platform, day) == both([1, 2])


def test_a_lake_without_its_checks_selected_is_checked_all_the_same(platform: Platform) -> None:
    day = platform.day()
    trips.put(platform, day, [(1, "-1", "Rome")])
    run = trips.run(platform, day, assets=[LAKE])
    assert not run.success
    assert run.checks == []
    assert platform.glue_location("trips", day) == ""


@pytest.mark.parametrize("rows", [0, 6])
def test_the_number_of_rows_is_checked(platform: Platform, rows: int) -> None:
    day = platform.day()
    trips.put(platform, day, [(number, 1, "Rome") for number in range(rows)])
    run = trips.run(platform, day)
    assert run.success == (rows == 0)
    assert checks(run)["row_count"].passed == (rows == 0)
