"""Declared checks on a mapped partition: what they count, whom they show, and what may not be declared."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import ValidationError

from datalake_assets.errors import OutOfSpace
from datalake_assets.mapping.check_spec import Check, mistakes_in
from datalake_assets.mapping.checks import CheckResult, bind_expressions, run_checks
from datalake_assets.mapping.spec import MappingSpec
from tests.mapping.builders import build_spec, run_mapping

SPEC = build_spec("id:bigint", "price:decimal(12,2)", "city:varchar(20)", fail_above=1.0)
COLUMNS = [column.name for column in SPEC.output_columns()]
TEN = b"id,price,city\n" + b"".join(b"%d,%d.50,c%d\n" % (n, n, n % 3) for n in range(1, 11))


def check(**words: Any) -> Check:
    return Check.model_validate(words)


def run(folder: Path, raw: bytes, *checks: Check, spec: MappingSpec = SPEC, **options: Any) -> list[CheckResult]:
    mapped = run_mapping(spec, raw, folder)
    return list(run_checks(checks, mapped.result.good_files, **options))


def places(result: CheckResult) -> list[int]:
    return [example.source_row for example in result.examples]


@pytest.mark.parametrize(
    "words",
    [
        {"unique": ["id"]},
        {"unique": ["city", "id"]},
        {"not_null": ["id", "price", "city"]},
        {"row_count": {"min": 10, "max": 10}},
        {"expression": "price > 0 -- in euro"},
        {"expression": "city in ('c0', 'c1', 'c2')"},
        {"expression": "_source_row > 1 AND _source_file LIKE 's3://%'"},
    ],
    ids=str,
)
def test_good_rows_pass(tmp_path: Path, words: dict[str, Any]) -> None:
    (result,) = run(tmp_path, TEN, check(**words))
    assert result.passed
    assert not result.is_blocking
    assert (result.rows, result.failed_rows, result.problem, result.examples) == (10, 0, "", ())


def test_rows_that_share_a_value_are_counted_and_shown(tmp_path: Path) -> None:
    raw = TEN + b"4,1.00,c1\n4,2.00,c1\n9,1.00,c1\n"
    (result,) = run(tmp_path, raw, check(unique=["id"]))
    assert result.is_blocking
    assert (result.rows, result.failed_rows) == (13, 5)
    assert places(result) == [5, 12, 13, 10, 14]
    assert str(result) == (
        "unique_id: 5 of 13 rows fail, expected that no two rows share their id; for example "
        "s3://raw/file.csv row 5 (id=4), s3://raw/file.csv row 12 (id=4), s3://raw/file.csv row 13 (id=4), "
        "s3://raw/file.csv row 10 (id=9), s3://raw/file.csv row 14 (id=9)"
    )


def test_rows_with_a_null_share_nothing(tmp_path: Path) -> None:
    raw = b"id,price,city\n1,1,\n1,2,\n,1,a\n,1,a\n"
    assert all(
        result.passed for result in run(tmp_path, raw, check(unique=["id", "city"]), check(unique=["price", "id"]))
    )


def test_nulls_are_counted_by_row(tmp_path: Path) -> None:
    raw = TEN + b",,c1\n20,,c1\n"
    (result,) = run(tmp_path, raw, check(not_null=["id", "price"]))
    assert result.failed_rows == 2
    assert places(result) == [12, 13]
    assert result.examples[1].values == "id=20, price=null"


def test_an_expression_counts_the_rows_where_it_is_false_and_shows_what_it_names(tmp_path: Path) -> None:
    raw = TEN + b"20,,c1\n"  # null passes
    (result,) = run(tmp_path, raw, check(expression="Price < 9 OR city = 'c9'", name="cheap"))
    assert (result.name, result.failed_rows) == ("cheap", 2)
    assert places(result) == [10, 11]
    assert result.examples[0].values == "price=9.50, city=c0"


def test_at_most_five_rows_are_shown_and_long_values_are_cut(tmp_path: Path) -> None:
    spec = build_spec("id:bigint", "note:varchar")
    raw = b"id,note\n" + b"".join(b"1,%s%d\n" % (b"x" * 500, n) for n in range(20))
    repeated, wrong = run(tmp_path, raw, check(unique=["id"]), check(expression="note IS NULL"), spec=spec)
    assert (repeated.failed_rows, places(repeated)) == (20, [2, 3, 4, 5, 6])
    assert (wrong.failed_rows, places(wrong)) == (20, [2, 3, 4, 5, 6])
    assert wrong.examples[0].values == "note=" + "x" * 100


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"min": 11}, "10 rows, expected at least 11 rows"),
        ({"max": 9}, "10 rows, expected at most 9 rows"),
        ({"min": 1, "max": 2}, "10 rows, expected from 1 to 2 rows"),
    ],
)
def test_too_few_or_too_many_rows_are_told(tmp_path: Path, words: dict[str, int], sentence: str) -> None:
    (result,) = run(tmp_path, TEN, check(row_count=words))
    assert result.problem == sentence


def test_an_empty_partition_passes_all_but_a_least_number_of_rows(tmp_path: Path) -> None:
    checks = [check(unique=["id"]), check(not_null=["id"]), check(expression="id > 0"), check(row_count={"min": 1})]
    assert [result.passed for result in run(tmp_path, b"id,price,city\n", *checks)] == [True, True, True, False]


def test_the_partition_column_is_there_although_it_is_in_no_file(tmp_path: Path) -> None:
    right, wrong = run(
        tmp_path,
        TEN,
        check(expression="dt = DATE '2026-01-02'"),
        check(expression="dt > DATE '2026-01-02'", name="later"),
        partition="2026-01-02",
    )
    assert right.passed
    assert wrong.failed_rows == 10
    assert wrong.examples[0].values == "dt=2026-01-02"


def test_an_expression_that_cannot_be_computed_fails_itself_and_not_the_others(tmp_path: Path) -> None:
    checks = [
        check(expression="CAST(city AS INTEGER) > 0", name="cast", severity="warn"),
        check(expression="id > 5", name="low"),
        check(expression="no_such_function(id)", name="unknown"),
        check(expression="id + 1", name="number"),
        check(expression="sum(id) > 1", name="whole"),
        check(not_null=["id"]),
    ]
    found = {result.name: result for result in run(tmp_path, TEN, *checks)}
    assert "it cannot be computed: Conversion Error: Could not convert string 'c" in found["cast"].problem
    assert not found["cast"].is_blocking
    assert found["low"].failed_rows == 5
    assert "no_such_function does not exist" in found["unknown"].problem
    assert "of type BIGINT, expected BOOLEAN" in found["number"].problem
    assert "aggregates" in found["whole"].problem
    assert found["not_null_id"].passed


def test_an_expression_reaches_no_other_file_and_changes_no_setting(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    checks = [
        check(expression=f"(SELECT count(*) FROM '{secret}') = 1", name="file"),
        check(expression="true); SET lock_configuration = false; SELECT (true", name="setting"),
    ]
    file, setting = run(tmp_path, TEN, *checks)
    assert "disabled by configuration" in file.problem
    assert not setting.passed


def test_many_files_are_one_partition(tmp_path: Path) -> None:
    mapped = run_mapping(SPEC, {"a.csv": b"id,price,city\n1,1,a\n", "b.csv": b"city,id,price\nb,1,2\n"}, tmp_path)
    assert len(mapped.result.good_files) == 2
    (result,) = run_checks([check(unique=["id"])], mapped.result.good_files)
    assert {example.source_file for example in result.examples} == {"s3://raw/a.csv", "s3://raw/b.csv"}


@pytest.fixture(scope="module")
def many_texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partition of two million different texts, but for the last two."""
    path = tmp_path_factory.mktemp("many") / "good" / "part-00000.parquet"
    path.parent.mkdir()
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT md5(least(i, 1999998)::VARCHAR) AS id, 's3://raw/f' AS _source_file, i AS _source_row "
            f"FROM range(2000000) rows(i)) TO '{path}'"
        )
    return path


