"""`SqlPipeline`: a query over lake tables → lake table → warehouse table, as two assets, one job and its checks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel

from datalake_assets.accounts.registry import registry
from datalake_assets.components.checks import check_specs
from datalake_assets.components.lake_pipeline import build_partitions
from datalake_assets.components.sql_reads import build_derivation
from datalake_assets.components.table_assets import lake_asset, warehouse_asset
from datalake_assets.components.words.sql_spec import SqlSpec
from datalake_assets.derive.reads import Read
from datalake_assets.derive.sql_derivation import SqlDerivation
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.names import asset_key, qualified
from datalake_assets.project import LOCATIONS_FOLDER


class SqlPipeline(dg.Component):
    """A query over lake tables of any account becomes a table of its own; the words are those of `SqlSpec`."""

    def __init__(self, spec: SqlSpec) -> None:
        self.spec = spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel] | None:
        return SqlSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "SqlPipeline":
        assert isinstance(attributes, SqlSpec)
        return cls(attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        # locations/<account>/<pipeline>/defs.yaml
        location = context.path.parent
        return build_sql_definitions(location.name, self.spec, location.parent)


def build_sql_pipeline(location: str, spec: SqlSpec, derivation: SqlDerivation) -> Pipeline:
    """What ingest needs of a declared SqlPipeline, `derivation` being what `build_derivation` makes of it.

    Raises:
        ConfigurationError: the registry does not know the location.
    """
    registry().account(location)
    target = spec.warehouse
    return Pipeline(
        location=location,
        name=spec.name,
        patterns=(),
        mapping=spec.mapping(),
        owner=spec.owner,
        description=spec.description or "",
        warehouse_target=qualified(target.table) if target else None,
        warehouse_key=target.key if target else (),
        dist=target.dist if target else None,
        sort=target.sort if target else (),
        checks=spec.checks,
        keep_versions=spec.publish.keep_versions,
        derivation=derivation,
    )


def build_sql_definitions(location: str, spec: SqlSpec, folder: Path = LOCATIONS_FOLDER) -> dg.Definitions:
    """The assets, the checks and the job of one SqlPipeline; raises as `build_derivation`."""
    derivation = build_derivation(location, spec, folder)
    pipeline = build_sql_pipeline(location, spec, derivation)
    partitions = build_partitions(spec)
    shared: dict[str, Any] = {"group_name": spec.name, "owners": [spec.owner], "skippable": True}
    lake = lake_asset(pipeline, [_dep(read, spec) for read in derivation.reads], shared)
    warehouse = warehouse_asset(pipeline, shared)
    produced = [lake, *([warehouse] if warehouse else [])]

    @dg.multi_asset(
        name=f"query_{spec.name}",
        specs=produced,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
        partitions_def=partitions,
        check_specs=check_specs(pipeline),
        op_tags={"datalake/owner": spec.owner},
    )
    def query(context: dg.AssetExecutionContext) -> Iterator[Any]:
        # Imported by the run, not by the code location: DuckDB, boto3 and the warehouse driver come with it.
        from datalake_assets.components.materialize import materialize

        yield from materialize(context, pipeline)

    job = dg.define_asset_job(
        spec.name,
        selection=dg.AssetSelection.assets(*[each.key for each in produced]),
        description=spec.description,
        tags=spec.run_tags(location),
    )
    return dg.Definitions(assets=[query], jobs=[job])


def _dep(read: Read, spec: SqlSpec) -> dg.AssetDep:
    """A table that is read, as the UI shows which of its partitions belong to one of the result."""
    key = dg.AssetKey(asset_key(read.location, "lake", read.table))
    span = read.span
    if spec.partitions is None or read.calendar.every is None or (span.last == 1 and span.offset == 0):
        return dg.AssetDep(key)
    mapping = dg.TimeWindowPartitionMapping(
        start_offset=span.offset - span.last + 1, end_offset=span.offset, allow_nonexistent_upstream_partitions=True
    )
    return dg.AssetDep(key, partition_mapping=mapping)
