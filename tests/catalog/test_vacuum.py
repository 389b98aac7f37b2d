from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.history import list_versions
from datalake_assets.catalog.manifest import redshift_manifest
from datalake_assets.catalog.publish import publish
from datalake_assets.catalog.rollback import rollback
from datalake_assets.catalog.vacuum import PartitionVersion, vacuum
from datalake_assets.errors import AuditFailed, ConfigurationError, ManifestMismatch
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
