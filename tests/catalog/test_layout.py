import json

import pytest

from datalake_assets.catalog.layout import Kind, Place, data_prefix, key_beside, manifests_prefix, place_of
from datalake_assets.catalog.manifest import CheckResult, read_manifest, write_manifest
from datalake_assets.names import manifest_key, version_prefix
from tests.catalog.fake_aws import FakeAws, fake_table, uploaded

ID = "20260102T030000000000Z-1f2e"


@pytest.mark.parametrize("partition", ["2013-01-01", "2013-01-01-05:00", "de|berlin", ""])
def test_every_key_that_names_make_is_found_again(partition: str) -> None:
    data = f"{version_prefix('flights', partition, ID)}part-00000.parquet"
    assert place_of("flights", data) == Place(partition, ID, Kind.DATA)
    assert data.startswith(data_prefix("flights", partition))
    assert place_of("flights", manifest_key("flights", partition, ID)) == Place(partition, ID, Kind.MANIFEST)
    for kind in (Kind.REJECTED, Kind.EXPIRED, Kind.REDSHIFT):
        key = key_beside("flights", partition, ID, kind)
        assert place_of("flights", key) == Place(partition, ID, kind)
        assert key.startswith(manifests_prefix("flights", partition))


@pytest.mark.parametrize(
    "key",
    [
        "flights/readme.md",
        "flights/dt=2013-01-01/part.parquet",
        f"flights/dt=2013-01-01/v={ID}/deeper/part.parquet",
        f"flights/dt=2013-01-01/v={ID}/notes.txt",
        f"flights/dt=2013-01-01/hour=1/v={ID}/part.parquet",
        f"flights/dt=a b/v={ID}/part.parquet",
        f"flights/_manifests/dt=2013-01-01/{ID}.other.json",
        f"flights/_manifests/dt=2013-01-01/{ID}.json.bak",
        f"flights2/dt=2013-01-01/v={ID}/part.parquet",
    ],
)
def test_any_other_key_is_nobody_of_ours(key: str) -> None:
    assert place_of("flights", key) is None


def test_a_manifest_of_before_reads_without_the_new_fields() -> None:
    aws = FakeAws()
    table = fake_table(aws)
    s3 = table.session.client("s3")
    manifest = uploaded(table, "2013-01-01", ID)
    write_manifest(s3, table.bucket, manifest)
    written = json.loads(aws.objects[manifest.key].body)
    for name in ("restored_from", "reason", "checks", "failed_checks"):
        del written[name]
    s3.put_object(Bucket=table.bucket, Key=manifest.key, Body=json.dumps(written).encode())
    assert read_manifest(s3, table.bucket, "flights", "2013-01-01", ID) == manifest


def test_what_checks_found_is_kept_with_the_version() -> None:
    from dataclasses import replace

    table = fake_table(FakeAws())
    s3 = table.session.client("s3")
    found = (CheckResult("unique(id)", False, "error", "3 duplicates", 3), CheckResult("price", True, "warn"))
    rejected = replace(uploaded(table, "", ID), checks=found, failed_checks=("unique(id): 3 duplicates",))
    assert write_manifest(s3, table.bucket, rejected)
    assert not write_manifest(s3, table.bucket, rejected)
    assert rejected.key.endswith(".rejected.json")
    assert read_manifest(s3, table.bucket, "flights", "", ID, is_rejected=True) == rejected
