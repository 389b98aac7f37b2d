"""Nested values as DuckDB SQL: from JSON to arrays, maps and structs, each element cast as strictly as a column.

`json` is always SQL of a *protected* record or value (`record_paths`), so that numbers keep their spelling.
"""

from itertools import count

from datalake_assets.column_types import TargetType
from datalake_assets.mapping.record_paths import protected, restored
from datalake_assets.mapping.sql_text import literal
from datalake_assets.mapping.sql_values import Reading, accepted, cast, reason

VALUE_CHARACTERS = 100


def parsed(text: str) -> str:
    """The text of a JSON value, protected; NULL if it is none."""
    return f"CASE WHEN json_valid({text}) THEN {protected(text)} END"


def nested_value(type: TargetType, json: str) -> str:
    """A JSON value as the nested type; elements that are none of their type are NULL, which `first_failure` tells."""
    return _value(type, json, count())


def first_failure(type: TargetType, json: str, path: str) -> str:
    """`STRUCT(path, reason, value)` of the first element that does not fit, NULL if all do.

    Args:
        path: SQL of the text that leads to the value.
    """
    return _failure(type, json, path, count())


def has_structs(type: TargetType) -> bool:
    """Whether a value of the type may have members that the type does not name."""
    return type.kind == "struct" or any(has_structs(part) for _, part in type.parts)


def has_surplus(type: TargetType, json: str) -> str:
    """Whether any object within the value has a member, other than null, that its struct does not name."""
    return f"coalesce({_surplus(type, json, count())}, false)"


def _surplus(type: TargetType, json: str, numbers: "count[int]") -> str:
    number = next(numbers)
    if type.kind == "array":
        inner = _surplus(type.parts[0][1], f"e{number}", numbers)
        return f"len(list_filter(json_extract({json}, '$[*]'), lambda e{number}: {inner})) > 0"
    if type.kind == "map":
        inner = _surplus(type.parts[1][1], f"e{number}", numbers)
        values = f"list_transform(json_keys({json}), lambda k{number}: json_extract({json}, {pointer(f'k{number}')}))"
        return f"len(list_filter({values}, lambda e{number}: {inner})) > 0"
    known = " AND ".join(f"k{number} <> {literal(name)}" for name, _ in type.parts)
    is_there = f"json_type({json}, {pointer(f'k{number}')}) <> 'NULL'"
    found = [f"len(list_filter(json_keys({json}), lambda k{number}: {known} AND {is_there})) > 0"]
    for name, part in type.parts:
        if has_structs(part):
            inner_name = f"j{next(numbers)}"
            inner = _surplus(part, inner_name, numbers)
            found.append(f"list_transform([{_member(json, name)}], lambda {inner_name}: {inner})[1]")
    return f"({' OR '.join(found)})"


def pointer(name: str) -> str:
    """SQL of the JSON pointer to a member whose name is the SQL expression `name`."""
    return f"'/' || replace(replace({name}, '~', '~0'), '/', '~1')"


def scalar(json: str) -> str:
    """The text of a JSON value: that of a scalar, the JSON of a nested one, NULL of null."""
    return f"list_transform([json_extract_string({json}, '$')], lambda found: {restored('found')})[1]"


def _value(type: TargetType, json: str, numbers: "count[int]") -> str:
    number = next(numbers)
    if type.kind == "array":
        inner = _value(type.parts[0][1], f"e{number}", numbers)
        elements = f"list_transform(json_extract({json}, '$[*]'), lambda e{number}: {inner})"
        return f"CASE WHEN json_type({json}) = 'ARRAY' THEN {elements} END"
    if type.kind == "struct":
        fields = ", ".join(f'"{name}" := {_named(_member(json, name), part, numbers)}' for name, part in type.parts)
        return f"CASE WHEN json_type({json}) = 'OBJECT' THEN struct_pack({fields}) END"
    if type.kind == "map":
        (_, key_type), (_, value_type) = type.parts
        key = _checked(key_type, f"k{number}", numbers)
        value = _named(f"json_extract({json}, {pointer(f'k{number}')})", value_type, numbers)
        entries = f"list_transform(json_keys({json}), lambda k{number}: struct_pack(k := {key}, v := {value}))"
        # Keys that are none of their type or the same after the cast would be an error.
        return f"CASE WHEN json_type({json}) = 'OBJECT' THEN TRY(map_from_entries({entries})) END"
    return _checked(type, scalar(json), numbers)


