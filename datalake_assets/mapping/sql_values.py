"""One value as DuckDB SQL: from its text to its type, and why it did not become one.

Regular expressions stand in front of the casts because try_cast is more generous than a data contract can be: it
rounds 12.7 to an integer, reads 1e3, 0x1F and 1_000, and drops the offset of a timestamp.
"""

import re
from dataclasses import dataclass

from datalake_assets.column_types import MAX_DECIMAL_DIGITS, TargetType
from datalake_assets.mapping.columns import NUMBERS, Column
from datalake_assets.mapping.sql_text import literal

INTEGER_PATTERN = r"\s*[+-]?[0-9]+(\.0*)?\s*"
NUMBER_PATTERN = r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*"
DATE_PATTERN = r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\s*"
TIMESTAMP_PATTERN = r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?Z?)?\s*"
OFFSET_PATTERN = (
    r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?[+-][0-9]{2}(:?[0-9]{2})?\s*"
)
_SPACES = " \t\n\f\r"  # what \\s is in a pattern
UTC_PATTERN = r"\s*.*[Zz]\s*"
# Seconds or milliseconds since 1970: twelve digits of seconds are beyond the year 9999.
EPOCH_PATTERN = r"\s*[+-]?[0-9]{1,15}(\.[0-9]{0,12})?\s*"
TRUE_TEXTS = ("true", "t", "yes", "y", "1")
FALSE_TEXTS = ("false", "f", "no", "n", "0")
# The branches of a CASE over a text without spaces, in small letters.
TRUTHS = " ".join(
    f"WHEN {literal(word)} THEN {truth}"
    for truth, texts in (("true", TRUE_TEXTS), ("false", FALSE_TEXTS))
    for word in texts
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the texts of a column become its type; the defaults are those of an element of a nested value."""

    type: TargetType
    formats: tuple[str, ...] = ()
    time_zone: str | None = None
    decimal: str = "."
    thousands: str | None = None

    @classmethod
    def of(cls, column: Column) -> "Reading":
        """The reading of a raw column, of text if its conflicts keep it as text."""
        if column.value_type != column.type:
            return cls(column.value_type)
        return cls(column.type, column.formats, column.time_zone, column.decimal, column.thousands)


def cast(reading: Reading, text: str) -> str:
    """The SQL expression `text` as the type, NULL where it is no such value; `accepted` has the last word."""
    kind = reading.type.kind
    if kind in NUMBERS:
        return _number(reading, text)
    if kind == "boolean":
        # Most files have the same two words: the others need not be compared.
        return (
            f"CASE {text} WHEN 'true' THEN true WHEN 'false' THEN false ELSE CASE lower(trim({text})) {TRUTHS} END END"
        )
    if kind == "varchar":
        return f"CASE WHEN strlen({text}) <= {reading.type.max_bytes} THEN {text} END"
    return _moment(reading, text)


def accepted(type: TargetType, value: str) -> str:
    """`value` of the type if the lake takes it, else NULL; a step of its own so that each cast runs once."""
    if type.kind in ("real", "double"):
        return f"CASE WHEN isfinite({value}) THEN {value} END"  # an overflow casts to infinity
    if type.kind in ("date", "timestamp"):
        # What every reader of the lake can hold; rules out infinity and years before Christ.
        last = "9999-12-31" if type.kind == "date" else "9999-12-31 23:59:59.999999"
        first = f"{type.duckdb} '0001-01-01'"
        return f"CASE WHEN {value} BETWEEN {first} AND {type.duckdb} '{last}' THEN {value} END"
    return value


def reason(reading: Reading) -> str:
    """Why a value that is not null did not become the type, as the end of a sentence."""
    if reading.type.kind == "varchar":
        return f"is longer than {reading.type.max_bytes} bytes"
    shape = f" of the format {' or '.join(reading.formats)}" if reading.formats else ""
    zone = f" in {reading.time_zone}" if reading.time_zone else ""
    return f"is not a valid {reading.type}{shape}{zone}"


def _cast_if(text: str, pattern: str, duckdb_type: str) -> str:
    return f"CASE {_canonical(text, duckdb_type)}{_matching(text, pattern, duckdb_type)} END"


def _canonical(text: str, duckdb_type: str) -> str:
    """The usual case of a CASE: what is spelled as DuckDB spells the value needs no look at its shape, which is slower.

    To spell a double takes longer still. All that the cast reads beyond `NUMBER_PATTERN` is a `_` between digits, a
    minus behind a plus, vertical tabs around it, and the words for infinity and NaN, which `accepted` refuses.
    """
    if duckdb_type in ("FLOAT", "DOUBLE"):
        odd = " OR ".join(f"contains({text}, {each})" for each in ("'_'", "'+-'", "chr(11)"))
        return f"WHEN NOT ({odd}) THEN try_cast({text} AS {duckdb_type}) "
    value = f"try_cast({text} AS {duckdb_type})"
    return f"WHEN CAST({value} AS VARCHAR) = {text} THEN {value} "


def _matching(text: str, pattern: str, duckdb_type: str) -> str:
    return f"WHEN regexp_full_match({text}, {literal(pattern)}) THEN {_number_cast(text, duckdb_type)}"


def _number_cast(text: str, duckdb_type: str) -> str:
    """The cast of a text that has the right shape.

    DuckDB holds the digits before a negative exponent within the width of the decimal, where 123456e-3 has no room in
    DECIMAL(6,2); so what it refuses is read with all digits that there are.
    """
    value = f"try_cast({text} AS {duckdb_type})"
    if not duckdb_type.startswith("DECIMAL("):
        return value
    scale = duckdb_type.removesuffix(")").rpartition(",")[2]
    wide = f"try_cast(try_cast({text} AS DECIMAL({MAX_DECIMAL_DIGITS},{scale})) AS {duckdb_type})"
    return f"coalesce({value}, CASE WHEN contains(lower({text}), 'e-') THEN {wide} END)"


def _number(reading: Reading, text: str) -> str:
    is_whole = reading.type.kind in ("smallint", "int", "bigint")
    if reading.decimal == "." and reading.thousands is None:
        return _cast_if(text, INTEGER_PATTERN if is_whole else NUMBER_PATTERN, reading.type.duckdb)
    point = re.escape(reading.decimal)
    digits = "[0-9]+"
    plain = text
    if reading.thousands is not None:
        # All groups but the first have three digits: 1.5 is no 15.
        digits = f"(?:[0-9]+|[0-9]{{1,3}}(?:{re.escape(reading.thousands)}[0-9]{{3}})+)"
        plain = f"replace({plain}, {literal(reading.thousands)}, '')"
    if reading.decimal != ".":
        plain = f"replace({plain}, {literal(reading.decimal)}, '.')"
    pattern = (
        rf"\s*[+-]?{digits}(?:{point}0*)?\s*"
        if is_whole
        else rf"\s*[+-]?(?:{digits}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?\s*"
    )
    return (
        f"CASE WHEN regexp_full_match({text}, {literal(pattern)}) THEN {_number_cast(plain, reading.type.duckdb)} END"
    )


def _moment(reading: Reading, text: str) -> str:
    """A date or timestamp; times with an offset become UTC (the session's time zone is UTC)."""
    ways = [_by_format(reading, each, text) for each in reading.formats or ("iso",)]
    return ways[0] if len(ways) == 1 else f"coalesce({', '.join(ways)})"


def _by_format(reading: Reading, format: str, text: str) -> str:
    duckdb_type = reading.type.duckdb
    if format == "iso" and reading.type.kind == "date":
        return _cast_if(text, DATE_PATTERN, duckdb_type)
    if format == "iso":
        # A date with a space behind it is no timestamp to DuckDB, with one before it is.
        local = f"try_cast(rtrim({text}, {literal(_SPACES)}) AS TIMESTAMP)"
        in_utc = ""
        if reading.time_zone:
            in_utc = f"AND regexp_full_match({text}, {literal(UTC_PATTERN)}) THEN {local} "
            in_utc += f"WHEN regexp_full_match({text}, {literal(TIMESTAMP_PATTERN)}) "
            local = from_zone(local, reading.time_zone)
        return (
            f"CASE {'' if reading.time_zone else _canonical(text, duckdb_type)}"
            f"WHEN regexp_full_match({text}, {literal(TIMESTAMP_PATTERN)}) {in_utc}THEN {local} "
            f"WHEN regexp_full_match({text}, {literal(OFFSET_PATTERN)}) "
            f"THEN timezone('UTC', try_cast({text} AS TIMESTAMPTZ)) END"
        )
    if format in ("epoch_s", "epoch_ms"):
        microseconds = 1_000_000 if format == "epoch_s" else 1_000
        # Digits beyond microseconds are cut, as they are in a written time.
        whole = f"trunc(try_cast({text} AS DECIMAL(38,12)) * {microseconds})"
        moment = f"make_timestamp(try_cast({whole} AS BIGINT))"
        limited = f"CASE WHEN abs({whole}) < 377705116800000000 THEN {moment} END"
        return (
            f"CASE WHEN regexp_full_match({text}, {literal(EPOCH_PATTERN)}) THEN CAST({limited} AS {duckdb_type}) END"
        )
    if "%z" in format.replace("%%", ""):
        # strptime reads +00:00 but not the Z that means the same.
        zoned = rf"regexp_replace({text}, '[Zz](\s*)$', '+00:00\1')"
        return f"CAST(timezone('UTC', {_strptime(text, zoned, format)}) AS {duckdb_type})"
    read = _strptime(text, text, format)
    return f"CAST({from_zone(read, reading.time_zone) if reading.time_zone else read} AS {duckdb_type})"


def _strptime(text: str, read: str, format: str) -> str:
    # Every format has a year; `epoch` and `infinity` have none and would be the first of January 1900.
    return f"CASE WHEN regexp_matches({text}, '[0-9]') THEN try_strptime({read}, {literal(format)}) END"


def from_zone(local: str, zone: str) -> str:
    """A local time in UTC: the earlier of two when the clocks are set back, NULL when they skip it.

    DuckDB takes the later of two, and moves what is skipped. So its answer is turned back into local time to see
    whether there is such a time, and the offset of the day before tells the earlier one.
    """
    name = literal(zone)

    def shown(utc: str) -> str:
        return f"timezone({name}, timezone('UTC', {utc}))"

    late = f"timezone('UTC', timezone({name}, moment))"
    day_before = f"({late} - INTERVAL 1 DAY)"
    early = f"(moment - ({shown(day_before)} - {day_before}))"
    # A list of one element names the value, so that it is computed once.
    return (
        f"list_transform([{local}], lambda moment: CASE WHEN {shown(late)} <> moment THEN NULL "
        f"WHEN {shown(early)} = moment THEN least({early}, {late}) ELSE {late} END)[1]"
    )
