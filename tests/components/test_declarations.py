"""Mistakes in a defs.yaml are reported all at once, with their line, the value found and the values allowed."""

import subprocess
import sys
from pathlib import Path

import pytest
from dagster._core.definitions.utils import DISALLOWED_NAMES

from datalake_assets.components.declarations import read_declarations, refuse_all, unbound_expressions
from datalake_assets.components.words.base import RESERVED_NAMES
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
    assert [column.to for column in found.spec.mapped] == ["order_id", "price_eur"]
    assert found.spec.bad_rows.fail_above == 0.01


@pytest.mark.parametrize(
    ("column", "line", "expected"),
    [
        ('{from: tags, to: tags, type: "array<varchar>"}', 14, "the warehouse takes no array<varchar>: map it as"),
        ('{constant: 1, to: one, type: bigint, format: "%Y"}', 14, "an entry with `constant` takes no 'format'"),
        ('{expression: "ordr_id + 1", to: next_id, type: bigint}', 14, "did you mean 'order_id'?"),
    ],
)
def test_a_mistake_in_a_word_is_told_with_its_line(tmp_path: Path, column: str, line: int, expected: str) -> None:
    more = f'type: "decimal(12,2)"}}\n    - {column}\n'
    path = write(tmp_path, GOOD.replace('type: "decimal(12,2)"}\n', more, 1))
    text = complaint(tmp_path)
    assert f"{path}:{line}:" in text
    assert expected in text


def test_a_function_that_does_not_exist_is_told_before_any_run(tmp_path: Path) -> None:
    more = 'type: "decimal(12,2)"}\n    - {expression: "frobnicate(order_id)", to: odd, type: int}\n'
    write(tmp_path, GOOD.replace('type: "decimal(12,2)"}\n', more, 1))
    with pytest.raises(ConfigurationError, match=r"columns\[2\]\.expression: DuckDB refuses it: .*frobnicate"):
        refuse_all(unbound_expressions(read_declarations(tmp_path)))


def test_a_child_cannot_have_the_name_of_another_table(tmp_path: Path) -> None:
    child = "  children: [{table: orders_quarantine, from: x, columns: [{from: a, to: a, type: int}]}]\n  bad_rows"
    write(tmp_path, GOOD.replace("  bad_rows", child, 1))
    assert "'orders_quarantine' is its quarantine" in complaint(tmp_path)


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
        ("to: price_eur", "to: order_id", 13, "mapped twice"),
        ("  owner: team:shop\n", "", 3, "attributes.owner: this key is required"),
        ("team:shop", "the shop team", 4, "team:NAME"),
        ('"2026-01-01"', '"2026-13-01"', 8, "2026-13-01"),
        ('"2026-01-01"', '"01.01.2026"', 8, "YYYY-MM-DD"),
        ("dt={partition}/", "", 6, "does not fit the pipeline's partitions"),
        ("mode: copy", "mode: append", 15, "allowed: copy, merge"),
        ('"orders/dt', '"/orders/dt', 6, "attributes.source.s3: the key pattern"),
        ('"orders/dt={partition}/*.csv"', "[]", 6, "expected at least 1 of them, found 0"),
        ("{settle: 5s}", "5s", 10, "expected a mapping of keys to values; allowed: at, files"),
        ("settle: 5s", "settle: 99999999999d", 10, "longer than ten years"),
        ("settle: 5s", "settle: .inf", 10, "longer than ten years"),
        ("settle: 5s", "max_runs_per_hour: 0", 10, "expected at least 1, found 0"),
        ("settle: 5s", "max_runs_per_hour: two", 10, "expected a whole number, found 'two'"),
        ("mode: copy", "mode: merge", 15, "takes copy"),
        ("dist: order_id", "dist: colour", 15, "'colour' is no column of the table; expected one of dt, order_id"),
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


def test_of_several_patterns_each_mistaken_one_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        GOOD.replace('"orders/dt', '\n    - "a/*.csv"\n    - "a/{partition}"\n    - "a/{partition}"\n    - "o/dt'),
    )
    text = complaint(tmp_path)
    assert text.startswith("2 mistakes")
    assert f"{path}:7:7: attributes.source.s3[0]: the key pattern 'a/*.csv' does not fit" in text
    assert f"{path}:9:7: attributes.source.s3[2]: the key pattern 'a/{{partition}}' is there twice" in text


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


def test_two_accounts_cannot_load_one_warehouse_table(tmp_path: Path) -> None:
    first = write(tmp_path)
    second = write(tmp_path, location="travel")
    text = complaint(tmp_path)
    assert text.startswith("1 mistake ")
    assert f"{second}:15:" in text
    assert f"'lake.orders' belongs to {first} already" in text


def test_no_pipeline_is_called_like_the_quarantine_of_another(tmp_path: Path) -> None:
    first = write(tmp_path)
    own = GOOD.replace("name: orders", "name: orders_quarantine").replace("table: lake.orders", "table: lake.other")
    second = write(tmp_path, own, name="orders_quarantine")
    text = complaint(tmp_path)
    assert f"{second}:3:9: attributes.name: 'orders_quarantine' belongs to {first} already" in text


