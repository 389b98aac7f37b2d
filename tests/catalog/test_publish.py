from dataclasses import replace
from typing import Any

import awswrangler as wr
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.manifest import read_manifest, redshift_manifest
from datalake_assets.catalog.publish import publish, publish_partitions
from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.errors import AuditFailed, ConfigurationError, ManifestMismatch, Unsupported
from tests.catalog.conftest import ACCOUNT, AIRLINES, FLIGHTS, Lake, Row
from tests.catalog.doubles import SessionWithLockingGlue

OLD: list[Row] = [{"carrier": "AA", "delay": 5}, {"carrier": "UA", "delay": None}]
NEW: list[Row] = [{"carrier": "B6", "delay": -2}]


def seen_by_readers(table: GlueTable, **how: Any) -> list[Row]:
    """The table's rows as awswrangler reads them: it asks for partitions' locations only if it may choose some."""
    how = {"partition_filter": lambda values: True, **how}
    frame = wr.s3.read_parquet_table(
        database=table.database, table=table.name, boto3_session=table.session._session(), use_threads=False, **how
    )
    columns = ["carrier", "delay", *(["dt"] if "dt" in frame else [])]
    rows = frame[columns].astype(object).where(frame[columns].notna(), None).to_dict("records")
    return sorted(({**row, "dt": str(row["dt"])} if "dt" in row else row for row in rows), key=str)


def test_an_independent_reader_sees_the_published_rows(flights: GlueTable, lake: Lake) -> None:
    assert publish(flights, lake.manifest(flights, "2013-01-01", "v1", OLD, count=2)) is None
    assert seen_by_readers(flights) == [
        {"carrier": "AA", "delay": 5, "dt": "2013-01-01"},
        {"carrier": "UA", "delay": None, "dt": "2013-01-01"},
    ]


def test_a_partition_filter_finds_just_its_partition(flights: GlueTable, lake: Lake) -> None:
    days = [lake.manifest(flights, "2013-01-01", "v1", OLD), lake.manifest(flights, "2013-01-02", "v1", NEW)]
    publish_partitions(flights, days)
    found = seen_by_readers(flights, partition_filter=lambda values: values["dt"] == "2013-01-02")
    assert found == [{"carrier": "B6", "delay": -2, "dt": "2013-01-02"}]
    partitions = wr.catalog.get_parquet_partitions(
        flights.database, flights.name, expression="dt >= '2013-01-02'", boto3_session=flights.session._session()
    )
    assert partitions == {"s3://test-lake/flights/dt=2013-01-02/v=v1/": ["2013-01-02"]}


def test_after_a_republish_readers_see_only_the_new_version(flights: GlueTable, lake: Lake) -> None:
    publish(flights, lake.manifest(flights, "2013-01-01", "v1", OLD))
    assert publish(flights, lake.manifest(flights, "2013-01-01", "v2", NEW)) == "v1"
    assert seen_by_readers(flights) == [{"carrier": "B6", "delay": -2, "dt": "2013-01-01"}]


def test_a_reader_that_ignores_the_partitions_fails_rather_than_mix_versions(flights: GlueTable, lake: Lake) -> None:
    publish(flights, lake.manifest(flights, "2013-01-01", "v1", OLD))
    publish(flights, lake.manifest(flights, "2013-01-01", "v2", NEW))
    with pytest.raises(pa.ArrowInvalid, match="not a parquet file"):
        seen_by_readers(flights, partition_filter=None)


def test_the_replaced_version_keeps_its_objects(flights: GlueTable, lake: Lake) -> None:
    old = lake.manifest(flights, "2013-01-01", "v1", OLD)
    publish(flights, old)
    publish(flights, lake.manifest(flights, "2013-01-01", "v2", NEW))
    old.version.verify(flights.session.client("s3"), flights.bucket)


def test_publishing_twice_changes_nothing(flights: GlueTable, lake: Lake) -> None:
    manifest = lake.manifest(flights, "2013-01-01", "v1", OLD)
    publish(flights, manifest)
    before = flights.current("2013-01-01")
    assert publish(flights, manifest) is None
    assert flights.current("2013-01-01") == before


