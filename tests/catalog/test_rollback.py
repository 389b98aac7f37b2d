from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.history import list_versions
from datalake_assets.catalog.manifest import Manifest, RowCounts, read_manifest
from datalake_assets.catalog.publish import publish
from datalake_assets.catalog.rollback import rollback
from datalake_assets.catalog.upload import LocalFile, upload_versions
from datalake_assets.catalog.vacuum import vacuum
from datalake_assets.catalog.versions import new_version_id
from datalake_assets.errors import AuditFailed, ConfigurationError, ManifestMismatch
from tests.catalog.conftest import AIRLINES, FLIGHTS, Lake, Row
from tests.catalog.test_publish import seen_by_readers

DAY = "2013-01-01"
START = datetime(2026, 1, 1, tzinfo=UTC)
V1, V2, V3, V4 = (new_version_id(f"run-{n}", START + timedelta(hours=n)) for n in range(4))
A: list[Row] = [{"carrier": "AA", "delay": 5}, {"carrier": "UA", "delay": None}]
B: list[Row] = [{"carrier": "B6", "delay": -2}]


def published_rows(table: GlueTable) -> list[str]:
    return [row["carrier"] for row in seen_by_readers(table)]


def test_a_rollback_shows_the_version_before_under_a_new_id(flights: GlueTable, lake: Lake) -> None:
    publish(flights, lake.manifest(flights, DAY, V1, A, count=2))
    publish(flights, lake.manifest(flights, DAY, V2, B))

    manifest, switch = rollback(flights, DAY, reason="wrong prices", run_id="run-9")

    assert published_rows(flights) == ["AA", "UA"]
    assert switch.before
    assert switch.after
    assert (switch.before.version_id, switch.after.version_id) == (V2, manifest.version.id)
    assert manifest.version.id > V2
    stored = read_manifest(flights.session.client("s3"), flights.bucket, "flights", DAY, manifest.version.id)
    assert (stored.restored_from, stored.reason, stored.run_id) == (V1, "wrong prices", "run-9")
    assert stored == manifest
    newest = list_versions(flights, DAY)[0]
    assert (newest.state, newest.restored_from, newest.reason, newest.row_count) == (
        "published",
        V1,
        "wrong prices",
        2,
    )


def test_a_rollback_to_a_named_version_and_back_again(airlines: GlueTable, lake: Lake) -> None:
    for version, rows in ((V1, A), (V2, B), (V3, B)):
        publish(airlines, lake.manifest(airlines, "", version, rows, schema=AIRLINES))
    rollback(airlines, "", to=V1, reason="as before", run_id="run-8")
    assert published_rows(airlines) == ["AA", "UA"]
    rollback(airlines, "", to=V3, reason="no, not that", run_id="run-9")
    assert published_rows(airlines) == ["B6"]


def test_a_rollback_repeated_after_a_crash_makes_another_version_of_the_same(flights: GlueTable, lake: Lake) -> None:
    publish(flights, lake.manifest(flights, DAY, V1, A))
    publish(flights, lake.manifest(flights, DAY, V2, B))
    first, _ = rollback(flights, DAY, to=V1, reason="r", run_id="run-9")
    second, _ = rollback(flights, DAY, to=V1, reason="r", run_id="run-9")
    assert second.version.id > first.version.id
    assert published_rows(flights) == ["AA", "UA"]


def test_a_host_with_a_slow_clock_can_roll_back(flights: GlueTable, lake: Lake) -> None:
    future = new_version_id("run-1", datetime.now(UTC) + timedelta(hours=5))
    publish(flights, lake.manifest(flights, DAY, V1, A))
    publish(flights, lake.manifest(flights, DAY, future, B))
    manifest, _ = rollback(flights, DAY, reason="r", run_id="run-9")
    assert manifest.version.id > future
    assert published_rows(flights) == ["AA", "UA"]


def test_what_cannot_be_restored_is_told_with_what_can(flights: GlueTable, lake: Lake) -> None:
    with pytest.raises(ConfigurationError, match="nothing is published"):
        rollback(flights, DAY, reason="r", run_id="run-9")
    publish(flights, lake.manifest(flights, DAY, V1, A))
    with pytest.raises(ConfigurationError, match="no kept version before the published one"):
        rollback(flights, DAY, reason="r", run_id="run-9")
    publish(flights, lake.manifest(flights, DAY, V2, A))
    publish(flights, lake.manifest(flights, DAY, V3, A))
    with pytest.raises(AuditFailed):
        publish(flights, lake.manifest(flights, DAY, V4, B), failed_checks=["min: one row"])
    unfinished = new_version_id("run-5", START + timedelta(hours=5))
    lake.manifest(flights, DAY, unfinished, B)
    vacuum(flights, keep_versions=2, grace=timedelta(0))

    where = rf"flights_lake\.flights partition {DAY}: "
    kept = rf"expected one of the kept versions: {V2}\. "
    for to, told in (
        (V3, f"version {V3} is what readers see already"),
        (V1, f"version {V1} is being vacuumed"),
        (V4, f"version {V4} was rejected: min: one row"),
        (unfinished, f"version {unfinished} was never finished"),
        ("v0", "there is no version v0: it never was, or is vacuumed"),
    ):
        with pytest.raises(ConfigurationError, match=f"{where}{told}; {kept}"):
            rollback(flights, DAY, to=to, reason="r", run_id="run-9")
    vacuum(flights, keep_versions=2, grace=timedelta(0))
    with pytest.raises(ConfigurationError, match=f"there is no version {V1}"):
        rollback(flights, DAY, to=V1, reason="r", run_id="run-9")
    with pytest.raises(ConfigurationError, match="needs a reason"):
        rollback(flights, DAY, reason=" ", run_id="run-9")
    assert flights.current(DAY).version_id == V3  # type: ignore[union-attr]


def test_a_damaged_version_is_not_restored(flights: GlueTable, lake: Lake) -> None:
    old = lake.manifest(flights, DAY, V1, A, count=2)
    publish(flights, old)
    publish(flights, lake.manifest(flights, DAY, V2, B))
    flights.session.client("s3").delete_object(Bucket=flights.bucket, Key=old.version.objects[0].key)
    with pytest.raises(ManifestMismatch, match=r"part-00000\.parquet is missing"):
        rollback(flights, DAY, reason="r", run_id="run-9")
    assert published_rows(flights) == ["B6"]


def test_an_object_that_was_uploaded_in_parts_is_copied_in_the_same_parts(flights: GlueTable, tmp_path: Path) -> None:
    path = tmp_path / "part-00000.parquet"
    path.write_bytes(bytes(range(256)) * 4 * 1024 * 33)  # 33 MiB: two parts of 16 MiB and a rest
    s3 = flights.session.client("s3")
    for version in (V1, V2):
        uploaded = upload_versions(
            s3, flights.bucket, "flights", version, {DAY: [LocalFile(path, 7)]}, multipart_bytes=16 * 1024 * 1024
        )[DAY]
        publish(flights, Manifest(uploaded, (), RowCounts(7, 7, 0), FLIGHTS.columns, "run-1", START))
    manifest, _ = rollback(flights, DAY, reason="r", run_id="run-9")
    copy = manifest.version.objects[0]
    assert copy.checksum.endswith("-3")
    assert copy.etag.endswith('-3"')
    assert s3.get_object(Bucket=flights.bucket, Key=copy.key)["Body"].read() == path.read_bytes()