def test_more_distinct_values_than_fit_into_memory_are_checked_on_disk(many_texts: Path) -> None:
    (result,) = run_checks([check(unique=["id"])], [many_texts], memory_limit="64MB", threads=1)
    assert (result.rows, result.failed_rows) == (2_000_000, 2)
    assert places(result) == [1_999_998, 1_999_999]
    assert list(many_texts.parent.parent.iterdir()) == [many_texts.parent], "what was spilled is gone"


def test_memory_that_is_not_enough_is_the_machines_fault(many_texts: Path) -> None:
    with pytest.raises(OutOfSpace, match="Raise DATALAKE_MEMORY_LIMIT"):
        run_checks([check(unique=["id"])], [many_texts], memory_limit="1MB", threads=1)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"unique": ["id"]}, "unique_id"),
        ({"unique": ["id", "city"]}, "unique_id_city"),
        ({"not_null": ["price"]}, "not_null_price"),
        ({"row_count": {"min": 1}}, "row_count"),
        ({"expression": "price >= 0"}, "expression_price_0"),
        ({"expression": "price >= 0", "name": "price_is_positive"}, "price_is_positive"),
        ({"expression": "city = 'x'" * 30}, ("expression" + "_city_x" * 30)[:63].rstrip("_")),
    ],
)
def test_a_check_has_a_name(words: dict[str, Any], name: str) -> None:
    assert check(**words).check_name == name


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({}, "exactly one of"),
        ({"unique": ["id"], "not_null": ["id"]}, "found unique and not_null"),
        ({"unique": []}, "at least 1 item"),
        ({"unique": ["id", "id"]}, "twice"),
        ({"row_count": {}}, "min, max or both"),
        ({"row_count": {"min": 2, "max": 1}}, "above max"),
        ({"row_count": {"min": -1}}, "greater than or equal to 0"),
        ({"row_count": {"min": "many"}}, "valid integer"),
        ({"expression": " "}, "1 to 2000 characters"),
        ({"unique": ["id"], "name": "Über"}, "lower-case letters"),
        ({"unique": ["id"], "severity": "fatal"}, "'error' or 'warn'"),
        ({"uniqe": ["id"]}, "Extra inputs"),
    ],
)
def test_a_check_that_says_nothing_or_too_much_is_refused(words: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        check(**words)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("price >", "this is not SQL"),
        ("price > 0)", "this is not SQL"),
        ("price > 0; DROP TABLE x", "without a semicolon"),
        ("colour = 'red'", "'colour' is no column of the table; expected one of id, price, city"),
        ("price > 0 and colour > 1", "'colour' is no column of the table"),
        ("other.price > 0", "names a table"),
        ("price > (SELECT 1)", "not at a query"),
        ("EXISTS (FROM other)", "not at a query"),
        ("city IN (VALUES ('x'))", "not at a query"),
        ("SELECT true", "not at a query"),
        ("COPY (SELECT 1) TO 'x'", "not at a query"),
        ("sum(price) > 0", "an aggregate or a window"),
        ("row_number() OVER () > 1", "an aggregate or a window"),
        ("read_text('/etc/passwd') IS NULL", "the function read_text"),
        ("getenv('HOME') = ''", "the function getenv"),
        ("random() > 0.5", "the function rand"),
        ("uuid() IS NULL", "the function uuid"),
        ("columns(*) > 0", "has no place in a check"),
        ("price > $1", "has no place in a check"),
        ("price AS p", "not ALIAS"),
    ],
)
def test_what_is_no_scalar_expression_over_the_columns_is_a_mistake(expression: str, complaint: str) -> None:
    ((place, text),) = mistakes_in([check(expression=expression)], COLUMNS)
    assert place == (0, "expression")
    assert complaint in text


