"""A table of one account that is made of the tables of two others: landing what they need, running, looking."""

import gzip
import json
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import dagster as dg

from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.sessions import session
from datalake_assets.components.declarations import read_declarations
from datalake_assets.components.lake_pipeline import build_pipeline_definitions
from datalake_assets.components.pipelines import DeclaredPipeline
from datalake_assets.components.sql_pipeline import build_sql_definitions
from datalake_assets.components.words.sql_spec import SqlSpec
from datalake_assets.project import LOCATIONS_FOLDER
from tests.integration.runs import Run
from tests.integration.user import Platform

if TYPE_CHECKING:
    import pandas as pd

READER, NAME = "rent_journey", "city_week"
LAKE = dg.AssetKey([READER, "lake", NAME])
WAREHOUSE = dg.AssetKey([READER, "warehouse", NAME])
SQL = """
WITH live AS (
    SELECT city, count(*) AS listings FROM core_data.listings WHERE dt = $partition GROUP BY city
),
asked AS (
    SELECT lower(city) AS city,
           count(*) FILTER (dt = $partition) AS searches,
           count(*) AS searches_of_week,
           count(DISTINCT dt) AS days
    FROM search.searches WHERE city IS NOT NULL GROUP BY lower(city)
)
SELECT live.city AS city, listings, coalesce(searches, 0) AS searches, coalesce(searches_of_week, 0) AS week,
       coalesce(days, 0) AS days, CASE live.city WHEN 'Köln' THEN 'many' ELSE '1.5' END AS rate
FROM live LEFT JOIN asked ON asked.city = lower(live.city)
ORDER BY live.city
"""
SPEC: dict[str, Any] = {
    "name": NAME,
    "owner": "team:tests",
    "reads": ["core_data/listings", {"table": "search/searches", "partitions": {"last": 7}}],
    "sql": SQL,
    "partitions": {"daily": "2026-01-01"},
    "columns": [
        {"name": "city", "type": "varchar", "required": True},
        {"name": "listings", "type": "int"},
        {"name": "searches", "type": "bigint"},
        {"name": "week", "type": "bigint"},
        {"name": "days", "type": "smallint"},
        {"name": "rate", "type": "decimal(6,2)"},
    ],
    "bad_rows": {"fail_above": "50%"},
    "checks": [{"unique": ["city"]}, {"expression": "searches <= 1000", "name": "plausible"}],
    "warehouse": {"table": "lake.city_week", "sort": ["dt"]},
}


def spec(**changed: Any) -> SqlSpec:
    return SqlSpec.model_validate({**SPEC, **changed})


def declared(**changed: Any) -> DeclaredPipeline:
    return DeclaredPipeline(READER, spec(**changed))


def days_before(day: str, count: int) -> list[str]:
    """So many days, the last of them the one given."""
    last = date.fromisoformat(day)
    return [str(last - timedelta(n)) for n in reversed(range(count))]


def land_listings(day: str, cities: Sequence[str]) -> None:
    header = "ListingID,title,city,zip,rooms,area,price,published,updated"
    lines = [
        f'{number},Flat {number},{city},12345,"2,5",60,"1.000,50",01.01.2026 10:00,01.01.2026 10:00'
        for number, city in enumerate(cities, 1)
    ]
    _put("core_data", f"listings/dt={day}/listings.csv.gz", "\n".join([header, *lines]) + "\n")


def land_searches(day: str, cities: Sequence[str | None]) -> None:
    records = [
        {"search_id": f"{day}-{number}", "at": f"{day}T08:00:00Z", "city": city, "device": "web",
         "user": {"id": "u1", "email": "a@example.com"}, "filters": {"max_price": 900, "min_rooms": 2}, "results": 3}
        for number, city in enumerate(cities)
    ]  # fmt: skip
    _put("search", f"searches/dt={day}/searches.json.gz", "".join(json.dumps(each) + "\n" for each in records))


def clear(location: str, table: str, days: Sequence[str]) -> None:
    """Take away what other tests may have landed and published of these days."""
    s3, bucket = session(location).client("s3"), registry().account(location).raw_bucket
    for day in days:
        for found in s3.list_objects_v2(Bucket=bucket, Prefix=f"{table}/dt={day}/").get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=found["Key"])
    values = [{"Values": [day]} for day in days]
    session(location).client("glue").batch_delete_partition(
        DatabaseName=registry().account(location).glue_database, TableName=table, PartitionsToDelete=values
    )


def _put(location: str, key: str, text: str) -> None:
    body = gzip.compress(text.encode(), mtime=0)
    session(location).client("s3").put_object(Bucket=registry().account(location).raw_bucket, Key=key, Body=body)


@cache
def _parent(location: str, name: str) -> dg.Definitions:
    (found,) = read_declarations(LOCATIONS_FOLDER / location / name)
    return build_pipeline_definitions(location, found.spec)


def run_parent(platform: Platform, location: str, name: str, days: Sequence[str]) -> None:
    """Publish days of a table of another account."""
    assert _run(platform, _parent(location, name), name, days).success


def run(platform: Platform, days: str | Sequence[str], **changed: Any) -> Run:
    wanted = [days] if isinstance(days, str) else days
    return _run(platform, build_sql_definitions(READER, spec(**changed)), NAME, wanted)


def run_spec(platform: Platform, day: str | None, *, name: str, **changed: Any) -> Run:
    """Run another pipeline than `city_week`, for a day or as a whole."""
    made = spec(name=name, **changed)
    return _run(platform, build_sql_definitions(READER, made), name, [day] if day else [])


def _run(platform: Platform, definitions: dg.Definitions, name: str, days: Sequence[str]) -> Run:
    ends = {}
    if len(days) > 1:
        ends = {"dagster/asset_partition_range_start": days[0], "dagster/asset_partition_range_end": days[-1]}
    result = definitions.resolve_job_def(name).execute_in_process(
        instance=platform.instance,
        partition_key=days[0] if len(days) == 1 else None,
        tags=ends,
        raise_on_error=False,
    )
    return Run(result)


class ReadersSession(boto3.Session):
    """What an independent client of the reading account uses."""

    def __init__(self) -> None:
        found = session(READER)._session().get_credentials().get_frozen_credentials()
        super().__init__(found.access_key, found.secret_key, found.token, region_name="eu-central-1")


def lake(day: str, table: str = NAME) -> "pd.DataFrame":
    """A day as an independent client reads it from the catalog."""
    import awswrangler as wr

    frame: pd.DataFrame = wr.s3.read_parquet_table(
        database=registry().account(READER).glue_database,
        table=table,
        boto3_session=ReadersSession(),
        partition_filter=lambda values: values["dt"] == day,
    )
    return frame


def cities(day: str) -> dict[str, tuple[int, int, int]]:
    """City → searches of the day and of the week, and the days that were read."""
    rows = lake(day).to_dict("records")
    return {row["city"]: (int(row["searches"]), int(row["week"]), int(row["days"])) for row in rows}