def test_a_name_leaves_room_for_that_of_the_quarantine(tmp_path: Path) -> None:
    long = "o" * 60
    path = write(tmp_path, GOOD.replace("name: orders", f"name: {long}"), name=long)
    assert f"{path}:3:9: attributes.name: the name is too long" in complaint(tmp_path)


@pytest.mark.parametrize("name", ["input", "class"])
def test_a_name_that_no_job_can_have_is_a_mistake_of_its_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, GOOD.replace("name: orders", f"name: {name}"), name=name)
    assert f"{path}:3:9: attributes.name: {name!r} is a word of Python's or Dagster's own" in complaint(tmp_path)


def test_the_names_that_no_job_can_have_are_those_that_dagster_refuses() -> None:
    assert RESERVED_NAMES == DISALLOWED_NAMES


def test_a_type_that_does_not_exist_is_told_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("LakePipeline", "StepPipeline"))
    assert "did you mean 'datalake_assets.components.StepsPipeline'?" in complaint(tmp_path)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(b"\xff\xfe\x00name")
    assert f"{path}:1:1: the file is not UTF-8 text" in complaint(tmp_path)


CHECKS = """\
  checks:
    - {unique: [order_id]}
    - {not_null: [price_eur], severity: warn}
    - {row_count: {min: 1}}
    - {expression: "price_eur >= 0 AND dt >= DATE '2026-01-01'", name: price_is_positive}
"""


def test_checks_are_read(tmp_path: Path) -> None:
    write(tmp_path, GOOD + CHECKS)
    found = read_declarations(tmp_path)
    refuse_all(unbound_expressions(found))
    assert [(check.check_name, check.is_blocking) for check in found[0].spec.checks] == [
        ("unique_order_id", True),
        ("not_null_price_eur", False),
        ("row_count", True),
        ("price_is_positive", True),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("unique: [order_id]", "unique: [colour]", 17, "checks[0].unique[0]: 'colour' is no column of the table"),
        ("unique: [order_id]", "uniqe: [order_id]", 17, "did you mean 'unique'?"),
        ("unique: [order_id]", "unique: [order_id], not_null: [order_id]", 17, "exactly one of"),
        ("severity: warn", "severity: fatal", 18, "allowed: error, warn"),
        ("{min: 1}", "{min: 2, max: 1}", 19, "min 2 is above max 1"),
        ("price_eur >= 0", "colour >= 0", 20, "checks[3].expression: 'colour' is no column of the table"),
        ("price_eur >= 0", "sum(price_eur) >= 0", 20, "an aggregate"),
        ("price_eur >= 0", "price_eur >=", 20, "this is not SQL"),
        ("name: price_is_positive", "name: quarantine", 20, "the platform's own check"),
    ],
)
def test_a_mistake_in_a_check_is_reported_where_it_was_typed(
    tmp_path: Path, old: str, new: str, line: int, expected: str
) -> None:
    text = GOOD + CHECKS
    assert old in text
    path = write(tmp_path, text.replace(old, new, 1))
    told = complaint(tmp_path)
    assert f"{path}:{line}:" in told
    assert expected in told


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("price_eur", "of type DECIMAL(12,2), expected BOOLEAN"),
        ("no_such_function(price_eur)", "no_such_function does not exist"),
        ("dt > price_eur", "Cannot compare values of type DATE"),
    ],
)
def test_an_expression_that_cannot_run_is_reported_by_validation(
    tmp_path: Path, expression: str, expected: str
) -> None:
    path = write(tmp_path, GOOD + CHECKS.replace("price_eur >= 0 AND dt >= DATE '2026-01-01'", expression))
    with pytest.raises(ConfigurationError) as caught:
        refuse_all(unbound_expressions(read_declarations(tmp_path)))
    assert str(caught.value).startswith("1 mistake ")
    assert f"{path}:20:" in str(caught.value)
    assert expected in str(caught.value)


def test_syntax_is_checked_without_the_database_that_runs_it(tmp_path: Path) -> None:
    write(tmp_path, GOOD + CHECKS)
    program = (
        "import sys; from pathlib import Path; from datalake_assets.components.declarations import read_declarations; "
        "read_declarations(Path(sys.argv[1])); assert not {'duckdb', 'boto3', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


def test_files_without_expressions_are_read_without_anything_that_takes_long_to_import(tmp_path: Path) -> None:
    trigger = 'trigger: {executions: {allOf: [{name: a}]}, at_latest: "06:00"}\n  retries: 2'
    write(tmp_path, GOOD.replace("trigger:\n    arrivals: {settle: 5s}", trigger))
    program = (
        "import sys; from pathlib import Path; from datalake_assets.components.triggering import triggers_of; "
        "from datalake_assets.components.declarations import read_all; found = read_all(Path(sys.argv[1])); "
        "assert found[0].spec.trigger.executions; "
        "assert not {'duckdb', 'boto3', 'pyarrow', 'sqlglot', 'dagster'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
