"""What a pipeline declares about its runs: when a partition may run, how often, and how many runs at once."""

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from datalake_assets.arrivals.partitions import PartitionKind

DEFAULT_MAX_RUNS_PER_HOUR = 12
DEFAULT_MAX_CONCURRENT_RUNS = 4
MINIMUM_MAX_WAIT_SECONDS = 1800.0
MAX_WAIT_SETTLE_TIMES = 10


@dataclass(frozen=True)
class DailyTime:
    """A time of day on the clocks of a place.

    A time that the clocks skip is as long after midnight as on other days; of a time that comes twice, the first is
    meant.
    """

    time: dt.time
    timezone: str = "UTC"

    def on(self, day: dt.date) -> dt.datetime:
        """The moment in UTC at which the clocks show the time on that day."""
        return dt.datetime.combine(day, self.time, ZoneInfo(self.timezone)).astimezone(dt.UTC)

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """The first such moment after another one."""
        today = moment.astimezone(ZoneInfo(self.timezone)).date()
        days = (today + dt.timedelta(days=n) for n in range(-1, 3))
        return next(found for day in days if (found := self.on(day)) > moment)

    def __str__(self) -> str:
        return f"{self.time:%H:%M} {self.timezone}"


@dataclass(frozen=True)
class RunConditions:
    """The words of `trigger.arrivals` beside `settle` and `marker`.

    Args:
        max_wait_seconds: so long after its first unpublished change a partition runs with what is there. Without it, a
            partition that waits for a marker or files waits for ever, any other one `max_wait_seconds_of(settle)`.
        files: so many objects, or name patterns of which each needs an object.
        at: the first run is not before this time of the day after the partition's, and then with what is there.
        late_after_seconds: a change so long after the end of the day of a published partition is late.
        reruns_late_files: whether late files run their partition again by themselves.
        max_runs_per_hour: of one partition.
        max_concurrent_runs: of the pipeline, as far as arrivals request them.
    """

    max_wait_seconds: float | None = None
    files: int | tuple[str, ...] | None = None
    at: DailyTime | None = None
    late_after_seconds: float | None = None
    reruns_late_files: bool = True
    max_runs_per_hour: int = DEFAULT_MAX_RUNS_PER_HOUR
    max_concurrent_runs: int = DEFAULT_MAX_CONCURRENT_RUNS


@dataclass(frozen=True)
class SourceRules:
    """All that decides about the runs of one source."""

    settle_seconds: float
    partitions: PartitionKind
    max_partitions_per_run: int = 31
    needs_marker: bool = False
    conditions: RunConditions = RunConditions()

    @property
    def max_wait_seconds(self) -> float | None:
        """None when it waits for its files as long as it takes."""
        declared = self.conditions.max_wait_seconds
        if declared is None and not self.needs_marker and self.conditions.files is None:
            return max_wait_seconds_of(self.settle_seconds)
        return declared


def max_wait_seconds_of(settle_seconds: float) -> float:
    """How long a partition that never gets quiet waits, unless its pipeline says so."""
    return max(MINIMUM_MAX_WAIT_SECONDS, MAX_WAIT_SETTLE_TIMES * settle_seconds)
