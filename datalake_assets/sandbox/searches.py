"""Searches for flats, as apps and a web site might report them: JSON lines, four files a day, delivered at least once.

People search most on Sundays and in the evening. Everything is decided by the seed and the day, so the same day is the
same bytes anywhere. What is wrong with an event is drawn for each event by itself.
"""

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from datalake_assets.sandbox.listings import CITIES, FIRST_DAY
from datalake_assets.sandbox.samples import Sample

SEARCHES_PER_DAY = 2_000
FILES_PER_DAY = 4
# Monday first: what a day has of an ordinary one.
WEEK = (1.06, 1.0, 0.97, 0.94, 0.8, 0.88, 1.35)
HOURS = (2, 1, 1, 1, 1, 2, 4, 6, 7, 7, 7, 7, 8, 7, 6, 6, 7, 9, 11, 13, 14, 12, 8, 4)
# Where people want to live is not where the listings are.
_WANTED = {
    "Berlin": 0.34,
    "Hamburg": 0.14,
    "München": 0.22,
    "Köln": 0.1,
    "Leipzig": 0.08,
    "Dresden": 0.04,
    "Stuttgart": 0.05,
    "Frankfurt am Main": 0.03,
}
_DEVICES = ("web", "web", "ios", "android", "android")
_USERS = tuple(f"user{number:04d}" for number in range(900))


@dataclass(frozen=True)
class Mess:
    """How often an event, or a day, has which fault, from 0 to 1."""

    number_as_text: float = 0.05
    """`filters.max_price` as a text that holds the number: still readable."""
    wrong_type: float = 0.01
    """`results` in words: cannot be cast."""
    missing: float = 0.05
    """No `filters`, or no city: a search of the whole country."""
    missing_id: float = 0.002
    """An event that nothing identifies."""
    repeated: float = 0.03
    """Delivered twice, at times in another file."""
    broken_line: float = 0.002
    """A line cut off in the middle."""
    wrong_clock: float = 0.002
    """A device that believes it is 1970."""
    late_day: float = 0.5
    """A day with devices that were offline; their events are in a file that comes when all others are there."""
    late: float = 0.02
    """An event of such a day that comes late."""
    new_field_from: date | None = FIRST_DAY + timedelta(2)
    """From this day on events have a field `app_version` that nobody announced."""

    @classmethod
    def none(cls) -> "Mess":
        return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, new_field_from=None)


def searches(
    days: Sequence[date], *, seed: int = 7, mess: Mess | None = None, per_day: int = SEARCHES_PER_DAY
) -> Iterator[Sample]:
    """Four gzip files of JSON lines a day, without what comes late; `rows` counts lines."""
    for day in days:
        files, _ = _split(day, seed, Mess() if mess is None else mess, per_day)
        for number, lines in enumerate(files):
            yield _file(f"searches/dt={day}/events-{number * 24 // FILES_PER_DAY:02d}.json.gz", lines)


def late_searches(
    days: Sequence[date], *, seed: int = 7, mess: Mess | None = None, per_day: int = SEARCHES_PER_DAY
) -> Iterator[Sample]:
    """The file of late events of each of these days that has one."""
    for day in days:
        _, late = _split(day, seed, Mess() if mess is None else mess, per_day)
        if late:
            yield _file(f"searches/dt={day}/events-late.json.gz", late)


def expected_searches(day: date, per_day: int = SEARCHES_PER_DAY) -> int:
    """How many searches the day of the week makes likely."""
    return round(per_day * WEEK[day.weekday()])


def _file(key: str, lines: list[str]) -> Sample:
    body = gzip.compress("".join(f"{line}\n" for line in lines).encode(), compresslevel=6, mtime=0)
    return Sample(key, body, len(lines))


def _split(day: date, seed: int, mess: Mess, per_day: int) -> tuple[list[list[str]], list[str]]:
    """The lines of each of a day's files, and those that come late."""
    draw = random.Random(f"{seed}:searches:{day}")
    has_late = draw.random() < mess.late_day
    count = round(expected_searches(day, per_day) * draw.uniform(0.96, 1.04))
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    hours = draw.choices(range(24), HOURS, k=count)
    moments = sorted(midnight + timedelta(hours=hour, seconds=draw.randrange(3600)) for hour in hours)
    files: list[list[str]] = [[] for _ in range(FILES_PER_DAY)]
    late: list[str] = []
    for number, at in enumerate(moments):
        event = _event(draw, day, number, at, mess)
        text = json.dumps(event, ensure_ascii=False)
        if draw.random() < mess.broken_line:
            text = text[: draw.randrange(20, len(text) - 10)]
        file = at.hour * FILES_PER_DAY // 24
        target = late if has_late and draw.random() < mess.late else files[file]
        target.append(text)
        if draw.random() < mess.repeated:
            files[min(file + draw.randrange(2), FILES_PER_DAY - 1)].append(text)
    return files, late


def _event(draw: random.Random, day: date, number: int, at: datetime, mess: Mess) -> dict[str, Any]:
    city = draw.choices(list(_WANTED), list(_WANTED.values()))[0]
    _, _, rent = CITIES[city]
    max_price = round(rent * draw.uniform(30, 90), -1)
    if draw.random() < mess.wrong_clock:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(86_400))
    event: dict[str, Any] = {
        "search_id": f"{day:%y%m%d}-{number:06d}-{draw.getrandbits(32):08x}",
        "at": at.isoformat().replace("+00:00", "Z"),
        "user": {"id": (user := draw.choice(_USERS)), "email": f"{user}@example.com"},
        "city": city,
        "filters": {
            "max_price": f"{max_price:.0f}" if draw.random() < mess.number_as_text else int(max_price),
            "min_rooms": draw.choice((1, 1.5, 2, 2.5, 3, 4)),
        },
        "results": "viele" if draw.random() < mess.wrong_type else draw.randrange(120),
        "device": draw.choice(_DEVICES),
    }
    if draw.random() < mess.missing:
        del event[draw.choice(("city", "filters"))]
    if draw.random() < mess.missing_id:
        del event["search_id"]
    if mess.new_field_from and day >= mess.new_field_from:
        event["app_version"] = draw.choice(("8.1", "8.2", {"web": "2026.1"}))
    return event