def test_the_catalog_tells_what_of_a_table_is_published_and_whether_there_is_one(
    session: AccountSession, flights: GlueTable, airlines: GlueTable, lake: Lake
) -> None:
    missing = GlueTable(session, "nothing")
    assert (missing.exists(), missing.published()) == (False, {})
    assert (flights.exists(), flights.published(), airlines.published()) == (True, {}, {})
    publish(flights, lake.manifest(flights, "2013-01-01", "v1", OLD))
    publish(flights, lake.manifest(flights, "2013-01-02", "v2", NEW))
    publish(airlines, lake.manifest(airlines, "", "v3", NEW, schema=AIRLINES))
    shown = {**flights.published(), **airlines.published()}
    assert {key: each.version_id for key, each in shown.items()} == {"2013-01-01": "v1", "2013-01-02": "v2", "": "v3"}
    assert shown["2013-01-01"] == flights.current("2013-01-01")


def test_an_older_version_never_replaces_a_newer_one(flights: GlueTable, airlines: GlueTable, lake: Lake) -> None:
    for table, partition, schema in ((flights, "2013-01-01", FLIGHTS), (airlines, "", AIRLINES)):
        older = lake.manifest(table, partition, "v1", OLD, schema=schema)
        publish(table, lake.manifest(table, partition, "v2", NEW, schema=schema))
        assert publish(table, older) is None
        current = table.current(partition)
        assert current
        assert current.version_id == "v2"


def test_a_failed_check_leaves_the_old_version_visible_and_keeps_the_new_one(flights: GlueTable, lake: Lake) -> None:
    publish(flights, lake.manifest(flights, "2013-01-01", "v1", OLD))
    new = lake.manifest(flights, "2013-01-01", "v2", NEW)
    with pytest.raises(AuditFailed, match=r"flights partition 2013-01-01: .*unique\(carrier\)"):
        publish(flights, new, failed_checks=["unique(carrier): 3 duplicates"])
    current = flights.current("2013-01-01")
    assert current
    assert current.version_id == "v1"
    new.version.verify(flights.session.client("s3"), flights.bucket)


def test_a_version_with_a_missing_object_is_not_published(flights: GlueTable, lake: Lake) -> None:
    manifest = lake.manifest(flights, "2013-01-01", "v1", OLD, count=2)
    flights.session.client("s3").delete_object(Bucket=flights.bucket, Key=manifest.version.objects[1].key)
    with pytest.raises(ManifestMismatch, match=r"part-00001\.parquet is missing"):
        publish(flights, manifest)
    assert flights.current("2013-01-01") is None


def test_a_version_without_objects_is_not_published(flights: GlueTable, lake: Lake) -> None:
    manifest = lake.manifest(flights, "2013-01-01", "v1", OLD)
    with pytest.raises(ManifestMismatch, match="no objects"):
        publish(flights, replace(manifest, version=replace(manifest.version, objects=())))


def test_a_partition_that_fails_its_audit_leaves_its_neighbours_published(flights: GlueTable, lake: Lake) -> None:
    days = [lake.manifest(flights, f"2013-01-0{day}", "v1", OLD) for day in (1, 2, 3)]
    switches = publish_partitions(flights, days, failed_checks={"2013-01-02": ["not_null(delay)"]})
    assert isinstance(switches["2013-01-02"].error, AuditFailed)
    assert [day for day, now in flights.current_many(list(switches)).items() if now] == ["2013-01-01", "2013-01-03"]


def test_a_partition_published_before_a_new_column_reads_it_as_null(flights: GlueTable, lake: Lake) -> None:
    publish(flights, lake.manifest(flights, "2013-01-01", "v1", OLD))
    flights.ensure(replace(FLIGHTS, columns=(CatalogColumn("origin", "string"), *FLIGHTS.columns)))
    publish(flights, lake.manifest(flights, "2013-01-02", "v1", NEW))
    partition = flights.session.client("glue").get_partition(
        DatabaseName=flights.database, TableName="flights", PartitionValues=["2013-01-02"]
    )["Partition"]
    assert [c["Name"] for c in partition["StorageDescriptor"]["Columns"]] == ["carrier", "delay", "origin"]
    assert len(seen_by_readers(flights)) == 3


def test_an_unpartitioned_table_is_empty_until_its_first_version(airlines: GlueTable, lake: Lake) -> None:
    lake.manifest(airlines, "", "v1", OLD, schema=AIRLINES)  # uploaded, never published
    assert airlines.current() is None
    with pytest.raises(wr.exceptions.NoFilesFound):
        seen_by_readers(airlines)


