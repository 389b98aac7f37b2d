"""The mapping as Spark SQL, with the result of the DuckDB engine: the same values, the same rows set aside and why.

It works on a view `records` of texts, as `script_files.columns_of` says: `source_file`, `source_row`, `reason` (of a
broken record, else NULL), `raw`, `surplus` (members of `_rescued_data`, else NULL), and c0 … in the order of
`header.wanted_paths`; elements of arrays are in views of their own. Words that Spark cannot do equally are refused,
never done differently.
"""

import json
from collections.abc import Sequence

from datalake_assets import names
from datalake_assets.column_types import MAX_VARCHAR_BYTES
from datalake_assets.errors import Unsupported
from datalake_assets.mapping.children import POSITION_COLUMN
from datalake_assets.mapping.columns import (
    REDACTED,
    Column,
    MappedColumn,
    NestColumn,
    mapped,
    raw_paths,
)
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.masks import masked_paths
from datalake_assets.mapping.scripts.script_levels import (
    ElementTable,
    Statements,
    element_tables,
    record_arrays,
    require_known_words,
)
from datalake_assets.mapping.scripts.script_reader import Shape
from datalake_assets.mapping.scripts.script_sql import child_keys
from datalake_assets.mapping.spark.columns import Compiler, failure_struct, nested_columns
from datalake_assets.mapping.spark.nested import tree_of_type
from datalake_assets.mapping.spark.text import literal
from datalake_assets.mapping.spec import QUARANTINE_COLUMNS, MappingSpec, output_columns
from datalake_assets.mapping.sql import NO_OBJECT, NOT_NAMED, is_of_element
from datalake_assets.mapping.sql_columns import (
    TOO_LONG,
    VALUE_CHARACTERS_IN_REASON,
    value_names,
)
from datalake_assets.mapping.writer import MAX_FAILURES

_POSITION = r"\[[0-9]+\]"
_ON_RECORD = "r.source_file = {other}.source_file AND r.source_row = {other}.source_row"


def spark_shapes(spec: MappingSpec) -> tuple[Shape, ...]:
    """The nested columns, which the reader unfolds; the number of each is that of its j…"""
    return tuple(
        Shape(level, paths.index(column.from_), tree_of_type(column.value_type))
        for level, paths, column in nested_columns(spec)
    )


def compile_spark(spec: MappingSpec) -> Statements:
    """Compile the spec to Spark SQL.

    Raises:
        Unsupported: a word that Spark cannot do as DuckDB does it; the message names it.
    """
    _require_known_words(spec)
    tables = element_tables(spec)
    records = _record_compiler(spec)
    checked = records.checked("records")
    is_discarded = spec.on_schema_change == "discard_value"
    if not tables:
        rescued = "CAST(NULL AS STRING)" if is_discarded else "r.rescued"
        good = _good(spec, "checked AS r", "r.failures", rescued)
        outputs = (("good", good), ("quarantine", _quarantine("checked", "failures")))
        where = "WHERE reason IS NULL AND size(failures) = 0"
        return Statements((("checked", checked),), outputs, f"SELECT count(*) FROM checked {where}")
    steps = [("checked", checked)]
    steps += [(table.checked, _element_compiler(spec, table).checked(table.name)) for table in tables]
    steps.append(("judged", _judged(spec, tables)))
    rescued = "CAST(NULL AS STRING)" if is_discarded else "r.all_rescued"
    rows = "judged AS r"
    if spec.explode is not None:
        rows += f" JOIN checked_1 AS e ON {_ON_RECORD.format(other='e')}"
    steps.append(("good_rows", _good(spec, rows, "r.all_failures", rescued)))
    listed = _listed([_name(column.name) for column in spec.output_columns()])
    all_outputs = [
        ("good", f"SELECT {listed}\nFROM good_rows"),
        ("quarantine", _quarantine("judged", "all_failures")),
    ]
    all_outputs += [
        (f"children/{table.level.child.table}", _children(spec, table, tables))
        for table in tables
        if table.level is not None
    ]
    where = "WHERE r.reason IS NULL AND size(r.all_failures) = 0"
    return Statements(tuple(steps), tuple(all_outputs), f"SELECT count(*) FROM {rows} {where}")


def _require_known_words(spec: MappingSpec) -> None:
    require_known_words(spec)
    columns = [*spec.mapped, *(column for level in spec.levels for column in mapped(level.child.columns))]
    if words := [f"type {column.type} of {column.to}" for column in columns if not _is_known(column)]:
        raise Unsupported(
            f"Spark does not run {', '.join(words)} of a mapping",
            expected="nested types of raw columns, and plain types of all others",
            todo="Let DuckDB run this pipeline.",
        )


