"""Constants of a declaration: the text that a raw column would hold, checked against the type."""

import math
import re
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from datalake_assets.column_types import TargetType

_WHOLE_BITS = {"smallint": 15, "int": 31, "bigint": 63}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?")


def constant_text(value: str | bool | int | float, type: TargetType) -> str:
    """The text of a constant.

    Raises:
        ValueError: it is none of the type.
    """
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if type.is_nested:
        raise ValueError(f"a constant is no {type}; nested values come from raw columns")
    if not _is_of(text, type):
        raise ValueError(f"the constant {value!r} is no {type}")
    return text


def _is_of(text: str, type: TargetType) -> bool:
    if type.kind == "varchar":
        return len(text.encode()) <= type.max_bytes and "\0" not in text
    if type.kind == "boolean":
        return text.lower() in ("true", "false")
    if type.kind in ("date", "timestamp"):
        return _is_moment(text, type.kind)
    try:
        number = Decimal(text)
    except InvalidOperation:
        return False
    if not number.is_finite() or "_" in text:
        return False
    if type.kind in _WHOLE_BITS:
        limit = 2 ** _WHOLE_BITS[type.kind]
        return number == number.to_integral_value() and "e" not in text.lower() and -limit <= number < limit
    if type.kind == "decimal":
        assert type.precision is not None
        assert type.scale is not None
        rounded = (number.scaleb(type.scale)).quantize(Decimal(1), rounding=ROUND_HALF_UP) if number else Decimal(0)
        beyond: int = 10**type.precision
        return abs(rounded) < beyond
    return math.isfinite(float(number)) and (type.kind == "double" or abs(float(number)) <= 3.4028235e38)


def _is_moment(text: str, kind: str) -> bool:
    if not (_DATE if kind == "date" else _TIMESTAMP).fullmatch(text):
        return False
    try:
        if kind == "date":
            date.fromisoformat(text)
        else:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
