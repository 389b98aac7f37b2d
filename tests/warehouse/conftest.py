"""Loads through the real driver, the gateway and PostgreSQL; objects and manifests on a moto server."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from datalake_assets.accounts.secrets import WarehouseSecret
from datalake_assets.sandbox.redshift.server import Gateway
from datalake_assets.warehouse.connection import Answer, WarehouseConnection, connect
from datalake_assets.warehouse.load import PartitionLoad
from datalake_assets.warehouse.table import WarehouseColumn, WarehouseTable
from tests.sandbox.redshift import conftest as warehouse
from tests.sandbox.redshift.conftest import Lake, Postgres

postgres, aws_environment, lake, gateway = (
    warehouse.postgres,
    warehouse.aws_environment,
    warehouse.lake,
    warehouse.gateway,
)

ROLE = "arn:aws:iam::111111111111:role/datalake-location"
Row = dict[str, Any]


def secret_of(port: int, **changes: Any) -> WarehouseSecret:
    found: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "dbname": warehouse.DATABASE,
        "username": warehouse.LOADER,
        "password": warehouse.LOADER_PASSWORD,
        "ssl": False,
        **changes,
    }
    return WarehouseSecret.model_validate(found)


@pytest.fixture
def secret(gateway: Gateway) -> WarehouseSecret:
    return secret_of(gateway.port)


@pytest.fixture
def connection(secret: WarehouseSecret) -> Iterator[WarehouseConnection]:
    with connect(secret) as opened:
        yield opened


@pytest.fixture
def schema(connection: WarehouseConnection) -> Iterator[str]:
    """A schema of the test's own, so that each has its own ledger."""
    name = f"lake_{secrets.token_hex(4)}"
    yield name
    connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture
def flights(schema: str) -> WarehouseTable:
    return WarehouseTable(
        schema=schema,
        name="flights",
        columns=(WarehouseColumn("carrier", "varchar(2)", "the airline's code"), WarehouseColumn("delay", "bigint")),
        partition_column=WarehouseColumn("dt", "date", "day of departure"),
        dist="carrier",
        sort=("dt",),
        comment="Departures; it's New York's",
    )


@pytest.fixture
def airlines(schema: str) -> WarehouseTable:
    return WarehouseTable(
        schema=schema,
        name="airlines",
        columns=(WarehouseColumn("carrier", "varchar(2)"), WarehouseColumn("delay", "bigint")),
        key=("carrier",),
    )


class Published:
    """Stores rows as the lake does and returns what the warehouse is told about them."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    def __call__(self, partition: str, version: str, rows: list[Row], **changes: Any) -> PartitionLoad:
        columns: Any = changes.pop("columns", [("carrier", pa.string()), ("delay", pa.int64())])
        folder = secrets.token_hex(4)
        half = (len(rows) + 1) // 2
        entries = [
            self.lake.put_parquet(f"{folder}/part-{n}.parquet", pa.Table.from_pylist(part, schema=pa.schema(columns)))
            for n, part in enumerate((rows[:half], rows[half:]))
        ]
        uri = self.lake.put_manifest(f"{folder}/{version}.redshift.json", *entries)
        found: dict[str, Any] = {"manifest_uri": uri, "expected_rows": len(rows), **changes}
        return PartitionLoad(partition=partition, version=version, **found)


@pytest.fixture
def published(lake: Lake) -> Published:
    return Published(lake)


class InterruptedConnection(WarehouseConnection):
    """A connection that lets something else happen just before its nth statement."""

    def __init__(self, raw: Any, where: str) -> None:
        super().__init__(raw, where)
        self.before: Callable[[int, str], object] = lambda number, sql: None
        self.statements: list[str] = []

    def execute(self, sql: str, parameters: Any = ()) -> Answer:
        self.statements.append(sql)
        self.before(len(self.statements) - 1, sql)
        return super().execute(sql, parameters)


def interrupted(secret: WarehouseSecret) -> InterruptedConnection:
    opened = connect(secret)
    return InterruptedConnection(opened._raw, opened.where)


def rows_of(connection: WarehouseConnection, table: WarehouseTable) -> list[tuple[Any, ...]]:
    columns = ", ".join(column.name for column in table.all_columns)
    return sorted(connection.execute(f"SELECT {columns} FROM {table.sql_name}").rows, key=str)


__all__ = ["Gateway", "Postgres"]
