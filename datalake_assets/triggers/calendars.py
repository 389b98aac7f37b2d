"""The partitions of a pipeline as stretches of time."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Every = Literal["day", "hour"]


@dataclass(frozen=True)
class Calendar:
    """Daily or hourly partitions on the clocks of a place, or none.

    Args:
        every: None for a pipeline without partitions.
        start: the first day (daily) or the day of the first hour (hourly).
        end: the day after the last one.
    """

    every: Every | None = None
    start: date = date(1970, 1, 1)
    end: date | None = None
    time_zone: str = "UTC"

    def window(self, partition: str) -> tuple[datetime, datetime]:
        """First moment of a partition and the first one after it, in UTC."""
        raise NotImplementedError

    def overlapping(self, begin: datetime, end: datetime) -> list[str]:
        """The partitions whose windows overlap a stretch of time, in order."""
        raise NotImplementedError
