"""Expressions that Spark takes give what DuckDB gives; the others are refused by what they hold."""

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from datalake_assets.column_types import TargetType
from datalake_assets.errors import Unsupported
from datalake_assets.mapping.spark.expressions import compile_expression

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TYPES = {"a": "int", "b": "bigint", "p": "decimal(12,2)", "d": "double", "t": "varchar", "u": "varchar", "o": "boolean"}
KNOWN = {name: (name, TargetType.parse(type_)) for name, type_ in TYPES.items()}
ROWS = """
    (1, 2, 10.05, 0.1, 'abc', ' ä ', true), (2147483647, 9223372036854775807, 9999999999.99, 1e10, '', 'é', false),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL), (-7, -9223372036854775807, -0.01, -2.5, '😀b', NULL, NULL),
    (0, 0, 0, 0, 'it''s', '\\', true)"""
SAME = [
    "p * 1.19", "p + a", "p * p * p", "p - 0.005", "a * p", "-p", "abs(p)", "p / 3", "p / nullif(a, 0)", "a + 1",
    "b + 1", "a * a",
    "b * 2", "a - b", "d * 2", "d + p", "abs(d)", "t || u", "t || '-' || u", "concat(t, u, 'x')", "trim(u)", "ltrim(u)",
    "length(t)", "left(t, 2)", "right(t, 1)", "a > 1", "a = b", "p >= 10.05", "t < u", "t <> 'abc'","a IS NULL",
    "t IS NOT NULL AND o", "o OR a > 0", "NOT o",
    "coalesce(t, u, 'none')", "coalesce(p, nullif(p, 0))", "nullif(a, 1)",
    "CASE WHEN a > 1 THEN 'many' WHEN a = 1 THEN 'one' END", "CASE a WHEN 1 THEN t ELSE u END", "'it''s \\'", "1",
    "1.50",
    "(a)", "true", "3000000000", "-1", "p * 1.19 -- with the tax",
]  # fmt: skip
REFUSED = [
    "upper(t)", "lower(t)", "a / b", "a % 2", "round(p, 1)", "CAST(t AS INTEGER)", "a + d + t", "q * p",
    "coalesce(a, b)", "coalesce(a + 1, a)", "t = 1", "d = 0.1", "t LIKE 'a%'", "left(t, -1)", "abs(a)", "1e3", "t || a",
    "regexp_matches(t, 'a')", "len(t)::varchar", "list_value(a)[1]",
]  # fmt: skip


@pytest.mark.parametrize("engine", ["spark", "sail"])
def test_an_expression_gives_what_duckdb_gives(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    session: SparkSession = request.getfixturevalue(engine)
    session.conf.set("spark.sql.ansi.enabled", "false")
    path = tmp_path / "rows.parquet"
    columns = ", ".join(f"CAST({name} AS {type_.duckdb}) AS {name}" for name, (_, type_) in KNOWN.items())
    names = ", ".join(TYPES)
    connection = duckdb.connect()
    rows = f"SELECT *, row_number() OVER () AS n FROM (VALUES {ROWS}) AS r({names})"
    connection.execute(f"COPY (SELECT {columns}, n FROM ({rows})) TO '{path}'")
    tried = ", ".join(f"TRY([CAST((\n{sql}\n) AS VARCHAR)])" for sql in SAME)
    left = connection.execute(f"SELECT {tried} FROM '{path}' ORDER BY n").fetchall()
    compiled = [compile_expression(sql, KNOWN) for sql in SAME]
    pairs = ", ".join(f"{each.sql}, {each.fails}" for each in compiled)
    right = session.sql(f"SELECT {pairs} FROM parquet.`{path}` ORDER BY n").collect()
    for row, (one, other) in enumerate(zip(left, right, strict=True)):
        for number, sql in enumerate(SAME):
            text, fails = other[2 * number], other[2 * number + 1]
            expected = None if one[number] is None else one[number][0]
            assert fails == (one[number] is None), (sql, row)
            assert _number_or_text(text) == _number_or_text(expected), (sql, row)


@pytest.mark.parametrize("sql", REFUSED)
def test_what_spark_computes_otherwise_is_refused(sql: str) -> None:
    with pytest.raises(Unsupported, match="Spark does not compute"):
        compile_expression(sql, KNOWN | {"q": ("q", TargetType.parse("decimal(30,2)"))})


def _number_or_text(text: str | None) -> float | str | None:
    """A double's text is spelled differently, and read again from there."""
    if text is None or "." not in text:
        return text
    try:
        return float(text)
    except ValueError:
        return text
