"""Tables as assets, the step that makes them and the job that runs it, whatever their rows are made of."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from datalake_assets.accounts.registry import registry
from datalake_assets.components.checks import check_specs
from datalake_assets.components.metadata import column_schema
from datalake_assets.components.words.run import RunWords
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.names import qualified

if TYPE_CHECKING:
    from datalake_assets.components.words.pipeline_spec import PipelineSpec
    from datalake_assets.components.words.sql_spec import SqlSpec


def lake_asset(pipeline: Pipeline, deps: Sequence[Any], shared: dict[str, Any]) -> dg.AssetSpec:
    """The lake table.

    Args:
        shared: further arguments of the spec: owner, group, partitions.
    """
    account = pipeline.account
    return dg.AssetSpec(
        pipeline.lake_key,
        deps=deps,
        description=pipeline.description,
        kinds={"glue", "parquet"},
        metadata={
            "dagster/table_name": f"{account.glue_database}.{pipeline.name}",
            "dagster/uri": f"s3://{account.lake_bucket}/{pipeline.name}/",
            "dagster/column_schema": column_schema(pipeline, warehouse=False),
        },
        **shared,
    )


def warehouse_asset(pipeline: Pipeline, shared: dict[str, Any]) -> dg.AssetSpec | None:
    """The warehouse table, None for a pipeline that ends in the lake."""
    if pipeline.warehouse_target is None:
        return None
    return dg.AssetSpec(
        pipeline.warehouse_asset_key,
        deps=[dg.AssetKey(pipeline.lake_key)],
        description=pipeline.description,
        kinds={"redshift", "table"},
        metadata={
            "dagster/table_name": ".".join(pipeline.warehouse_target),
            "dagster/column_schema": column_schema(pipeline, warehouse=True),
        },
        **shared,
    )


def build_table_pipeline(location: str, spec: "PipelineSpec | SqlSpec", **own: Any) -> Pipeline:
    """What ingest needs of a declared table, whatever its rows are made of.

    Args:
        own: what only one type of pipeline has, as `Pipeline` takes it.

    Raises:
        ConfigurationError: the registry does not know the location.
    """
    registry().account(location)
    target = spec.warehouse
    return Pipeline(
        location=location,
        name=spec.name,
        mapping=spec.mapping(),
        owner=spec.owner,
        description=spec.description or "",
        warehouse_target=qualified(target.table) if target else None,
        warehouse_key=target.key if target else (),
        dist=target.dist if target else None,
        sort=target.sort if target else (),
        checks=spec.checks,
        keep_versions=spec.publish.keep_versions,
        **own,
    )


def build_table_step(
    name: str, pipeline: Pipeline, produced: Sequence[dg.AssetSpec], partitions: dg.PartitionsDefinition[str] | None
) -> dg.AssetsDefinition:
    """The step of a run that makes these assets, and tells what their checks found."""

    @dg.multi_asset(
        name=name,
        specs=produced,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
        partitions_def=partitions,
        check_specs=check_specs(pipeline),
        op_tags={"datalake/owner": pipeline.owner},
    )
    def step(context: dg.AssetExecutionContext) -> Iterator[Any]:
        # Imported by the run, not by the code location: DuckDB, boto3 and the warehouse driver come with it.
        from datalake_assets.components.materialize import materialize

        yield from materialize(context, pipeline)

    return step


def build_job(
    location: str, spec: RunWords, produced: Sequence[dg.AssetKey], **own: Any
) -> UnresolvedAssetJobDefinition:
    """The job that a pipeline is started by, called as it is, as the sensors request it and a person launches it."""
    return dg.define_asset_job(
        spec.name,
        selection=dg.AssetSelection.assets(*produced),
        description=spec.description,
        tags=spec.run_tags(location),
        **own,
    )
