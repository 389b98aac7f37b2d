"""The case study's accounts in small: four pipelines that take a moment, wait for each other and fail on demand.

`DAY_FOLDER` names a folder: a pipeline fails while a file there has its name.
"""

import os
from datetime import date
from pathlib import Path

import dagster as dg

from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.model import Due, PipelineTrigger
from datalake_assets.triggers.pipeline_sensor import HOLD_SECONDS, build_pipeline_sensor
from datalake_assets.triggers.schedules import Schedule
from tests.triggers.world import all_of, ended, pipeline, succeeded, trigger

FIRST_DAY = date(2024, 3, 1)
CALENDAR = Calendar("day", FIRST_DAY)
LISTINGS = pipeline("core_data/listings", CALENDAR)
SEARCHES = pipeline("search/searches", CALENDAR)
X = pipeline("rent_journey/pipeline_x", CALENDAR)
FALLBACK = pipeline("rent_journey/fallback", CALENDAR)

TRIGGERS = [
    trigger(LISTINGS, Due(Schedule("0 3 * * *"))),
    trigger(SEARCHES, Due(Schedule("0 5 * * *"))),
    trigger(X, all_of(succeeded(LISTINGS), succeeded(SEARCHES)), LISTINGS, SEARCHES),
    trigger(FALLBACK, ended(LISTINGS, "FAILED"), LISTINGS),
]


def build(location: str) -> dg.Definitions:
    """What runs in one of the accounts."""
    own = [each for each in TRIGGERS if each.pipeline.name.startswith(f"{location}/")]
    assets = [_asset(each) for each in own]
    jobs = [
        dg.define_asset_job(each.pipeline.job, selection=[asset], tags={"datalake/pipeline": each.pipeline.name})
        for each, asset in zip(own, assets, strict=True)
    ]
    sensor = build_pipeline_sensor(location, own, jobs=jobs, hold_seconds=HOLD_SECONDS)
    return dg.Definitions(assets=assets, jobs=jobs, sensors=[sensor], executor=dg.in_process_executor)


def _asset(of: PipelineTrigger) -> dg.AssetsDefinition:
    @dg.asset(
        key=list(of.pipeline.asset),
        partitions_def=dg.DailyPartitionsDefinition(FIRST_DAY.isoformat()),
        deps=[dg.AssetKey(list(parent.asset)) for parent in of.parents.values()],
    )
    def work(context: dg.AssetExecutionContext) -> None:
        if (Path(os.environ["DAY_FOLDER"]) / of.pipeline.job).exists():
            raise dg.Failure(f"{of.pipeline.name} fails on {context.partition_key}", allow_retries=False)

    return work


core_data = build("core_data")
search = build("search")
rent_journey = build("rent_journey")
