"""The mapping as DuckDB SQL: pure functions from a spec and a header to expressions.

Raw columns are called c0, c1 … by position, so that no text of a header is ever part of an identifier; header names
appear as string literals only. A compiler for another engine stands beside this module.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from datalake_assets import names
from datalake_assets.column_types import MAX_VARCHAR_BYTES
from datalake_assets.formats.paths import json_keys
from datalake_assets.mapping.columns import REDACTED, raw_paths
from datalake_assets.mapping.masks import masked_paths, salt_secrets
from datalake_assets.mapping.spec import MappingSpec
from datalake_assets.mapping.sql_columns import (
    TOO_LONG,
    Projection,
    Source,
    compile_columns,
    failure,
    null_if,
    nulled_names,
    value_names,
)
from datalake_assets.mapping.sql_nested import parsed
from datalake_assets.mapping.sql_text import literal, literals

__all__ = ["StagingQuery", "compile_staging", "literal", "literals", "record_object"]

NOT_NAMED = "is not named by the mapping, and on_schema_change is discard_row"
NO_ARRAY = "is not an array"
NO_OBJECT = "is not an object"
REDACTED_TEXT = literal(REDACTED)
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class StagingQuery:
    """The SELECT over raw text columns c0 … that the engine stages, and what it is called in there.

    Columns of the result: those of `sql_columns.value_names`, typed; the booleans of `sql_columns.nulled_names`;
    `a0` … the JSON that children or exploded rows are made of; `p0` … for an exploded table, instead of the values,
    the texts of `record_texts`; `rescued` (VARCHAR); `failures` (STRUCT("column" VARCHAR, reason VARCHAR, "value"
    VARCHAR)[], NULL for a good row); `raw` (VARCHAR, NULL for a good row unless there are children or exploded rows,
    which may be bad); `newlines` (BIGINT, within the row's values; 0 unless counted); `file_index`.
    """

    sql: str
    raw_columns: tuple[str, ...]


def record_texts(spec: MappingSpec) -> list[str]:
    """The raw columns and paths that an exploded table reads of the record itself, not of the element."""
    paths = [path for column in spec.mapped for path in raw_paths(column)]
    return list(dict.fromkeys(path for path in paths if not is_of_element(spec, path)))


def is_of_element(spec: MappingSpec, path: str) -> bool:
    """Whether a path starts at the element of the exploded array."""
    return spec.explode is not None and (path == spec.explode.as_ or path.startswith(f"{spec.explode.as_}."))


def array_paths(spec: MappingSpec) -> list[tuple[str, bool]]:
    """The paths of what becomes rows, and whether it is a map: `a0` … in this order."""
    if spec.explode is not None:
        return [(spec.explode.from_, False)]
    return [(child.from_, child.is_of_map) for child in spec.children]


def array_column(text: str, name: str, *, is_map: bool, label: str, is_hidden: bool) -> tuple[str, str, str]:
    """The step that makes an array or map of a text; when it is none, and how that is told.

    Args:
        is_hidden: whether a text in its place may be one that is masked.
    """
    kind, why = ("OBJECT", NO_OBJECT) if is_map else ("ARRAY", NO_ARRAY)
    wrong = f"{text} IS NOT NULL AND ({name} IS NULL OR json_type({name}) NOT IN ('{kind}', 'NULL'))"
    return parsed(text), wrong, failure(label, why, REDACTED_TEXT if is_hidden else text)


def key_text(uris: Sequence[str]) -> Callable[[str], str]:
    """SQL of the value that `name=` has in the key of a row's file, for the files of a batch."""

    def of(name: str) -> str:
        values = [key_value(uri, name) for uri in uris]
        listed = ", ".join("NULL" if value is None else literal(value) for value in values)
        return f"([{listed}]::VARCHAR[])[CAST(file_index AS BIGINT) + 1]"

    return of


def key_value(uri: str, name: str) -> str | None:
    """The value of `name=…` in a URI's folders, percent-decoded; None if there is none or Hive's word for null."""
    folders = uri.split("/")[:-1]
    found = [folder.partition("=")[2] for folder in folders if folder.partition("=")[:2] == (name, "=")]
    return None if not found or found[-1] == HIVE_NULL else unquote(found[-1])


def salt_variable(spec: MappingSpec) -> Callable[[str], str]:
    """SQL of a secret's value, which the engine keeps in a variable: statements and plans do not show it."""
    secrets = salt_secrets(spec)
    return lambda secret: f"getvariable('salt_{secrets.index(secret)}')"


def compile_staging(
    spec: MappingSpec,
    header: Sequence[str],
    source: str,
    *,
    uris: Sequence[str] = (),
    restore: Sequence[tuple[str, str]] = (),
    count_newlines: str | None = None,
    check_nul: bool = False,
    surplus: str | None = None,
    raw: str | None = None,
    broken: str | None = None,
    keep: Sequence[str] = (),
) -> StagingQuery:
    """Compile the spec for files with this header.

    Args:
        header: names of the raw columns in the order of the file, already stripped and checked.
        source: SQL of a table expression with text columns c0 … and `file_index`.
        uris: of the files, by `file_index`.
        restore: pairs (placeholder, text) to replace within every value.
        count_newlines: the character that ends lines, to count it within the values of each row.
        check_nul: put rows with NUL bytes in a text aside; no warehouse can hold them.
        surplus: SQL over the source: further members of `_rescued_data`, as JSON without braces; NULL if none.
        raw: SQL over the source: what the quarantine shows of a row, instead of an object of its raw columns. Not used
            if columns are masked: then it shows an object without their texts.
        broken: SQL over the source: why the record as a whole is bad, its only failure then; NULL if it is not.
        keep: columns of the source to hand on under their names.
    """
    raw_columns = tuple(f"c{number}" for number in range(len(header)))
    position = {name: number for number, name in reversed(list(enumerate(header)))}
    texts = [f"{null_if(c, spec.source.null_values)} AS n{c[1:]}" for c in raw_columns]

    def text(path: str) -> str:
        # A column that the file does not have is NULL; whether that is allowed was decided with the header.
        return f"n{position[path]}" if path in position else "NULL::VARCHAR"

    hidden = masked_paths(spec)
    if spec.explode is None:
        texts_from = Source(text, key_text(uris), salt_variable(spec), hidden=hidden, check_nul=check_nul)
        projection = compile_columns(spec.columns, texts_from)
        values = [*value_names(spec.columns), *(name for _, name in nulled_names(spec.columns))]
    else:
        projection = Projection()
        values = [f"{text(path)} AS p{number}" for number, path in enumerate(record_texts(spec))]
    arrays = array_paths(spec)
    for number, (path, is_map) in enumerate(arrays):
        name = f"a{number}"
        step, wrong, told = array_column(text(path), name, is_map=is_map, label=literal(path), is_hidden=path in hidden)
        projection.add(0, step, name)
        projection.failures.append((wrong, told))
        values.append(name)
    if projection.surplus:
        further = ", ".join([*([] if surplus is None else [surplus]), *projection.surplus])
        projection.add_last(_rescued(spec, header, f"nullif(concat_ws(',', {further}), '')"), "rescued")
    else:
        projection.add(0, _rescued(spec, header, surplus), "rescued")
    if spec.on_schema_change == "discard_row":
        not_named = failure(literal(names.RESCUED_COLUMN), NOT_NAMED, "rescued")
        projection.failures.append(("rescued IS NOT NULL", not_named))
    elif spec.on_schema_change in ("rescue", "freeze"):
        too_long = failure(literal(names.RESCUED_COLUMN), TOO_LONG, "rescued")
        projection.failures.append((f"strlen(rescued) > {MAX_VARCHAR_BYTES}", too_long))

    bad, failures = projection.is_bad(), projection.listed()
    shown = raw or record_object(header)
    if hidden:
        # What is left over of a record is not masked, and must not be lost with the row.
        shown = record_object(header, hidden=hidden)
        if surplus is not None:
            shown = f"left({shown}, length({shown}) - 1) || coalesce(',' || ({surplus}), '') || '}}'"
    if broken is not None:
        bad = f"({broken}) IS NOT NULL OR {bad}"
        failures = f"CASE WHEN ({broken}) IS NOT NULL THEN [{_broken_failure(broken)}] ELSE {failures} END"
        if hidden:
            shown = f"CASE WHEN ({broken}) IS NOT NULL THEN {literal(REDACTED)} ELSE {shown} END"
    newlines = "0"
    if count_newlines is not None:
        end = f"chr({ord(count_newlines)})"
        newlines = " + ".join(f"coalesce(length({c}) - length(replace({c}, {end}, '')), 0)" for c in raw_columns)
    if restore:
        restored = ", ".join(f"{_restore(c, restore)} AS {c}" for c in raw_columns)
        source = f"(SELECT {restored}, file_index FROM {source})"
    prepared = f"(SELECT {', '.join(['*', *texts, 'file_index'])} FROM {source})"
    return StagingQuery(
        raw_columns=raw_columns,
        sql=f"""
SELECT {", ".join([*values, "rescued"])},
       CASE WHEN bad THEN {failures} END AS failures,
       {shown if arrays else f"CASE WHEN bad THEN {shown} END"} AS raw,
       {newlines} AS newlines, {"".join(f"{name}, " for name in keep)}file_index
FROM (SELECT *, {bad} AS bad
FROM {projection.over(prepared)})""",
    )


def _restore(column: str, restore: Sequence[tuple[str, str]]) -> str:
    expression = column
    for placeholder, text in restore:
        expression = f"replace({expression}, {literal(placeholder)}, {literal(text) if text != chr(13) else 'chr(13)'})"
    return expression


def _broken_failure(why: str) -> str:
    return f'struct_pack("column" := NULL::VARCHAR, reason := {why}, "value" := NULL::VARCHAR)'


def record_object(header: Sequence[str], *, hidden: Sequence[str] = ()) -> str:
    """The raw columns c0 … of a row as the text of a JSON object.

    Args:
        hidden: names whose texts are masked.
    """
    members = []
    for number, (name, key) in enumerate(zip(header, json_keys(header), strict=True)):
        text = f"c{number}"
        if name in hidden:
            text = f"CASE WHEN {text} IS NOT NULL THEN {literal(REDACTED)} END"
        members.append(f"{literal(key)}, {text}")
    return f"CAST(json_object({', '.join(members)}) AS VARCHAR)"


def _rescued(spec: MappingSpec, header: Sequence[str], further: str | None) -> str:
    """A JSON object of the raw columns that are not mapped and not null; NULL when there is none."""
    named = {path for column in spec.columns for path in raw_paths(column)} | {path for path, _ in array_paths(spec)}
    keys = json_keys(header)
    surplus = [number for number, name in enumerate(header) if name not in named]
    if not surplus:
        return "NULL::VARCHAR" if further is None else f"'{{' || ({further}) || '}}'"
    # concat_ws leaves out the members that are NULL.
    members = ", ".join(
        [
            *(
                f"{literal(json.dumps(keys[number], ensure_ascii=False) + ':')} || CAST(to_json(n{number}) AS VARCHAR)"
                for number in surplus
            ),
            *([] if further is None else [further]),
        ]
    )
    any_value = ", ".join([*(f"n{number}" for number in surplus), *([] if further is None else [further])])
    return f"CASE WHEN coalesce({any_value}) IS NOT NULL THEN '{{' || concat_ws(',', {members}) || '}}' END"
