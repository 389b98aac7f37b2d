"""Objects in S3: listed in pages, read in ranges, and crawled; one that is refused does not spoil the others."""

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from datalake_assets.accounts.registry import registry
from datalake_assets.discovery.crawl import CrawlOptions, crawl
from datalake_assets.discovery.sources import objects
from datalake_assets.discovery.sources.objects import account_of, download, list_objects, open_object, sample_of
from datalake_assets.errors import AccessDenied, ConcurrentChange, ConfigurationError

BUCKET = "crawl-me"
ROWS = "id,amount\n" + "".join(f"{n},{n}.50\n" for n in range(100))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    yield f"http://{host}:{port}"
    made.stop()


class Bucket:
    """An empty bucket, and a note of every request that fetched something."""

    def __init__(self, endpoint: str) -> None:
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.fetched: list[tuple[str, str]] = []
        self.listed = 0
        self.denied: set[str] = set()
        self.s3.meta.events.register("provide-client-params.s3.GetObject", self._get)
        self.s3.meta.events.register("provide-client-params.s3.ListObjectsV2", self._list)

    def _get(self, params: dict[str, Any], **_: object) -> None:
        self.fetched.append((params["Key"], params.get("Range", "")))
        if params["Key"] in self.denied:
            raise ClientError(
                {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}},  # type: ignore[typeddict-item]
                "GetObject",
            )

    def _list(self, **_: object) -> None:
        self.listed += 1

    def put(self, key: str, body: str | bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def keys(self, prefix: str) -> list[str]:
        return [found.key for found in list_objects(f"s3://{BUCKET}/{prefix}", s3=self.s3)]


@pytest.fixture
def bucket(server: str) -> Iterator[Bucket]:
    made = Bucket(server)
    made.s3.create_bucket(Bucket=BUCKET)
    yield made
    pages = made.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    for page in pages:
        for found in page.get("Contents", []):
            made.s3.delete_object(Bucket=BUCKET, Key=found["Key"])
    made.s3.delete_bucket(Bucket=BUCKET)


def test_a_prefix_is_a_folder_or_an_object_and_never_the_start_of_a_name(bucket: Bucket) -> None:
    for key in ("flights/a.csv", "flights/b/c.csv", "flights_old/a.csv", "flights.csv"):
        bucket.put(key, "x")
    assert bucket.keys("flights") == ["flights/a.csv", "flights/b/c.csv"]
    assert bucket.keys("flights/") == ["flights/a.csv", "flights/b/c.csv"]
    assert bucket.keys("flights.csv") == ["flights.csv"]
    assert len(bucket.keys("")) == 4
    assert bucket.keys("nothing") == []


def test_a_bucket_that_is_not_there_is_no_empty_one(bucket: Bucket) -> None:
    with pytest.raises(ConfigurationError, match="NoSuchBucket"):
        list(list_objects("s3://not-there-at-all/x", s3=bucket.s3))
    with pytest.raises(ConfigurationError, match="names no bucket"):
        list(list_objects("s3://", s3=bucket.s3))


def test_a_sample_is_one_range_and_a_footer_another(bucket: Bucket) -> None:
    table = pa.table({"n": list(range(300_000)), "t": [f"text {n}" for n in range(300_000)]})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none")
    bucket.put("big.parquet", sink.getvalue())
    (found,) = list_objects(f"s3://{BUCKET}/big.parquet", s3=bucket.s3)
    assert found.size > 3_000_000
    sample = sample_of(found, s3=bucket.s3, sample_bytes=1_000)
    assert (len(sample.head), sample.is_complete) == (1_000, False)
    with sample.open() as file:
        assert pq.read_metadata(file).num_rows == 300_000
    fetched = [tuple(map(int, span.removeprefix("bytes=").split("-"))) for _, span in bucket.fetched]
    assert fetched[0] == (0, 999)
    assert sum(last - first + 1 for first, last in fetched) < found.size / 2


def test_an_object_is_read_like_a_file(bucket: Bucket) -> None:
    content = bytes(range(256)) * 4_000
    bucket.put("x", content)
    (found,) = list_objects(f"s3://{BUCKET}/x", s3=bucket.s3)
    with open_object(found, s3=bucket.s3) as file:
        assert file.read(10) == content[:10]
        file.seek(-5, io.SEEK_END)
        assert file.read() == content[-5:]
        file.seek(1_000)
        assert file.read() == content[1_000:]
        assert file.read() == b""


def test_an_object_that_was_replaced_since_is_not_mixed_with_the_new_one(bucket: Bucket) -> None:
    bucket.put("x", "one")
    (found,) = list_objects(f"s3://{BUCKET}/x", s3=bucket.s3)
    bucket.put("x", "two")
    with pytest.raises(ConcurrentChange):
        sample_of(found, s3=bucket.s3)


def test_a_refused_object_says_so(bucket: Bucket) -> None:
    bucket.put("x", "one")
    bucket.denied.add("x")
    (found,) = list_objects(f"s3://{BUCKET}/x", s3=bucket.s3)
    with pytest.raises(AccessDenied):
        sample_of(found, s3=bucket.s3)


def test_a_copy_keeps_its_ending(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("a/b/x.csv.gz", b"12")
    (found,) = list_objects(f"s3://{BUCKET}/a", s3=bucket.s3)
    copy = download(found, tmp_path, s3=bucket.s3)
    assert copy.read_bytes() == b"12"
    assert copy.name.endswith("x.csv.gz")
    assert download(found, tmp_path, s3=bucket.s3) == copy


def test_a_crawl_of_many_objects_is_bounded_by_its_listing(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "KEYS_PER_PAGE", 20)
    for number in range(50):
        bucket.put(f"sales/dt=2026-11-{1 + number % 25:02}/part-{number:05}.csv", ROWS)
    report = crawl([f"s3://{BUCKET}/sales"], s3=bucket.s3)
    (table,) = report.tables
    assert (table.name, table.files, len(table.partitions)) == ("sales", 50, 25)
    assert table.layout_pattern == "sales/dt={partition}/*.csv"
    assert table.uri == f"s3://{BUCKET}/sales/"
    assert table.partitions[0].location == f"s3://{BUCKET}/sales/dt=2026-11-01/"
    assert bucket.listed == 4  # is it an object, and three pages
    assert len(bucket.fetched) == 4


def test_one_refused_object_is_skipped_and_told(bucket: Bucket) -> None:
    for name in ("1", "2", "3"):
        bucket.put(f"t/part-{name}.csv", ROWS)
    bucket.denied.add("t/part-2.csv")
    report = crawl([f"s3://{BUCKET}/t"], s3=bucket.s3)
    (table,) = report.tables
    assert (table.files, table.sampled_files) == (3, 2)
    assert [(each.uri, each.kind) for each in report.skipped] == [(f"s3://{BUCKET}/t/part-2.csv", "AccessDenied")]


def test_a_large_object_is_never_downloaded(bucket: Bucket) -> None:
    bucket.put("big/x.csv", ROWS * 500)
    bucket.put("big2/x.csv.gz", gzip.compress(b"".join(f"{n},{n * n}\n".encode() for n in range(100_000))))
    report = crawl([f"s3://{BUCKET}/big", f"s3://{BUCKET}/big2"], CrawlOptions(sample_bytes=50_000), s3=bucket.s3)
    assert len(report.tables) == 2
    assert report.read_bytes <= 100_000
    assert {span for _, span in bucket.fetched} == {"bytes=0-49999"}


def test_buckets_of_the_registry_belong_to_their_accounts() -> None:
    account = next(iter(registry()))
    assert account_of(account.raw_bucket) == account.name
    assert account_of(account.lake_bucket) == account.name
    assert account_of("some-other-bucket") is None
    assert account_of("some-other-bucket", account.id) == account.name
    with pytest.raises(ConfigurationError, match="not in the registry"):
        account_of("some-other-bucket", "nobody")
