"""Crawls of the sandbox: a bucket of an account, tables of DynamoDB, a PostgreSQL database."""

import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
import psycopg2
import pytest

from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.sessions import session
from datalake_assets.discovery.again import crawl_uris
from datalake_assets.discovery.report import CrawlReport
from datalake_assets.discovery.state import StateStore
from datalake_assets.errors import AccessDenied, ConfigurationError, Unavailable
from datalake_assets.ingest.register import register_report
from datalake_assets.sandbox.sandbox import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sandbox")]
SCHEMA = "crawl_test"


@pytest.fixture
def prefix(sandbox: Sandbox) -> Iterator[str]:
    """A prefix of the raw bucket with two days of JSON posts; it and what a crawl leaves behind go afterwards."""
    account = registry().account("flights")
    s3, glue = session("flights").client("s3"), session("flights").client("glue")
    for day in (1, 2):
        posts = ({"id": n, "user": {"name": "x"}, "tags": ["a"], "at": "2026-11-20T10:00:00Z"} for n in range(20))
        body = "\n".join(map(json.dumps, posts)).encode()
        s3.put_object(Bucket=account.raw_bucket, Key=f"crawled/posts/dt=2026-11-{day:02}/posts.json", Body=body)
    yield f"s3://{account.raw_bucket}/crawled/posts"
    for bucket, below in ((account.raw_bucket, "crawled/"), (account.lake_bucket, "_crawls/")):
        for found in s3.list_objects_v2(Bucket=bucket, Prefix=below).get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=found["Key"])
    names = [t["Name"] for t in glue.get_tables(DatabaseName=account.glue_database)["TableList"]]
    if "raw_posts" in names:
        glue.delete_table(DatabaseName=account.glue_database, Name="raw_posts")


def test_a_bucket_is_crawled_with_its_accounts_role_remembered_and_registered(prefix: str) -> None:
    store = StateStore.of([prefix])
    assert store.uri.startswith(f"s3://{registry().account('flights').lake_bucket}/_crawls/")
    report = crawl_uris([prefix], store=store)
    (table,) = report.tables
    assert (table.name, table.layout_pattern) == ("posts", "crawled/posts/dt={partition}/*.json")
    assert {column.name: str(column.type) for column in table.columns} == {
        "id": "int",
        "user": "struct<name:varchar>",
        "tags": "array<varchar>",
        "at": "timestamp",
    }
    again = crawl_uris([prefix], store=StateStore.of([prefix]))
    assert (again.changes, again.read_files) == ((), 0)
    (done,) = register_report(report)
    assert (done.name, done.error) == ("flights_lake.raw_posts", None)
    glue = session("flights").client("glue")
    found = glue.get_partitions(DatabaseName="flights_lake", TableName="raw_posts")["Partitions"]
    assert sorted(entry["Values"] for entry in found) == [["2026-11-01"], ["2026-11-02"]]


@pytest.fixture
def orders(sandbox: Sandbox) -> Iterator[Any]:
    client = boto3.client("dynamodb", region_name="eu-central-1")
    client.create_table(
        TableName="CrawledOrders",
        KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "orderId", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(30):
        item: dict[str, Any] = {
            "orderId": {"S": f"o{number}"},
            "at": {"N": "1700000000"},
            "total": {"N": f"{number}.50"},
            "lines": {"L": [{"M": {"sku": {"S": "x"}, "count": {"N": "2"}}}]},
            "labels": {"SS": ["a", "b"]},
        }
        if number % 2:
            item["note"] = {"NULL": True}
        client.put_item(TableName="CrawledOrders", Item=item)
    yield client
    client.delete_table(TableName="CrawledOrders")


def test_a_table_of_dynamodb_is_sampled(orders: Any) -> None:
    (table,) = crawl_uris(["dynamodb://CrawledOrders?region=eu-central-1"]).tables
    assert (table.name, table.kind, table.rows, table.key_columns) == (
        "crawled_orders",
        "dynamodb",
        30,
        ("order_id", "at"),
    )
    assert {column.name: str(column.type) for column in table.columns} == {
        "order_id": "varchar",
        "at": "bigint",
        "total": "decimal(9,2)",
        "lines": "array<struct<sku:varchar,count:int>>",
        "labels": "array<varchar>",
        "note": "varchar",
    }


def test_all_tables_of_dynamodb_are_found(orders: Any) -> None:
    names = [table.name for table in crawl_uris(["dynamodb://?region=eu-central-1"]).tables]
    assert "crawled_orders" in names


def test_a_table_of_dynamodb_that_is_not_there_is_an_error(orders: Any) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        crawl_uris(["dynamodb://Nothing?region=eu-central-1"])


@pytest.fixture
def database(sandbox: Sandbox) -> Iterator[str]:
    """The address of the platform's database, with a schema of tables to crawl."""
    url = os.environ["DATALAKE_DATABASE_URL"].replace("postgresql+psycopg2://", "postgresql://")
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        cursor.execute(f"""
            CREATE TABLE {SCHEMA}.customers (
                id bigint PRIMARY KEY, name varchar(40) NOT NULL, "Born" date, balance numeric(12,2), wild numeric,
                tags text[], extra jsonb, seen timestamptz, code char(3), mood uuid
            )
        """)
        cursor.execute(f"INSERT INTO {SCHEMA}.customers (id, name) SELECT n, 'x' FROM generate_series(1, 50) n")
        cursor.execute(f"CREATE VIEW {SCHEMA}.names AS SELECT name FROM {SCHEMA}.customers")
        cursor.execute(f"ANALYZE {SCHEMA}.customers")
    connection.close()
    yield url
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    connection.close()


def crawl_schema(url: str) -> CrawlReport:
    return crawl_uris([f"{url}?schema={SCHEMA}"])


def test_a_database_tells_its_tables_types_and_rows(database: str) -> None:
    report = crawl_schema(database)
    customers, names = report.table("customers"), report.table("names")
    assert {column.name: str(column.type) for column in customers.columns} == {
        "id": "bigint",
        "name": "varchar(160)",
        "born": "date",
        "balance": "decimal(12,2)",
        "wild": "decimal(38,10)",
        "tags": "array<varchar>",
        "extra": "varchar",
        "seen": "timestamp",
        "code": "varchar(12)",
        "mood": "varchar",
    }
    assert (customers.rows, customers.key_columns) == (50, ("id",))
    assert [column.raw_path for column in customers.columns if column.is_required] == ["id", "name"]
    assert {column.name for column in customers.columns if column.is_uncertain} == {"wild", "extra"}
    assert names.notes[0] == "it is a view"


def test_a_password_is_never_shown(database: str) -> None:
    password = database.partition("://")[2].partition("@")[0].partition(":")[2]
    report = crawl_schema(database)
    assert password
    assert password not in json.dumps(report.as_json())
    wrong = database.replace(f":{password}@", ":another-secret@")
    for url, error in ((wrong, AccessDenied), ("postgresql://u:another-secret@127.0.0.1:1/x", Unavailable)):
        with pytest.raises(error) as caught:
            crawl_uris([url])
        assert "another-secret" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_schema_that_is_not_there_is_an_error(database: str) -> None:
    with pytest.raises(ConfigurationError, match="no table in schema"):
        crawl_uris([f"{database}?schema=nothing"])
