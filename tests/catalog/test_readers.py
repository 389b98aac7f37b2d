"""Independent readers in a loop while a partition is published again and again, and old versions are vacuumed.

Every row of a version has its number, and the number tells how many rows it must have: a mixture, a lost file or an
empty partition shows. `DATALAKE_REPUBLISHES=1000` for the long run. The gateway has no external schemas, so the third
reader copies the published version's list, as the load does.
"""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import awswrangler as wr
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.accounts.sessions import AccountSession, session
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.history import list_versions
from datalake_assets.catalog.manifest import Manifest, RowCounts, read_manifest, redshift_manifest
from datalake_assets.catalog.publish import publish
from datalake_assets.catalog.schema import CatalogColumn, TableSchema
from datalake_assets.catalog.upload import LocalFile, upload_versions
from datalake_assets.catalog.vacuum import vacuum
from datalake_assets.catalog.versions import new_version_id
from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.warehouse.connection import connect

REPUBLISHES = int(os.environ.get("DATALAKE_REPUBLISHES", "60"))
READS_AT_LEAST = max(5, REPUBLISHES // 20)
KEEP, GRACE = 3, timedelta(seconds=30)
DAY = "2013-01-01"
TABLE = "read_while_written"
SCHEMA = TableSchema(
    columns=(CatalogColumn("number", "bigint"), CatalogColumn("word", "string")),
    partition_keys=(CatalogColumn("dt", "date"),),
)

Seen = tuple[int, int, int]
"""Rows, smallest and greatest number of what a reader found."""


def rows_of(number: int) -> int:
    return 20 + number % 17


@dataclass
class Reading:
    """What one kind of reader found."""

    seen: list[Seen] = field(default_factory=list)
    error: Exception | None = None


@pytest.fixture
def table(sandbox: Sandbox) -> Iterator[GlueTable]:
    made = GlueTable(session("flights"), TABLE)
    made.ensure(SCHEMA)
    yield made
    made.session.client("glue").delete_table(DatabaseName=made.database, Name=TABLE)


def publish_number(table: GlueTable, number: int, folder: Path) -> None:
    count = rows_of(number)
    files = []
    for part, size in enumerate((count // 3, count - count // 3)):
        path = folder / f"part-{part:05d}.parquet"
        columns: Any = {"number": pa.array([number] * size, pa.int64()), "word": ["word"] * size}
        pq.write_table(pa.table(columns), path)
        files.append(LocalFile(path, size))
    version = new_version_id(f"run{number}", datetime.now(UTC))
    s3 = table.session.client("s3")
    uploaded = upload_versions(s3, table.bucket, TABLE, version, {DAY: files}, threads=2)[DAY]
    counts = RowCounts(count, count, 0)
    publish(table, Manifest(uploaded, (), counts, SCHEMA.columns, f"run{number}", datetime.now(UTC)))


def read_with_duckdb(table: GlueTable) -> Callable[[], Seen]:
    account = AccountSession(table.session.account)
    glue, s3 = account.client("glue"), account.client("s3")
    connection = duckdb.connect()

    def read() -> Seen:
        found = glue.get_partition(DatabaseName=table.database, TableName=TABLE, PartitionValues=[DAY])
        bucket, _, prefix = found["Partition"]["StorageDescriptor"]["Location"].removeprefix("s3://").partition("/")
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
        with tempfile.TemporaryDirectory() as folder:
            for item in listed:
                s3.download_file(bucket, item["Key"], f"{folder}/{Path(item['Key']).name}")
            sql = f"SELECT count(*), min(number), max(number) FROM read_parquet('{folder}/*.parquet')"
            row = connection.execute(sql).fetchone()
        assert row
        return row[0], row[1], row[2]

    return read


def read_with_awswrangler(table: GlueTable) -> Callable[[], Seen]:
    boto = AccountSession(table.session.account)._session()

    def read() -> Seen:
        frame = wr.s3.read_parquet_table(
            database=table.database,
            table=TABLE,
            partition_filter=lambda values: bool(values["dt"] == DAY),
            columns=["number"],
            boto3_session=boto,
            use_threads=False,
        )
        return len(frame), int(frame["number"].min()), int(frame["number"].max())

    return read


def read_with_copy(table: GlueTable) -> Callable[[], Seen]:
    connection = connect(warehouse_secret("flights"))
    connection.execute("CREATE TEMP TABLE copied (number bigint, word varchar(20))")
    s3 = table.session.client("s3")

    def read() -> Seen:
        current = table.current(DAY)
        assert current
        uri = redshift_manifest(s3, table.bucket, read_manifest(s3, table.bucket, TABLE, DAY, current.version_id))
        role = table.session.account.role
        connection.execute(f"COPY copied FROM '{uri}' IAM_ROLE '{role}' FORMAT PARQUET MANIFEST")
        [row] = connection.execute("SELECT count(*), min(number), max(number) FROM copied").rows
        connection.execute("DELETE FROM copied")
        rows, least, most = (int(str(value)) for value in row)
        return rows, least, most

    read.close = connection.close  # type: ignore[attr-defined]
    return read


@pytest.mark.slow
def test_readers_never_see_a_mixture_a_missing_file_or_an_empty_partition(table: GlueTable, tmp_path: Path) -> None:
    publish_number(table, 0, tmp_path)
    readers = [read_with_duckdb(table), read_with_awswrangler(table), read_with_copy(table)]
    is_over = threading.Event()

    def read_in_a_loop(read: Callable[[], Seen]) -> Reading:
        found = Reading()
        try:
            while not is_over.is_set():
                found.seen.append(read())
        except Exception as error:  # noqa: BLE001 - whatever a reader meets is what this test is about
            found.error = error
        return found

    with ThreadPoolExecutor(max_workers=len(readers)) as pool:
        reading = [pool.submit(read_in_a_loop, read) for read in readers]
        try:
            for number in range(1, REPUBLISHES + 1):
                publish_number(table, number, tmp_path)
                if number % 20 == 0:
                    vacuum(table, keep_versions=KEEP, grace=GRACE)
        finally:
            is_over.set()
        found = [each.result(timeout=60) for each in reading]
    readers[-1].close()  # type: ignore[attr-defined]

    for each in found:
        assert each.error is None
        assert [seen for seen in each.seen if seen != (rows_of(seen[1]), seen[1], seen[1])] == []
        numbers = [number for _, number, _ in each.seen]
        assert numbers == sorted(numbers), "a published version went back"
        assert len(numbers) >= READS_AT_LEAST, "too few reads to prove anything"
        assert len(set(numbers)) >= 3
    newest = list_versions(table, DAY)[0]
    assert (newest.state, newest.row_count) == ("published", rows_of(REPUBLISHES))
