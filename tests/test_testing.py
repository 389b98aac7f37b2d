"""The helper for pipelines' own tests says what a run would do."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from datalake_assets.errors import ConfigurationError, InvalidQuery, WrongHeader
from datalake_assets.testing import map_files, run_sql

LAKE = """\
type: datalake_assets.components.LakePipeline
attributes:
  name: orders
  owner: team:shop
  source: {s3: "orders/dt={partition}/*.json", format: json, layout: lines}
  partitions: {daily: "2026-01-01"}
  columns:
    - {from: id, to: id, type: bigint, required: true}
    - {from: email, to: email_hash, type: varchar, mask: hash, salt_secret: shop/salt}
  children:
    - {table: orders_items, from: items, key: [id], columns: [{from: sku, to: sku, type: varchar, required: true}]}
  checks:
    - {unique: [id]}
    - {expression: "dt >= DATE '2026-01-01'", name: day_is_ours}
"""
SQL = """\
type: datalake_assets.components.SqlPipeline
attributes:
  name: daily
  owner: team:shop
  reads: [flights/orders]
  sql: |
    SELECT 1.5 AS Price, count(*) AS n, min(dt) AS first_day FROM orders WHERE dt = $partition
  columns:
    - {name: price, type: "decimal(6,2)"}
    - {name: n, type: bigint, required: true}
    - {name: first_day, type: date, required: true}
  partitions: {daily: "2026-01-01"}
"""


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """The folder of an account with both pipelines."""
    for name, text in (("orders", LAKE), ("daily", SQL)):
        folder = tmp_path / "flights" / name
        folder.mkdir(parents=True)
        (folder / "defs.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "flights"


def records(account: Path, *lines: str) -> Path:
    path = account.parent / "records.json"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_rows_children_and_rescued_values_are_told(account: Path) -> None:
    line = '{"id": 7, "email": "a@b.c", "items": [{"sku": "x"}, {"sku": "y"}], "more": 1}'
    mapped = map_files(account / "orders", records(account, line))
    assert [row["id"] for row in mapped.rows] == [7]
    assert set(mapped.rows[0]) == {"id", "email_hash"}
    assert [(row["id"], row["sku"]) for row in mapped.children["orders_items"]] == [(7, "x"), (7, "y")]
    assert mapped.rescued == ['{"more":1}']
    assert (mapped.set_aside, mapped.failed_checks) == ([], [])


def test_a_masked_value_is_not_shown_and_needs_no_secret(account: Path) -> None:
    (row,) = map_files(account / "orders", records(account, '{"id": 7, "email": "a@b.c"}')).rows
    assert "a@b.c" not in str(row)
    assert len(row["email_hash"]) == 64


def test_what_is_set_aside_and_which_checks_fail_is_told(account: Path) -> None:
    found = records(account, '{"id": 1}', '{"id": 1}', '{"id": "x"}')
    mapped = map_files(account / "orders", found, partition="2025-12-31")
    assert len(mapped.rows) == 2
    assert len(mapped.set_aside) == 1
    assert "'x'" in mapped.set_aside[0]
    assert [text.partition(":")[0] for text in mapped.failed_checks] == ["unique_id", "day_is_ours"]


def test_a_query_gets_the_given_rows_and_its_result_has_the_declared_types(account: Path) -> None:
    rows = [{"dt": "2026-01-02"}, {"dt": "2026-01-02", "id": 3}, {"dt": "2026-01-01"}]
    made = run_sql(account / "daily", {"flights/orders": rows}, partition="2026-01-02")
    assert made.rows == [{"price": Decimal("1.50"), "n": 2, "first_day": dt.date(2026, 1, 2)}]


def test_a_row_of_the_result_that_does_not_fit_is_set_aside(account: Path) -> None:
    made = run_sql(account / "daily", {}, partition="2026-01-02")
    assert made.rows == []
    assert "first_day is required but null" in made.set_aside[0]


def test_names_that_the_query_does_not_read_are_refused(account: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected flights/orders"):
        run_sql(account / "daily", {"flights/others": []})
    with pytest.raises(ConfigurationError, match="no column 'city'"):
        run_sql(account / "daily", {"flights/orders": [{"city": "Bonn"}]})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [("SELECT nothing FROM orders", "nothing"), ("SELECT 1 AS n FROM orders", "the query makes no column 'price'")],
)
def test_a_query_that_is_wrong_is_told(account: Path, wrong: str, told: str) -> None:
    path = account / "daily" / "defs.yaml"
    path.write_text(SQL.replace(SQL.partition("sql: |\n")[2].partition("\n")[0], f"    {wrong}"), encoding="utf-8")
    with pytest.raises(InvalidQuery, match=told):
        run_sql(account / "daily", {})


def test_each_helper_is_for_its_own_type(account: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no SqlPipeline"):
        run_sql(account / "orders", {})
    with pytest.raises(ConfigurationError, match="there is no LakePipeline"):
        map_files(account / "daily", "a.csv")


def test_a_file_that_no_run_could_read_is_an_error_and_no_empty_result(account: Path) -> None:
    text = LAKE.replace("format: json, layout: lines", "format: csv").partition("  children:")[0]
    (account / "orders" / "defs.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(WrongHeader):
        map_files(account / "orders", records(account, "a,b", "1,2"))
