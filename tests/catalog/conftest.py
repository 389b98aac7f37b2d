"""S3 and Glue of one account on a moto server of this process, empty for each test."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from datalake_assets.accounts import sessions
from datalake_assets.accounts.registry import Account
from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.manifest import Manifest, RawInput, RowCounts
from datalake_assets.catalog.schema import CatalogColumn, TableSchema
from datalake_assets.catalog.upload import LocalFile, upload_versions

ACCOUNT = Account(
    name="flights",
    id="111111111111",
    role="arn:aws:iam::111111111111:role/datalake-location",
    regions=("eu-central-1",),
    raw_bucket="test-raw",
    lake_bucket="test-lake",
    arrivals_queue="test-arrivals",
    glue_database="flights_lake",
    warehouse_secret="datalake/warehouse",
)

Row = dict[str, Any]

FLIGHTS = TableSchema(
    columns=(CatalogColumn("carrier", "string", "the airline's code"), CatalogColumn("delay", "bigint", "minutes")),
    partition_keys=(CatalogColumn("dt", "date", "day of departure"),),
    description="Departures from New York",
    owner="team:flights",
    parameters={"datalake_pipeline": "flights"},
)
AIRLINES = TableSchema(columns=FLIGHTS.columns, description="Airlines")


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def _aws_environment(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", ACCOUNT.region)
    sessions._platform_sts.cache_clear()
    yield
    sessions._platform_sts.cache_clear()


# Clients take half a second to make, and moto forgets assumed roles when it is reset: one session serves all tests.
SESSION = AccountSession(ACCOUNT)


@pytest.fixture
def session(_aws_environment: None) -> AccountSession:
    s3, glue = SESSION.client("s3"), SESSION.client("glue")
    try:
        glue.delete_database(Name=ACCOUNT.glue_database)
    except glue.exceptions.EntityNotFoundException:
        s3.create_bucket(Bucket=ACCOUNT.lake_bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    glue.create_database(DatabaseInput={"Name": ACCOUNT.glue_database})
    for item in s3.list_objects_v2(Bucket=ACCOUNT.lake_bucket).get("Contents", []):
        s3.delete_object(Bucket=ACCOUNT.lake_bucket, Key=item["Key"])
    return SESSION


@pytest.fixture
def flights(session: AccountSession) -> GlueTable:
    table = GlueTable(session, "flights")
    table.ensure(FLIGHTS)
    return table


@pytest.fixture
def airlines(session: AccountSession) -> GlueTable:
    table = GlueTable(session, "airlines")
    table.ensure(AIRLINES)
    return table


class Lake:
    """Builds versions: rows become Parquet files, uploaded under the version's prefix, with their manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, rows: list[Row], *, count: int = 1, name: str = "") -> list[LocalFile]:
        made = []
        folder = self.folder / (name or str(len(list(self.folder.iterdir()))))
        folder.mkdir()
        for number in range(count):
            part = rows[number::count]
            path = folder / f"part-{number:05d}.parquet"
            columns: Any = [("carrier", pa.string()), ("delay", pa.int64())]
            schema = pa.schema(columns)
            pq.write_table(pa.Table.from_pylist(part, schema=schema), path)
            made.append(LocalFile(path, len(part)))
        return made

    def manifest(
        self,
        table: GlueTable,
        partition: str,
        version_id: str,
        rows: list[Row],
        *,
        schema: TableSchema = FLIGHTS,
        count: int = 1,
    ) -> Manifest:
        s3 = table.session.client("s3")
        versions = upload_versions(
            s3, table.bucket, table.name, version_id, {partition: self.files(rows, count=count)}, threads=2
        )
        return Manifest(
            version=versions[partition],
            inputs=(RawInput(f"flights/{partition}.csv.gz", '"abc"', 10),),
            counts=RowCounts(len(rows) + 1, len(rows), 1),
            columns=schema.columns,
            run_id="run-1",
            created_at=datetime(2026, 1, 2, tzinfo=UTC),
        )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)
