"""Durations as people write them in YAML: `30s`, `5m`, `2h`, `1d`, or a plain number of seconds."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
# Times that are reckoned with it must stay within what a calendar can show.
_MOST_DAYS = 3660


def seconds(value: Any) -> float:
    """Read a duration; raise ValueError with the accepted spellings otherwise."""
    found = None
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        found = value
    elif isinstance(value, str) and (match := _TEXT.fullmatch(value.strip())):
        found = float(match[1]) * _UNITS[match[2]]
    if found is None:
        raise ValueError("not a duration; expected a number with s, m, h or d, for example 30s or 5m")
    if found > _MOST_DAYS * _UNITS["d"]:
        raise ValueError(f"longer than ten years; expected at most {_MOST_DAYS}d")
    return float(found)


Seconds = Annotated[float, BeforeValidator(seconds, json_schema_input_type=float | str)]
