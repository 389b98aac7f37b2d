"""Whatever a query asks, leaving partitions out changes nothing of its answer."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import datalake_assets
from tests.explore.conftest import FIRST_DAY, WEATHER_ARROW, days, weather_rows

pytestmark = pytest.mark.usefixtures("published_lake")

DAY = st.integers(-3, 43).map(lambda n: FIRST_DAY + timedelta(days=n))
COMPARISON = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])


def literal(day: date) -> str:
    return f"DATE '{day}'"


KEY_CONDITIONS = st.one_of(
    st.tuples(COMPARISON, DAY).map(lambda x: f"dt {x[0]} {literal(x[1])}"),
    st.tuples(DAY, DAY).map(lambda x: f"dt BETWEEN {literal(x[0])} AND {literal(x[1])}"),
    st.lists(DAY, min_size=1, max_size=4).map(lambda x: f"dt IN ({', '.join(map(literal, x))})"),
    st.lists(DAY, min_size=1, max_size=3).map(lambda x: f"dt NOT IN ({', '.join(map(literal, x))})"),
    st.sampled_from(["2013-01%", "2013-02-0_", "%-01", "201%", "x%"]).map(lambda x: f"dt::varchar LIKE '{x}'"),
    st.integers(0, 3).map(lambda x: f"month(dt) = {x}"),
    st.integers(1, 31).map(lambda x: f"day(dt) > {x}"),
    st.sampled_from(["dt IS NULL", "dt IS NOT NULL", "coalesce(dt, DATE '2013-02-01') = DATE '2013-02-01'"]),
    st.integers(-40, 40).map(lambda n: f"dt + INTERVAL '{n} days' > DATE '2013-02-01'"),
    DAY.map(lambda x: f"CASE WHEN dt < {literal(x)} THEN hour = 1 ELSE false END"),
    DAY.map(lambda x: f"dt = (SELECT {literal(x)})"),
)
OTHER_CONDITIONS = st.sampled_from(
    [
        "hour = 2",
        "airport IS NULL",
        "gust > 1",
        "airport LIKE 'J%'",
        "temp < 20",
        "dt > measured_at::date - 1",
        "hour <> day(dt)",
    ]
)


def combined(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(children, st.sampled_from(["AND", "OR"]), children).map(lambda x: f"({x[0]} {x[1]} {x[2]})"),
        children.map(lambda x: f"NOT ({x})"),
    )


CONDITIONS = st.recursive(st.one_of(KEY_CONDITIONS, OTHER_CONDITIONS), combined, max_leaves=5)
SHAPES = st.sampled_from(
    [
        "SELECT hour, dt FROM {t} WHERE {a}",
        "SELECT hour, dt FROM (SELECT * FROM {t} WHERE {a}) WHERE {b}",
        "SELECT x.dt, y.dt FROM {t} x JOIN {t} y USING (hour, airport) WHERE (SELECT {b} FROM {one}) AND x.dt = y.dt",
        "SELECT l.hour, r.dt FROM {one} l LEFT JOIN (SELECT * FROM {t} WHERE {a}) r USING (hour)",
        "SELECT l.hour, r.dt FROM {one} l LEFT JOIN {t} r ON l.hour = r.hour WHERE r.dt IS NULL OR month(r.dt) = 2",
        "SELECT dt FROM {t} WHERE {a} UNION ALL SELECT dt FROM {t} WHERE {b}",
        "SELECT count(*) FROM {t} WHERE EXISTS (SELECT 1 FROM {one} WHERE {a})",
        "WITH w AS (SELECT dt, hour, airport, temp, gust, measured_at FROM {t} WHERE {a}) SELECT dt FROM w WHERE {b}",
        "SELECT dt, count(*) FROM {t} WHERE {a} GROUP BY dt HAVING count(*) > 1",
    ]
)


@pytest.fixture(scope="module")
def in_memory() -> Iterator[duckdb.DuckDBPyConnection]:
    """The same rows in one table of DuckDB's own, without partitions."""
    connection = duckdb.connect()
    every = [{**row, "dt": day} for day in days() for row in weather_rows(day)]
    source = pa.Table.from_pylist(every, schema=WEATHER_ARROW.append(pa.field("dt", pa.date32())))
    connection.register("source", source)
    connection.execute("CREATE TABLE weather AS SELECT * FROM source").fetchall()
    yield connection
    connection.close()


def answer(found: list[tuple[Any, ...]]) -> list[str]:
    return sorted(map(repr, found))


ONE = "(SELECT * FROM {t} WHERE dt = DATE '2013-02-01' AND hour = 1)"


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, a=CONDITIONS, b=CONDITIONS)
def test_pruning_never_changes_an_answer(in_memory: duckdb.DuckDBPyConnection, shape: str, a: str, b: str) -> None:
    def sql(table: str) -> str:
        return shape.format(t=table, a=a, b=b, one=ONE.format(t=table))

    expected = in_memory.execute(sql("weather")).fetchall()
    with datalake_assets.query(sql("flights_lake.weather")) as result:
        assert answer(list(result)) == answer(expected)


@pytest.mark.parametrize(
    ("condition", "partitions"),
    [
        ("dt = '2013-02-01'", 1),
        ("dt IN ('2013-02-01', '2013-02-03', '2099-01-01')", 2),
        ("dt >= '2013-02-27'", 2),
        ("dt BETWEEN '2013-02-01' AND '2013-02-07' AND hour = 1", 7),
        ("dt = '2013-02-01' OR (dt = '2013-02-05' AND hour = 3)", 2),
        ("year(dt) = 2014", 0),
        ("month(dt) = 1", 12),
        ("dt::varchar LIKE '2013-02-0%'", 9),
        ("strftime(dt, '%d') = '01' AND hour = 1", 1),
        ("NOT (dt < '2013-02-27' OR hour = 1)", 2),
        ("hour = 1", 40),
        ("dt = '2013-02-01' OR hour = 1", 40),
        ("random() >= 0 OR dt = '2013-02-01'", 40),
        ("month(dt) = 1 OR random() < 2", 40),
    ],
)
def test_conditions_on_the_key_decide_which_partitions_are_read(condition: str, partitions: int) -> None:
    with datalake_assets.query(f"SELECT hour FROM flights.weather WHERE {condition}") as result:
        result.arrow()
        (read,) = result.explain.tables
    assert read.partitions_read == partitions


def test_text_partitions_are_pruned_by_a_prefix() -> None:
    with datalake_assets.query("SELECT code FROM flights.codes WHERE dt LIKE 'eu-%' ORDER BY 1") as result:
        assert [row[0] for row in result] == ["eu-central"] * 3 + ["eu-west"] * 3
        assert result.explain.tables[0].partitions_read == 2
