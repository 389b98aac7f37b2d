"""Metadata under Dagster's standard keys, so that the UI shows schemas, column lineage and row counts by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from datalake_assets.ingest.outcomes import Loaded, Published
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.names import PARTITION_COLUMN

MAX_NAMED_FILES = 50


def column_schema(pipeline: Pipeline, *, warehouse: bool) -> dg.TableSchema:
    """The columns of the lake or the warehouse table with their descriptions, the partition column last."""
    required = {column.to for column in pipeline.mapping.mapped if column.required}
    columns = [
        dg.TableColumn(
            column.name,
            column.type.redshift if warehouse else column.type.glue,
            description=column.description,
            constraints=dg.TableColumnConstraints(nullable=column.name not in required),
        )
        for column in pipeline.mapping.output_columns()
    ]
    if pipeline.is_partitioned:
        columns.append(dg.TableColumn(PARTITION_COLUMN, "date", description="Partition: the day of the files"))
    return dg.TableSchema(columns)


def raw_schema(pipeline: Pipeline) -> dg.TableSchema:
    """The raw columns that the mapping reads; all are text."""
    return dg.TableSchema(
        [dg.TableColumn(column.source, "text") for column in pipeline.mapping.output_columns() if column.source]
    )


def lake_lineage(pipeline: Pipeline) -> dg.TableColumnLineage:
    """Which raw column each lake column comes from."""
    raw = dg.AssetKey(pipeline.raw_key)
    return dg.TableColumnLineage(
        {
            column.name: [dg.TableColumnDep(asset_key=raw, column_name=column.source)]
            for column in pipeline.mapping.output_columns()
            if column.source
        }
    )


def warehouse_lineage(pipeline: Pipeline) -> dg.TableColumnLineage:
    """Warehouse columns are those of the lake under the same names."""
    lake = dg.AssetKey(pipeline.lake_key)
    names = [column.name for column in pipeline.mapping.output_columns()]
    return dg.TableColumnLineage({name: [dg.TableColumnDep(asset_key=lake, column_name=name)] for name in names})


def published_metadata(pipeline: Pipeline, published: Published) -> Mapping[str, Any]:
    """What a lake materialization says about its partition."""
    counts = published.counts
    return {
        "dagster/row_count": counts.rows_published,
        "dagster/uri": published.uri,
        "dagster/table_name": f"{pipeline.account.glue_database}.{pipeline.name}",
        "dagster/column_schema": column_schema(pipeline, warehouse=False),
        "dagster/column_lineage": lake_lineage(pipeline),
        "rows_in": counts.rows_in,
        "rows_quarantined": counts.rows_quarantined,
        "files": len(published.inputs),
        "bytes_in": sum(raw.size for raw in published.inputs),
        "bytes_published": published.bytes,
        "version": published.version,
        "manifest": published.manifest_uri,
        "seconds": round(published.seconds, 3),
        "raw_files": dg.MetadataValue.md(_listed([f"`{raw.key}`" for raw in published.inputs])),
        **({"notes": dg.MetadataValue.md(_listed(list(published.notes)))} if published.notes else {}),
    }


def loaded_metadata(pipeline: Pipeline, loaded: Loaded) -> Mapping[str, Any]:
    """What a warehouse materialization says about its partition."""
    assert pipeline.warehouse is not None
    return {
        "dagster/row_count": loaded.rows,
        "dagster/table_name": f"{pipeline.warehouse.schema}.{pipeline.warehouse.name}",
        "dagster/column_schema": column_schema(pipeline, warehouse=True),
        "dagster/column_lineage": warehouse_lineage(pipeline),
        "version": loaded.version,
        "already_loaded": loaded.skipped,
        "seconds": round(loaded.seconds, 3),
    }


def _listed(lines: Sequence[str]) -> str:
    shown = "\n".join(f"- {line}" for line in lines[:MAX_NAMED_FILES])
    more = len(lines) - MAX_NAMED_FILES
    return f"{shown}\n- and {more} more" if more > 0 else shown