@pytest.mark.parametrize(
    "expression",
    [
        "price BETWEEN 0 AND 10",
        "Price >= 0 AND id<100 or price <> -1.5",
        "Price IS NOT NULL",
        "city IS NOT DISTINCT FROM 'x' OR regexp_matches(city, '^[A-Z]')",
        "CASE WHEN price > 0 THEN true ELSE id = 1 END",
        "price::INTEGER % 2 = 0 AND try_cast(city AS INTEGER) IS NULL",
        "len(list_filter([1, 2], lambda x: x > id)) = 0",
        "DATE '2026-01-01' <= current_date",
    ],
)
def test_scalar_sql_over_the_columns_is_accepted_and_bound(expression: str) -> None:
    checks = [check(expression=expression)]
    assert mistakes_in(checks, COLUMNS) == []
    assert bind_expressions(checks, SPEC.output_columns(), is_partitioned=False) == []


def test_binding_tells_what_syntax_cannot(tmp_path: Path) -> None:
    checks = [
        check(unique=["id"]),
        check(expression="price"),
        check(expression="no_such_function(id)"),
        check(expression="dt > DATE '2026-01-01'"),
        check(expression="price > 0"),
    ]
    found = dict(bind_expressions(checks, SPEC.output_columns(), is_partitioned=True))
    assert sorted(found) == [1, 2]
    assert found[1] == "the expression is of type DECIMAL(12,2), expected BOOLEAN"
    assert "no_such_function" in found[2]
    assert 3 in dict(bind_expressions(checks, SPEC.output_columns(), is_partitioned=False))


def test_columns_and_names_are_checked_together() -> None:
    checks = [
        check(unique=["id"]),
        check(unique=["id"]),
        check(not_null=["id", "colour"]),
        check(row_count={"min": 1}, name="quarantine"),
    ]
    assert mistakes_in(checks, ["id", "price"]) == [
        ((1, "unique"), "the check 'unique_id' has the name of check 1 of the list; give it a `name` of its own"),
        ((2, "not_null", 1), "'colour' is no column of the table; expected one of id, price"),
        (
            (3, "name"),
            "the check 'quarantine' has the name of the platform's own check of rows set aside; "
            "give it a `name` of its own",
        ),
    ]
