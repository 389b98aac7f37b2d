"""A query is read against the declared columns of its tables, before anything runs."""

from datetime import date

import pytest

from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.derive.query import query_mistakes, statement_mistake
from datalake_assets.derive.reads import Read
from datalake_assets.triggers.calendars import Calendar

DAY = date(2026, 1, 5)
LISTINGS = Read(
    "core_data",
    "listings",
    Calendar("day", date(2026, 1, 1)),
    (CatalogColumn("listing_id", "bigint"), CatalogColumn("city", "string")),
)
RATES = Read("rent_journey", "rates", Calendar(), (CatalogColumn("rate", "decimal(8,2)"),))
COUNT = "SELECT city, count(*) AS listings FROM core_data.listings WHERE dt = $partition GROUP BY city"


def mistakes(sql: str, *columns: str, reads: tuple[Read, ...] = (LISTINGS,), day: date | None = DAY) -> str:
    return "\n".join(query_mistakes("rent_journey", sql, columns or ("city", "listings"), reads, day))


@pytest.mark.parametrize(
    "sql",
    [
        COUNT,
        COUNT.replace("core_data.listings", "core_data.lake.listings"),
        COUNT.replace("core_data.listings", "core_data_lake.Listings"),
        "FROM core_data.listings SELECT City, 1 AS LISTINGS",
        "WITH listings AS (SELECT 1 AS n) SELECT city, n AS listings FROM core_data.listings, listings",
    ],
)
def test_a_query_over_declared_columns_has_no_mistakes(sql: str) -> None:
    assert mistakes(sql) == ""


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (COUNT.replace("city,", "town,"), 'Referenced column "town" not found'),
        (COUNT.replace("AS listings", "AS number"), "the query makes no column 'listings'; it makes city, number"),
        (COUNT.replace("AS listings", "AS listings, 1 AS more"), "the column 'more', which `columns` does not name"),
        (COUNT.replace("AS listings", "AS listings, 1 AS City"), "the query makes the column 'city' twice"),
        (COUNT.replace("core_data", "search"), "search.listings is not among those of `reads`"),
        (COUNT.replace("core_data", "core_date"), "there is no database or account 'core_date'"),
        (COUNT.replace("$partition", "$day"), "$day has no value; expected $partition"),
        (COUNT.replace("count(*)", "count(* "), "Parser Error"),
        (COUNT.replace("core_data.listings", "read_parquet('x')"), "read_parquet"),
        ("SELECT 'Bonn' AS city, 1 AS listings", "the query does not read core_data/listings, which `reads` names"),
        (COUNT.replace("dt = $partition", "dt = current_date"), "current_date hangs on when the query runs"),
        (COUNT.replace("dt = $partition", "dt < now()"), "now hangs on when the query runs"),
        (f"{COUNT}; SELECT 1", "more than one statement"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(sql: str, expected: str) -> None:
    assert expected in mistakes(sql)


def test_all_mistakes_of_the_columns_are_told_at_once() -> None:
    found = mistakes(COUNT, "city", "rate", "week").splitlines()
    assert [line.partition(";")[0] for line in found] == [
        "the query makes no column 'rate'",
        "the query makes no column 'week'",
        "the query makes the column 'listings', which `columns` does not name",
    ]


def test_own_tables_need_no_account_before_their_name() -> None:
    assert mistakes("SELECT rate FROM rates", "rate", reads=(RATES,)) == ""


def test_a_table_without_partitions_has_no_day_and_may_look_at_the_clock() -> None:
    sql = "SELECT city FROM core_data.listings WHERE dt > current_date - 30"
    assert mistakes(sql, "city", day=None) == ""
    assert "the table has no partitions" in mistakes(COUNT, day=None)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DELETE FROM x", "found DELETE"),
        ("", "found nothing"),
        ("-- only words", "found nothing"),
        ("SHOW TABLES", "found SHOW"),
        ("EXPLAIN SELECT 1", "found EXPLAIN"),
        ("SELECT 1; SELECT 2", "more than one statement"),
    ],
)
def test_only_one_query_is_taken(sql: str, expected: str) -> None:
    assert expected in str(statement_mistake(sql))


@pytest.mark.parametrize("sql", ["SELECT 1;", "/* a */ with x as (select 1) from x", "(SELECT 1)"])
def test_a_query_is_taken(sql: str) -> None:
    assert statement_mistake(sql) is None
