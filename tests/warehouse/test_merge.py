from dataclasses import replace

import pytest

from datalake_assets.errors import AuditFailed, ConfigurationError
from datalake_assets.warehouse.connection import WarehouseConnection
from datalake_assets.warehouse.ledger import status
from datalake_assets.warehouse.load import LoadResult, PartitionLoad
from datalake_assets.warehouse.merge import merge_table
from datalake_assets.warehouse.table import WarehouseTable
from tests.warehouse.conftest import ROLE, Published, Row, rows_of

FIRST: list[Row] = [{"carrier": "AA", "delay": 1}, {"carrier": "B6", "delay": None}, {"carrier": "UA", "delay": 3}]


def merge(connection: WarehouseConnection, table: WarehouseTable, what: PartitionLoad) -> LoadResult:
    return merge_table(connection, table, what, iam_role=ROLE, run_id="run-1")


def test_the_first_version_fills_the_table(
    connection: WarehouseConnection, airlines: WarehouseTable, published: Published
) -> None:
    assert merge(connection, airlines, published("", "v1", FIRST)).inserted_rows == 3
    assert rows_of(connection, airlines) == [("AA", 1), ("B6", None), ("UA", 3)]


def test_a_merge_touches_only_the_rows_that_differ(
    connection: WarehouseConnection, airlines: WarehouseTable, published: Published
) -> None:
    merge(connection, airlines, published("", "v1", FIRST))
    second: list[Row] = [
        {"carrier": "AA", "delay": 1},  # the same
        {"carrier": "B6", "delay": 2},  # had no value
        {"carrier": "DL", "delay": 4},  # new; UA is gone
    ]
    result = merge(connection, airlines, published("", "v2", second))
    assert (result.inserted_rows, result.deleted_rows, result.rows) == (2, 2, 3)
    assert rows_of(connection, airlines) == [("AA", 1), ("B6", 2), ("DL", 4)]


def test_a_value_that_becomes_null_is_a_difference(
    connection: WarehouseConnection, airlines: WarehouseTable, published: Published
) -> None:
    merge(connection, airlines, published("", "v1", FIRST))
    merge(connection, airlines, published("", "v2", [{**row, "delay": None} for row in FIRST]))
    assert rows_of(connection, airlines) == [("AA", None), ("B6", None), ("UA", None)]


def test_repeating_a_merge_and_merging_an_older_version_change_nothing(
    connection: WarehouseConnection, airlines: WarehouseTable, published: Published
) -> None:
    version = published("", "v2", FIRST)
    merge(connection, airlines, version)
    before = status(connection, airlines)
    assert merge(connection, airlines, version).skipped
    assert merge(connection, airlines, published("", "v1", FIRST[:1])) == LoadResult("v2", 3, skipped=True)
    assert status(connection, airlines) == before
    assert len(rows_of(connection, airlines)) == 3


def test_a_key_that_occurs_twice_is_refused_with_examples(
    connection: WarehouseConnection, airlines: WarehouseTable, published: Published
) -> None:
    merge(connection, airlines, published("", "v1", FIRST))
    with pytest.raises(AuditFailed, match=r"the key \(carrier\) is not unique: AA \(2 times\), UA \(3 times\)"):
        merge(connection, airlines, published("", "v2", [*FIRST, FIRST[0], FIRST[2], FIRST[2]]))
    assert rows_of(connection, airlines) == [("AA", 1), ("B6", None), ("UA", 3)]
    assert status(connection, airlines)[""].version == "v1"


def test_a_key_without_a_value_is_refused(
    connection: WarehouseConnection, airlines: WarehouseTable, published: Published
) -> None:
    with pytest.raises(AuditFailed, match=r"1 rows have no value in the key \(carrier\)"):
        merge(connection, airlines, published("", "v1", [*FIRST, {"carrier": None, "delay": 1}]))
    assert rows_of(connection, airlines) == []


def test_a_key_of_two_columns_tells_rows_apart(
    connection: WarehouseConnection, airlines: WarehouseTable, published: Published
) -> None:
    table = replace(airlines, key=("carrier", "delay"))
    rows: list[Row] = [{"carrier": "AA", "delay": 1}, {"carrier": "AA", "delay": 2}]
    merge(connection, table, published("", "v1", rows))
    merge(connection, table, published("", "v2", [rows[1], {"carrier": "AA", "delay": 3}]))
    assert rows_of(connection, table) == [("AA", 2), ("AA", 3)]


def test_a_table_without_a_key_and_one_with_partitions_are_refused(
    connection: WarehouseConnection, airlines: WarehouseTable, flights: WarehouseTable, published: Published
) -> None:
    for table, partition in ((replace(airlines, key=()), ""), (flights, ""), (airlines, "2013-01-01")):
        with pytest.raises(ConfigurationError, match="only an unpartitioned table with a key"):
            merge(connection, table, published(partition, "v1", FIRST))
