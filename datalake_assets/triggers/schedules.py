"""Times of day and schedules, on the clocks of a place.

Twice a year clocks change. A time that they skip is the end of the gap, a time that they show twice counts once, the
second time it comes. A schedule of every hour follows real hours: the hour that is shown twice has two ticks, the
skipped one none. These are Dagster's rules for schedules; its own functions find the ticks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from datalake_assets.triggers.calendars import midnight

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class TimeOfDay:
    """A time on the clocks of a place."""

    hour: int
    minute: int = 0
    time_zone: str = "UTC"

    def on(self, day: date) -> datetime:
        """The moment in UTC at which the place's clocks show the time on a day."""
        daily = Schedule(f"{self.minute} {self.hour} * * *", self.time_zone)
        return daily.first_from(midnight(self.time_zone, day.toordinal()))

    def __str__(self) -> str:
        return f"{self.hour:02}:{self.minute:02} {self.time_zone}"


@dataclass(frozen=True)
class Schedule:
    """Ticks of a cron expression of five fields on the clocks of a place."""

    cron: str
    time_zone: str = "UTC"

    def first_from(self, moment: datetime) -> datetime:
        """The first tick that is not before a moment, in UTC."""
        return _first_from(self.cron, self.time_zone, moment)

    def last_until(self, moment: datetime) -> datetime:
        """The last tick that is not after a moment, in UTC."""
        day = _day_of(moment)
        today = [tick for tick in _ticks_of_day(self.cron, self.time_zone, day) if tick <= moment]
        return today[-1] if today else _last_until(self.cron, self.time_zone, day)

    def ticks_between(self, since: datetime, until: datetime) -> Iterator[datetime]:
        """The ticks after `since` and not after `until`, in UTC."""
        day = _day_of(since)
        while day <= until:
            ticks = _ticks_of_day(self.cron, self.time_zone, day)
            yield from (tick for tick in ticks if since < tick <= until)
            day += _DAY
            if not ticks:  # it may rest for months: go on where it ticks next
                day = _day_of(_first_from(self.cron, self.time_zone, day))

    def __str__(self) -> str:
        minute, hour, day, month, weekday = self.cron.split()
        if not minute.isdigit() or day != "*" or month != "*" or not (hour == "*" or hour.replace(",", "").isdigit()):
            return f"{self.cron} {self.time_zone}"
        hours = [f"{int(each):02}:{int(minute):02}" for each in hour.split(",") if each != "*"]
        times = " and ".join(hours) if hours else f"every hour at :{int(minute):02}"
        return f"{'' if weekday == '*' else _weekdays(weekday) + ' '}{times} {self.time_zone}"


def _weekdays(field: str) -> str:
    """`Mon, Tue` for `1,2`; names and ranges stay as they are."""
    names = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return ", ".join(names[int(each)] if each in set("01234567") else each.title() for each in field.split(","))


def cron_refusal(cron: str) -> str | None:
    """Why a text is no cron expression that ever ticks, or None if it is one."""
    from dagster._utils.schedules import cron_string_iterator, has_out_of_range_cron_interval, is_valid_cron_string

    try:
        if len(cron.split()) != 5 or not is_valid_cron_string(cron):
            return "it needs five fields, minute, hour, day of month, month and day of week, and a date that exists"
        if has_out_of_range_cron_interval(cron):
            return "one of its steps is longer than its field"
        if re.search(r"\b(\w+)-\1\b", cron):  # read as "every" by the parser
            return "one of its ranges ends where it begins"
        next(cron_string_iterator(0.0, cron, "UTC"))
    except ValueError:
        return "it never ticks"
    return None


def _day_of(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, moment.day, tzinfo=UTC)


# A sensor asks every second about the same hours: each day's ticks are found once.
@lru_cache(maxsize=4096)
def _ticks_of_day(cron: str, time_zone: str, day: datetime) -> tuple[datetime, ...]:
    return tuple(_walk(cron, time_zone, day, day + _DAY))


def _walk(cron: str, time_zone: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    from dagster._utils.schedules import cron_string_iterator

    for tick in cron_string_iterator(begin.timestamp(), _for_dagster(cron), time_zone):
        if (at := tick.astimezone(UTC)) >= end:
            return
        yield at


@lru_cache(maxsize=16_384)
def _first_from(cron: str, time_zone: str, moment: datetime) -> datetime:
    from dagster._utils.schedules import cron_string_iterator

    return next(cron_string_iterator(moment.timestamp(), _for_dagster(cron), time_zone)).astimezone(UTC)


@lru_cache(maxsize=4096)
def _last_until(cron: str, time_zone: str, moment: datetime) -> datetime:
    from dagster._utils.schedules import reverse_cron_string_iterator

    return next(reverse_cron_string_iterator(moment.timestamp(), _for_dagster(cron), time_zone)).astimezone(UTC)


def _for_dagster(cron: str) -> str:
    """Dagster looks for leap days from the day before on, so from the leap day itself it finds the one after."""
    return cron.replace(" 29 2 *", " 29 FEB *")
