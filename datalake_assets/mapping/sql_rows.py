"""Rows out of arrays as DuckDB SQL: an exploded table, and the tables of children.

Both read the staged records (`batch`), unnest one array of each and run the columns over the texts of its elements.
Their results carry `file_index`, `uri` and `source_row` of the record, so that a bad element sets its record aside.
"""

from collections.abc import Callable, Sequence

from datalake_assets.formats.paths import joined, path_parts
from datalake_assets.mapping.children import KEY_PATH, VALUE_PATH, Level
from datalake_assets.mapping.columns import Column, DroppedColumn, MappedColumn, raw_paths
from datalake_assets.mapping.masks import child_has_masks, has_masks, overlapping
from datalake_assets.mapping.record_paths import surplus, texts
from datalake_assets.mapping.spec import MappingSpec, output_columns
from datalake_assets.mapping.sql import (
    NO_OBJECT,
    NOT_NAMED,
    REDACTED_TEXT,
    array_column,
    is_of_element,
    key_text,
    record_texts,
    salt_variable,
)
from datalake_assets.mapping.sql_columns import Source, compile_columns, failure, null_if, nulled_names, value_names
from datalake_assets.mapping.sql_nested import pointer, scalar
from datalake_assets.mapping.sql_text import literal, literals

_PLACE = "file_index, uri, source_row"


def exploded_rows(spec: MappingSpec, uris: Sequence[str]) -> str:
    """The rows of an exploded table, out of the good records of `numbered`.

    Columns of the result: those of `sql_columns.value_names` and `nulled_names`; `position` (from 0); `rescued`;
    `failures` (NULL for a good row); `left_over`, the members of the element that no column names, as JSON without
    braces, and its `element_place` (`items[3]`); the place of the record.
    """
    assert spec.explode is not None
    explode = spec.explode
    outside = record_texts(spec)
    wanted = {path: _below(path) for path in _wanted(spec.columns) if is_of_element(spec, path)}
    record = {path: f"p{number}" for number, path in enumerate(outside)}
    empty = "[NULL]::JSON[]" if explode.keep_empty else "[]::JSON[]"
    has_some = "json_type(a0) = 'ARRAY' AND json_array_length(a0) > 0"
    elements = f"CASE WHEN {has_some} THEN json_extract(a0, '$[*]') ELSE {empty} END"
    source = f"""(SELECT *, unnest(elements) AS element, generate_subscripts(elements, 1) - 1 AS position
FROM (SELECT * EXCLUDE (failures), {elements} AS elements FROM numbered WHERE failures IS NULL))"""
    place = f"{literal(explode.from_ + '[')} || position || ']'"

    def label(target: str) -> str:
        column = next(column for column in spec.mapped if column.to == target.partition(".")[0])
        of_element = any(is_of_element(spec, path) for path in raw_paths(column))
        return f"{place} || {literal('.' + target)}" if of_element else literal(target)

    return _rows(spec, spec.columns, source, uris, wanted, record, place, label, keep=["position", "rescued"])


def child_rows(spec: MappingSpec, level: Level, parent_table: str, uris: Sequence[str]) -> str:
    """The rows of a child table, out of those of its parent's.

    Columns of the result: `key0` … as `level.key` names them; `position`; the values; `a0` … for its own children;
    `failures` (NULL for a good row); `left_over` and `element_place`; the place of the record.
    """
    child = level.child
    siblings = level.parents[-1].children if level.parents else spec.children
    array = f"a{siblings.index(child)}"
    parent_columns = level.parents[-1].columns if level.parents else spec.columns
    value_of = dict(zip((c.name for c in output_columns(parent_columns)), value_names(parent_columns), strict=True))
    inherited = len(level.key) - len(child.key) - 1
    keys = [f"key{number}" for number in range(inherited)] + (["position"] if level.parents else [])
    keys += [value_of[name] for name in child.key]
    named = ", ".join(f"{key} AS key{number}" for number, key in enumerate(keys))
    wanted = {path: _of_child(path) for path in _wanted(child.columns)}
    wanted |= {each.from_: each.from_ for each in child.children}
    if child.is_of_map:
        listed = f"json_keys({array}) AS names"
        each = (
            f"unnest(names) AS name, unnest(list_transform(names, lambda name: json_extract(whole, {pointer('name')})))"
        )
        expected = "OBJECT"
    else:
        listed = f"json_extract({array}, '$[*]') AS names"
        each = "NULL::VARCHAR AS name, unnest(names)"
        expected = "ARRAY"
    source = f"""(SELECT {_PLACE}, {"".join(f"key{number}, " for number in range(len(keys)))}{each} AS element,
generate_subscripts(names, 1) - 1 AS position
FROM (SELECT {_PLACE}, {f"{named}, " if named else ""}{listed}, {array} AS whole
FROM {parent_table} WHERE json_type({array}) = '{expected}'))"""
    place = _place(level)

    def label(target: str) -> str:
        return f"{place} || {literal('.' + target)}"

    keep = [*(f"key{number}" for number in range(len(keys))), "position"]
    return _rows(spec, child.columns, source, uris, wanted, {}, place, label, keep=keep, level=level)


