from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.history import list_versions
from datalake_assets.catalog.manifest import redshift_manifest
from datalake_assets.catalog.publish import publish
from datalake_assets.catalog.vacuum import PartitionVersion, vacuum
from datalake_assets.errors import AuditFailed, ConfigurationError
from tests.catalog.conftest import AIRLINES, FLIGHTS, Lake, Row

DAY = "2013-01-01"
ROWS: list[Row] = [{"carrier": "AA", "delay": 5}]
HOUR = timedelta(hours=1)


def keys(table: GlueTable) -> list[str]:
    found = table.session.client("s3").list_objects_v2(Bucket=table.bucket, Prefix=f"{table.name}/")
    return [item["Key"] for item in found.get("Contents", [])]


def versions_with_objects(table: GlueTable) -> set[str]:
    return {key.split("v=")[1].split("/")[0] for key in keys(table) if "/v=" in key}


@pytest.fixture
def later() -> Callable[..., datetime]:
    return lambda **how: datetime.now(UTC) + timedelta(**how)


def publish_versions(table: GlueTable, lake: Lake, *ids: str, partition: str = DAY) -> None:
    schema = FLIGHTS if partition else AIRLINES
    for number, each in enumerate(ids):
        publish(table, lake.manifest(table, partition, each, ROWS * (number + 1), schema=schema))


def test_old_versions_are_marked_by_one_visit_and_removed_by_a_later_one(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    publish_versions(flights, lake, "v1", "v2", "v3")

    first = vacuum(flights, keep_versions=2, grace=HOUR, now=later(hours=1))
    assert first.marked == [PartitionVersion(DAY, "v1")]
    assert first.removed == []
    assert versions_with_objects(flights) == {"v1", "v2", "v3"}

    early = vacuum(flights, keep_versions=2, grace=HOUR, now=later(minutes=59))
    assert (early.marked, early.removed) == ([], [])

    second = vacuum(flights, keep_versions=2, grace=HOUR, now=later(minutes=61))
    assert second.removed == [PartitionVersion(DAY, "v1")]
    assert (second.objects, second.kept) == (3, 2)
    assert versions_with_objects(flights) == {"v2", "v3"}
    assert not [key for key in keys(flights) if "v1" in key]


def test_a_dry_run_tells_and_changes_nothing(flights: GlueTable, lake: Lake, later: Callable[..., datetime]) -> None:
    publish_versions(flights, lake, "v1", "v2", "v3")
    before = keys(flights)
    told = vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=1), dry_run=True)
    assert [each.version_id for each in told.marked] == ["v1", "v2"]
    assert keys(flights) == before

    vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=1))
    marked = keys(flights)
    told = vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=3), dry_run=True)
    assert ([each.version_id for each in told.removed], told.objects, told.kept) == (["v1", "v2"], 6, 1)
    assert keys(flights) == marked


def test_a_version_is_not_marked_while_a_publisher_may_still_be_at_work(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    publish_versions(flights, lake, "v1", "v2")
    assert vacuum(flights, keep_versions=1, grace=HOUR, now=later(minutes=29)).marked == []
    assert vacuum(flights, keep_versions=1, grace=HOUR, now=later(minutes=31)).marked == [PartitionVersion(DAY, "v1")]


def test_an_unpartitioned_table_and_a_quarantine_table_are_vacuumed_the_same_way(
    session: AccountSession, airlines: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    quarantine = GlueTable(session, "flights_quarantine")
    quarantine.ensure(FLIGHTS)
    for table, partition in ((airlines, ""), (quarantine, DAY)):
        publish_versions(table, lake, "v1", "v2", partition=partition)
        vacuum(table, keep_versions=1, grace=HOUR, now=later(hours=1))
        assert vacuum(table, keep_versions=1, grace=HOUR, now=later(hours=3)).removed == [
            PartitionVersion(partition, "v1")
        ]
        assert versions_with_objects(table) == {"v2"}


def test_objects_of_a_killed_run_are_removed_after_a_day(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    publish_versions(flights, lake, "v1")
    lake.manifest(flights, DAY, "v2", ROWS)  # uploaded, never accepted
    lake.manifest(flights, "2013-01-02", "v2", ROWS)
    assert vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=23)).removed == []
    removed = vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=25)).removed
    assert removed == [PartitionVersion(DAY, "v2"), PartitionVersion("2013-01-02", "v2")]
    assert versions_with_objects(flights) == {"v1"}
    told = vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=25), unfinished_grace=HOUR)
    assert told.removed == []


def test_a_rejected_version_stays_as_long_as_an_older_one_is_kept(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    publish_versions(flights, lake, "v1")
    with pytest.raises(AuditFailed):
        publish(flights, lake.manifest(flights, DAY, "v2", ROWS), failed_checks=["min: 3 rows"])
    publish_versions(flights, lake, "v3")
    assert vacuum(flights, keep_versions=2, grace=HOUR, now=later(hours=1)).marked == []
    publish_versions(flights, lake, "v4")
    marked = vacuum(flights, keep_versions=2, grace=HOUR, now=later(hours=1)).marked
    assert [each.version_id for each in marked] == ["v1", "v2"]
    vacuum(flights, keep_versions=2, grace=HOUR, now=later(hours=3))
    assert not [key for key in keys(flights) if "v1" in key or "v2" in key]


def test_what_the_platform_did_not_write_is_never_touched(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    publish_versions(flights, lake, "v1", "v2")
    s3 = flights.session.client("s3")
    foreign = [
        f"flights/dt={DAY}/v=v1/notes.txt",
        f"flights/dt={DAY}/v=v1/deeper/part.parquet",
        f"flights/dt={DAY}/part.parquet",
        f"flights/_manifests/dt={DAY}/v1.other.json",
        "flights/dt=no date!/v=v1/part.parquet",
        "flights/v=v1/part.parquet",
        "flights/readme.md",
        "flights_of_others/dt=2013-01-01/v=v1/part.parquet",
    ]
    for key in foreign:
        s3.put_object(Bucket=flights.bucket, Key=key, Body=b"x")
    first = vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=1))
    assert first.foreign == 5
    vacuum(flights, keep_versions=1, grace=HOUR, now=later(days=3))
    left = {item["Key"] for item in s3.list_objects_v2(Bucket=flights.bucket)["Contents"]}
    assert set(foreign) <= left
    assert f"flights/dt={DAY}/v=v1/part-00000.parquet" not in left


