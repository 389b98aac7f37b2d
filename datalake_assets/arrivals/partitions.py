"""Which partition keys a pipeline has: what is one, which comes next, which can run already."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Protocol

from datalake_assets.errors import InvalidName
from datalake_assets.names import UNPARTITIONED, partition_key

# Times that follow a day, by ten years at the most, must still be times; a calendar ends with the year 9999.
_LAST_DAY = dt.date(9899, 12, 31)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class PartitionKind(Protocol):
    """The partitions of one pipeline."""

    def refusal(self, text: str, /) -> str | None:
        """Why `text` is none of its partition keys, or None if it is one."""
        ...

    def successor(self, partition: str, /) -> str | None:
        """The key after `partition` when a range may hold both, else None."""
        ...

    def is_open(self, partition: str, now: dt.datetime, /) -> bool:
        """Whether Dagster knows the partition at `now`: a day exists once it is over."""
        ...


@dataclass(frozen=True)
class Daily:
    """One partition a day, named by its ISO date, from `start` on.

    `end` is the day after the last one, None for days without end. `end_offset` is that of Dagster's
    `DailyPartitionsDefinition`: with 0 a day exists once it is over, with 1 from its first moment on.
    """

    start: dt.date = dt.date(1970, 1, 1)
    end: dt.date | None = None
    end_offset: int = 0
    timezone: str = "UTC"

    def refusal(self, text: str, /) -> str | None:
        if not _ISO_DATE.fullmatch(text) or not text.isascii():
            return f"{text!r} is not a date like 2013-01-31"
        try:
            day = dt.date.fromisoformat(text)
        except ValueError:
            return f"{text!r} is no day of the calendar"
        if day < self.start:
            return f"{text} is before the pipeline's first partition, {self.start}"
        if day > _LAST_DAY:
            return f"{text} is after the last day that a partition can have, {_LAST_DAY}"
        if self.end is not None and day >= self.end:
            return f"{text} is after the pipeline's last partition, which is before {self.end}"
        return None

    def successor(self, partition: str, /) -> str | None:
        try:
            return (dt.date.fromisoformat(partition) + dt.timedelta(days=1)).isoformat()
        except OverflowError:
            return None

    def is_open(self, partition: str, now: dt.datetime, /) -> bool:
        from zoneinfo import ZoneInfo

        today = now.astimezone(ZoneInfo(self.timezone)).date()
        return dt.date.fromisoformat(partition) < today + dt.timedelta(days=self.end_offset)


@dataclass(frozen=True)
class Unpartitioned:
    """A table without partitions: everything is `UNPARTITIONED`."""

    def refusal(self, text: str, /) -> str | None:
        return None if text == UNPARTITIONED else f"{text!r} is a partition of a table that has none"

    def successor(self, _partition: str, /) -> str | None:
        return None

    def is_open(self, _partition: str, _now: dt.datetime, /) -> bool:
        return True


@dataclass(frozen=True)
class AnyKey:
    """Whatever can be a partition key; keys have no order, so each gets its own run."""

    def refusal(self, text: str, /) -> str | None:
        try:
            return None if partition_key(text) else "it is empty"
        except InvalidName as error:
            return error.found

    def successor(self, _partition: str, /) -> str | None:
        return None

    def is_open(self, _partition: str, _now: dt.datetime, /) -> bool:
        return True
