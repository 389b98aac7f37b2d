"""Queries in the sandbox's warehouse, through the real driver and the gateway."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

import datalake_assets
from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.errors import ConfigurationError, InvalidQuery, PlatformError, StatementFailed
from datalake_assets.explore import redshift
from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.warehouse.connection import connect

TABLE = "query_tests.numbers"
ROWS = 25_000


@pytest.fixture(scope="module", autouse=True)
def _table(sandbox: Sandbox) -> Iterator[None]:
    with connect(warehouse_secret("flights")) as connection:
        connection.execute("DROP SCHEMA IF EXISTS query_tests CASCADE")
        connection.execute("CREATE SCHEMA query_tests")
        connection.execute(
            f"CREATE TABLE {TABLE} "
            "(n bigint, price decimal(12,2), name varchar(20), day date, at timestamp, ok boolean)"
        )
        connection.execute(
            f"INSERT INTO {TABLE} SELECT n, n / 100.0, 'name ' || n, date '2013-01-01' + n % 30, "
            f"timestamp '2013-01-01 10:00:00', n % 2 = 0 FROM generate_series(0, {ROWS - 1}) AS s(n)"
        )
        connection.execute(f"INSERT INTO {TABLE} (n) VALUES (-1)")
    yield
    with connect(warehouse_secret("flights")) as connection:
        connection.execute("DROP SCHEMA query_tests CASCADE")


def query(sql: str) -> Any:
    return datalake_assets.query(sql, engine="redshift", account="flights")


def test_values_come_typed_and_nulls_as_nulls() -> None:
    with query(f"SELECT * FROM {TABLE} WHERE n IN (-1, 7) ORDER BY n DESC") as result:
        assert result.schema.field("price").type == pa.decimal128(12, 2)
        assert result.schema.field("day").type == pa.date32()
        assert list(result) == [
            (7, Decimal("0.07"), "name 7", date(2013, 1, 8), datetime(2013, 1, 1, 10), False),
            (-1, None, None, None, None, None),
        ]


def test_a_large_result_is_fetched_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    with query(f"SELECT n, name FROM {TABLE} WHERE n >= 0 ORDER BY n;") as result:
        sizes, numbers = [], 0
        for batch in result.batches():
            sizes.append(batch.num_rows)
            numbers += sum(batch.column(0).to_pylist())
    assert sum(sizes) == ROWS
    assert max(sizes) == redshift.FETCH_ROWS
    assert numbers == ROWS * (ROWS - 1) // 2


def test_an_empty_result_has_its_columns() -> None:
    with query(f"SELECT n, name FROM {TABLE} WHERE n < -5") as result:
        assert (result.columns, result.arrow().num_rows) == (("n", "name"), 0)


def test_percent_signs_and_quotes_are_what_they_are() -> None:
    with query(f"SELECT name FROM {TABLE} WHERE name LIKE '%me 12' AND 'it''s %s' <> ''") as result:
        assert list(result) == [("name 12",)]


def test_a_result_may_be_left_before_its_end() -> None:
    with query(f"SELECT n FROM {TABLE}") as result:
        assert next(iter(result))


def test_the_plan_is_the_warehouse_s_own() -> None:
    with query(f"SELECT count(*) FROM {TABLE}") as result:
        assert list(result) == [(ROWS + 1,)]
        assert "numbers" in result.explain.plan


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        (f"DELETE FROM {TABLE}", InvalidQuery),
        (f"SELECT 1; DELETE FROM {TABLE}", InvalidQuery),
        (f"/* SELECT */ DROP TABLE {TABLE}", InvalidQuery),
        (f"WITH gone AS (DELETE FROM {TABLE} RETURNING n) SELECT * FROM gone", StatementFailed),
        (f"EXPLAIN ANALYZE DELETE FROM {TABLE}", PlatformError),
        ("COMMIT", InvalidQuery),
        (f"SELECT n INTO query_tests.copied FROM {TABLE}", StatementFailed),
        ("SELECT nothing FROM query_tests.numbers", StatementFailed),
    ],
)
def test_nothing_is_changed_and_a_mistake_is_told(sql: str, kind: type[PlatformError]) -> None:
    with pytest.raises(kind):
        query(sql).arrow()
    with query(f"SELECT count(*) FROM {TABLE}") as result:
        assert list(result) == [(ROWS + 1,)]


def test_an_account_has_to_be_named() -> None:
    with pytest.raises(ConfigurationError, match="--account"):
        datalake_assets.query("SELECT 1", engine="redshift")
