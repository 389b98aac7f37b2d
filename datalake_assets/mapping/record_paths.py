"""Read fields out of records that are JSON texts, as SQL: what the mapping wants, and what it leaves over.

Paths are those of `paths`. Scalars come out as text in the spelling of the record, nested values as JSON text; what is
missing or null is NULL.

DuckDB's JSON functions read `1.10` as 1.1 and cut a number to the precision of a double. Records that hold a number
whose spelling may suffer are therefore rewritten before they are parsed: `1.10` becomes the text `"<mark>1.10"`, and
the mark is taken away from what comes out.
"""

import json as json_module
from collections.abc import Iterator, Sequence

from datalake_assets.formats.paths import Tree, path_parts, tree_of
from datalake_assets.mapping.columns import REDACTED
from datalake_assets.mapping.sql_text import literal, literals

# Stands before numbers only, and control characters keep it out of ordinary text.
_MARK = "\x7fnumber\x7f"
_SEAM = "chr(1)"  # never raw in a valid JSON text
# Zeros at the end of a fraction, exponents, more digits than a double holds, very small numbers, -0. It may also find
# them within texts: that costs time and changes nothing.
_AT_RISK = r"[:\[,]\s*-?(?:[0-9]*\.[0-9]*0[,\]}\s]|[0-9.]+[eE]|[0-9.]{16}|0\.000)|-0[,\]}\s]"
_NUMBER = r"-?[0-9]+[.eE][0-9.eE+-]*|-?[0-9]{16,}|-0"  # all that _AT_RISK finds, and those with a fraction
_NUMBER_IN_PLACE = rf'(":\s*|[\[,]\s*)({_NUMBER})'
_TEXT_OR_NUMBER = rf'("(?:[^"\\]|\\.)*")|({_NUMBER})'


def protected(json: str) -> str:
    """The SQL expression `json` with its numbers as marked texts where their spelling could suffer."""
    # Numbers are told by what stands before them. The same may stand within a text, which then ends too early and is
    # followed by the mark: no valid JSON. Telling texts apart is thrice as slow, so it is for such records alone.
    quickly = f"regexp_replace({json}, {literal(_NUMBER_IN_PLACE)}, '\\1\"' || {_mark()} || '\\2\"', 'g')"
    marked = f"regexp_replace({json}, {literal(_TEXT_OR_NUMBER)}, '\\1' || {_SEAM} || '\\2' || {_SEAM}, 'g')"
    numbers = f"replace({marked}, {_SEAM} || {_SEAM}, '')"
    as_texts = (
        f"regexp_replace({numbers}, {_SEAM} || '([^' || {_SEAM} || ']*)' || {_SEAM}, '\"' || {_mark()} || '\\1\"', 'g')"
    )
    return (
        f"CASE WHEN NOT regexp_matches({json}, {literal(_AT_RISK)}) THEN {json} "
        f"ELSE coalesce(CASE WHEN json_valid({quickly}) THEN {quickly} END, {as_texts}) END"
    )


def restored(text: str) -> str:
    """A text or JSON text that came out of a protected record, as it was."""
    return (
        f"CASE WHEN NOT contains({text}, {_mark()}) THEN {text} "
        f"WHEN starts_with({text}, {_mark()}) THEN substr({text}, {len(_MARK) + 1}) "
        f"ELSE regexp_replace({text}, '\"' || {_mark()} || '([^\"]*)\"', '\\1', 'g') END"
    )


def texts(json: str, paths: Sequence[str]) -> str:
    """A list of the values at `paths` of the protected record `json`, in their order; it is parsed once."""
    if not paths:
        return "[]::VARCHAR[]"
    found = f"json_extract_string({json}, [{literals([_pointer(_parts(path)) for path in paths])}])"
    return f"list_transform({found}, lambda found: {restored('found')})"


def surplus(json: str, paths: Sequence[str], masked: Sequence[str] = ()) -> str:
    """The members of the protected record `json` that `paths` leave over, as JSON without braces; NULL if none.

    Members that are null count as missing. Of an object of which some fields are mapped, the others are left over.

    Args:
        masked: those of the paths whose values must not be shown. What stands where they need an object may be such a
            value, too, and is left over as `"***"`.
    """
    return restored(_members(json, tree_of([_parts(path) for path in paths]), [_parts(path) for path in masked]))


