from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.catalog.upload import LocalFile, composite_sha256, sha256, upload_versions
from datalake_assets.errors import ConfigurationError, ManifestMismatch, Unavailable
from tests.catalog.conftest import ACCOUNT, Lake, Row

ROWS: list[Row] = [{"carrier": "AA", "delay": 5}, {"carrier": "UA", "delay": None}, {"carrier": "B6", "delay": -2}]


def test_each_file_is_an_object_under_the_prefix_of_its_version(session: AccountSession, lake: Lake) -> None:
    files = {"2013-01-01": lake.files(ROWS, count=3), "2013-01-02": lake.files(ROWS)}
    versions = upload_versions(session.client("s3"), ACCOUNT.lake_bucket, "flights", "v1", files)

    first = versions["2013-01-01"]
    assert [item.key for item in first.objects] == [
        f"flights/dt=2013-01-01/v=v1/part-0000{number}.parquet" for number in range(3)
    ]
    assert first.row_count == 3
    assert versions["2013-01-02"].row_count == 3
    for version in versions.values():
        version.verify(session.client("s3"), ACCOUNT.lake_bucket)


def test_s3_keeps_the_checksum_of_the_file_on_disk(session: AccountSession, lake: Lake) -> None:
    file = lake.files(ROWS)[0]
    s3 = session.client("s3")
    version = upload_versions(s3, ACCOUNT.lake_bucket, "flights", "v1", {"2013-01-01": [file]})["2013-01-01"]

    head = s3.head_object(Bucket=ACCOUNT.lake_bucket, Key=version.objects[0].key, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == version.objects[0].checksum == sha256(file.path)


def test_a_large_file_goes_in_parts_and_is_compared_by_the_checksum_of_its_parts(
    session: AccountSession, tmp_path: Path
) -> None:
    path = tmp_path / "part-00000.parquet"
    path.write_bytes(bytes(range(256)) * 4 * 1024 * 11)  # 11 MiB: three parts of 5 MiB and a rest
    s3 = session.client("s3")
    version = upload_versions(
        s3, ACCOUNT.lake_bucket, "flights", "v1", {"": [LocalFile(path, 1)]}, multipart_bytes=5 * 1024 * 1024
    )[""]

    assert version.objects[0].checksum == composite_sha256(path, 5 * 1024 * 1024)
    assert version.objects[0].checksum.endswith("-3")
    body = s3.get_object(Bucket=ACCOUNT.lake_bucket, Key=version.objects[0].key)["Body"].read()
    assert body == path.read_bytes()


def test_a_missing_bucket_names_the_object_that_had_no_place(session: AccountSession, lake: Lake) -> None:
    with pytest.raises(ConfigurationError, match="s3://no-such-bucket/flights/v=v1/part"):
        upload_versions(session.client("s3"), "no-such-bucket", "flights", "v1", {"": lake.files(ROWS)})


def test_a_missing_bucket_is_told_for_a_file_in_parts_too(session: AccountSession, lake: Lake) -> None:
    with pytest.raises(ConfigurationError, match="NoSuchBucket"):
        upload_versions(
            session.client("s3"), "no-such-bucket", "flights", "v1", {"": lake.files(ROWS)}, multipart_bytes=1
        )


def test_an_s3_that_does_not_answer_is_worth_another_try(
    session: AccountSession, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    gone = boto3.client("s3", region_name="eu-central-1", config=config)
    with pytest.raises(Unavailable, match="AWS cannot be reached"):
        upload_versions(gone, ACCOUNT.lake_bucket, "flights", "v1", {"": lake.files(ROWS)})


def test_two_files_of_one_name_are_refused_before_anything_is_sent(session: AccountSession, lake: Lake) -> None:
    file = lake.files(ROWS)[0]
    with pytest.raises(ValueError, match="same name"):
        upload_versions(session.client("s3"), ACCOUNT.lake_bucket, "flights", "v1", {"": [file, file]})
    assert session.client("s3").list_objects_v2(Bucket=ACCOUNT.lake_bucket)["KeyCount"] == 0


@pytest.mark.parametrize(
    ("damage", "told"),
    [("missing", "is missing"), ("shorter", "has 1 bytes"), ("overwritten", "overwritten"), ("surplus", "not of this")],
)
def test_a_damaged_version_says_what_is_wrong(session: AccountSession, lake: Lake, damage: str, told: str) -> None:
    s3 = session.client("s3")
    version = upload_versions(s3, ACCOUNT.lake_bucket, "flights", "v1", {"": lake.files(ROWS)})[""]
    item = version.objects[0]
    if damage == "missing":
        s3.delete_object(Bucket=ACCOUNT.lake_bucket, Key=item.key)
    else:
        key = f"{version.prefix}other.parquet" if damage == "surplus" else item.key
        s3.put_object(Bucket=ACCOUNT.lake_bucket, Key=key, Body=b"x" * (item.size if damage == "overwritten" else 1))
    with pytest.raises(ManifestMismatch, match=told):
        version.verify(s3, ACCOUNT.lake_bucket)
