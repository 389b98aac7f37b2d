"""Times of day and schedules, on the clocks of a place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TimeOfDay:
    """A time on the clocks of a place."""

    hour: int
    minute: int = 0
    time_zone: str = "UTC"


@dataclass(frozen=True)
class Schedule:
    """Ticks of a cron expression of five fields on the clocks of a place."""

    cron: str
    time_zone: str = "UTC"
