"""Tables that are published as pipelines publish them, on a moto server of this process."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.accounts.sessions import session as session_of
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.manifest import Manifest, RawInput, RowCounts
from datalake_assets.catalog.publish import publish_partitions
from datalake_assets.catalog.schema import CatalogColumn, TableSchema
from datalake_assets.catalog.upload import LocalFile, upload_versions
from datalake_assets.catalog.versions import new_version_id
from tests.conftest import enter_environment

FIRST_DAY, DAYS, ROWS_PER_DAY = date(2013, 1, 20), 40, 5
DAY_KEY = CatalogColumn("dt", "date", "day of the measurements")
AIRPORTS = ("JFK", "LGA", "EWR", "BOS", None)


def days() -> list[date]:
    return [FIRST_DAY + timedelta(days=n) for n in range(DAYS)]


def weather_rows(day: date) -> list[dict[str, Any]]:
    """The rows of a day; `gust` came later: the first half of the days does not have the column."""
    number = (day - FIRST_DAY).days
    rows = [
        {
            "airport": airport,
            "temp": Decimal(number * 10 + n).scaleb(-1),
            "hour": n,
            "measured_at": datetime(day.year, day.month, day.day, n, 30),
        }
        for n, airport in enumerate(AIRPORTS)
    ]
    return rows if number < DAYS // 2 else [{**row, "gust": float(n)} for n, row in enumerate(rows)]


WEATHER = TableSchema(
    columns=(
        CatalogColumn("airport", "string", "IATA code"),
        CatalogColumn("temp", "decimal(6,1)", "degrees"),
        CatalogColumn("hour", "int"),
        CatalogColumn("measured_at", "timestamp"),
        CatalogColumn("gust", "double"),
    ),
    partition_keys=(DAY_KEY,),
    description="Hourly weather",
)
WEATHER_ARROW = pa.schema(
    [
        ("airport", pa.string()),
        ("temp", pa.decimal128(6, 1)),
        ("hour", pa.int32()),
        ("measured_at", pa.timestamp("us")),
        ("gust", pa.float64()),
    ]
)
AIRLINES = TableSchema(
    columns=(
        CatalogColumn("carrier", "string"),
        CatalogColumn("tags", "array<string>"),
        CatalogColumn("place", "struct<lat:double,lon:double>"),
    ),
    description="Airlines",
)
AIRLINES_ARROW = pa.schema(
    [
        ("carrier", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("place", pa.struct([("lat", pa.float64()), ("lon", pa.float64())])),
    ]
)
CODES = TableSchema(
    columns=(CatalogColumn("code", "string"), CatalogColumn("big", "bigint")),
    partition_keys=(CatalogColumn("dt", "string"),),
)

Publish = Callable[..., Manifest]


class PublishedLake:
    """Publishes Arrow tables as versions of a table's partitions."""

    def __init__(self, session: AccountSession, folder: Path) -> None:
        self.session, self._folder = session, folder
        self._versions = 0

    def publish(
        self,
        name: str,
        schema: TableSchema,
        partitions: Mapping[str, list[pa.Table]],
        *,
        row_group_size: int = 2,
    ) -> str:
        """Publish one version of each partition, one file for each table; return the version."""
        self._versions += 1
        version = new_version_id("tests", datetime.now(UTC) + timedelta(microseconds=self._versions))
        table = GlueTable(self.session, name)
        table.ensure(schema)
        files = {
            partition: [
                self._file(each, f"{version}-{name}-{partition}-{n}", row_group_size) for n, each in enumerate(tables)
            ]
            for partition, tables in partitions.items()
        }
        s3 = self.session.client("s3")
        uploaded = upload_versions(s3, table.bucket, name, version, files, threads=2)
        manifests = [
            Manifest(
                version=each,
                inputs=(RawInput(f"{name}/{partition}.csv", '"abc"', 10),),
                counts=RowCounts(each.row_count, each.row_count, 0),
                columns=schema.columns,
                run_id="run-1",
                created_at=datetime.now(UTC),
            )
            for partition, each in uploaded.items()
        ]
        for switch in publish_partitions(table, manifests).values():
            if switch.error:
                raise switch.error
        return version

    def _file(self, table: pa.Table, name: str, row_group_size: int) -> LocalFile:
        path = self._folder / f"{name}.parquet"
        pq.write_table(table, path, row_group_size=row_group_size)
        return LocalFile(path, table.num_rows)


@pytest.fixture(scope="session")
def published_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublishedLake]:
    """The flights account's lake with weather (40 days), airlines (nested, whole) and codes (text partitions)."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request is no help
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    enter_environment(
        "published_lake",
        {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-central-1",
        },
    )
    for account in registry():
        session = session_of(account.name)
        s3, glue = session.client("s3"), session.client("glue")
        # The servers of one process share a state: begin without what other tests have made in it.
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(
                Bucket=account.lake_bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
            )
        with contextlib.suppress(glue.exceptions.EntityNotFoundException):
            for table in glue.get_tables(DatabaseName=account.glue_database)["TableList"]:
                glue.delete_table(DatabaseName=account.glue_database, Name=table["Name"])
        with contextlib.suppress(glue.exceptions.AlreadyExistsException):
            glue.create_database(DatabaseInput={"Name": account.glue_database})
    lake = PublishedLake(session_of("flights"), tmp_path_factory.mktemp("published"))
    lake.publish("weather", WEATHER, {str(day): weather_files(day) for day in days()})
    airlines = [
        {"carrier": "AA", "tags": ["old", "big"], "place": {"lat": 1.5, "lon": 2.5}},
        {"carrier": "B6", "tags": [], "place": None},
        {"carrier": "UA", "tags": None, "place": {"lat": None, "lon": 0.0}},
    ]
    lake.publish("airlines", AIRLINES, {"": [pa.Table.from_pylist(airlines, schema=AIRLINES_ARROW)]})
    # The files hold int32 where the catalog says bigint, as files of an older mapping may.
    narrow = pa.schema([("code", pa.string()), ("big", pa.int32())])
    codes = {
        key: [pa.Table.from_pylist([{"code": key, "big": n} for n in range(3)], schema=narrow)]
        for key in ("eu-central", "eu-west", "us-east", "2013-01")
    }
    lake.publish("codes", CODES, codes)
    yield lake
    server.stop()


def weather_files(day: date) -> list[pa.Table]:
    """The rows of a day in two files."""
    rows = weather_rows(day)
    schema = WEATHER_ARROW if "gust" in rows[0] else WEATHER_ARROW.remove(WEATHER_ARROW.get_field_index("gust"))
    return [pa.Table.from_pylist(part, schema=schema) for part in (rows[:3], rows[3:])]
