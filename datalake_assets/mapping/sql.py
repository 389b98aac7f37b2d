"""The mapping as DuckDB SQL: pure functions from a spec and a header to expressions.

Raw columns are called c0, c1 … by position, so that no text of a header is ever part of an identifier; header names
appear as string literals only. A compiler for another engine would stand beside this module.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from datalake_assets import names
from datalake_assets.column_types import MAX_VARCHAR_BYTES
from datalake_assets.mapping.spec import Column, MappingSpec

# Regular expressions stand in front of the casts because try_cast is more generous than a data contract can be:
# it rounds 12.7 to an integer, reads 1e3, 0x1F and 1_000, and drops the offset of a timestamp.
INTEGER_PATTERN = r"\s*[+-]?[0-9]+(\.0*)?\s*"
NUMBER_PATTERN = r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*"
DATE_PATTERN = r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\s*"
TIMESTAMP_PATTERN = r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?Z?)?\s*"
OFFSET_PATTERN = (
    r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?[+-][0-9]{2}(:?[0-9]{2})?\s*"
)
TRUE_TEXTS = ("true", "t", "yes", "y", "1")
FALSE_TEXTS = ("false", "f", "no", "n", "0")
VALUE_CHARACTERS_IN_REASON = 100

NULL_IN_REQUIRED = "is required but null"
HOLDS_NUL = "holds a NUL byte"
NOT_NAMED = "is not named by the mapping, and on_schema_change is discard_row"


@dataclass(frozen=True, slots=True)
class StagingQuery:
    """The SELECT over raw text columns c0 … that the engine stages, and what it is called in there.

    Columns of the result: `t0` … one per mapped column, typed; `rescued` (VARCHAR); `failures`
    (STRUCT("column" VARCHAR, reason VARCHAR, "value" VARCHAR)[], NULL for a good row); `raw` (VARCHAR, NULL for a
    good row); `newlines` (BIGINT, within the row's values; 0 unless counted); `file_index`.
    """

    sql: str
    raw_columns: tuple[str, ...]


def literal(text: str) -> str:
    """A string literal; standard quoting is complete because DuckDB knows no escapes in it."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Sequence[str]) -> str:
    """A list of string literals, for IN or a list value."""
    return ", ".join(literal(text) for text in texts)


def cast(column: Column, text: str) -> str:
    """The SQL expression `text` as the column's type, NULL where it is no such value; `accepted` has the last word."""
    kind = column.type.kind
    if kind in ("smallint", "int", "bigint"):
        return _cast_if(text, INTEGER_PATTERN, column.type.duckdb)
    if kind == "decimal":
        return _cast_if(text, NUMBER_PATTERN, column.type.duckdb)
    if kind in ("real", "double"):
        return _cast_if(text, NUMBER_PATTERN, column.type.duckdb)
    if kind == "boolean":
        words = " ".join(
            f"WHEN {literal(word)} THEN {truth}"
            for truth, texts in (("true", TRUE_TEXTS), ("false", FALSE_TEXTS))
            for word in texts
        )
        return f"CASE lower(trim({text})) {words} END"
    if kind == "varchar":
        return f"CASE WHEN strlen({text}) <= {column.type.max_bytes} THEN {text} END"
    return _moment(column, text)


def _cast_if(text: str, pattern: str, duckdb_type: str) -> str:
    return f"CASE WHEN regexp_full_match({text}, {literal(pattern)}) THEN try_cast({text} AS {duckdb_type}) END"


def _moment(column: Column, text: str) -> str:
    """A date or timestamp; times with an offset become UTC (the session's time zone is UTC)."""
    duckdb_type = column.type.duckdb
    if column.format is None:
        if column.type.kind == "date":
            return _cast_if(text, DATE_PATTERN, duckdb_type)
        return (
            f"CASE WHEN regexp_full_match({text}, {literal(TIMESTAMP_PATTERN)}) THEN try_cast({text} AS TIMESTAMP) "
            f"WHEN regexp_full_match({text}, {literal(OFFSET_PATTERN)}) "
            f"THEN timezone('UTC', try_cast({text} AS TIMESTAMPTZ)) END"
        )
    if "%z" in column.format.replace("%%", ""):
        # strptime reads +00:00 but not the Z that means the same.
        text = rf"regexp_replace({text}, '[Zz](\s*)$', '+00:00\1')"
        return f"CAST(timezone('UTC', try_strptime({text}, {literal(column.format)})) AS {duckdb_type})"
    return f"CAST(try_strptime({text}, {literal(column.format)}) AS {duckdb_type})"


def accepted(column: Column, value: str) -> str:
    """`value` of the column's type if the lake takes it, else NULL; a step of its own so that each cast runs once."""
    if column.type.kind in ("real", "double"):
        return f"CASE WHEN isfinite({value}) THEN {value} END"  # an overflow casts to infinity
    if column.type.kind in ("date", "timestamp"):
        # What every reader of the lake can hold; rules out infinity and years before Christ.
        return f"CASE WHEN year({value}) BETWEEN 1 AND 9999 THEN {value} END"
    return value


def reason(column: Column) -> str:
    """Why a value that is not null did not become the column's type, as the end of a sentence."""
    if column.type.kind == "varchar":
        return f"is longer than {column.type.max_bytes} bytes"
    shape = f" of the format {column.format}" if column.format else ""
    return f"is not a valid {column.type}{shape}"


def compile_staging(
    spec: MappingSpec,
    header: Sequence[str],
    source: str,
    *,
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
        restore: pairs (placeholder, text) to replace within every value.
        count_newlines: the character that ends lines, to count it within the values of each row.
        check_nul: put rows with NUL bytes in a text aside; no warehouse can hold them.
        surplus: SQL over the source: further members of `_rescued_data`, as JSON without braces; NULL if none.
        raw: SQL over the source: what the quarantine shows of a row, instead of an object of its raw columns.
        broken: SQL over the source: why the record as a whole is bad, its only failure then; NULL if it is not.
        keep: columns of the source to hand on under their names.
    """
    raw_columns = tuple(f"c{number}" for number in range(len(header)))
    position = {name: number for number, name in reversed(list(enumerate(header)))}
    texts = [f"{_null_if(c, spec.source.null_values)} AS n{c[1:]}" for c in raw_columns]
    # A column that the file does not have is NULL; whether that is allowed was decided with the header.
    inputs = [
        (column, f"n{position[column.from_]}" if column.from_ in position else "NULL::VARCHAR", f"t{number}")
        for number, column in enumerate(spec.columns)
    ]
    casts = [f"{cast(column, text)} AS v{number}" for number, (column, text, _) in enumerate(inputs)]
    casts.append(f"{_rescued(spec, header, surplus)} AS rescued")
    values = [f"{accepted(column, f'v{number}')} AS {value}" for number, (column, _, value) in enumerate(inputs)]
    failures = [
        (condition, _failure(column.to, why, text))
        for column, text, value in inputs
        for condition, why in _failing(column, text, value, check_nul=check_nul)
    ]
    too_long = f"is longer than {MAX_VARCHAR_BYTES} bytes"
    if spec.on_schema_change == "discard_row":
        failures.append(("rescued IS NOT NULL", _failure(names.RESCUED_COLUMN, NOT_NAMED, "rescued")))
    elif spec.on_schema_change in ("rescue", "freeze"):
        failures.append((f"strlen(rescued) > {MAX_VARCHAR_BYTES}", _failure(names.RESCUED_COLUMN, too_long, "rescued")))

    bad = " OR ".join(f"({condition})" for condition, _ in failures)
    listed = ", ".join(f"CASE WHEN {condition} THEN {failure} END" for condition, failure in failures)
    all_failures = f"list_filter([{listed}], lambda failure: failure IS NOT NULL)"
    if broken is not None:
        bad = f"({broken}) IS NOT NULL OR {bad}"
        all_failures = f"CASE WHEN ({broken}) IS NOT NULL THEN [{_broken_failure(broken)}] ELSE {all_failures} END"
    newlines = "0"
    if count_newlines is not None:
        end = f"chr({ord(count_newlines)})"
        newlines = " + ".join(f"coalesce(length({c}) - length(replace({c}, {end}, '')), 0)" for c in raw_columns)
    if restore:
        restored = ", ".join(f"{_restore(c, restore)} AS {c}" for c in raw_columns)
        source = f"(SELECT {restored}, file_index FROM {source})"
    return StagingQuery(
        raw_columns=raw_columns,
        sql=f"""
SELECT {", ".join(value for _, _, value in inputs)}, rescued,
       CASE WHEN bad THEN {all_failures} END AS failures,
       CASE WHEN bad THEN {raw or record_object(header)} END AS raw,
       {newlines} AS newlines, {"".join(f"{name}, " for name in keep)}file_index
FROM (SELECT *, {bad} AS bad
FROM (SELECT *, {", ".join(values)}
FROM (SELECT *, {", ".join(casts)}
FROM (SELECT *, {", ".join(texts)}, file_index FROM {source}))))""",
    )


def _null_if(text: str, null_values: Sequence[str]) -> str:
    # Not IN: from five values on it becomes a join, and a join lets the rows come out of their order.
    nulls = " ".join(f"WHEN {literal(value)} THEN NULL" for value in null_values)
    return f"CASE {text} {nulls} ELSE {text} END" if nulls else text


def _restore(column: str, restore: Sequence[tuple[str, str]]) -> str:
    expression = column
    for placeholder, text in restore:
        expression = f"replace({expression}, {literal(placeholder)}, {literal(text) if text != chr(13) else 'chr(13)'})"
    return expression


def _failing(column: Column, text: str, value: str, *, check_nul: bool) -> list[tuple[str, str]]:
    found = []
    if column.required:
        found.append((f"{text} IS NULL", NULL_IN_REQUIRED))
    found.append((f"{text} IS NOT NULL AND {value} IS NULL", reason(column)))
    if check_nul and column.type.kind == "varchar":
        found.append((f"contains({value}, chr(0))", HOLDS_NUL))
    return found


def _failure(column: str, why: str, text: str) -> str:
    shown = f"replace(left({text}, {VALUE_CHARACTERS_IN_REASON}), chr(0), '\\0')"
    return f'struct_pack("column" := {literal(column)}, reason := {literal(why)}, "value" := {shown})'


def _broken_failure(why: str) -> str:
    return f'struct_pack("column" := NULL::VARCHAR, reason := {why}, "value" := NULL::VARCHAR)'


def record_object(header: Sequence[str]) -> str:
    """The raw columns c0 … of a row as the text of a JSON object."""
    members = ", ".join(f"{literal(key)}, c{number}" for number, key in enumerate(json_keys(header)))
    return f"CAST(json_object({members}) AS VARCHAR)"


def json_keys(header: Sequence[str]) -> list[str]:
    """Distinct keys for a header that may repeat a name or leave it empty."""
    keys: list[str] = []
    for number, name in enumerate(header, start=1):
        key = name or f"column {number}"
        keys.append(key if key not in keys else f"{key} (column {number})")
    return keys


def _rescued(spec: MappingSpec, header: Sequence[str], further: str | None) -> str:
    """A JSON object of the raw columns that are not mapped and not null; NULL when there is none."""
    mapped = {column.from_ for column in spec.columns}
    keys = json_keys(header)
    surplus = [number for number, name in enumerate(header) if name not in mapped]
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
