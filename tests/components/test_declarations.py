"""Mistakes in a defs.yaml are reported all at once, with their line, the value found and the values allowed."""

from pathlib import Path

import pytest

from datalake_assets.components.declarations import read_declarations
from datalake_assets.errors import ConfigurationError
from datalake_assets.project import LOCATIONS_FOLDER

GOOD = """\
type: datalake_assets.components.LakePipeline
attributes:
  name: orders
  owner: team:shop
  source:
    s3: "orders/dt={partition}/*.csv"
    format: csv
  partitions: {daily: "2026-01-01"}
  trigger:
    arrivals: {settle: 5s}
  columns:
    - {from: Id, to: order_id, type: bigint, required: true}
    - {from: price, to: price_eur, type: "decimal(12,2)"}
  bad_rows: {fail_above: 1%}
  warehouse: {table: lake.orders, mode: copy, dist: order_id, sort: [dt]}
"""


def write(root: Path, text: str = GOOD, *, name: str = "orders", location: str = "shop") -> Path:
    path = root / location / name / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def complaint(root: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_declarations(root)
    return str(caught.value)


def test_a_complete_pipeline_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    (found,) = read_declarations(tmp_path)
    assert found.spec.name == "orders"
    assert found.spec.trigger.arrivals.settle == 5.0
    assert [column.to for column in found.spec.columns] == ["order_id", "price_eur"]
    assert found.spec.bad_rows.fail_above == 0.01


def test_a_source_may_have_several_patterns_with_a_date_in_any_place(tmp_path: Path) -> None:
    write(
        tmp_path, GOOD.replace('"orders/dt={partition}/*.csv"', '["orders/{%Y%m%d}_*.csv", "old/{%d}/{%m}/{%Y}.csv"]')
    )
    (found,) = read_declarations(tmp_path)
    assert [pattern.match("old/31/01/2026.csv") for pattern in found.spec.key_patterns()] == [None, "2026-01-31"]


def test_every_pipeline_of_the_repository_is_valid() -> None:
    names = {declaration.spec.name for declaration in read_declarations(LOCATIONS_FOLDER)}
    assert {"flights", "weather", "airlines", "airports", "planes"} <= names


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("type: bigint", "type: bigintt", 12, "Did you mean bigint"),
        ("format: csv", "format: xls", 7, "allowed: csv"),
        ("fail_above: 1%", "fail_abov: 1%", 14, "did you mean 'fail_above'?"),
        ("fail_above: 1%", "fail_above: 200%", 14, "'1%'"),
        ("settle: 5s", "settle: 5 moons", 10, "30s or 5m"),
        ("to: price_eur", "to: Price EUR", 13, "lower-case letters"),
        ("to: price_eur", "to: order_id", 12, "mapped twice"),
        ("  owner: team:shop\n", "", 3, "attributes.owner: this key is required"),
        ("team:shop", "the shop team", 4, "team:NAME"),
        ('"2026-01-01"', '"2026-13-01"', 8, "2026-13-01"),
        ('"2026-01-01"', '"01.01.2026"', 8, "YYYY-MM-DD"),
        ("dt={partition}/", "", 3, "does not fit the pipeline's partitions"),
        ("mode: copy", "mode: append", 15, "allowed: copy, merge"),
        ("mode: copy", "mode: merge", 3, "takes copy"),
        ("dist: order_id", "dist: colour", 3, "'colour', which is no column"),
        ("table: lake.orders", "table: orders", 15, "schema.table"),
        ("LakePipeline", "LakePipelin", 1, "allowed: datalake_assets.components.LakePipeline"),
        ("  columns:", "  columns: []\n  colums:", 11, "columns"),
        ("  name: orders", "  name: orders\n  name: other", 4, "twice"),
        ("  name: orders", "  name: other", 3, "the name of its folder"),
        ("  name: orders", "  name: [", 5, "this is not YAML"),
    ],
)
def test_a_mistake_is_reported_where_it_was_typed(tmp_path: Path, old: str, new: str, line: int, expected: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    text = complaint(tmp_path)
    assert f"{path}:{line}:" in text
    assert expected in text


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("bigint", "bigintt").replace("format: csv", "format: xls"))
    write(tmp_path, GOOD.replace("name: orders", "name: returns").replace("5s", "soon"), name="returns")
    text = complaint(tmp_path)
    assert text.startswith("3 mistakes")
    assert text.count("defs.yaml:") == 3


def test_two_pipelines_cannot_load_one_warehouse_table(tmp_path: Path) -> None:
    first = write(tmp_path)
    second = write(tmp_path, GOOD.replace("name: orders", "name: returns"), name="returns")
    text = complaint(tmp_path)
    assert f"{second}:15:" in text
    assert f"'lake.orders' belongs to {first} already" in text


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(b"\xff\xfe\x00name")
    assert f"{path}:1:1: the file is not UTF-8 text" in complaint(tmp_path)
