"""The ledger is compared with the raw buckets by the clock: what no message announced is found."""

from functools import partial

import dagster as dg

from datalake_assets.components.pipelines import find_locations
from datalake_assets.components.upkeep.jobs import Unit, Upkeep, build_upkeep

RECENT_DAYS = 3
# Of list requests, a thousand objects each: a sweep is in no hurry and leaves the bucket to the runs.
REQUESTS_PER_SECOND = 10.0


def _sweep(location: str, recent_days: int | None, _context: dg.OpExecutionContext) -> str:
    from datalake_assets.components.upkeep.sweeping import sweep_location, told

    return told(sweep_location(location, recent_days=recent_days, requests_per_second=REQUESTS_PER_SECOND))


def _units(location: str, *, recent_days: int | None) -> list[Unit]:
    # A bucket is swept as a whole: a key that fits no pipeline is only known when all of them are asked.
    return [Unit(location, partial(_sweep, location, recent_days))]


RECENT = Upkeep(
    name="sweep_recent",
    description=f"Compare the partitions of the last {RECENT_DAYS} days, and what changed lately, with the ledger.",
    cron="*/15 * * * *",
    max_hours=2,
    units=partial(_units, recent_days=RECENT_DAYS),
)
EVERYTHING = Upkeep(
    name="sweep_everything",
    description="Compare every raw bucket as a whole with the ledger.",
    cron="35 1 * * *",
    max_hours=12,
    units=partial(_units, recent_days=None),
)


@dg.definitions
def sweeping() -> dg.Definitions:
    """Both sweeps, one step for each location that has pipelines."""
    locations = find_locations([], raw=True)
    return dg.Definitions.merge(build_upkeep(RECENT, locations), build_upkeep(EVERYTHING, locations))
