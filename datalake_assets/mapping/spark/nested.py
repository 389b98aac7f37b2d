"""Nested values in Spark SQL: out of what the reader unfolded, each element cast as strictly as a column.

`script_elements.shaped` says how a value arrives: scalars as texts, around each array, map and struct a pair of `v`
and `w`, the text of what has another shape.
"""

from itertools import count
from typing import Any

from datalake_assets.column_types import TargetType
from datalake_assets.mapping.spark.text import literal
from datalake_assets.mapping.spark.values import accepted, cast
from datalake_assets.mapping.sql_values import Reading, reason


def tree_of_type(type_: TargetType) -> Any:
    """The type as `script_reader.Shape` has it."""
    if not type_.is_nested:
        return None
    if type_.kind == "struct":
        return ("struct", tuple((name, tree_of_type(part)) for name, part in type_.parts))
    return (type_.kind, tree_of_type(type_.parts[-1][1]))


def nested_value(type_: TargetType, shaped: str) -> str:
    """The value of the nested type; only for values without a `first_failure`."""
    return _value(type_, shaped, count())


def first_failure(type_: TargetType, shaped: str, path: str) -> str:
    """STRUCT(column, reason, value) of the first element that does not fit, NULL if all do; `path` is SQL."""
    return _failure(type_, shaped, path, count())


def _value(type_: TargetType, shaped: str, numbers: "count[int]") -> str:
    number = next(numbers)
    if not type_.is_nested:
        return _checked(type_, shaped, numbers)
    if type_.kind == "array":
        return f"transform({shaped}.v, e{number} -> {_value(type_.parts[0][1], f'e{number}', numbers)})"
    if type_.kind == "map":
        (_, key_type), (_, value_type) = type_.parts
        key = _checked(key_type, f"e{number}.k", numbers)
        value = _value(value_type, f"e{number}.v", numbers)
        entries = f"transform({shaped}.v, e{number} -> struct({key} AS k, {value} AS v))"
        return f"CASE WHEN {shaped}.v IS NOT NULL THEN map_from_entries({entries}) END"
    fields = ", ".join(
        f"{literal(name)}, {_value(part, f'{shaped}.v.f{at}', numbers)}" for at, (name, part) in enumerate(type_.parts)
    )
    return f"CASE WHEN {shaped}.v IS NOT NULL THEN named_struct({fields}) END"


def _checked(type_: TargetType, text: str, numbers: "count[int]") -> str:
    """A text as a plain type, NULL where it is none."""
    number = next(numbers)
    value = cast(Reading(type_), f"x{number}")
    value = f"transform(array({value}), y{number} -> {accepted(type_, f'y{number}')})[0]"
    return f"transform(array({text}), x{number} -> {value})[0]"


def _failure(type_: TargetType, shaped: str, path: str, numbers: "count[int]") -> str:
    number = next(numbers)
    if not type_.is_nested:
        value = _checked(type_, shaped, numbers)
        return f"CASE WHEN {shaped} IS NOT NULL AND {value} IS NULL THEN {_told(path, type_, shaped)} END"
    if type_.kind == "array":
        name = f"e{number}"
        inner_path = f"concat({path}, '[', CAST(i{number} AS STRING), ']')"
        inner = _failure(type_.parts[0][1], name, inner_path, numbers)
        found = _first(f"transform({shaped}.v, ({name}, i{number}) -> {inner})", number)
    elif type_.kind == "struct":
        members = [
            _failure(part, f"{shaped}.v.f{at}", f"concat({path}, {literal('.' + name)})", numbers)
            for at, (name, part) in enumerate(type_.parts)
        ]
        found = members[0] if len(members) == 1 else f"coalesce({', '.join(members)})"
    else:
        (_, key_type), (_, value_type) = type_.parts
        name = f"e{number}"
        inner_path = f"concat({path}, '.', {name}.k)"
        key = _checked(key_type, f"{name}.k", numbers)
        bad_key = f"CASE WHEN {key} IS NULL THEN {_told(inner_path, key_type, f'{name}.k')} END"
        inner = f"coalesce({bad_key}, {_failure(value_type, f'{name}.v', inner_path, numbers)})"
        keys = f"transform({shaped}.v, {name} -> {_checked(key_type, f'{name}.k', numbers)})"
        twice = f"named_struct('column', {path}, 'reason', 'has a key twice', 'value', CAST(NULL AS STRING))"
        is_twice = f"size({keys}) <> size(array_distinct({keys}))"
        found = f"coalesce({_first(f'transform({shaped}.v, {name} -> {inner})', number)}, "
        found += f"CASE WHEN {shaped}.v IS NOT NULL AND {is_twice} THEN {twice} END)"
    return f"CASE WHEN {shaped}.w IS NOT NULL THEN {_told(path, type_, f'{shaped}.w')} ELSE {found} END"


def _first(failures: str, number: int) -> str:
    return f"filter({failures}, f{number} -> f{number} IS NOT NULL)[0]"


def _told(path: str, type_: TargetType, text: str) -> str:
    return f"named_struct('column', {path}, 'reason', {literal(reason(Reading(type_)))}, 'value', {text})"
