from dataclasses import replace

import pytest

from datalake_assets.errors import ConfigurationError, InvalidName
from datalake_assets.warehouse.connection import WarehouseConnection
from datalake_assets.warehouse.sql import redshift_type, text_literal
from datalake_assets.warehouse.table import (
    WarehouseColumn,
    WarehouseTable,
    create_table_sql,
    ensure_table,
    existing_columns,
)


def test_the_table_is_distributed_and_sorted_as_declared(flights: WarehouseTable) -> None:
    sql = create_table_sql(replace(flights, schema="lake"))
    assert sql == (
        'CREATE TABLE IF NOT EXISTS "lake"."flights" (\n  "carrier" varchar(2),\n  "delay" bigint,\n  "dt" date\n)\n'
        'DISTKEY ("carrier")\nSORTKEY ("dt")'
    )


def test_the_table_and_its_comments_are_there_after_ensuring_twice(
    connection: WarehouseConnection, flights: WarehouseTable
) -> None:
    ensure_table(connection, flights)
    ensure_table(connection, flights)
    assert existing_columns(connection, flights.schema, "flights") == {
        "carrier": "varchar(2)",
        "delay": "bigint",
        "dt": "date",
    }
    found = connection.execute(
        "SELECT d.description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s ORDER BY d.objsubid",
        (flights.schema,),
    )
    assert [row[0] for row in found.rows] == ["Departures; it's New York's", "the airline's code", "day of departure"]


EVERY_TYPE = [
    "smallint", "integer", "bigint", "real", "double precision", "decimal(12,2)", "boolean", "char(3)", "varchar(10)",
    "varchar(65535)", "date", "timestamp", "timestamptz",
]  # fmt: skip


def test_every_type_is_recognised_again(connection: WarehouseConnection, schema: str) -> None:
    columns = tuple(WarehouseColumn(f"c{n}", kind) for n, kind in enumerate(EVERY_TYPE))
    table = WarehouseTable(schema=schema, name="types", columns=columns)
    ensure_table(connection, table)
    ensure_table(connection, table)
    assert list(existing_columns(connection, schema, "types").values()) == EVERY_TYPE


def test_a_new_column_is_added_and_a_vanished_one_stays(
    connection: WarehouseConnection, flights: WarehouseTable
) -> None:
    ensure_table(connection, flights)
    columns = (flights.columns[0], WarehouseColumn("origin", "varchar(3)"))
    ensure_table(connection, replace(flights, columns=columns))
    assert list(existing_columns(connection, flights.schema, "flights")) == ["carrier", "delay", "dt", "origin"]


def test_a_changed_type_is_refused_and_both_types_are_told(
    connection: WarehouseConnection, flights: WarehouseTable
) -> None:
    ensure_table(connection, flights)
    changed = replace(flights, columns=(flights.columns[0], WarehouseColumn("delay", "decimal(12,2)")))
    with pytest.raises(ConfigurationError, match=r"delay is bigint, declared decimal\(12,2\)"):
        ensure_table(connection, changed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INT", "integer"),
        ("Numeric( 12 , 2 )", "decimal(12,2)"),
        ("decimal(5)", "decimal(5,0)"),
        ("character varying(20)", "varchar(20)"),
        ("character(3)", "char(3)"),
        ("varchar(MAX)", "varchar(65535)"),
        ("timestamp  without time zone", "timestamp"),
    ],
)
def test_a_type_has_one_spelling(text: str, expected: str) -> None:
    assert redshift_type(text) == expected


@pytest.mark.parametrize("text", ["", "int); drop table x; --", "varchar(10) default 'x'", "money", "decimal(,2)"])
def test_a_text_that_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not known"):
        WarehouseColumn("c", text)


def test_names_are_validated_before_they_reach_sql() -> None:
    with pytest.raises(InvalidName):
        WarehouseTable(schema='lake"; drop', name="flights", columns=(WarehouseColumn("c", "date"),))
    with pytest.raises(InvalidName):
        WarehouseColumn("a b", "date")
    with pytest.raises(ConfigurationError, match="unknown columns: nope"):
        WarehouseTable(schema="lake", name="t", columns=(WarehouseColumn("c", "date"),), dist="nope")


def test_a_comment_cannot_leave_its_literal() -> None:
    assert text_literal("it's \\' a -- trap\x00") == "'it''s /'' a -- trap'"
