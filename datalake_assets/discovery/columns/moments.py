"""Recognise dates and timestamps as people and programs write them, in the words of strptime.

A text can be read in several ways (`05/03/2026`): it then belongs to a family of formats, and a mask says which of them
can read it. Only all values of a column together decide.
"""

import datetime as dt
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

MAX_MOMENT_CHARACTERS = 48
FIRST_COMPACT_YEAR, LAST_COMPACT_YEAR = 1900, 2099  # eight digits in a row may be anything else

_LONG_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
MONTHS = tuple(month[:3] for month in _LONG_MONTHS)
_LONG_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS = tuple(day[:3] for day in _LONG_DAYS)

_SEPARATED = re.compile(r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:([T ]?)(\d{2})(\d{2})(\d{2})?)?(Z?)")
_WORDS = re.compile(r"(?:([A-Za-z]{3,9})(,? +))?(?:(\d{1,2})([ -/]|\. ?)([A-Za-z]{3,9})|([A-Za-z]{3,9}) +(\d{1,2}))")
_YEAR = re.compile(r"(,? +|[-/])(\d{4}|\d{2}(?!\d))")
_CTIME = re.compile(r"([A-Za-z]{3}) ([A-Za-z]{3}) {1,2}(\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\d{4})")
_TIME = re.compile(
    r"(?P<gap>T|, +| +|:|-(?=\d{2}:))(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:(?P<point>[.,])(?P<fraction>\d{1,9}))?)?"
    r"(?P<half> ?[AaPp][Mm])?(?P<zone> ?(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """How one text can be read: bit n of `mask` says that `formats[n]` reads it.

    `is_iso` says that a mapping reads it without a format.
    """

    kind: Literal["date", "timestamp"]
    formats: tuple[str, ...]
    mask: int
    is_iso: bool = False


def moment_of(text: str) -> Moment | None:
    """What date or time a text (without spaces around it) is; None if none."""
    if not 6 <= len(text) <= MAX_MOMENT_CHARACTERS or not text.isascii():
        return None
    if found := _SEPARATED.match(text):
        first, separator, second, third = found.groups()
        return _with_time(text, found.end(), *_orders(first, second, third, separator))
    if text[0].isdigit() and (found := _COMPACT.fullmatch(text)):
        return _compact(found)
    if text[0].isalpha() and (found := _CTIME.fullmatch(text)):
        day, month = found[1].lower(), found[2].lower()
        if day in _DAYS and month in MONTHS:
            gap = "  " if text[7:9] == "  " else " "
            return Moment("timestamp", (f"%a %b{gap}%d %H:%M:%S %Y",), 1)
    if found := _WORDS.match(text):
        return _worded(text, found)
    return None


def _orders(first: str, second: str, third: str, separator: str) -> tuple[tuple[str, ...], int]:
    """The formats that three numbers can have, and which of them these numbers fit."""
    one, two, three = int(first), int(second), int(third)
    s = separator
    if len(first) == 4 and len(third) <= 2:
        return (f"%Y{s}%m{s}%d",), _is_day(one, two, three)  # %m and %d read one digit or two
    if len(first) <= 2 and len(third) == 4:
        return (f"%d{s}%m{s}%Y", f"%m{s}%d{s}%Y"), _is_day(three, two, one) | _is_day(three, one, two) << 1
    if len(first) == len(second) == len(third) == 2 or (s == "/" and len(third) == 2 and len(first) <= 2):
        one, three = _century(one), _century(three)
        mask = _is_day(three, two, int(first)) | _is_day(three, int(first), two) << 1
        mask |= (_is_day(one, two, int(third)) << 2) if len(first) == 2 else 0
        return (f"%d{s}%m{s}%y", f"%m{s}%d{s}%y", f"%y{s}%m{s}%d"), mask
    return (), 0


def _century(year: int) -> int:
    return year + (2000 if year < 69 else 1900)  # as POSIX reads %y


@lru_cache(maxsize=65_536)
def _is_day(year: int, month: int, day: int) -> int:
    if not (1 <= month <= 12 and 1 <= day <= 31 and 1 <= year <= 9999):
        return 0
    try:
        dt.date(year, month, day)
    except ValueError:
        return 0
    return 1


def _with_time(text: str, end: int, formats: tuple[str, ...], mask: int) -> Moment | None:
    if not mask:
        return None
    if end == len(text):
        iso = formats == ("%Y-%m-%d",) and len(text) == 10
        return Moment("date", formats, mask, iso)
    found = _TIME.fullmatch(text, end)
    if found is None or int(found["hour"]) > 23 or int(found["minute"]) > 59 or int(found["second"] or 0) > 59:
        return None
    gap, half, zone = found["gap"], found["half"], found["zone"] or ""
    if half and not 1 <= int(found["hour"]) <= 12:
        return None
    time = f"{gap}{'%I' if half else '%H'}:%M"
    if found["second"]:
        time += ":%S" + (f"{found['point']}%f" if found["fraction"] else "")
    if half:
        time += " %p" if half[0] == " " else "%p"
    if zone:
        space = " " if zone[0] == " " else ""
        time += space + (zone.strip() if zone.strip() in ("UTC", "GMT") else "%z")
    iso = (
        formats == ("%Y-%m-%d",)
        and end == 10
        and gap in ("T", " ")
        and len(found["hour"]) == 2
        and found["point"] != ","
        and not half
        and not zone.startswith(" ")
        and zone not in ("UTC", "GMT")
    )
    return Moment("timestamp", tuple(each + time for each in formats), mask, iso)


def _compact(found: re.Match[str]) -> Moment | None:
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    if not FIRST_COMPACT_YEAR <= year <= LAST_COMPACT_YEAR or not _is_day(year, month, day):
        return None
    zone = "%z" if found[8] else ""
    if found[5] is None:
        return None if zone else Moment("date", ("%Y%m%d",), 1)
    if int(found[5]) > 23 or int(found[6]) > 59 or int(found[7] or 0) > 59:
        return None
    seconds = "%S" if found[7] else ""
    return Moment("timestamp", (f"%Y%m%d{found[4]}%H%M{seconds}{zone}",), 1)


def _worded(text: str, found: re.Match[str]) -> Moment | None:
    """`20 Nov 2026`, `Fri, 20 Nov 2026 10:00:00 +0000`, `November 20, 2026`, `20/Nov/2026:10:00:00 +0100`."""
    weekday, after, day, gap, month, month_first, day_second = found.groups()
    year = _YEAR.match(text, found.end())
    if year is None:
        return None
    name = (month or month_first).lower()
    code = "%b" if name in MONTHS else "%B" if name in _LONG_MONTHS else None
    if code is None:
        return None
    number = (MONTHS if code == "%b" else _LONG_MONTHS).index(name) + 1
    whole_year = int(year[2]) if len(year[2]) == 4 else _century(int(year[2]))
    if not _is_day(whole_year, number, int(day or day_second)):
        return None
    shape = f"%d{gap}{code}" if day else f"{code} %d"
    shape += year[1] + ("%Y" if len(year[2]) == 4 else "%y")
    if weekday:
        if weekday.lower() not in (*_DAYS, *_LONG_DAYS):
            return None
        shape = ("%a" if weekday.lower() in _DAYS else "%A") + after + shape
    return _with_time(text, year.end(), (shape,), 1)
