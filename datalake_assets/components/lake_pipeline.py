"""`LakePipeline`: raw objects → lake table → warehouse table, as three assets, one job and its checks.

The raw asset is external: the arrival sensor reports what came. Lake and warehouse are one step, so that in a run of
many partitions a broken one does not keep the others from being loaded.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import BaseModel

from datalake_assets.accounts.registry import registry
from datalake_assets.components.checks import check_specs
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.names import qualified

if TYPE_CHECKING:
    from datalake_assets.arrivals.sources import ArrivalSource
    from datalake_assets.components.words.sql_spec import SqlSpec


class LakePipeline(dg.Component):
    """Raw files become a lake table and, if asked for, a warehouse table; the words are those of `PipelineSpec`."""

    def __init__(self, spec: PipelineSpec) -> None:
        self.spec = spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel] | None:
        return PipelineSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "LakePipeline":
        assert isinstance(attributes, PipelineSpec)
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        # locations/<account>/<pipeline>/defs.yaml
        return build_pipeline_definitions(context.path.parent.name, self.spec)


def build_pipeline(location: str, spec: PipelineSpec) -> Pipeline:
    """What ingest needs of a declared pipeline.

    Raises:
        ConfigurationError: the location is not in the account registry, or the key pattern cannot be read.
    """
    registry().account(location)
    target = spec.warehouse
    return Pipeline(
        location=location,
        name=spec.name,
        patterns=spec.key_patterns(),
        marker=spec.marker_pattern(),
        mapping=spec.mapping(),
        owner=spec.owner,
        description=spec.description or "",
        warehouse_target=qualified(target.table) if target else None,
        warehouse_key=target.key if target else (),
        dist=target.dist if target else None,
        sort=target.sort if target else (),
        checks=spec.checks,
        keep_versions=spec.publish.keep_versions,
    )


def build_partitions(spec: "PipelineSpec | SqlSpec") -> dg.PartitionsDefinition[str] | None:
    """The partitions of a pipeline's assets, None for a table without."""
    if spec.partitions is None:
        return None
    end = spec.partitions.end
    return dg.DailyPartitionsDefinition(
        spec.partitions.daily.isoformat(),
        end_date=end.isoformat() if end else None,
        timezone=spec.partitions.time_zone,
    )


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
        target=job_name(spec),
        starts_runs=not spec.trigger.waits_for_more,
    )


def job_name(spec: PipelineSpec) -> str:
    """The job that materializes a pipeline, as the sensor requests it and a person launches it."""
    return spec.name


def build_pipeline_definitions(location: str, spec: PipelineSpec) -> dg.Definitions:
    """The assets, the checks and the job of one pipeline."""
    pipeline = build_pipeline(location, spec)
    partitions = build_partitions(spec)
    raw, lake, children, warehouse = _asset_specs(pipeline, spec, partitions)
    produced = [lake, *children, *([warehouse] if warehouse else [])]

    @dg.multi_asset(
        name=f"ingest_{spec.name}",
        specs=produced,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
        partitions_def=partitions,
        check_specs=check_specs(pipeline),
        op_tags={"datalake/owner": spec.owner},
    )
    def ingest(context: dg.AssetExecutionContext) -> Iterator[Any]:
        # Imported by the run, not by the code location: DuckDB, boto3 and the warehouse driver come with it.
        from datalake_assets.components.materialize import materialize

        yield from materialize(context, pipeline)

    job = dg.define_asset_job(
        job_name(spec),
        selection=dg.AssetSelection.assets(*[each.key for each in produced]),
        description=spec.description,
        tags=spec.run_tags(location),
    )
    return dg.Definitions(assets=[raw, ingest], jobs=[job])


def _asset_specs(
    pipeline: Pipeline, spec: PipelineSpec, partitions: dg.PartitionsDefinition[str] | None
) -> tuple[dg.AssetSpec, dg.AssetSpec, list[dg.AssetSpec], dg.AssetSpec | None]:
    from datalake_assets.components.metadata import child_schema, raw_schema
    from datalake_assets.components.table_assets import lake_asset, warehouse_asset

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
