"""Texts as typed values in Spark SQL: for each type exactly what `sql.cast` and `sql.accepted` take in DuckDB.

Spark's own casts are more generous in some places and stricter in others, so each value is taken apart by a regular
expression first and put together in the one spelling that Spark reads like DuckDB. The expressions hold with ANSI
mode on or off, and on engines whose regular expressions know neither look-around nor possessive repetition.
"""

from datalake_assets.column_types import TargetType
from datalake_assets.errors import Unsupported
from datalake_assets.mapping.columns import Column
from datalake_assets.mapping.spark_formats import compile_format
from datalake_assets.mapping.spark_text import literal, part, spaced
from datalake_assets.mapping.sql import FALSE_TEXTS, TRUE_TEXTS

_INTEGER = spaced(r"([+-]?[0-9]+)(?:\.0*)?")
_NUMBER = spaced(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_DATE = spaced("([0-9]{4}-[0-9]{2}-[0-9]{2})")
# Day, hour and minute, seconds with what follows them, sign and digits of the offset.
_TIMESTAMP = spaced(
    "([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    "(?:Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)?)?"
)


def cast(type_: TargetType, text: str, format_: str | None = None) -> str:
    """The Spark SQL expression `text` as a value of the type, NULL where it is none; `accepted` has the last word."""
    kind = type_.kind
    if kind in ("smallint", "int", "bigint"):
        return f"try_cast({part(text, _INTEGER, 1)} AS {type_.spark})"
    if kind in ("decimal", "real", "double"):
        return f"try_cast({part(text, _NUMBER, 1)} AS {type_.spark})"
    if kind == "boolean":
        words = " ".join(
            f"WHEN {literal(word)} THEN {truth}"
            for truth, texts in (("true", TRUE_TEXTS), ("false", FALSE_TEXTS))
            for word in texts
        )
        return f"CASE lower(trim({text})) {words} END"
    if kind == "varchar":
        return f"CASE WHEN octet_length({text}) <= {type_.max_bytes} THEN {text} END"
    if format_ is not None:
        moment = compile_format(format_, text)
        return moment if kind == "timestamp" else f"CAST({moment} AS DATE)"
    if kind == "date":
        return f"try_cast({part(text, _DATE, 1)} AS DATE)"
    return _timestamp(text)


def accepted(type_: TargetType, value: str) -> str:
    """`value` of the type if the lake takes it, else NULL."""
    if type_.kind in ("real", "double"):
        return f"CASE WHEN abs({value}) < double('Infinity') THEN {value} END"
    if type_.kind in ("date", "timestamp"):
        return f"CASE WHEN year({value}) BETWEEN 1 AND 9999 THEN {value} END"
    return value


def _timestamp(text: str) -> str:
    day, hour, minute, second, fraction, sign, hours, minutes = (part(text, _TIMESTAMP, group) for group in range(1, 9))
    clock = (
        f"concat(' ', CASE {hour} WHEN '' THEN '00' WHEN '24' THEN '00' ELSE {hour} END, "
        f"':', lpad({minute}, 2, '0'), ':', lpad({second}, 2, '0'), '.', rpad(left({fraction}, 6), 6, '0'))"
    )
    local = f"try_cast(concat({day}, {clock}) AS TIMESTAMP_NTZ)"
    offset = f"(CAST({hours} AS INT) * 60 + CAST(concat('0', {minutes}) AS INT))"
    # An hour of 24 is the end of the day, and nothing but that.
    midnight = f"{local} = try_cast(concat({day}, ' 00:00:00') AS TIMESTAMP_NTZ)"
    shift = f"CASE {sign} WHEN '-' THEN {offset} WHEN '+' THEN -{offset} ELSE 0 END"
    return (
        f"CASE WHEN NOT {text} RLIKE {literal(_TIMESTAMP)} THEN NULL "
        f"WHEN {hour} = '24' AND NOT {midnight} THEN NULL "
        f"WHEN {hour} = '24' THEN timestampadd(MINUTE, 1440 + {shift}, {local}) "
        f"WHEN {sign} = '' THEN {local} ELSE timestampadd(MINUTE, {shift}, {local}) END"
    )


def cast_text(type_: TargetType, text: str) -> str:
    """A text as a plain value of the type, without any words about its spelling."""
    return cast(type_, text)


def cast_column(column: Column, text: str) -> str:
    """A text as the column says it is written."""
    if column.on_conflict == "text":
        return cast(column.value_type, text)
    if len(column.formats) > 1 or column.time_zone or column.thousands or column.decimal != ".":
        raise Unsupported(f"Spark does not run the words of column {column.to!r} yet")
    return cast(column.type, text, column.formats[0] if column.formats else None)