def _is_known(column: MappedColumn) -> bool:
    """Whether the column is a raw one, or of a plain type, or a struct of raw ones that are of a plain type."""
    if isinstance(column, NestColumn):
        return not any(part.is_nested for _, part in column.type.parts)
    return isinstance(column, Column) or not column.type.is_nested


def _record_compiler(spec: MappingSpec) -> "Compiler":
    columns = spec.columns if spec.explode is None else ()
    compiler = Compiler(spec, columns, wanted_paths(spec), None, literal, masked_paths(spec))
    for number, array in enumerate(record_arrays(spec)):
        compiler.fail_array(number, array, literal(array.path))
    rescued = compiler.add_last(f"concat('{{', {compiler.left_over()}, '}}')", "rescued")
    told = literal(names.RESCUED_COLUMN)
    if spec.on_schema_change == "discard_row":
        compiler.fail("rescued IS NOT NULL", told, NOT_NAMED, rescued)
    elif spec.on_schema_change != "discard_value":
        compiler.fail(f"octet_length(rescued) > {MAX_VARCHAR_BYTES}", told, TOO_LONG, rescued)
    return compiler


def _element_compiler(spec: MappingSpec, table: ElementTable) -> "Compiler":
    place = _place(table)

    def label(target: str) -> str:
        if spec.explode is not None:
            column = next(column for column in spec.mapped if column.to == target.partition(".")[0])
            if not any(is_of_element(spec, path) for path in raw_paths(column)):
                return literal(target)
        return f"concat({place}, {literal('.' + target)})"

    compiler = Compiler(spec, table.columns, table.paths, table.number, label, table.hidden)
    if table.needs_objects:
        shown = literal(REDACTED) if table.is_hidden else "no_object"
        compiler.fail("no_object IS NOT NULL", place, NO_OBJECT, shown)
    compiler.add_last(compiler.left_over(), "left_over")
    if spec.on_schema_change == "discard_row":
        compiler.fail("left_over IS NOT NULL", place, NOT_NAMED, "left_over")
    for number, array in enumerate(table.arrays):
        compiler.fail_array(number, array, f"concat({place}, {literal('.' + array.path)})")
    return compiler


def _place(table: ElementTable, *, is_json: bool = False) -> str:
    """SQL of what reasons call an element: `comments[3].replies[0]`; as it stands in JSON if asked for."""
    parts = []
    for depth, (path, place) in enumerate(zip(table.froms, table.places, strict=True)):
        told = ("." if depth else "") + path + "["
        told = json.dumps(told, ensure_ascii=False)[1:-1] if is_json else told
        parts += [literal(told), f"CAST({place} AS STRING)", "']'"]
    return f"concat({', '.join(parts)})"


def _leaving(table: ElementTable) -> str:
    place = f"array({', '.join(reversed(table.places))})"
    member = f"concat('\"', {_place(table, is_json=True)}, '\":{{', left_over, '}}')"
    return (
        f"SELECT source_file, source_row, {table.number} AS number, {place} AS place,\n        {member} AS member "
        f"FROM {table.checked}\n        WHERE left_over IS NOT NULL"
    )


def _judged(spec: MappingSpec, tables: Sequence[ElementTable]) -> str:
    """Each record with what is wrong with its elements, and what they leave over."""
    failing = "\n    UNION ALL ".join(
        f"SELECT source_file, source_row, explode(failures) AS failure, {table.number} AS number, "
        f"array({', '.join(reversed(table.places))}) AS place FROM {table.checked}"
        for table in tables
    )
    leaving = "\n    UNION ALL ".join(_leaving(table) for table in tables)
    rescued, found = "r.rescued", "s.found"
    if spec.on_schema_change == "rescue":
        both = "concat('{', concat_ws(',', substring(r.rescued, 2, length(r.rescued) - 2), l.members), '}')"
        rescued = f"CASE WHEN l.members IS NULL THEN r.rescued ELSE {both} END"
        size = f"octet_length(l.members) + coalesce(octet_length(r.rescued), 2) + 1 > {MAX_VARCHAR_BYTES}"
        too_long = f"array({failure_struct(size, literal(names.RESCUED_COLUMN), TOO_LONG, 'l.members')})"
        found = f"CASE WHEN {size} THEN coalesce(concat(s.found, {too_long}), {too_long}) ELSE s.found END"
    if spec.explode is not None:
        # The rows of an exploded table are made of records that are good so far.
        found = f"CASE WHEN size(r.failures) = 0 THEN {found} END"
    return f"""WITH failing AS (
    {failing}
),
distinct_ones AS (
    SELECT source_file, source_row, failure, min(struct(number, place)) AS place
    FROM failing GROUP BY source_file, source_row, failure
),
spoiled AS (
    SELECT source_file, source_row,
        transform(
            slice(array_sort(collect_list(struct(place, failure))), 1, {MAX_FAILURES}), each -> each.failure
        ) AS found
    FROM distinct_ones GROUP BY source_file, source_row
),
leaving AS (
    {leaving}
),
left_over AS (
    SELECT source_file, source_row,
        array_join(
            transform(array_sort(collect_list(struct(number, place, member))), each -> each.member), ','
        ) AS members
    FROM leaving GROUP BY source_file, source_row
)
SELECT r.*, {rescued} AS all_rescued, coalesce(concat(r.failures, {found}), r.failures) AS all_failures
FROM checked AS r
LEFT JOIN spoiled AS s ON {_ON_RECORD.format(other="s")}
LEFT JOIN left_over AS l ON {_ON_RECORD.format(other="l")}"""


