"""`datalake preview` of S3 objects: with the account's role, no more bytes than it needs, errors that say why."""

import csv
import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from datalake_assets.cli import main
from datalake_assets.discovery import preview as reading
from datalake_assets.discovery.sources.objects import download
from tests.integration.user import Platform

pytestmark = pytest.mark.slow

ORDERS = [["id", "name"], *([str(n), f"name {n}"] for n in range(1, 51))]
ORDERS_CSV = "".join(",".join(row) + "\n" for row in ORDERS)


def preview(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["preview", *map(str, arguments)])


def rows_of(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.stderr
    return list(csv.reader(io.StringIO(result.stdout, newline="")))


def test_an_object_is_previewed_as_a_file_is(platform: Platform) -> None:
    uri = platform.put("preview/one/orders.csv.gz", gzip.compress(ORDERS_CSV.encode()))
    assert rows_of(preview(uri, "--all", "--format", "csv")) == ORDERS


def test_a_parquet_object_is_previewed_with_its_types(platform: Platform) -> None:
    target = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "tags": [["a"], None]}), target)
    uri = platform.put("preview/two/p.parquet", target.getvalue())
    found = [json.loads(line) for line in preview(uri, "--format", "json").stdout.splitlines()]
    assert found == [{"id": 1, "tags": ["a"]}, {"id": 2, "tags": None}]


def test_a_prefix_is_one_table_of_its_objects(platform: Platform) -> None:
    platform.put("preview/three/_SUCCESS", b"")
    for day in (1, 2):
        platform.put(f"preview/three/dt=2026-01-0{day}/orders.csv", ORDERS_CSV)
    prefix = f"s3://{platform.account.raw_bucket}/preview/three/"
    assert rows_of(preview(prefix, "--all", "--format", "csv")) == [*ORDERS, *ORDERS[1:]]
    assert len(rows_of(preview(prefix, "--format", "csv", "--rows", 60))) == 61
    assert rows_of(preview(prefix.rstrip("/"), "--format", "csv", "--rows", 5)) == ORDERS[:6]


def test_of_a_large_object_only_the_beginning_is_fetched(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BEGINNING_BYTES", 3_000_000)
    fetched: list[str] = []

    def counting(found: Any, *arguments: Any, **options: Any) -> Any:
        fetched.append(found.uri)
        return download(found, *arguments, **options)

    monkeypatch.setattr(reading, "download", counting)
    rows = [["id", "text"], *([str(n), f"some text {n}"] for n in range(300_000))]
    uri = platform.put("preview/four/big.csv", "".join(",".join(row) + "\n" for row in rows))
    assert rows_of(preview(uri, "--format", "csv", "--rows", 1000)) == rows[:1001]
    assert fetched == []
    assert rows_of(preview(uri, "--format", "csv", "--rows", 290_000)) == rows[:290_001]
    assert fetched == [uri]


@pytest.mark.parametrize("key", ["preview/none/at/all.csv", "preview/none/"])
def test_what_is_not_there_says_so(platform: Platform, key: str) -> None:
    result = preview(f"s3://{platform.account.raw_bucket}/{key}")
    assert result.exit_code == 1
    assert "there is nothing" in result.stderr
    assert preview("s3://no-such-bucket-anywhere/x.csv").stderr.startswith("Error: ")
