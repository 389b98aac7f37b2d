"""The partitions of a pipeline as stretches of time.

A daily partition is a day on the clocks of a place, from midnight to midnight, so it has 23 or 25 hours twice a year.
An hourly partition is an hour of real time: the hour that clocks show twice is two partitions, the one they skip none.
Keys are those of Dagster's `DailyPartitionsDefinition` and `HourlyPartitionsDefinition`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from datalake_assets.errors import InvalidName
from datalake_assets.names import UNPARTITIONED

Every = Literal["day", "hour"]

HOUR = timedelta(hours=1)
_HOUR_KEY_CHARACTERS = len("2026-10-25-02:00")
_LEAST_MOMENT = timedelta(microseconds=1)


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
        """First moment of a partition and the first one after it, in UTC.

        Raises:
            InvalidName: it is none of this calendar's keys.
        """
        index = self._index(partition)
        if not self._first <= index < self._after_last:
            limit = f"from {self.start}" + (f" to before {self.end}" if self.end else "")
            raise InvalidName(f"partition {partition!r} is outside of its pipeline's partitions", expected=limit)
        return self._begin(index), self._begin(index + 1)

    def stretch(self, partition: str, *, last: int = 1, offset: int = 0) -> tuple[datetime, datetime]:
        """The window of a partition, moved by `offset` partitions, then `last` long with the same end.

        Counted in partitions, not in hours: seven days have another length when clocks change. It may lie before the
        first partition.
        """
        index = self._index(partition) + offset
        return self._begin(index - last + 1), self._begin(index + 1)

    def reaching(self, begin: datetime, end: datetime, *, last: int = 1, offset: int = 0) -> list[str]:
        """The partitions whose `stretch` overlaps a stretch of time, in order: the inverse of `stretch`."""
        if self.every is None:
            return [UNPARTITIONED]
        found = self._indices(begin, end)
        if not found:
            return []
        return self._keys(range(found.start - offset, found.stop - offset + last - 1))

    def overlapping(self, begin: datetime, end: datetime) -> list[str]:
        """The partitions whose windows overlap a stretch of time, in order."""
        return self.reaching(begin, end)

    def ended_between(self, since: datetime, until: datetime) -> list[str]:
        """The partitions that were over after `since` and not after `until`, in order."""
        if self.every is None:
            return []
        return self._keys(range(self._index_at(since), self._index_at(until)))

    def newest_over(self, moment: datetime) -> str | None:
        """The last partition that is over at a moment."""
        if self.every is None:
            return None
        index = min(self._index_at(moment), self._after_last) - 1
        return self._key(index) if index >= self._first else None

    def has(self, partition: str) -> bool:
        """Whether a text is one of this calendar's keys."""
        if self.every is None:
            return partition == UNPARTITIONED
        try:
            self.window(partition)
        except InvalidName:
            return False
        return True

    def end_day(self, partition: str) -> date:
        """The day that shows on the place's clocks when a partition is over."""
        return self.window(partition)[1].astimezone(ZoneInfo(self.time_zone)).date()

    @property
    def begin(self) -> datetime:
        """The first moment of the first partition."""
        return self._begin(self._first)

    @property
    def first_end(self) -> datetime:
        """When the first partition is over."""
        return self._begin(self._first + 1)

    @property
    def _first(self) -> int:
        return self.start.toordinal() if self.every == "day" else 0

    @property
    def _after_last(self) -> int:
        end = self.end or date.max - timedelta(days=2)
        if self.every == "day":
            return end.toordinal()
        return -((midnight(self.time_zone, self.start.toordinal()) - midnight(self.time_zone, end.toordinal())) // HOUR)

    def _keys(self, indices: range) -> list[str]:
        within = range(max(indices.start, self._first), min(indices.stop, self._after_last))
        if self.every == "hour":
            return [self._key(index) for index in within]
        # A place that moved over the date line has skipped a whole day.
        return [self._key(index) for index in within if self._begin(index) < self._begin(index + 1)]

    def _indices(self, begin: datetime, end: datetime) -> range:
        """Of all partitions, also before the first, that overlap a stretch of time."""
        if begin >= end:
            return range(0)
        return range(self._index_at(begin), self._index_at(end - _LEAST_MOMENT) + 1)

    def _index_at(self, moment: datetime) -> int:
        if self.every == "hour":
            return (moment - midnight(self.time_zone, self.start.toordinal())) // HOUR
        index = moment.astimezone(ZoneInfo(self.time_zone)).toordinal()
        # Clocks that go back over midnight show yesterday's date in a day that has begun.
        while self._begin(index + 1) <= moment:
            index += 1
        return index

    def _begin(self, index: int) -> datetime:
        if self.every == "day":
            return midnight(self.time_zone, index)
        return midnight(self.time_zone, self.start.toordinal()) + index * HOUR

    def _key(self, index: int) -> str:
        if self.every == "day":
            return date.fromordinal(index).isoformat()
        local = self._begin(index).astimezone(ZoneInfo(self.time_zone))
        key = local.isoformat("-", "minutes")[:_HOUR_KEY_CHARACTERS]
        return key + local.strftime("%z") if local.fold else key

    def _index(self, partition: str) -> int:
        try:
            if self.every == "day":
                index = date.fromisoformat(partition).toordinal()
                if self._key(index) == partition:
                    return index
            if self.every == "hour":
                shown = f"{partition[:10]}T{partition[11:_HOUR_KEY_CHARACTERS]}"
                fold = int(len(partition) > _HOUR_KEY_CHARACTERS)
                local = datetime.fromisoformat(shown).replace(tzinfo=ZoneInfo(self.time_zone), fold=fold)
                index = self._index_at(local.astimezone(UTC))
                if self._key(index) == partition:
                    return index
        except ValueError:
            pass
        expected = {"day": "a date like 2026-01-31", "hour": "an hour like 2026-01-31-13:00", None: "no partition"}
        raise InvalidName(f"{partition!r} is no partition", expected=expected[self.every])


@lru_cache(maxsize=16_384)
def midnight(time_zone: str, day: int) -> datetime:
    """The first moment of a day, in UTC: the first of two midnights, the end of the gap where midnight is skipped."""
    return datetime.combine(date.fromordinal(day), time(), ZoneInfo(time_zone)).astimezone(UTC)


def instant(seconds: float) -> datetime:
    """Seconds of the epoch as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def days_between(begin: datetime, end: datetime, *, margin: int = 1) -> Iterator[date]:
    """Each day of UTC from `margin` days before a stretch of time to `margin` days after it."""
    first, last = begin.toordinal() - margin, end.toordinal() + margin
    return (date.fromordinal(day) for day in range(first, last + 1))
