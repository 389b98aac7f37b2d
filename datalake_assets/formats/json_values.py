"""Values of typed formats (Avro, ORC, Parquet) as JSON text that loses nothing.

Numbers keep every digit: a decimal is written with its scale, a 64-bit integer whole, a float as the shortest number
that reads back as the same. What JSON cannot write is a text: dates and times as `2026-01-02 03:04:05.123456`, with
`+00:00` behind an instant; bytes in Base64; NaN and the infinities by their names.
"""

import base64
import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from datalake_assets.formats.batches import text_column

# An array of Arrow, whose stubs know its kinds apart; what is written here holds for all of them.
Column = Any

_MUST_BE_ESCAPED = r'[\x00-\x1f"\\]'


def json_text(value: Any) -> str:
    """One value of Python, nested as it may be, as JSON."""
    # The types are looked up rather than tested one after the other: this runs for every single value.
    write = _WRITERS.get(type(value))
    return write(value) if write is not None else encode_basestring(str(value))


def json_object(record: dict[str, Any]) -> str:
    """An object as JSON text; its names are texts."""
    return "{" + ", ".join([f"{encode_basestring(name)}: {json_text(value)}" for name, value in record.items()]) + "}"


def json_column(values: Column) -> Column:
    """A column of Arrow as JSON texts, one a row; null is the text `null`."""
    return _compute().coalesce(_texts(values), _constant("null"))


def _texts(values: Column) -> Column:
    """As `json_column`, with nulls for nulls."""
    import pyarrow as pa
    from pyarrow import types

    pc = _compute()
    kind = values.type
    if types.is_dictionary(kind):
        return _texts(values.dictionary_decode())
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_null(kind):
        return values.cast(pa.string())
    if types.is_floating(kind):
        texts = values.cast(pa.string())
        if pc.all(pc.is_finite(values)).as_py() is not False:
            return texts
        for name, written in (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")):
            texts = pc.replace_substring_regex(texts, f"^{name}$", f'"{written}"')
        return texts
    if types.is_decimal(kind):
        texts = values.cast(pa.string())
        if not pc.any(pc.match_substring(texts, "E")).as_py():
            return texts
        return text_column([None if one is None else _decimal(one) for one in values.to_pylist()])
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _quoted(values.cast(pa.string()))
    if types.is_timestamp(kind) and kind.tz:
        texts = values.cast(pa.timestamp(kind.unit, "UTC")).cast(pa.string())
        return _wrapped('"', pc.replace_substring_regex(texts, "Z$", "+00:00"), '"')
    if types.is_date(kind) or types.is_timestamp(kind) or types.is_time(kind):
        return _wrapped('"', values.cast(pa.string()), '"')
    if types.is_duration(kind):
        return values.cast(pa.int64()).cast(pa.string())
    if types.is_struct(kind):
        return _struct(values)
    if types.is_map(kind):
        entry = pa.struct([pa.field("key", kind.key_type), pa.field("value", kind.item_type)])
        return _list(values.cast(pa.list_(entry)), _entries, "{", "}")
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _list(values.cast(pa.list_(kind.value_type)), json_column, "[", "]")
    if isinstance(values, pa.ExtensionArray):
        return _texts(values.storage)
    return text_column([None if one is None else json_text(one) for one in values.to_pylist()])


def _compute() -> Any:
    import pyarrow.compute

    return pyarrow.compute


def _constant(text: str | None) -> Any:
    """A scalar of text; `pa.scalar` imports pandas where it is installed, as `pa.array` does."""
    return text_column([text])[0]


def _wrapped(before: str, texts: Column, after: str) -> Column:
    pc = _compute()
    return pc.binary_join_element_wise(_constant(before), texts, _constant(after), _constant(""))


def _quoted(texts: Column) -> Column:

    pc = _compute()
    wrapped = _wrapped('"', texts, '"')
    is_odd = pc.match_substring_regex(texts, _MUST_BE_ESCAPED)
    if not pc.any(is_odd).as_py():
        return wrapped
    odd = texts.filter(is_odd).to_pylist()
    return pc.replace_with_mask(wrapped, is_odd, text_column([encode_basestring(one) for one in odd]))


def _struct(values: Column) -> Column:

    pc = _compute()
    parts: list[Any] = []
    for number, field in enumerate(values.type):
        parts.append(_constant(f"{', ' if number else ''}{encode_basestring(field.name)}: "))
        parts.append(json_column(values.field(number)))
    whole = (
        pc.binary_join_element_wise(_constant("{"), *parts, _constant("}"), _constant(""))
        if parts
        else text_column(["{}"] * len(values))
    )
    return pc.if_else(values.is_valid(), whole, _constant(None))


def _entries(values: Column) -> Column:
    """Keys and values of a map, as members of an object."""
    pc = _compute()
    keys = json_column(values.field(0))
    if not pc.all(pc.starts_with(keys, '"')).as_py():
        keys = _wrapped('"', keys, '"')
    return pc.binary_join_element_wise(keys, _constant(": "), json_column(values.field(1)), _constant(""))


def _list(values: Column, texts_of: Callable[[Column], Column], before: str, after: str) -> Column:
    import pyarrow as pa

    pc = _compute()
    zero = pa.Array.from_buffers(pa.int32(), 1, [None, pa.py_buffer(bytes(4))])
    lengths = pc.coalesce(pc.list_value_length(values), zero[0])
    offsets = pa.concat_arrays([zero, pc.cumulative_sum(lengths)])
    lists = pa.ListArray.from_arrays(offsets, texts_of(values.flatten()))
    whole = _wrapped(before, pc.binary_join(lists, _constant(", ")), after)
    return pc.if_else(values.is_valid(), whole, _constant(None))


def _decimal(value: Decimal) -> str:
    return format(value, "f") if value.is_finite() else f'"{value}"'


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def _array(values: list[Any] | tuple[Any, ...]) -> str:
    return "[" + ", ".join([json_text(value) for value in values]) + "]"


_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "null",
    str: encode_basestring,
    bool: lambda value: "true" if value else "false",
    int: str,
    float: _float,
    Decimal: _decimal,
    dict: json_object,
    list: _array,
    tuple: _array,
    bytes: lambda value: f'"{base64.b64encode(value).decode()}"',
    datetime.datetime: lambda value: f'"{value.isoformat(sep=" ")}"',
    datetime.date: lambda value: f'"{value.isoformat()}"',
    datetime.time: lambda value: f'"{value.isoformat()}"',
}