def _good(spec: MappingSpec, rows: str, failures: str, rescued: str) -> str:
    values = [*value_names(spec.columns), rescued, "r.source_file", "r.source_row"]
    columns = [f"{value} AS {_name(column.name)}" for value, column in zip(values, spec.output_columns(), strict=True)]
    if spec.explode is not None:
        columns.append("e.p0 AS `#item`")
    good = f"SELECT {_listed(columns)}\nFROM {rows}\nWHERE r.reason IS NULL AND size({failures}) = 0"
    return good if spec.deduplicate is None else _deduplicated(good, spec)


def _children(spec: MappingSpec, table: ElementTable, tables: Sequence[ElementTable]) -> str:
    """The rows of a child table, of the records that are in the table."""
    assert table.level is not None
    keys, joins = child_keys(spec, table, tables, _name)
    values = [*(f"e.{name}" for name in value_names(table.columns)), "e.source_file", "e.source_row"]
    told = [
        *(column.name for column in output_columns(table.columns)),
        names.SOURCE_FILE_COLUMN,
        names.SOURCE_ROW_COLUMN,
    ]
    columns = [*keys, f"CAST(e.{table.places[-1]} AS INT) AS {_name(POSITION_COLUMN)}"]
    columns += [f"{value} AS {_name(name)}" for value, name in zip(values, told, strict=True)]
    file, row = _name(names.SOURCE_FILE_COLUMN), _name(names.SOURCE_ROW_COLUMN)
    return (
        f"SELECT {_listed(columns)}\nFROM {table.checked} AS e\n"
        f"JOIN (SELECT DISTINCT {file}, {row} FROM good_rows) AS kept\n"
        f"    ON e.source_file = kept.{file} AND e.source_row = kept.{row}" + "".join(f"\n{join}" for join in joins)
    )


def _quarantine(table: str, failures: str) -> str:
    shown = f"replace(left(failure.value, {VALUE_CHARACTERS_IN_REASON}), chr(0), {literal(chr(92) + '0')})"
    # Where a value stands among the elements of arrays does not make another reason of it.
    generic = f"regexp_replace(failure.column, {literal(_POSITION)}, '[]')"
    # concat_ws leaves out the value where there is none.
    sentence = f"concat_ws(' ', failure.column, concat('\\'', {shown}, '\\''), failure.reason)"
    values = [
        f"coalesce(concat('record ', reason), array_join(transform({failures}, failure -> {sentence}), '; '))",
        f"CASE WHEN reason IS NULL THEN array_join(transform({failures}, failure -> {generic}), ', ') END",
        "raw",
        "source_file",
        "source_row",
    ]
    columns = [f"{value} AS {_name(column.name)}" for value, column in zip(values, QUARANTINE_COLUMNS, strict=True)]
    return f"SELECT {_listed(columns)}\nFROM {table}\nWHERE reason IS NOT NULL OR size({failures}) > 0"


def _deduplicated(good: str, spec: MappingSpec) -> str:
    assert spec.deduplicate is not None
    # No column of the lake can have a name with #.
    order = [f"{_name(name)} {'DESC' if is_desc else 'ASC'} NULLS LAST" for name, is_desc in spec.deduplicate.orders]
    order += [f"{_name(names.SOURCE_FILE_COLUMN)} DESC", f"{_name(names.SOURCE_ROW_COLUMN)} DESC"]
    by = ", ".join(map(_name, spec.deduplicate.by))
    whole = " AND ".join(f"{_name(name)} IS NOT NULL" for name in spec.deduplicate.by)
    kept = [_name(column.name) for column in spec.output_columns()]
    return (
        f"SELECT {_listed(kept)}\nFROM (\n    SELECT *, {whole} AS `#is comparable`,\n"
        f"        row_number() OVER (PARTITION BY {by} ORDER BY {', '.join(order)}) AS `#place`\n"
        f"    FROM ({good})\n)\nWHERE `#place` = 1 OR NOT `#is comparable`"
    )


def _name(text: str) -> str:
    """An identifier; those of the lake are validated and hold no backtick."""
    return f"`{text}`"


def _listed(columns: Sequence[str]) -> str:
    return ",\n    ".join(columns)