def _rows(
    spec: MappingSpec,
    columns: Sequence[MappedColumn | DroppedColumn],
    source: str,
    uris: Sequence[str],
    wanted: dict[str, str | None],
    record: dict[str, str],
    place: str,
    label: Callable[[str], str],
    *,
    keep: Sequence[str],
    level: Level | None = None,
) -> str:
    """Run columns over the elements of a source.

    Args:
        wanted: path in the declaration → path within the element; None is the element itself.
        record: path in the declaration → name of the record's text in the source.
        place: SQL of what reasons call the element.
    """
    inner = {path: within for path, within in wanted.items() if within not in (None, KEY_PATH)}
    numbered = {path: f"e{number}" for number, path in enumerate(inner)}
    paths = [within for within in inner.values() if within is not None]
    dropped = [column.from_ for column in columns if isinstance(column, DroppedColumn)]
    if spec.explode is not None:
        dropped = [within for path in dropped if is_of_element(spec, path) and (within := _below(path))]
    named = [*paths, *dropped]
    own = [column.from_ for column in columns if isinstance(column, Column) and column.mask]
    own += [each.from_ for each in (level.child.children if level is not None else ()) if child_has_masks(each)]
    masked = overlapping([*inner, *record], own)
    masked_within = [within for path in masked if (within := inner.get(path))]
    # Nothing is left over of an element that is mapped as a whole.
    left = "NULL::VARCHAR"
    if None not in wanted.values():
        left = f"CASE WHEN {_may_have_surplus(named)} THEN {surplus('element', named, masked_within)} END"
    found = f"(SELECT *, {texts('element', paths)} AS found FROM {source})"
    nulls = spec.source.null_values
    taken = [f"{null_if(f'found[{number}]', nulls)} AS e{number - 1}" for number in range(1, len(paths) + 1)]
    if None in wanted.values():
        taken.append(f"{null_if(scalar('element'), nulls)} AS value_text")
    taken.append(f"{left} AS unnamed")
    taken.append(f"{place} AS element_place")
    taken.append(f"{null_if('name', nulls) if level is not None else 'NULL::VARCHAR'} AS key_value")
    texts_of = f"(SELECT *, {', '.join(taken)} FROM {found})"

    def text(path: str) -> str:
        if path in record:
            return record[path]
        within = wanted[path]
        return "value_text" if within is None else "key_value" if within == KEY_PATH else numbered[path]

    hidden = has_masks(columns) or (level is not None and child_has_masks(level.child))
    texts_from = Source(text, key_text(uris), salt_variable(spec), label, hidden=masked, check_nul=True)
    projection = compile_columns(columns, texts_from)
    if inner:
        wrong = "json_type(element) NOT IN ('OBJECT', 'NULL')"
        projection.failures.append((wrong, failure(place, NO_OBJECT, REDACTED_TEXT if hidden else scalar("element"))))
    projection.add_last(f"nullif(concat_ws(',', {', '.join(['unnamed', *projection.surplus])}), '')", "left_over")
    if spec.on_schema_change == "discard_row":
        projection.failures.append(("left_over IS NOT NULL", failure("element_place", NOT_NAMED, "left_over")))
    values = [*value_names(columns), *(name for _, name in nulled_names(columns))]
    for number, child in enumerate(level.child.children if level is not None else ()):
        at = f"{place} || {literal('.' + child.from_)}"
        name = f"a{number}"
        step, wrong, told = array_column(
            text(child.from_), name, is_map=child.is_of_map, label=at, is_hidden=child_has_masks(child)
        )
        values.append(projection.add(0, step, name))
        projection.failures.append((wrong, told))
    return f"""
SELECT {", ".join([*keep, *values])}, {_PLACE}, left_over, element_place,
       CASE WHEN bad THEN {projection.listed()} END AS failures
FROM (SELECT *, {projection.is_bad()} AS bad FROM {projection.over(texts_of)})"""


def _may_have_surplus(named: Sequence[str]) -> str:
    """Whether it is worth to look for members of an element that no path names."""
    parts = [path_parts(path) for path in named]
    is_object = "json_type(element) = 'OBJECT'"
    if any(len(each) > 1 for each in parts):
        return is_object
    return f"{is_object} AND NOT list_has_all([{literals([name for (name,) in parts])}]::VARCHAR[], json_keys(element))"


def _wanted(columns: Sequence[MappedColumn | DroppedColumn]) -> list[str]:
    return [path for column in columns if not isinstance(column, DroppedColumn) for path in raw_paths(column)]


def _below(path: str) -> str | None:
    """The path within the element of a path that starts with the element's alias."""
    inner = path_parts(path)[1:]
    return joined(inner) if inner else None


def _of_child(path: str) -> str | None:
    return None if path == VALUE_PATH else path


def _place(level: Level) -> str:
    """SQL of what reasons call an element: `comments[3].replies[0]`."""
    parts = []
    at = 0
    for parent in level.parents:
        at += len(parent.key)
        parts.append(f"{literal(parent.from_ + '[')} || key{at} || ']'")
        at += 1
    parts.append(f"{literal(level.child.from_ + '[')} || position || ']'")
    return " || '.' || ".join(parts)
