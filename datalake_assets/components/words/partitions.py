"""The words of `partitions`: the days or hours that a pipeline is made of."""

import re
from datetime import date
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from datalake_assets.components.words.base import TimeZone, Words
from datalake_assets.triggers.calendars import Calendar

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class _Partitions(Words):
    end: date | None = Field(default=None, description="The day after the last one; without it, days go on.")
    time_zone: TimeZone = Field(default="UTC", description="Whose midnight parts the days, for example Europe/Berlin.")

    @field_validator("daily", "hourly", "end", mode="before", check_fields=False)
    @classmethod
    def _is_a_day(cls, value: Any) -> Any:
        if isinstance(value, str) and not _DAY.fullmatch(value):
            raise ValueError('not a day; expected "YYYY-MM-DD"')
        return value

    @property
    def first_day(self) -> date:
        raise NotImplementedError

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end and self.end <= self.first_day:
            raise ValueError(f"end {self.end} is not after the first day {self.first_day}")
        return self


class DailyPartitions(_Partitions):
    """One partition a day."""

    daily: date = Field(description="The first day.")

    @property
    def first_day(self) -> date:
        return self.daily

    def calendar(self) -> Calendar:
        """The same for the trigger logic."""
        return Calendar("day", self.daily, self.end, self.time_zone)


class HourlyPartitions(_Partitions):
    """One partition an hour."""

    hourly: date = Field(description="The day of the first hour.")

    @property
    def first_day(self) -> date:
        return self.hourly

    def calendar(self) -> Calendar:
        """The same for the trigger logic."""
        return Calendar("hour", self.hourly, self.end, self.time_zone)


def _kind(value: Any) -> str:
    return (
        "hourly" if isinstance(value, HourlyPartitions) or (isinstance(value, dict) and "hourly" in value) else "daily"
    )


AnyPartitions = Annotated[
    Annotated[DailyPartitions, Tag("daily")] | Annotated[HourlyPartitions, Tag("hourly")], Discriminator(_kind)
]