def top_level(paths: Sequence[str]) -> list[str]:
    """The members of the record that paths lead into."""
    return list(dict.fromkeys(_parts(path)[0] for path in paths))


def partial(paths: Sequence[str]) -> list[tuple[str, ...]]:
    """The objects that paths lead into without taking them as a whole, outer ones first."""

    def within(tree: Tree, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, inner in tree.items():
            if inner is not None:
                yield (*above, name)
                yield from within(inner, (*above, name))

    return list(within(tree_of([_parts(path) for path in paths]), ()))


def members_query(view: str, json: str, rows: str, prefix: Sequence[str], deeper: Sequence[str]) -> str:
    """Which members the object at `prefix` has in the rows of a view: name, count, and uri, row and text of the first.

    Args:
        view: with `file_index`, `uri`, `source_row` and the JSON column `json`.
        rows: the condition for rows that count.
        deeper: members that are left out where they are objects themselves.
    """
    pointer = "'/' || replace(replace(member, '~', '~0'), '/', '~1')"
    safe = protected(json)
    value = f"json_extract({safe}, {literal(_pointer(prefix))})" if prefix else safe
    example = restored(f"json_extract_string(object, {pointer})")
    left_out = ""
    if deeper:
        left_out = f"AND NOT (member IN ({literals(deeper)}) AND json_type(object, {pointer}) = 'OBJECT')"
    return f"""
SELECT member, count(*), arg_min(uri, place), arg_min(source_row, place),
       arg_min(left({example}, 100), place)
FROM (SELECT uri, source_row, (file_index, source_row) AS place, object, unnest(json_keys(object)) AS member
      FROM (SELECT uri, source_row, file_index, {value} AS object FROM {view} WHERE {rows})
      WHERE json_type(object) = 'OBJECT')
WHERE json_type(object, {pointer}) <> 'NULL' {left_out}
GROUP BY member"""


def _parts(path: str) -> tuple[str, ...]:
    """The names that lead to a value; what is no path is the name of a member."""
    try:
        return path_parts(path)
    except ValueError:
        return (path,)


def _mark() -> str:
    return literal(_MARK)


def _pointer(path: Sequence[str]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def _members(json: str, tree: Tree, masked: Sequence[tuple[str, ...]]) -> str:
    patch = json_module.dumps(dict.fromkeys(tree), ensure_ascii=False)
    parts = [_without_nulls(f"json_merge_patch({json}, {literal(patch)})")]
    for name, inner in tree.items():
        if inner is None:
            continue
        value = f"json_extract({json}, {literal(_pointer((name,)))})"
        key = literal(json_module.dumps(name, ensure_ascii=False) + ":")
        whole = f"CAST({value} AS VARCHAR)"
        below = [path[1:] for path in masked if len(path) > 1 and path[0] == name]
        rest = f"'{{' || ({_members(whole, inner, below)}) || '}}'"
        # Instead of an object there may be anything: it is left over as it is, unless it must not be shown.
        other = literal(json_module.dumps(REDACTED)) if below else whole
        parts.append(
            f"{key} || CASE WHEN {value} IS NULL THEN NULL "
            f"ELSE CASE json_type({value}) WHEN 'OBJECT' THEN {rest} WHEN 'NULL' THEN NULL ELSE {other} END END"
        )
    return f"nullif(concat_ws(',', {', '.join(parts)}), '')"


def _without_nulls(value: str) -> str:
    """The members of the JSON object `value` that are not null, without braces; NULL if there is none."""
    # A list of one element names the value, so that it is computed once.
    pointer = "'/' || replace(replace(name, '~', '~0'), '/', '~1')"
    kept = f"list_filter(json_keys(object), lambda name: json_type(object, {pointer}) <> 'NULL')"
    member = f"CAST(to_json(name) AS VARCHAR) || ':' || CAST(json_extract(object, {pointer}) AS VARCHAR)"
    return f"""list_transform([CAST({value} AS VARCHAR)], lambda object: CASE
        WHEN object = '{{}}' THEN NULL
        WHEN NOT contains(object, 'null') THEN substr(object, 2, length(object) - 2)
        ELSE nullif(array_to_string(list_transform({kept}, lambda name: {member}), ','), '') END)[1]"""
