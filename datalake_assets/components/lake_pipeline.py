"""`LakePipeline`: raw objects → lake table → warehouse table, as three assets, one job and its checks.

The raw asset is external: the arrival sensor reports what came. Lake and warehouse are one step, so that in a run of
many partitions a broken one does not keep the others from being loaded.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from datalake_assets.components.declared_component import DeclaredComponent
from datalake_assets.components.partitions import build_partitions
from datalake_assets.components.table_assets import (
    build_job,
    build_table_pipeline,
    build_table_step,
    lake_asset,
    warehouse_asset,
)
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.ingest.pipeline import Pipeline

if TYPE_CHECKING:
    from datalake_assets.arrivals.sources import ArrivalSource


class LakePipeline(DeclaredComponent[PipelineSpec]):
    """Raw files become a lake table and, if asked for, a warehouse table; the words are those of `PipelineSpec`."""

    model = PipelineSpec

    def definitions(self, location: str, folder: Path) -> dg.Definitions:
        return build_pipeline_definitions(location, self.spec)


def build_pipeline(location: str, spec: PipelineSpec) -> Pipeline:
    """What ingest needs of a declared pipeline.

    Raises:
        ConfigurationError: the location is not in the account registry, or the key pattern cannot be read.
    """
    return build_table_pipeline(location, spec, patterns=spec.key_patterns(), marker=spec.marker_pattern())


def build_arrival_source(location: str, spec: PipelineSpec) -> "ArrivalSource":
    """What the location's arrival sensor needs of a declared pipeline."""
    from datalake_assets.arrivals.sources import ArrivalSource

    pipeline = build_pipeline(location, spec)
    return ArrivalSource(
        source_id=pipeline.source_id,
        table=pipeline.name,
        patterns=pipeline.patterns,
        marker=pipeline.marker,
        settle_seconds=spec.trigger.arrivals.settle,
        conditions=spec.trigger.arrivals.conditions(spec.time_zone),
        asset_key=tuple(pipeline.raw_key),
        lake_asset_key=tuple(pipeline.lake_key),
        target=spec.name,
        starts_runs=not spec.trigger.waits_for_more,
    )


def build_pipeline_definitions(location: str, spec: PipelineSpec) -> dg.Definitions:
    """The assets, the checks and the job of one pipeline."""
    pipeline = build_pipeline(location, spec)
    partitions = build_partitions(spec.partitions)
    raw, lake, children, warehouse = _asset_specs(pipeline, spec, partitions)
    produced = [lake, *children, *([warehouse] if warehouse else [])]

    step = build_table_step(f"ingest_{spec.name}", pipeline, produced, partitions)
    return dg.Definitions(assets=[raw, step], jobs=[build_job(location, spec, [each.key for each in produced])])


def _asset_specs(
    pipeline: Pipeline, spec: PipelineSpec, partitions: dg.PartitionsDefinition[str] | None
) -> tuple[dg.AssetSpec, dg.AssetSpec, list[dg.AssetSpec], dg.AssetSpec | None]:
    from datalake_assets.components.metadata import child_schema, raw_schema

    account = pipeline.account
    places = [f"s3://{account.raw_bucket}/{text}" for text in spec.source.s3]
    shared: dict[str, Any] = {"group_name": spec.name, "owners": [spec.owner], "partitions_def": partitions}
    raw = dg.AssetSpec(
        pipeline.raw_key,
        description=f"Files like {', '.join(places)}, reported as they arrive.",
        kinds={"s3", spec.source.format},
        metadata={
            "dagster/uri": places[0],
            "dagster/column_schema": raw_schema(pipeline),
        },
        **shared,
    )
    produced: dict[str, Any] = {**shared, "skippable": True}
    del produced["partitions_def"]  # the step has them
    lake = lake_asset(pipeline, [raw], produced)
    children = [
        dg.AssetSpec(
            child.key,
            # Keys come from the parent, which the same step makes; all else from the raw records.
            deps=[raw, dg.AssetKey([*pipeline.lake_key[:2], child.parent])],
            description=child.schema.description,
            kinds={"glue", "parquet"},
            metadata={
                "dagster/table_name": f"{account.glue_database}.{child.name}",
                "dagster/uri": f"s3://{account.lake_bucket}/{child.name}/",
                "dagster/column_schema": child_schema(pipeline, child),
            },
            **produced,
        )
        for child in pipeline.children
    ]
    return raw, lake, children, warehouse_asset(pipeline, produced)
