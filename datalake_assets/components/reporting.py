"""Tell Dagster what was published, whoever published it: the records' table and those of their children."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from datalake_assets.components.metadata import child_metadata, loaded_metadata, published_metadata
from datalake_assets.ingest.outcomes import Loaded, Published
from datalake_assets.ingest.pipeline import Pipeline

Report = Callable[[dg.AssetMaterialization], None]
"""Where a materialization is told: `context.log_event` in a run, `report_runless_asset_event` outside of one."""


def report_published(
    pipeline: Pipeline,
    published: Published,
    report: Report,
    *,
    description: str | None = None,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Tell of a published partition, its children first.

    Args:
        further: metadata of the records' materialization beside the usual.
    """
    partition = published.partition or None
    keys = {child.name: child.key for child in pipeline.children}
    for rows in published.children:
        metadata = child_metadata(pipeline, published, rows)
        report(
            dg.AssetMaterialization(keys[rows.table], description=description, partition=partition, metadata=metadata)
        )
    report(
        dg.AssetMaterialization(
            pipeline.lake_key,
            description=description,
            partition=partition,
            metadata={**published_metadata(pipeline, published), **(further or {})},
        )
    )


def report_loaded(pipeline: Pipeline, loaded: Loaded, report: Report) -> None:
    """Tell Dagster of a load; one that another process was faster with has been told by it."""
    if not loaded.skipped:
        report(
            dg.AssetMaterialization(
                pipeline.warehouse_asset_key,
                partition=loaded.partition or None,
                metadata=loaded_metadata(pipeline, loaded),
            )
        )
