"""The tables of this suite: one that is copied, a reference table that is merged, one with child tables."""

from functools import cache
from typing import Any

import dagster as dg

from datalake_assets.arrivals.sources import ArrivalSource
from datalake_assets.components.lake_pipeline import (
    build_arrival_source,
    build_pipeline,
    build_pipeline_definitions,
)
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.ingest.pipeline import Pipeline
from tests.faults.expected import Table

LOCATION = "flights"
COLUMNS = [
    {"from": "id", "to": "id", "type": "bigint", "required": True},
    {"from": "city", "to": "city", "type": "varchar"},
    {"from": "amount", "to": "amount", "type": "decimal(12,2)"},
    {"from": "seen", "to": "seen_at", "type": "timestamp"},
    {"from": "batch", "to": "batch", "type": "int"},
]


def _spec(**attributes: Any) -> PipelineSpec:
    return PipelineSpec.model_validate(
        {
            "owner": "team:faults",
            "columns": COLUMNS,
            "trigger": {"arrivals": {"settle": 0}},
            "bad_rows": {"fail_above": "100%"},
            **attributes,
        }
    )


KILLS = _spec(
    name="kills",
    source={"s3": "kills/dt={partition}/*.csv", "format": "csv"},
    partitions={"daily": "2013-01-01"},
    warehouse={"table": "lake.kills", "mode": "copy"},
)
REFERENCE = _spec(
    name="kill_reference",
    source={"s3": "kill_reference/*.csv", "format": "csv"},
    warehouse={"table": "lake.kill_reference", "mode": "merge", "key": ["id"]},
)
POSTS = PipelineSpec.model_validate(
    {
        "name": "kill_posts",
        "owner": "team:faults",
        "source": {"s3": "kill_posts/dt={partition}/*.jsonl", "format": "json", "layout": "lines"},
        "partitions": {"daily": "2013-01-01"},
        "columns": [
            {"from": "id", "to": "id", "type": "bigint", "required": True},
            {"from": "title", "to": "title", "type": "varchar"},
        ],
        "children": [
            {
                "table": "kill_comments",
                "from": "comments",
                "key": ["id"],
                "columns": [{"from": "stars", "to": "stars", "type": "int"}],
                "children": [
                    {
                        "table": "kill_likes",
                        "from": "likes",
                        "columns": [{"from": "user", "to": "user_name", "type": "varchar"}],
                    }
                ],
            }
        ],
        "trigger": {"arrivals": {"settle": 0}},
        "warehouse": {"table": "lake.kill_posts", "mode": "copy"},
        "bad_rows": {"fail_above": "100%"},
    }
)
SPECS = {spec.name: spec for spec in (KILLS, REFERENCE, POSTS)}


@cache
def pipeline(name: str) -> Pipeline:
    return build_pipeline(LOCATION, SPECS[name])


@cache
def table(name: str) -> Table:
    return Table.of(LOCATION, SPECS[name])


@cache
def sources() -> tuple[ArrivalSource, ...]:
    return tuple(build_arrival_source(LOCATION, spec) for spec in SPECS.values())


@cache
def definitions() -> dg.Definitions:
    return dg.Definitions.merge(*(build_pipeline_definitions(LOCATION, spec) for spec in SPECS.values()))
