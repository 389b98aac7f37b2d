"""The warehouse follows the lake: what a failed load, a rollback or a dropped table left behind is loaded.

So do records their children: what a run that died between the two left behind is made whole first.
"""

from functools import partial

import dagster as dg

from datalake_assets.components.pipelines import DeclaredPipeline, declared_pipelines, find_locations
from datalake_assets.components.upkeep.jobs import Unit, Upkeep, build_upkeep


def _follow(declared: DeclaredPipeline, context: dg.OpExecutionContext) -> str:
    from datalake_assets.components.upkeep.following import follow_all, mend_all

    run_id, report = context.run.run_id, context.log_event
    done = mend_all(declared, run_id=run_id, report=report) if declared.pipeline.children else ""
    loaded = follow_all(declared, run_id=run_id, report=report)
    return f"{done}; {loaded}" if done else loaded


def _units(location: str) -> list[Unit]:
    return [
        Unit(each.name, partial(_follow, each))
        for each in declared_pipelines()
        if each.location == location and (each.pipeline.warehouse is not None or each.pipeline.children)
    ]


FOLLOWING = Upkeep(
    name="warehouse_follows_lake",
    description="Load every published version that the warehouse does not hold; make cut off partitions whole.",
    cron="20 * * * *",
    max_hours=6,
    units=_units,
)


@dg.definitions
def following() -> dg.Definitions:
    """The job that makes up for loads, and its schedule."""
    return build_upkeep(FOLLOWING, find_locations([]))
