"""Formats and time zones of dates and timestamps: which there are."""

import difflib
import re
from functools import cache

# What both DuckDB's strptime and Spark's datetime patterns can read.
FORMAT_DIRECTIVES = "%Y %y %m %-m %B %b %d %-d %j %A %a %H %-H %I %-I %p %M %-M %S %-S %f %z %%"
# `iso`: what the type takes without a format. `epoch_s`, `epoch_ms`: a number of (milli)seconds since 1970 in UTC.
FORMAT_WORDS = ("iso", "epoch_s", "epoch_ms")
_DIRECTIVE = re.compile(r"%-?.?", re.DOTALL)


def require_known_format(format: str) -> None:
    """Raise `ValueError` if no engine could read a date by it."""
    if format in FORMAT_WORDS:
        return
    found = _DIRECTIVE.findall(format)
    if not found and (near := difflib.get_close_matches(format, FORMAT_WORDS, n=1)):
        raise ValueError(f"format {format!r} is unknown; did you mean {near[0]!r}?")
    if unknown := [directive for directive in found if directive not in FORMAT_DIRECTIVES.split()]:
        raise ValueError(f"format {format!r} holds {', '.join(unknown)}; allowed are {FORMAT_DIRECTIVES}")
    if not {"%Y", "%y"} & set(found):
        raise ValueError(f"format {format!r} reads no year; it needs %Y or %y, or is one of {', '.join(FORMAT_WORDS)}")


def known_time_zone(name: str) -> str:
    """Return the IANA name of a zone if there is one; raise `ValueError` with the nearest otherwise."""
    zones = _zones()
    if name not in zones:
        near = difflib.get_close_matches(name, zones, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"time zone {name!r} is unknown; expected an IANA name such as Europe/Berlin{hint}")
    return name


@cache
def _zones() -> frozenset[str]:
    from zoneinfo import available_timezones

    # Of the names without a city only these mean the same everywhere.
    return frozenset(zone for zone in available_timezones() if "/" in zone or zone in ("UTC", "GMT"))
