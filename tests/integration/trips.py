"""A pipeline of the tests' own, with checks: `trips`, by day, loaded into the warehouse."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import dagster as dg

from datalake_assets.components.lake_pipeline import build_pipeline, build_pipeline_definitions
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.ingest.pipeline import Pipeline
from tests.integration.runs import Run
from tests.integration.user import RANGE_END, RANGE_START, Platform

LAKE, WAREHOUSE = dg.AssetKey(["flights", "lake", "trips"]), dg.AssetKey(["flights", "warehouse", "trips"])
CHECKS: tuple[dict[str, Any], ...] = (
    {"unique": ["trip_id"]},
    {"not_null": ["city"], "severity": "warn"},
    {"row_count": {"max": 5}},
    {"expression": "price >= 0", "name": "price_is_positive"},
)
Row = tuple[int, object, str]


SPEC: dict[str, Any] = {
    "name": "trips",
    "owner": "team:tests",
    "source": {"s3": "trips/dt={partition}/*.csv"},
    "partitions": {"daily": "2013-01-01"},
    "columns": [
        {"from": "id", "to": "trip_id", "type": "bigint", "required": True},
        {"from": "price", "to": "price", "type": "decimal(12,2)"},
        {"from": "city", "to": "city", "type": "varchar(20)"},
    ],
    "checks": CHECKS,
    "warehouse": {"table": "lake.trips"},
}


@cache
def spec() -> PipelineSpec:
    return PipelineSpec.model_validate(SPEC)


@cache
def pipeline() -> Pipeline:
    return build_pipeline("flights", spec())


@cache
def definitions() -> dg.Definitions:
    return build_pipeline_definitions("flights", spec())


def put(platform: Platform, day: str, rows: Sequence[Row], *, name: str = "trips.csv") -> str:
    """Land one file of a day; return its URI."""
    text = "id,price,city\n" + "".join(f"{number},{price},{city}\n" for number, price, city in rows)
    return platform.put(f"trips/dt={day}/{name}", text)


def run(
    platform: Platform,
    partitions: str | list[str],
    *,
    instance: dg.DagsterInstance | None = None,
    assets: Sequence[dg.AssetKey] | None = None,
    checks: Sequence[dg.AssetCheckKey] | None = None,
) -> Run:
    job = definitions().resolve_job_def("trips")
    if assets is not None or checks is not None:
        job = job.get_subset(asset_selection=set(assets or ()), asset_check_selection=set(checks or ()))
    is_range = not isinstance(partitions, str)
    tags = {RANGE_START: partitions[0], RANGE_END: partitions[-1]} if is_range else {}
    result = job.execute_in_process(
        instance=instance or platform.instance,
        partition_key=None if is_range else str(partitions),
        tags=tags,
        raise_on_error=False,
    )
    return Run(result)


def numbers(platform: Platform, day: str) -> tuple[list[int], list[int]]:
    """The trips of a day: in the lake and in the warehouse."""
    in_lake = (
        sorted(map(int, platform.lake("trips", [day])["trip_id"])) if platform.glue_partition("trips", day) else []
    )
    rows = platform.warehouse("SELECT trip_id FROM lake.trips WHERE dt = %s ORDER BY 1", day)
    return in_lake, [int(row[0]) for row in rows]
