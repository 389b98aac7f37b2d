"""`datalake_assets.query` over published tables, with DuckDB."""

import subprocess
import sys
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

import datalake_assets
from datalake_assets.errors import ConcurrentChange, ConfigurationError, InvalidQuery, PlatformError, Unsupported
from datalake_assets.explore.result import Explanation, TableRead
from tests.explore.conftest import (
    DAYS,
    FIRST_DAY,
    ROWS_PER_DAY,
    WEATHER,
    WEATHER_ARROW,
    PublishedLake,
    days,
    weather_rows,
)

pytestmark = pytest.mark.usefixtures("published_lake")
ALL_ROWS = DAYS * ROWS_PER_DAY


def rows(sql: str, **options: Any) -> list[tuple[Any, ...]]:
    with datalake_assets.query(sql, **options) as result:
        return list(result)


def explained(sql: str, **options: Any) -> Explanation:
    with datalake_assets.query(sql, **options) as result:
        result.arrow()
        return result.explain


def table_read(sql: str) -> TableRead:
    (read,) = explained(sql).tables
    return read


def refusal(sql: str, kind: type[PlatformError] = InvalidQuery, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        rows(sql, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", ["flights_lake.weather", "flights.weather", "flights.lake.weather", "FLIGHTS.Weather"])
def test_a_table_has_the_names_that_people_write(name: str) -> None:
    assert rows(f"SELECT count(*), count(DISTINCT dt) FROM {name}") == [(ALL_ROWS, DAYS)]


def test_a_bare_table_is_one_of_the_named_account() -> None:
    assert rows("SELECT count(*) FROM weather", account="flights") == [(ALL_ROWS,)]
    assert rows("SELECT count(*) FROM weather", account="111111111111") == [(ALL_ROWS,)]
    told = refusal("SELECT count(*) FROM weather")
    assert "flights_lake.weather" in told
    assert "--account" in told


def test_values_have_the_types_of_the_catalog_and_old_files_null_for_a_new_column() -> None:
    day = FIRST_DAY
    found = rows(f"SELECT * FROM flights.weather WHERE dt = '{day}' ORDER BY hour")
    expected = [(r["airport"], r["temp"], r["hour"], r["measured_at"], None, day) for r in weather_rows(day)]
    assert found == expected
    assert all(type(row[1]) is Decimal and type(row[5]) is date for row in found)
    assert rows("SELECT count(gust) FROM flights.weather") == [(ALL_ROWS // 2,)]


def test_a_file_with_a_narrower_type_is_read_as_the_catalog_says() -> None:
    with datalake_assets.query("SELECT big FROM flights.codes WHERE dt = 'us-east' ORDER BY big") as result:
        assert result.schema.field("big").type == pa.int64()
        assert list(result) == [(0,), (1,), (2,)]


def test_nested_values_come_whole() -> None:
    assert rows("SELECT carrier, tags, place.lon FROM flights.airlines ORDER BY 1") == [
        ("AA", ["old", "big"], 2.5),
        ("B6", [], None),
        ("UA", None, 0.0),
    ]


def test_only_the_partitions_and_columns_of_a_query_are_read() -> None:
    read = table_read("SELECT sum(hour) FROM flights.weather WHERE dt BETWEEN '2013-02-01' AND '2013-02-03'")
    assert (read.name, read.columns) == ("flights_lake.weather", ("hour",))
    assert (read.partitions_read, read.partitions, read.files_read) == (3, DAYS, 6)
    assert 0 < read.bytes_read < read.bytes_total / 5


def test_two_mentions_of_a_table_are_pruned_each_for_itself() -> None:
    sql = """
SELECT count(*) FROM flights.weather a JOIN flights.weather b USING (hour)
WHERE a.dt = '2013-02-01' AND b.dt = '2013-02-02'"""
    assert rows(sql) == [(ROWS_PER_DAY,)]
    assert table_read(sql).partitions_read == 2


def test_a_name_of_with_hides_a_table_of_the_same_name() -> None:
    sql = "WITH weather AS (SELECT 1 AS x) SELECT x FROM weather"
    assert rows(sql) == [(1,)]
    assert rows(sql, account="flights") == [(1,)]
    within = "WITH weather AS (SELECT * FROM weather WHERE hour = 1) SELECT count(*) FROM weather"
    assert rows(within, account="flights") == [(DAYS,)]


def test_a_result_is_given_as_arrow_pandas_polars_and_rows() -> None:
    with datalake_assets.query("SELECT dt, hour FROM flights.weather WHERE dt = '2013-02-01' ORDER BY 2") as result:
        table = result.arrow()
        assert result.columns == ("dt", "hour")
        assert table.num_rows == len(result.pandas()) == result.polars().height == len(list(result.rows())) == 5


def test_a_result_that_streamed_away_says_so() -> None:
    with datalake_assets.query("SELECT hour FROM flights.weather") as result:
        assert len(list(result)) == ALL_ROWS
        with pytest.raises(ConfigurationError, match="read already"):
            list(result)


def test_a_result_larger_than_the_memory_limit_streams() -> None:
    sql = "SELECT a.hour, 'a text of some length to fill memory' || r AS t FROM flights.weather a, range(20000) t(r)"
    with datalake_assets.query(sql, memory_limit="100MB") as result:
        assert sum(batch.num_rows for batch in result.batches()) == ALL_ROWS * 20_000


def test_the_first_rows_of_a_large_table_read_few_of_its_partitions() -> None:
    with datalake_assets.query("SELECT * FROM flights.weather LIMIT 3") as result:
        assert len(list(result)) == 3
        (read,) = result.explain.tables
    assert read.files_read < DAYS


def test_tables_and_databases_are_listed_and_described() -> None:
    listed = {row[:4] for row in rows("SHOW TABLES FROM flights_lake")}
    assert ("flights_lake", "weather", "dt", True) in listed
    assert ("flights_lake", "airlines", None, True) in listed
    assert {row[:2] for row in rows("SHOW TABLES", account="analytics")} == set()
    assert {row[1] for row in rows("SHOW TABLES FROM flights")} == {row[1] for row in listed}
    assert ("flights_lake", "flights", "eu-central-1") in rows("SHOW DATABASES")
    assert rows("DESCRIBE flights.weather")[-1] == ("dt", "date", True, "day of the measurements")
    assert rows("DESCRIBE SELECT dt FROM flights.weather")[0][:2] == ("dt", "DATE")
    assert rows("SUMMARIZE flights.weather")[0][:2] == ("airport", "VARCHAR")


def test_the_plan_is_shown_without_reading_anything() -> None:
    with datalake_assets.query("EXPLAIN SELECT count(*) FROM flights.weather WHERE dt = '2013-02-01'") as result:
        plan = "\n".join(row[0] for row in result)
        assert "2013-02-01" in plan
        assert result.explain.tables[0].files_read == 0
    assert "Scan" in explained("SELECT hour FROM flights.weather").plan


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT * FROM flights.wether", "flights_lake.weather"),
        ("SELECT * FROM flight_lake.weather", "flights_lake"),
        ("SELECT * FROM flights.weather JOIN flights.airlnes USING (x)", "flights_lake.airlines"),
        ("SELECT tempp FROM flights.weather", '"temp"'),
        ("SELEC 1", 'near "SELEC"'),
        ("SELECT *\nFROM flights.weather\nWHER dt = '2013-01-01'", "LINE 3"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_nearest_name(sql: str, told: str) -> None:
    message = refusal(sql)
    assert told in message
    assert "^" in message
    assert "LINE 1: EXPLAIN" not in message


def test_the_mark_stands_below_an_unknown_table_also_behind_other_alphabets() -> None:
    *_, line, mark = refusal("SELECT 'Zürich 東京', x FROM flights.wether").splitlines()
    assert line[mark.index("^") :].startswith("flights.wether")


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE flights.weather",
        "INSERT INTO flights.weather VALUES (1)",
        "CREATE TABLE x AS SELECT 1",
        "COPY (SELECT 1) TO '/tmp/never-written.csv'",
        "SET memory_limit = '10GB'",
        "ATTACH '/tmp/x.db'",
        "INSTALL httpfs",
        "PRAGMA database_list",
        "CALL range(1)",
        "SELECT 1; DROP TABLE x",
        "EXPLAIN DROP TABLE x",
        "",
        "-- nothing",
    ],
)
def test_only_what_reads_is_run(sql: str) -> None:
    refusal(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM arrow_scan(1, 2, 3)",
    ],
)
def test_files_settings_and_memory_are_out_of_reach(sql: str) -> None:
    assert "not available" in refusal(sql, Unsupported)


def test_duckdb_draws_nothing_between_the_rows_and_forgets_no_lock() -> None:
    names = ("enable_progress_bar", "enable_external_access", "lock_configuration", "TimeZone")
    settings = ", ".join(f"current_setting('{name}')" for name in names)
    assert rows(f"SELECT {settings}") == [(False, False, True, "UTC")]


def test_neither_a_file_nor_a_variable_of_the_caller_is_a_table() -> None:
    secret = pa.table({"x": [1]})
    assert secret.num_rows
    refusal("SELECT * FROM secret", account="flights")
    refusal("SELECT * FROM '/etc/passwd'", account="flights")
    refusal("SELECT * FROM temp.published_0")


def test_a_table_that_no_pipeline_published_is_refused_with_what_reads_it(published_lake: PublishedLake) -> None:
    glue = published_lake.session.client("glue")
    location = {"Location": "s3://datalake-flights-raw/found/", "Columns": [{"Name": "a", "Type": "string"}]}
    glue.create_table(DatabaseName="flights_lake", TableInput={"Name": "found", "StorageDescriptor": location})
    try:
        assert "datalake preview" in refusal("SELECT * FROM flights.found", Unsupported)
    finally:
        glue.delete_table(DatabaseName="flights_lake", Name="found")


def test_a_table_without_any_version_has_no_rows(published_lake: PublishedLake) -> None:
    published_lake.publish("soon", WEATHER, {})
    assert rows("SELECT count(*) FROM flights.soon") == [(0,)]


def test_a_query_sees_the_newest_version_and_one_that_is_gone_asks_for_another_try(
    published_lake: PublishedLake,
) -> None:
    def publish(text: str) -> str:
        table = pa.Table.from_pylist([{"airport": text}], schema=WEATHER_ARROW)
        return published_lake.publish("changing", WEATHER, {"2013-01-01": [table]})

    publish("old")
    version = publish("new")
    assert rows("SELECT airport FROM flights.changing") == [("new",)]
    s3 = published_lake.session.client("s3")
    prefix = f"changing/dt=2013-01-01/v={version}/"
    (stored,) = s3.list_objects_v2(Bucket="datalake-flights-lake", Prefix=prefix)["Contents"]
    s3.put_object(Bucket="datalake-flights-lake", Key=stored["Key"], Body=b"x" * 2000)
    assert "while the query ran" in refusal("SELECT airport FROM flights.changing", ConcurrentChange)
    s3.delete_object(Bucket="datalake-flights-lake", Key=f"changing/_manifests/dt=2013-01-01/{version}.json")
    assert "was removed" in refusal("SELECT airport FROM flights.changing", ConcurrentChange)


def test_importing_the_package_loads_nothing_of_it() -> None:
    program = """
import sys, datalake_assets
heavy = {"duckdb", "pyarrow", "boto3", "pydantic", "click", "pandas"} & set(sys.modules)
assert not heavy, heavy
assert callable(datalake_assets.query)
import datalake_assets.explore.query
assert not {"duckdb", "pyarrow", "boto3"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_days_of_the_tests_are_two_months() -> None:
    assert {day.month for day in days()} == {1, 2}
