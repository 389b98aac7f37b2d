"""Metadata under Dagster's standard keys, so that the UI shows schemas, column lineage and row counts by itself."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import dagster as dg

from datalake_assets.ingest.outcomes import Loaded, Published, PublishedChild
from datalake_assets.ingest.pipeline import ChildTable, Pipeline
from datalake_assets.mapping.children import POSITION_COLUMN
from datalake_assets.mapping.spec import OutputColumn
from datalake_assets.mapping.sql import array_paths
from datalake_assets.names import PARTITION_COLUMN

MAX_NAMED_FILES = 50


def column_schema(pipeline: Pipeline, *, warehouse: bool) -> dg.TableSchema:
    """The columns of the lake or the warehouse table with their descriptions, the partition column last."""
    required = {column.to for column in pipeline.mapping.mapped if column.required}
    return _schema(pipeline, pipeline.mapping.output_columns(), required, warehouse=warehouse)


def child_schema(pipeline: Pipeline, child: ChildTable) -> dg.TableSchema:
    """The columns of a child table with their descriptions, the partition column last."""
    return _schema(pipeline, child.columns, {POSITION_COLUMN}, warehouse=False)


def _schema(
    pipeline: Pipeline, output: Sequence[OutputColumn], required: Collection[str], *, warehouse: bool
) -> dg.TableSchema:
    columns = [
        dg.TableColumn(
            column.name,
            column.type.redshift if warehouse else column.type.glue,
            description=column.description,
            constraints=dg.TableColumnConstraints(nullable=column.name not in required),
        )
        for column in output
    ]
    if pipeline.is_partitioned:
        columns.append(dg.TableColumn(PARTITION_COLUMN, "date", description="Partition: the day of the files"))
    return dg.TableSchema(columns)


def raw_schema(pipeline: Pipeline) -> dg.TableSchema:
    """The raw columns that the mapping reads; all are text."""
    sources = (source for column in pipeline.mapping.output_columns() for source in column.sources)
    arrays = (path for path, _ in array_paths(pipeline.mapping))
    return dg.TableSchema([dg.TableColumn(name, "text") for name in dict.fromkeys([*sources, *arrays])])


def lake_lineage(pipeline: Pipeline) -> dg.TableColumnLineage:
    """Which raw column each lake column comes from, or which columns of other tables."""
    if pipeline.derivation is not None:
        return dg.TableColumnLineage(
            {
                column: [dg.TableColumnDep(asset_key=dg.AssetKey(path), column_name=name) for path, name in sources]
                for column, sources in pipeline.derivation.column_lineage().items()
            }
        )
    raw = dg.AssetKey(pipeline.raw_key)
    return dg.TableColumnLineage(
        {
            column.name: [dg.TableColumnDep(asset_key=raw, column_name=source) for source in column.sources]
            for column in pipeline.mapping.output_columns()
            if column.sources
        }
    )


def child_lineage(pipeline: Pipeline, child: ChildTable) -> dg.TableColumnLineage:
    """Keys come from the parent's columns of the same name, all else from the array within the raw records."""
    level = next(level for level in pipeline.mapping.levels if level.child.table == child.name)
    raw = dg.AssetKey(pipeline.raw_key)
    parent = dg.AssetKey([*pipeline.lake_key[:2], child.parent])
    array = (level.parents[0] if level.parents else level.child).from_
    deps: dict[str, list[dg.TableColumnDep]] = {}
    for name in level.key:
        is_position = level.parents and name == level.parents[-1].position_in_children
        deps[name] = [dg.TableColumnDep(asset_key=parent, column_name=POSITION_COLUMN if is_position else name)]
    for column in child.columns:
        if column.sources and column.name not in deps:
            deps[column.name] = [dg.TableColumnDep(asset_key=raw, column_name=array)]
    return dg.TableColumnLineage(deps)


def warehouse_lineage(pipeline: Pipeline) -> dg.TableColumnLineage:
    """Warehouse columns are those of the lake under the same names."""
    lake = dg.AssetKey(pipeline.lake_key)
    names = [column.name for column in pipeline.mapping.output_columns()]
    return dg.TableColumnLineage({name: [dg.TableColumnDep(asset_key=lake, column_name=name)] for name in names})


def published_metadata(pipeline: Pipeline, published: Published) -> Mapping[str, Any]:
    """What a lake materialization says about its partition."""
    counts = published.counts
    inputs = "raw_files" if pipeline.derivation is None else "versions_read"
    return {
        "dagster/row_count": counts.rows_published,
        "dagster/uri": published.uri,
        "dagster/table_name": f"{pipeline.account.glue_database}.{pipeline.name}",
        "dagster/column_schema": column_schema(pipeline, warehouse=False),
        "dagster/column_lineage": lake_lineage(pipeline),
        "rows_in": counts.rows_in,
        "rows_quarantined": counts.rows_quarantined,
        **({"rows_duplicate": counts.rows_duplicate} if pipeline.mapping.deduplicate else {}),
        "files": len(published.inputs),
        "bytes_in": sum(raw.size for raw in published.inputs),
        "bytes_published": published.bytes,
        "version": published.version,
        "manifest": published.manifest_uri,
        "seconds": round(published.seconds, 3),
        inputs: dg.MetadataValue.md(_listed([f"`{raw.key}`" for raw in published.inputs])),
        **({"notes": dg.MetadataValue.md(_listed(list(published.notes)))} if published.notes else {}),
    }


def child_metadata(pipeline: Pipeline, published: Published, rows: PublishedChild) -> Mapping[str, Any]:
    """What the materialization of a child table says about its partition."""
    child = next(child for child in pipeline.children if child.name == rows.table)
    return {
        "dagster/row_count": rows.rows,
        "dagster/uri": rows.uri,
        "dagster/table_name": f"{pipeline.account.glue_database}.{child.name}",
        "dagster/column_schema": child_schema(pipeline, child),
        "dagster/column_lineage": child_lineage(pipeline, child),
        "bytes_published": rows.bytes,
        "version": published.version,
        "manifest": rows.manifest_uri,
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
