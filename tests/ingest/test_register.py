"""Tables of a crawl in the Glue catalog: what is written there, and what is refused with its reason."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from datalake_assets.column_types import TargetType
from datalake_assets.discovery.classifiers.classification import Classification
from datalake_assets.discovery.report import (
    Change,
    CrawlReport,
    DiscoveredColumn,
    DiscoveredTable,
    FoundPartition,
    PartitionKey,
)
from datalake_assets.errors import Unsupported
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.ingest.raw_tables import raw_table
from datalake_assets.ingest.register import register_report

BUCKET = "datalake-flights-raw"
DATABASE = "flights_lake"


@pytest.fixture
def glue() -> Iterator[Any]:
    with mock_aws():
        made = boto3.client("glue", region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test")
        made.create_database(DatabaseInput={"Name": DATABASE})
        yield made


def column(name: str, kind: str, raw: str | None = None, **words: Any) -> DiscoveredColumn:
    return DiscoveredColumn(name, raw or name, TargetType.parse(kind), 0, 10, **words)


def table(name: str = "sales", days: int = 0, **words: Any) -> DiscoveredTable:
    location = f"s3://{BUCKET}/{name}/"
    made = DiscoveredTable(
        name=name,
        uri=location,
        source=SourceFormat(format="csv", delimiter=";"),
        classification=Classification("csv", 0.9, "fields told apart by semicolons"),
        columns=(column("id", "int"), column("amount", "decimal(9,2)", decimal=",")),
        layout_pattern=f"{name}/*.csv",
        files=max(days, 1),
    )
    if days:
        made = replace(
            made,
            partition_keys=(PartitionKey("dt", TargetType("date"), 1, "%Y-%m-%d", "dt", in_pattern=True),),
            partitions=tuple(
                FoundPartition((f"2026-11-{day:02}",), f"{location}dt=2026-11-{day:02}/", 1, 10)
                for day in range(1, days + 1)
            ),
        )
    return replace(made, **words)


def report(*tables: DiscoveredTable, changes: tuple[Change, ...] = ()) -> CrawlReport:
    return CrawlReport((f"s3://{BUCKET}/",), tables, changes=changes)


def registered(glue: Any, found: CrawlReport, **words: Any) -> dict[str, str]:
    return {done.name: done.error or done.what for done in register_report(found, glue=glue, **words)}


def test_a_table_with_its_partitions_is_created_once(glue: Any) -> None:
    found = report(table(days=3))
    assert registered(glue, found)["flights_lake.raw_sales"].startswith("created, 3 partitions (3 new, 0 changed")
    made = glue.get_table(DatabaseName=DATABASE, Name="raw_sales")["Table"]
    assert made["PartitionKeys"] == [{"Name": "dt", "Type": "date"}]
    assert made["Parameters"]["skip.header.line.count"] == "1"
    serde = made["StorageDescriptor"]["SerdeInfo"]
    assert serde["SerializationLibrary"] == "org.apache.hadoop.hive.serde2.OpenCSVSerde"
    assert serde["Parameters"]["separatorChar"] == ";"
    assert [(c["Name"], c["Type"], c["Comment"]) for c in made["StorageDescriptor"]["Columns"]] == [
        ("id", "string", "int"),
        ("amount", "string", "decimal(9,2)"),
    ]
    assert registered(glue, found)["flights_lake.raw_sales"].startswith("unchanged, 3 partitions (0 new, 0 changed")


def test_more_partitions_than_one_call_takes_are_registered(glue: Any) -> None:
    days = tuple(
        FoundPartition((f"2026-{1 + n // 28:02}-{1 + n % 28:02}",), f"s3://{BUCKET}/sales/n={n}/", 1, 1)
        for n in range(250)
    )
    registered(glue, report(replace(table(days=1), partitions=days)))
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName=DATABASE, TableName="raw_sales")
    assert sum(len(page["Partitions"]) for page in pages) == 250


def test_partitions_that_vanished_leave_only_with_remove(glue: Any) -> None:
    registered(glue, report(table(days=3)))
    assert "0 removed" in registered(glue, report(table(days=2)))["flights_lake.raw_sales"]
    assert "1 removed" in registered(glue, report(table(days=2)), deleted="remove")["flights_lake.raw_sales"]


def test_a_new_column_updates_the_table_and_its_partitions(glue: Any) -> None:
    registered(glue, report(table(days=2)))
    wider = table(days=2, columns=(column("id", "int"), column("amount", "int"), column("x", "varchar")))
    assert registered(glue, report(wider))["flights_lake.raw_sales"].startswith(
        "updated, 2 partitions (0 new, 2 changed"
    )


def test_a_table_that_no_crawl_made_is_never_touched(glue: Any) -> None:
    glue.create_table(DatabaseName=DATABASE, TableInput={"Name": "raw_sales", "StorageDescriptor": {"Columns": []}})
    assert "that no crawl made" in registered(glue, report(table()))["sales"]
    assert registered(glue, report(table()), database="raw_zone")["raw_zone.sales"].startswith("created")


def test_one_table_that_cannot_be_registered_does_not_stop_the_others(glue: Any) -> None:
    found = report(table("odd", source=SourceFormat(format="csv", delimiter="||")), table("sales"))
    done = registered(glue, found)
    assert "several characters" in done["odd"]
    assert done["flights_lake.raw_sales"].startswith("created")


def test_what_the_crawl_deprecated_or_removed_is_so_in_the_catalog(glue: Any) -> None:
    registered(glue, report(table("a"), table("b")))
    old = replace(table("a"), notes=("deprecated: its data vanished, first noticed 2026-11-20T12:00:00Z",))
    gone = Change("table", "vanished", "b", applied="removed")
    done = registered(glue, report(old, changes=(gone,)))
    assert done == {"flights_lake.raw_a": "deprecated", "flights_lake.raw_b": "removed"}
    parameters = glue.get_table(DatabaseName=DATABASE, Name="raw_a")["Table"]["Parameters"]
    assert parameters["DEPRECATED_BY_CRAWLER"] == "true"
    assert registered(glue, report(table("a")))["flights_lake.raw_a"].startswith("updated")


def test_a_bucket_of_nobody_needs_an_account(glue: Any) -> None:
    foreign = table(uri="s3://somebody-else/sales/")
    assert "no account of the registry" in registered(glue, report(foreign))["sales"]
    assert registered(glue, report(foreign), account="flights")["flights_lake.raw_sales"].startswith("created")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"source": None, "kind": "postgresql"}, "no table of files"),
        ({"uri": "/home/me/sales/"}, "not in S3"),
        ({"uri": f"s3://{BUCKET}/sales/a.csv"}, "one object of a folder"),
        ({"source": SourceFormat(format="csv", skip_footer=2)}, "lines after the data"),
        ({"source": SourceFormat(format="csv", encoding="cp1252")}, "in cp1252"),
        ({"source": SourceFormat(format="csv", tables="first")}, "other tables follow"),
        ({"source": SourceFormat(format="json", layout="array")}, "laid out as array"),
        ({"source": SourceFormat(format="xml", row_tag="row")}, "no serde reads xml"),
        ({"layout_pattern": "sales/*.csv.zip"}, "no zip and no xz"),
    ],
)
def test_what_athena_cannot_read_is_refused_with_its_reason(words: dict[str, Any], why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        raw_table(table(**words), "sales", ())


def test_two_tables_in_one_folder_cannot_be_registered() -> None:
    one, other = table("a", uri=f"s3://{BUCKET}/ref/"), table("b", uri=f"s3://{BUCKET}/ref/")
    with pytest.raises(Unsupported, match="files of b are below the same folder"):
        raw_table(one, "a", (one, other))


def test_nested_json_keeps_its_raw_names() -> None:
    user = DiscoveredColumn(
        "user",
        "userInfo",
        TargetType.parse("struct<first_name:varchar,at:timestamp>"),
        0,
        1,
        parts=(column("first_name", "varchar", "userInfo.firstName"), column("at", "timestamp", "userInfo.at")),
    )
    found = raw_table(table(source=SourceFormat(format="json", layout="lines"), columns=(user,)), "sales", ())
    descriptor = found.input["StorageDescriptor"]
    assert [(c["Name"], c["Type"]) for c in descriptor["Columns"]] == [("user", "struct<firstname:string,at:string>")]
    assert descriptor["SerdeInfo"]["Parameters"]["mapping.user"] == "userInfo"


def test_a_known_log_becomes_a_regular_expression() -> None:
    import re

    source = SourceFormat(format="log", pattern="%{IP:client} %{WORD:verb}")
    found = raw_table(table(source=source, columns=(column("client", "varchar"), column("verb", "varchar"))), "l", ())
    expression = found.input["StorageDescriptor"]["SerdeInfo"]["Parameters"]["input.regex"]
    matched = re.fullmatch(expression, "10.0.0.1 GET")
    assert matched is not None
    assert matched.groups() == ("10.0.0.1", "GET")


def test_parquet_and_avro_are_read_by_their_own_schema() -> None:
    for kind in ("parquet", "orc", "avro"):
        found = raw_table(
            table(source=SourceFormat(format=kind), columns=(column("listing_id", "int", "ListingID"),)), "t", ()
        )
        assert found.input["StorageDescriptor"]["Columns"][0]["Name"] == "listingid"
        assert kind in found.input["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"].lower()