def test_an_unpartitioned_table_switches_as_a_whole(airlines: GlueTable, lake: Lake) -> None:
    publish(airlines, lake.manifest(airlines, "", "v1", OLD, schema=AIRLINES))
    assert publish(airlines, lake.manifest(airlines, "", "v2", NEW, schema=AIRLINES)) == "v1"
    assert seen_by_readers(airlines) == [{"carrier": "B6", "delay": -2}]
    airlines.ensure(AIRLINES)
    current = airlines.current()
    assert current
    assert current.version_id == "v2"


def test_of_two_runs_that_publish_one_table_at_once_the_newer_wins(session: AccountSession, lake: Lake) -> None:
    locking = SessionWithLockingGlue(session.account)
    mine, theirs = GlueTable(locking, "airlines"), GlueTable(AccountSession(ACCOUNT), "airlines")
    mine.ensure(AIRLINES)
    newer = lake.manifest(theirs, "", "v2", NEW, schema=AIRLINES)
    locking.glue.before["update_table"] = lambda: publish(theirs, newer)

    assert publish(mine, lake.manifest(mine, "", "v1", OLD, schema=AIRLINES)) is None

    current = mine.current()
    assert current
    assert current.version_id == "v2"


def test_a_version_of_the_wrong_kind_is_refused(flights: GlueTable, lake: Lake) -> None:
    with pytest.raises(Unsupported, match="cannot be published as a whole"):
        publish(flights, lake.manifest(flights, "", "v1", OLD))


def test_whoever_sees_a_version_finds_its_manifest(flights: GlueTable, lake: Lake) -> None:
    manifest = lake.manifest(flights, "2013-01-01", "v1", OLD)
    publish(flights, manifest)
    current = flights.current("2013-01-01")
    assert current
    assert current.manifest_uri == "s3://test-lake/flights/_manifests/dt=2013-01-01/v1.json"
    assert current.row_count == 2
    s3 = flights.session.client("s3")
    assert read_manifest(s3, flights.bucket, "flights", "2013-01-01", "v1") == manifest


def test_a_manifest_that_counts_other_rows_than_its_objects_is_refused(flights: GlueTable, lake: Lake) -> None:
    manifest = lake.manifest(flights, "2013-01-01", "v1", OLD)
    wrong = replace(manifest, counts=replace(manifest.counts, rows_published=7))
    with pytest.raises(ManifestMismatch, match="7 rows published, 2 in the lake objects"):
        publish(flights, wrong)


@pytest.mark.parametrize(
    ("body", "told"), [(b"<html>", "not a manifest"), (b'{"version": {}}', "version.table"), (b"{}", "not a manifest")]
)
def test_an_object_that_is_no_manifest_is_refused(flights: GlueTable, body: bytes, told: str) -> None:
    s3 = flights.session.client("s3")
    s3.put_object(Bucket=flights.bucket, Key="flights/_manifests/dt=2013-01-01/v1.json", Body=body)
    with pytest.raises(ManifestMismatch, match=told):
        read_manifest(s3, flights.bucket, "flights", "2013-01-01", "v1")
    with pytest.raises(ConfigurationError, match="does not exist"):
        read_manifest(s3, flights.bucket, "flights", "2013-01-01", "v2")


def test_the_list_for_copy_names_each_object_with_its_length(flights: GlueTable, lake: Lake) -> None:
    manifest = lake.manifest(flights, "2013-01-01", "v1", OLD, count=2)
    s3 = flights.session.client("s3")
    uri = redshift_manifest(s3, flights.bucket, manifest)

    assert uri == "s3://test-lake/flights/_manifests/dt=2013-01-01/v1.redshift.json"
    import json

    body = s3.get_object(Bucket=flights.bucket, Key=uri.removeprefix("s3://test-lake/"))["Body"].read()
    entries = json.loads(body)["entries"]
    assert [entry["url"] for entry in entries] == [f"s3://test-lake/{item.key}" for item in manifest.version.objects]
    assert all(entry["mandatory"] for entry in entries)
    assert [entry["meta"]["content_length"] for entry in entries] == [item.size for item in manifest.version.objects]


def test_objects_hold_the_rows_their_manifest_counts(flights: GlueTable, lake: Lake) -> None:
    files = lake.files(OLD, count=2)
    assert [pq.read_metadata(file.path).num_rows for file in files] == [file.row_count for file in files]
