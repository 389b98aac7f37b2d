"""Every quarter of an hour, the ledger is compared with the raw buckets: what no message announced is found."""

import dagster as dg

from datalake_assets.components.sweeping import sweep_location, swept_locations, told
from datalake_assets.project import LOCATIONS_FOLDER


@dg.definitions
def sweeping() -> dg.Definitions:
    """The sweep of all locations, one step each, and its schedule."""

    def build_step(location: str) -> dg.OpDefinition:
        @dg.op(
            name=f"sweep_{location}",
            out=dg.Out(dg.Nothing),
            retry_policy=dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL),
        )
        def sweep_step(context: dg.OpExecutionContext) -> None:
            context.log.info(told(sweep_location(location, LOCATIONS_FOLDER)))

        return sweep_step

    steps = [build_step(location) for location in swept_locations(LOCATIONS_FOLDER)]

    @dg.job(name="sweep", executor_def=dg.in_process_executor, tags={"datalake/owner": "team:platform"})
    def sweep() -> None:
        """Compare every raw bucket with the arrival ledger and correct the ledger."""
        for step in steps:
            step()

    schedule = dg.ScheduleDefinition(
        name="sweep_every_15_minutes",
        job=sweep,
        cron_schedule="*/15 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return dg.Definitions(jobs=[sweep], schedules=[schedule])
