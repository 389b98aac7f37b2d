"""Programs read raw files from S3 and write their results there."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pyarrow.parquet as pq
import pytest
from moto import mock_aws

from datalake_assets.mapping.scripts import script_duckdb
from datalake_assets.mapping.scripts.script import build_mapping
from datalake_assets.mapping.scripts.script_files import find_files
from datalake_assets.mapping.scripts.script_reader import BadFile
from tests.mapping.builders import build_spec

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PATTERNS = ("things/dt={partition}/*.csv",)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> "Iterator[S3Client]":
    """A bucket `raw` with two days and a bucket `lake` without anything."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        for bucket in ("raw", "lake"):
            client.create_bucket(Bucket=bucket)
        for day in ("2024-01-05", "2024-01-06"):
            client.put_object(Bucket="raw", Key=f"things/dt={day}/a.csv", Body=f"a\n1\n{day}\n".encode())
        client.put_object(Bucket="raw", Key="things/dt=2024-01-05/", Body=b"")
        yield client


def test_a_partition_goes_from_bucket_to_bucket(s3: "S3Client", capsys: pytest.CaptureFixture[str]) -> None:
    mapping = build_mapping("tests/things", build_spec("a:int"), PATTERNS, "duckdb")
    arguments = ["--input", "s3://raw", "--output", "s3://lake/things", "--partition", "2024-01-05"]
    assert script_duckdb.main(mapping, arguments) == 0
    good, bad = (
        pq.read_table(io.BytesIO(s3.get_object(Bucket="lake", Key=f"things/{name}/part-00000.parquet")["Body"].read()))
        for name in ("good", "quarantine")
    )
    uri = "s3://raw/things/dt=2024-01-05/a.csv"
    assert good.select(["a", "_source_file", "_source_row"]).to_pylist() == [
        {"a": 1, "_source_file": uri, "_source_row": 2}
    ]
    assert bad["_reason"].to_pylist() == ["a '2024-01-05' is not a valid int"]
    assert capsys.readouterr().out == "tests/things: 1 file, 1 good rows, 1 set aside\n"


def test_all_objects_below_a_prefix_are_found(s3: "S3Client") -> None:
    found = find_files("s3://raw/things", PATTERNS, None)
    assert found == [f"s3://raw/things/dt=2024-01-0{day}/a.csv" for day in (5, 6)]


def test_an_input_without_files_is_an_error(s3: "S3Client") -> None:
    with pytest.raises(BadFile, match="there is no file that fits things"):
        find_files("s3://raw", PATTERNS, "2024-02-01")
