"""The assets of a lake table and of its warehouse table, whatever the rows are made of."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from datalake_assets.components.metadata import column_schema
from datalake_assets.ingest.pipeline import Pipeline


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