def _named(json: str, type: TargetType, numbers: "count[int]") -> str:
    """A value within another, under a name of its own so that the SQL does not grow with each level."""
    if not type.is_nested:
        return _value(type, json, numbers)
    name = f"j{next(numbers)}"
    return f"list_transform([{json}], lambda {name}: {_value(type, name, numbers)})[1]"


def _named_failure(json: str, type: TargetType, path: str, numbers: "count[int]") -> str:
    if not type.is_nested:
        return _failure(type, json, path, numbers)
    name = f"j{next(numbers)}"
    return f"list_transform([{json}], lambda {name}: {_failure(type, name, path, numbers)})[1]"


def _checked(type: TargetType, text: str, numbers: "count[int]") -> str:
    """A text as a plain type, NULL where it is none."""
    number = next(numbers)
    value = (
        f"list_transform([{cast(Reading(type), f'x{number}')}], lambda y{number}: {accepted(type, f'y{number}')})[1]"
    )
    return f"list_transform([{text}], lambda x{number}: {value})[1]"


def _failure(type: TargetType, json: str, path: str, numbers: "count[int]") -> str:
    number = next(numbers)
    if not type.is_nested:
        bad = _checked(type, f"t{number}", numbers)
        told = _told(path, reason(Reading(type)), f"t{number}")
        return (
            f"list_transform([{scalar(json)}], lambda t{number}: "
            f"CASE WHEN t{number} IS NOT NULL AND {bad} IS NULL THEN {told} END)[1]"
        )
    if type.kind == "array":
        inner = _failure(
            type.parts[0][1], f"e{number}", f"({path}) || '[' || CAST(i{number} - 1 AS VARCHAR) || ']'", numbers
        )
        found = _first(f"list_transform(json_extract({json}, '$[*]'), lambda e{number}, i{number}: {inner})")
    elif type.kind == "struct":
        members = [
            _named_failure(_member(json, name), part, f"({path}) || {literal('.' + name)}", numbers)
            for name, part in type.parts
        ]
        found = members[0] if len(members) == 1 else f"coalesce({', '.join(members)})"
    else:
        (_, key_type), (_, value_type) = type.parts
        name = f"k{number}"
        inner_path = f"({path}) || '.' || {name}"
        bad_key = f"CASE WHEN {_checked(key_type, name, numbers)} IS NULL THEN "
        bad_key += f"{_told(inner_path, reason(Reading(key_type)), name)} END"
        bad_value = _named_failure(f"json_extract({json}, {pointer(name)})", value_type, inner_path, numbers)
        keys = f"list_transform(json_keys({json}), lambda {name}: {_checked(key_type, name, numbers)})"
        twice = f"CASE WHEN len({keys}) <> len(list_distinct({keys})) THEN "
        twice += f"{_told(path, 'has a key twice', scalar(json))} END"
        each = f"list_transform(json_keys({json}), lambda {name}: coalesce({bad_key}, {bad_value}))"
        found = f"coalesce({_first(each)}, {twice})"
    expected = "ARRAY" if type.kind == "array" else "OBJECT"
    wrong = _told(path, reason(Reading(type)), scalar(json))
    return f"CASE json_type({json}) WHEN {literal(expected)} THEN {found} WHEN 'NULL' THEN NULL ELSE {wrong} END"


def _first(failures: str) -> str:
    return f"list_filter({failures}, lambda failure: failure IS NOT NULL)[1]"


def _told(path: str, why: str, text: str) -> str:
    # A value that is missing altogether is no failure: there is nothing to tell.
    shown = f"replace(left({text}, {VALUE_CHARACTERS}), chr(0), '\\0')"
    failure = f'struct_pack(path := {path}, reason := {literal(why)}, "value" := {shown})'
    return f"CASE WHEN {text} IS NOT NULL THEN {failure} END"


def _member(json: str, name: str) -> str:
    return f"json_extract({json}, {literal('/' + name)})"
