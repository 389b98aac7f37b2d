"""Texts as typed values in Spark SQL: for each type exactly what `sql.cast` and `sql.accepted` take in DuckDB.

Spark's own casts are more generous in some places and stricter in others, so each value is taken apart by a regular
expression first and put together in the one spelling that Spark reads like DuckDB. The expressions hold with ANSI
mode on or off, and on engines whose regular expressions know neither look-around nor possessive repetition.
"""

import re

from datalake_assets.column_types import TargetType
from datalake_assets.mapping.columns import NUMBERS
from datalake_assets.mapping.spark.formats import compile_format
from datalake_assets.mapping.spark.text import literal, part, spaced, with_parts
from datalake_assets.mapping.sql_values import TRUTHS, Reading

_DATE = spaced("([0-9]{4}-[0-9]{2}-[0-9]{2})")
# Day, hour and minute, seconds with what follows them, Z or an offset, its sign and digits.
_TIMESTAMP = spaced(
    "([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    "(Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?"
)
_EPOCH = spaced(r"([+-]?)([0-9]{1,15})(?:\.([0-9]{0,12}))?")


def cast(reading: Reading, text: str) -> str:
    """The Spark SQL expression `text` as the type, NULL where it is no such value; `accepted` has the last word."""
    kind = reading.type.kind
    if kind in NUMBERS:
        return _number(reading, text)
    if kind == "boolean":
        return f"CASE lower(trim({text})) {TRUTHS} END"
    if kind == "varchar":
        return f"CASE WHEN octet_length({text}) <= {reading.type.max_bytes} THEN {text} END"
    ways = [_by_format(reading, each, text) for each in reading.formats or ("iso",)]
    moment = ways[0] if len(ways) == 1 else f"coalesce({', '.join(ways)})"
    # Said once more at the end: the embedded Spark makes a time with a zone of branches that have none.
    return moment if kind == "date" else f"CAST({moment} AS TIMESTAMP_NTZ)"


def accepted(type_: TargetType, value: str) -> str:
    """`value` of the type if the lake takes it, else NULL."""
    if type_.kind in ("real", "double"):
        return f"CASE WHEN abs({value}) < double('Infinity') THEN {value} END"
    if type_.kind in ("date", "timestamp"):
        return f"CASE WHEN year({value}) BETWEEN 1 AND 9999 THEN {value} END"
    return value


def _number(reading: Reading, text: str) -> str:
    point = re.escape(reading.decimal)
    digits = "[0-9]+"
    if reading.thousands is not None:
        digits = f"(?:[0-9]+|[0-9]{{1,3}}(?:{re.escape(reading.thousands)}[0-9]{{3}})+)"
    if reading.type.kind in ("smallint", "int", "bigint"):
        pattern = spaced(f"([+-]?{digits})(?:{point}0*)?")
    else:
        pattern = spaced(f"([+-]?(?:{digits}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?)")
    plain = part(text, pattern, 1)
    if reading.thousands is not None:
        plain = f"replace({plain}, {literal(reading.thousands)}, '')"
    if reading.decimal != ".":
        plain = f"replace({plain}, {literal(reading.decimal)}, '.')"
    return f"try_cast({plain} AS {reading.type.spark})"


def _by_format(reading: Reading, format_: str, text: str) -> str:
    is_date = reading.type.kind == "date"
    if format_ == "iso":
        return f"try_cast({part(text, _DATE, 1)} AS DATE)" if is_date else _timestamp(text, reading.time_zone)
    if format_ in ("epoch_s", "epoch_ms"):
        moment = _epoch(text, places=6 if format_ == "epoch_s" else 3)
    else:
        moment = compile_format(format_, text)
        if reading.time_zone and "%z" not in format_.replace("%%", ""):
            moment = _from_zone(moment, reading.time_zone)
    return f"CAST({moment} AS DATE)" if is_date else moment


def _timestamp(text: str, zone: str | None) -> str:
    def moment(parts: list[str]) -> str:
        day, hour, minute, second, fraction, utc, sign, hours, minutes = parts
        clock = f"lpad({minute}, 2, '0'), ':', lpad({second}, 2, '0'), '.', rpad(left({fraction}, 6), 6, '0')"
        usual = f"try_cast(concat({day}, ' ', lpad({hour}, 2, '0'), ':', {clock}) AS TIMESTAMP_NTZ)"
        # An hour of 24 is the end of the day, and nothing but that.
        is_midnight = f"concat({clock}) = '00:00.000000'"
        next_day = f"timestampadd(MINUTE, 1440, try_cast({day} AS TIMESTAMP_NTZ))"
        local = f"CASE WHEN {hour} <> '24' THEN {usual} WHEN {is_midnight} THEN {next_day} END"
        offset = f"(CAST({hours} AS INT) * 60 + CAST(concat('0', {minutes}) AS INT))"
        shifted = f"timestampadd(MINUTE, CASE {sign} WHEN '-' THEN {offset} ELSE -{offset} END, {local})"
        unzoned = f"WHEN {utc} = '' THEN {_from_zone(local, zone)} " if zone else ""
        return f"CASE WHEN {sign} <> '' THEN {shifted} {unzoned}ELSE {local} END"

    return with_parts(text, _TIMESTAMP, 9, moment)


def _from_zone(local: str, zone: str) -> str:
    """A local time in UTC: the earlier of two when the clocks are set back, NULL when they skip it."""
    # The session's zone is UTC, so that a time with a zone and one without are the same.
    utc = f"to_utc_timestamp(here, {literal(zone)})"
    there = f"CASE WHEN from_utc_timestamp({utc}, {literal(zone)}) = here THEN CAST({utc} AS TIMESTAMP_NTZ) END"
    return f"transform(array(CAST({local} AS TIMESTAMP)), here -> {there})[0]"


def _epoch(text: str, *, places: int) -> str:
    """Seconds or milliseconds since 1970; digits beyond microseconds are cut."""

    def moment(parts: list[str]) -> str:
        sign, whole, fraction = parts
        digits = f"concat({sign}, {whole}, rpad(left({fraction}, {places}), {places}, '0'))"
        microseconds = f"CAST({digits} AS DECIMAL(38,0))"
        return (
            f"CASE WHEN abs({microseconds}) < 377705116800000000 "
            f"THEN CAST(timestamp_micros(CAST({microseconds} AS BIGINT)) AS TIMESTAMP_NTZ) END"
        )

    return with_parts(text, _EPOCH, 3, moment)