def test_a_partition_that_was_dropped_by_hand_keeps_its_newest_versions(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    publish_versions(flights, lake, "v1", "v2", "v3")
    flights.session.client("glue").delete_partition(
        DatabaseName=flights.database, TableName="flights", PartitionValues=[DAY]
    )
    vacuum(flights, keep_versions=2, grace=HOUR, now=later(hours=1))
    vacuum(flights, keep_versions=2, grace=HOUR, now=later(hours=3))
    assert versions_with_objects(flights) == {"v2", "v3"}
    assert flights.current(DAY) is None


def test_a_version_that_somebody_else_registered_is_not_touched(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    publish_versions(flights, lake, "v1", "v2", "v3")
    glue = flights.session.client("glue")
    names: Any = {"DatabaseName": flights.database, "TableName": "flights"}
    entry = glue.get_partition(**names, PartitionValues=[DAY])["Partition"]["StorageDescriptor"]
    for location, left in ((f"dt={DAY}/v=v1", {"v1", "v3"}), (f"dt={DAY}/", {"v1", "v3"})):
        entry["Location"] = f"s3://{flights.bucket}/flights/{location}"
        glue.update_partition(
            **names, PartitionValueList=[DAY], PartitionInput={"Values": [DAY], "StorageDescriptor": entry}
        )
        vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=1))
        vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=3))
        assert versions_with_objects(flights) == left


def test_a_table_that_is_not_in_the_catalog_is_refused_and_keeps_all(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    publish_versions(flights, lake, "v1", "v2")
    vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=1))
    before = keys(flights)
    flights.session.client("glue").delete_table(DatabaseName=flights.database, Name="flights")
    with pytest.raises(ConfigurationError, match=r"flights_lake\.flights"):
        vacuum(flights, keep_versions=1, grace=HOUR, now=later(days=3))
    assert keys(flights) == before


def test_a_damaged_published_version_protects_the_older_ones(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    publish_versions(flights, lake, "v1", "v2", "v3")
    vacuum(flights, keep_versions=2, grace=HOUR, now=later(hours=1))
    flights.session.client("s3").delete_object(Bucket=flights.bucket, Key=f"flights/dt={DAY}/v=v3/part-00000.parquet")
    found = vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=3))
    assert (found.marked, found.removed, found.damaged) == ([], [], [DAY])
    assert versions_with_objects(flights) == {"v1", "v2"}


def test_the_list_for_copy_goes_with_its_version(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    old = lake.manifest(flights, DAY, "v1", ROWS)
    publish(flights, old)
    redshift_manifest(flights.session.client("s3"), flights.bucket, old)
    publish_versions(flights, lake, "v2")
    vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=1))
    vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=3))
    assert not [key for key in keys(flights) if "v1" in key]
    redshift_manifest(flights.session.client("s3"), flights.bucket, old)  # a load that was late
    assert vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=25)).removed == [PartitionVersion(DAY, "v1")]
    assert not [key for key in keys(flights) if "v1" in key]


def test_only_the_partitions_asked_for_are_visited(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    for day in (DAY, "2013-01-02"):
        publish_versions(flights, lake, "v1", "v2", partition=day)
    found = vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=1), partitions=["2013-01-02"])
    assert found.marked == [PartitionVersion("2013-01-02", "v1")]
    with pytest.raises(ConfigurationError, match="no partition ''"):
        vacuum(flights, keep_versions=1, grace=HOUR, partitions=[""])
    with pytest.raises(ConfigurationError, match="keep 0 versions"):
        vacuum(flights, keep_versions=0, grace=HOUR)


def test_the_states_of_versions_are_told_newest_first(
    flights: GlueTable, lake: Lake, later: Callable[..., datetime]
) -> None:
    assert list_versions(flights, DAY) == []
    publish_versions(flights, lake, "v1", "v2")
    vacuum(flights, keep_versions=1, grace=HOUR, now=later(hours=1))
    publish_versions(flights, lake, "v3")
    with pytest.raises(AuditFailed):
        publish(flights, lake.manifest(flights, DAY, "v4", ROWS * 4), failed_checks=["min: 4 rows"])
    lake.manifest(flights, DAY, "v5", ROWS, count=2)

    found = list_versions(flights, DAY)

    assert [(each.version_id, each.state, each.row_count, each.objects) for each in found] == [
        ("v5", "unfinished", None, 2),
        ("v4", "rejected", 4, 1),
        ("v3", "published", 1, 1),
        ("v2", "kept", 2, 1),
        ("v1", "expiring", 1, 1),
    ]
    assert found[1].failed_checks == ("min: 4 rows",)
    assert found[2].run_id == "run-1"
    assert found[2].size > 0
