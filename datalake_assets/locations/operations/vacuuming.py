"""Versions of lake tables that nobody can refer to any more are removed, once a day."""

from functools import partial

import dagster as dg

from datalake_assets.components.pipelines import DeclaredPipeline, declared_pipelines, find_locations
from datalake_assets.components.upkeep.jobs import Unit, Upkeep, build_upkeep


def _vacuum(declared: DeclaredPipeline, _context: dg.OpExecutionContext) -> str:
    from datalake_assets.components.upkeep.vacuuming import told, vacuum_pipeline

    return "; ".join(told(result) for result in vacuum_pipeline(declared)) or "no table is published yet"


def _units(location: str) -> list[Unit]:
    return [Unit(each.name, partial(_vacuum, each)) for each in declared_pipelines() if each.location == location]


VACUUM = Upkeep(
    name="vacuum",
    description="Remove versions beyond `publish.keep_versions` that no reader can still have open.",
    cron="5 3 * * *",
    max_hours=12,
    units=_units,
)


@dg.definitions
def vacuuming() -> dg.Definitions:
    """The job that removes old versions, and its schedule."""
    return build_upkeep(VACUUM, find_locations([]))
