"""`SqlPipeline`: a query over lake tables → lake table → warehouse table, as two assets, one job and its checks."""

from pathlib import Path
from typing import Any

import dagster as dg

from datalake_assets.components.declared_component import DeclaredComponent
from datalake_assets.components.partitions import build_partition_mapping, build_partitions
from datalake_assets.components.sql_reads import build_derivation
from datalake_assets.components.table_assets import (
    build_job,
    build_table_pipeline,
    build_table_step,
    lake_asset,
    warehouse_asset,
)
from datalake_assets.components.words.sql_spec import SqlSpec
from datalake_assets.derive.reads import Read
from datalake_assets.derive.sql_derivation import SqlDerivation
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.names import asset_key
from datalake_assets.project import LOCATIONS_FOLDER


class SqlPipeline(DeclaredComponent[SqlSpec]):
    """A query over lake tables of any account becomes a table of its own; the words are those of `SqlSpec`."""

    model = SqlSpec

    def definitions(self, location: str, folder: Path) -> dg.Definitions:
        return build_sql_definitions(location, self.spec, folder.parent.parent)


def build_sql_pipeline(location: str, spec: SqlSpec, derivation: SqlDerivation) -> Pipeline:
    """What ingest needs of a declared SqlPipeline, `derivation` being what `build_derivation` makes of it.

    Raises:
        ConfigurationError: the registry does not know the location.
    """
    return build_table_pipeline(location, spec, patterns=(), derivation=derivation)


def build_sql_definitions(location: str, spec: SqlSpec, folder: Path = LOCATIONS_FOLDER) -> dg.Definitions:
    """The assets, the checks and the job of one SqlPipeline; raises as `build_derivation`."""
    derivation = build_derivation(location, spec, folder)
    pipeline = build_sql_pipeline(location, spec, derivation)
    partitions = build_partitions(spec.partitions)
    shared: dict[str, Any] = {"group_name": spec.name, "owners": [spec.owner], "skippable": True}
    lake = lake_asset(pipeline, [_dep(read, spec) for read in derivation.reads], shared)
    warehouse = warehouse_asset(pipeline, shared)
    produced = [lake, *([warehouse] if warehouse else [])]

    step = build_table_step(f"query_{spec.name}", pipeline, produced, partitions)
    return dg.Definitions(assets=[step], jobs=[build_job(location, spec, [each.key for each in produced])])


def _dep(read: Read, spec: SqlSpec) -> dg.AssetDep:
    """A table that is read, as the UI shows which of its partitions belong to one of the result."""
    key = dg.AssetKey(asset_key(read.location, "lake", read.table))
    is_by_time = spec.partitions is not None and read.calendar.every is not None
    return dg.AssetDep(key, partition_mapping=build_partition_mapping(read.span) if is_by_time else None)
