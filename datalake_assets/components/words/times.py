"""Times of day as people write them in YAML: "06:00", or with the time zone whose clocks are meant."""

import datetime as dt
import re
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator

from datalake_assets.arrivals.conditions import DailyTime
from datalake_assets.components.words.base import TimeZone, Words
from datalake_assets.triggers import schedules

_TIME = re.compile(r"(\d{1,2}):(\d{2})")


class TimeOfDay(Words):
    """A time on the clocks of a time zone."""

    time: str = Field(description='"06:00", on a clock of 24 hours.')
    timezone: TimeZone = Field(
        default="UTC", description="A name of the IANA list, for example Europe/Berlin; that of the partitions without."
    )

    @field_validator("time", mode="before")
    @classmethod
    def _is_a_time(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            # YAML 1.1 takes an unquoted 16:30 for a number of base 60.
            meant = f"{value // 60:02}:{value % 60:02}" if 0 <= value < 1440 else "06:00"
            raise ValueError(f'a time stands in quotes, for example "{meant}"')
        found = _TIME.fullmatch(value) if isinstance(value, str) else None
        if found is None or int(found[1]) > 23 or int(found[2]) > 59:
            raise ValueError('not a time of day; expected "00:00" to "23:59"')
        return value

    def clock(self) -> dt.time:
        """What the clocks show."""
        hour, minute = self.time.split(":")
        return dt.time(int(hour), int(minute))

    def daily_time(self, time_zone: str = "UTC") -> DailyTime:
        """The same as a value of arrivals; `time_zone` is that of the partitions and counts where none is written."""
        return DailyTime(self.clock(), self._zone(time_zone))

    def time_of_day(self, time_zone: str) -> schedules.TimeOfDay:
        """The same as a value of triggers, with the same rule."""
        return schedules.TimeOfDay(self.clock().hour, self.clock().minute, self._zone(time_zone))

    def _zone(self, otherwise: str) -> str:
        return self.timezone if "timezone" in self.model_fields_set else otherwise

    def is_before(self, other: "TimeOfDay") -> bool:
        """Whether it comes earlier on one day than another time does, in summer as in winter."""
        return all(self._on(day) < other._on(day) for day in (dt.date(2026, 1, 15), dt.date(2026, 7, 15)))

    def _on(self, day: dt.date) -> dt.datetime:
        return dt.datetime.combine(day, self.clock(), ZoneInfo(self.timezone))


def _as_time(value: Any) -> Any:
    return value if isinstance(value, dict | TimeOfDay) else {"time": value}


Time = Annotated[TimeOfDay, BeforeValidator(_as_time, json_schema_input_type=str | TimeOfDay)]
