"""The case study's pipelines as the sensor watches them, and others that wait for each other."""

from datalake_assets.triggers.model import Arrived, Due, PipelineTrigger
from datalake_assets.triggers.schedules import Schedule
from datalake_assets.triggers.watch import Watch
from tests.triggers.world import all_of, ended, pipeline, succeeded, trigger

D, NEXT = "2026-11-20", "2026-11-21"
LISTINGS = pipeline("core_data/listings", warehouse=True)
SEARCHES = pipeline("search/searches")
X = pipeline("rent_journey/pipeline_x")
FALLBACK = pipeline("rent_journey/fallback")
REPORT = pipeline("rent_journey/report")

X_AFTER_BOTH = trigger(X, all_of(succeeded(LISTINGS), succeeded(SEARCHES)), LISTINGS, SEARCHES)
ON_FAILURE = trigger(FALLBACK, ended(LISTINGS, "FAILED", "TIMED_OUT"), LISTINGS)
FILES = trigger(
    pipeline("core_data/landed"),
    all_of(Due(Schedule("0 3 * * *")), Arrived()),
    raw_asset=("core_data", "raw", "landed"),
)
CASE = Watch([X_AFTER_BOTH, ON_FAILURE])


def only(of: PipelineTrigger) -> Watch:
    return Watch([of])
