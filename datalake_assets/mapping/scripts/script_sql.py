"""The mapping as the DuckDB SQL of a program: the engine's own steps, over texts that were told into fields before."""

from collections.abc import Callable, Sequence

from datalake_assets import names
from datalake_assets.column_types import MAX_VARCHAR_BYTES
from datalake_assets.mapping.children import POSITION_COLUMN
from datalake_assets.mapping.columns import raw_paths
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.masks import masked_paths
from datalake_assets.mapping.scripts.script_levels import (
    Array,
    ElementTable,
    Statements,
    element_tables,
    record_arrays,
    require_known_words,
    wanted_keys,
)
from datalake_assets.mapping.spec import MappingSpec, output_columns
from datalake_assets.mapping.sql import NO_ARRAY, NO_OBJECT, NOT_NAMED, REDACTED_TEXT, is_of_element
from datalake_assets.mapping.sql_columns import (
    TOO_LONG,
    Projection,
    Source,
    compile_columns,
    failure,
    null_if,
    value_names,
)
from datalake_assets.mapping.sql_quarantine import NO_FAILURES, quarantine_columns
from datalake_assets.mapping.sql_text import literal
from datalake_assets.mapping.writer import MAX_FAILURES


def compile_duckdb(spec: MappingSpec) -> Statements:
    """The statements over the table `records`, and those of elements if there are any.

    Raises:
        Unsupported: a word that a program of its own cannot do.
    """
    require_known_words(spec)
    tables = element_tables(spec)
    checked = _checked_records(spec)
    if not tables:
        good, mapped = _good(spec, "checked"), "SELECT count(*) FROM checked WHERE failures IS NULL"
        return Statements((("checked", checked),), (("good", good), ("quarantine", _quarantine("checked"))), mapped)
    steps = [("checked", checked), *((table.checked, _checked_elements(spec, table)) for table in tables)]
    steps += [("judged", _judged(spec, tables)), ("good_rows", _good(spec, "judged", is_stepwise=True))]
    outputs = (
        ("good", f"SELECT * FROM good_rows\nORDER BY {_PLACE}"),
        ("quarantine", _quarantine("judged")),
        *(
            (f"children/{table.level.child.table}", _children(spec, table, tables))
            for table in tables
            if table.level is not None
        ),
    )
    rows = "judged" if spec.explode is None else f"judged JOIN {tables[0].checked} USING (source_file, source_row)"
    return Statements(tuple(steps), outputs, f"SELECT count(*) FROM {rows} WHERE judged.failures IS NULL")


_PLACE = f"{names.quoted(names.SOURCE_FILE_COLUMN)}, {names.quoted(names.SOURCE_ROW_COLUMN)}"


def _checked_records(spec: MappingSpec) -> str:
    paths, keys = wanted_paths(spec), wanted_keys(spec)
    projection = Projection()
    if spec.explode is None:
        projection = compile_columns(spec.columns, _source(spec, paths, keys, literal, masked_paths(spec)))
    for number, array in enumerate(record_arrays(spec)):
        projection.failures.append(_no_array(number, array, literal(array.path)))
    further = ", ".join(["surplus", *projection.surplus])
    projection.add_last(f"'{{' || nullif(concat_ws(',', {further}), '') || '}}'", "rescued")
    told = literal(names.RESCUED_COLUMN)
    if spec.on_schema_change == "discard_row":
        projection.failures.append(("rescued IS NOT NULL", failure(told, NOT_NAMED, "rescued")))
    elif spec.on_schema_change != "discard_value":
        too_long = f"strlen(rescued) > {MAX_VARCHAR_BYTES}"
        projection.failures.append((too_long, failure(told, TOO_LONG, "rescued")))
    return _checked(spec, "records", len(paths), projection)


def _checked_elements(spec: MappingSpec, table: ElementTable) -> str:
    place = _place(table)

    def label(target: str) -> str:
        if spec.explode is not None:
            column = next(column for column in spec.mapped if column.to == target.partition(".")[0])
            if not any(is_of_element(spec, path) for path in raw_paths(column)):
                return literal(target)
        return f"{place} || {literal('.' + target)}"

    projection = compile_columns(table.columns, _source(spec, table.paths, wanted_keys(spec), label, table.hidden))
    if table.needs_objects:
        shown = REDACTED_TEXT if table.is_hidden else "no_object"
        projection.failures.append(("no_object IS NOT NULL", failure(place, NO_OBJECT, shown)))
    projection.add_last(f"nullif(concat_ws(',', {', '.join(['surplus', *projection.surplus])}), '')", "left_over")
    projection.add_last(place, "element_place")
    if spec.on_schema_change == "discard_row":
        projection.failures.append(("left_over IS NOT NULL", failure(place, NOT_NAMED, "left_over")))
    for number, array in enumerate(table.arrays):
        projection.failures.append(_no_array(number, array, f"{place} || {literal('.' + array.path)}"))
    return _checked(spec, table.name, len(table.paths), projection)


def _source(
    spec: MappingSpec, paths: Sequence[str], keys: Sequence[str], label: Callable[[str], str], hidden: Sequence[str]
) -> Source:
    position = {path: f"n{number}" for number, path in enumerate(paths)}
    key_columns = {key: f"c{number}" for number, key in enumerate(keys, start=len(paths))}
    return Source(position.__getitem__, key_columns.__getitem__, literal, label, hidden=hidden, check_nul=True)


def _no_array(number: int, array: Array, label: str) -> tuple[str, str]:
    shown = REDACTED_TEXT if array.is_hidden else f"a{number}"
    return f"a{number} IS NOT NULL", failure(label, NO_OBJECT if array.is_map else NO_ARRAY, shown)


def _place(table: ElementTable) -> str:
    """SQL of what reasons call an element: `comments[3].replies[0]`."""
    parts = [f"{literal(path + '[')} || {place} || ']'" for path, place in zip(table.froms, table.places, strict=True)]
    return " || '.' || ".join(parts)


def _checked(spec: MappingSpec, table: str, paths: int, projection: Projection) -> str:
    """The steps one below the other, and the list of what is wrong with a row at the end."""
    texts = [f"{null_if(f'c{number}', spec.source.null_values)} AS n{number}" for number in range(paths)]
    steps = [step for step in (texts, *projection.steps) if step]
    tables = [table, *(f"step_{number}" for number in range(1, len(steps) + 1))]
    written = ",\n".join(
        f"{name} AS (\n    SELECT *,\n        " + ",\n        ".join(columns) + f"\n    FROM {before}\n)"
        for before, name, columns in zip(tables, tables[1:], steps, strict=False)
    )
    failures = ",\n            ".join(
        f"CASE WHEN {condition} THEN {told} END" for condition, told in projection.failures
    )
    listed = "[]" if not failures else f"list_filter([\n            {failures}\n        ], lambda f: f IS NOT NULL)"
    broken = 'struct_pack("column" := NULL::VARCHAR, reason := reason, "value" := NULL::VARCHAR)'
    return (
        f"WITH {written},\nlisted AS (\n    SELECT *, {NO_FAILURES} || {listed} AS found\n    FROM {tables[-1]}\n)\n"
        f"SELECT * EXCLUDE (found), CASE WHEN reason IS NOT NULL THEN [{broken}]\n"
        "    WHEN len(found) > 0 THEN found END AS failures\nFROM listed"
    )


def _judged(spec: MappingSpec, tables: Sequence[ElementTable]) -> str:
    """Each record with what is wrong with its elements, and what they leave over."""
    failing = "\n    UNION ALL ".join(
        f"SELECT source_file, source_row, unnest(failures) AS failure, {table.number} AS number, "
        f"[{', '.join(reversed(table.places))}] AS place FROM {table.checked}"
        for table in tables
    )
    leaving = "\n    UNION ALL ".join(
        f"SELECT source_file, source_row, to_json(element_place) || ':{{' || left_over || '}}' AS member, "
        f"{table.number} AS number, [{', '.join(reversed(table.places))}] AS place FROM {table.checked}\n"
        "        WHERE left_over IS NOT NULL"
        for table in tables
    )
    rescued, too_long = "rescued", NO_FAILURES
    if spec.on_schema_change == "rescue":
        both = "'{' || concat_ws(',', substr(rescued, 2, length(rescued) - 2), members) || '}'"
        rescued = f"CASE WHEN members IS NULL THEN rescued ELSE {both} END"
        told = failure(literal(names.RESCUED_COLUMN), TOO_LONG, "members")
        is_long = f"strlen(members) + coalesce(strlen(rescued), 2) + 1 > {MAX_VARCHAR_BYTES}"
        too_long = f"CASE WHEN {is_long} THEN [{told}] ELSE {NO_FAILURES} END"
    # The rows of an exploded table are made of records that are good so far.
    found = f"coalesce(found, {NO_FAILURES}) || {too_long}"
    if spec.explode is not None:
        found = f"CASE WHEN failures IS NULL THEN {found} ELSE {NO_FAILURES} END"
    return f"""WITH failing AS (
    {failing}
),
distinct_ones AS (
    SELECT source_file, source_row, failure, min((number, place)) AS place FROM failing GROUP BY ALL
),
spoiled AS (
    SELECT source_file, source_row, list(failure ORDER BY place)[1:{MAX_FAILURES}] AS found
    FROM distinct_ones GROUP BY ALL
),
leaving AS (
    {leaving}
),
left_over AS (
    SELECT source_file, source_row, string_agg(member, ',' ORDER BY number, place) AS members FROM leaving GROUP BY ALL
),
joined AS (
    SELECT * FROM checked LEFT JOIN spoiled USING (source_file, source_row)
        LEFT JOIN left_over USING (source_file, source_row)
),
listed AS (
    SELECT * REPLACE (coalesce(failures, {NO_FAILURES}) || {found} AS failures, {rescued} AS rescued) FROM joined
)
SELECT * REPLACE (CASE WHEN len(failures) > 0 THEN failures END AS failures) FROM listed"""


def _good(spec: MappingSpec, table: str, *, is_stepwise: bool = False) -> str:
    rescued = "NULL::VARCHAR" if spec.on_schema_change == "discard_value" else "r.rescued"
    values = [*value_names(spec.columns), rescued, "r.source_file", "r.source_row"]
    columns = [
        f"{value} AS {names.quoted(column.name)}" for value, column in zip(values, spec.output_columns(), strict=True)
    ]
    place = []
    rows = f"{table} AS r"
    if spec.explode is not None:
        rows += " JOIN checked_1 AS e USING (source_file, source_row)"
        place = ['"#"']
        columns = [each.replace("r.source_", "source_") for each in columns] + ['e.p0 AS "#"']
    good = f"SELECT {f',{chr(10)}    '.join(columns)}\nFROM {rows}\nWHERE r.failures IS NULL"
    without = f" EXCLUDE ({place[0]})" if place else ""
    if spec.deduplicate is None:
        if is_stepwise:
            return f"SELECT *{without} FROM (\n{good}\n)"
        return f"{good}\nORDER BY source_file, source_row"
    by = [names.quoted(name) for name in spec.deduplicate.by]
    order = [
        f"{names.quoted(name)} {'DESC' if is_desc else 'ASC'} NULLS LAST" for name, is_desc in spec.deduplicate.orders
    ]
    last = [names.quoted(names.SOURCE_FILE_COLUMN), names.quoted(names.SOURCE_ROW_COLUMN), *place]
    order += [f"{each} DESC" for each in last]
    return (
        f"SELECT *{without} FROM (\n{good}\n)\n"
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(by)} ORDER BY {', '.join(order)}) = 1\n"
        f"    OR {' OR '.join(f'{name} IS NULL' for name in by)}"
    )


def _children(spec: MappingSpec, table: ElementTable, tables: Sequence[ElementTable]) -> str:
    """The rows of a child table, of the records that are in the table."""
    assert table.level is not None
    keys, joins = child_keys(spec, table, tables, names.quoted)
    values = [f"e.{name}" for name in value_names(table.columns)]
    values += ["e.source_file", "e.source_row"]
    named = [*output_columns(table.columns)]
    told = [*(column.name for column in named), names.SOURCE_FILE_COLUMN, names.SOURCE_ROW_COLUMN]
    columns = [*keys, f"CAST(e.{table.places[-1]} AS INTEGER) AS {names.quoted(POSITION_COLUMN)}"]
    columns += [f"{value} AS {names.quoted(name)}" for value, name in zip(values, told, strict=True)]
    kept = f"(SELECT DISTINCT {_PLACE} FROM good_rows)"
    return (
        f"SELECT {f',{chr(10)}    '.join(columns)}\nFROM {table.checked} AS e\n"
        f"JOIN {kept} AS kept ON e.source_file = kept.{names.quoted(names.SOURCE_FILE_COLUMN)}\n"
        f"    AND e.source_row = kept.{names.quoted(names.SOURCE_ROW_COLUMN)}\n"
        + "".join(f"{join}\n" for join in joins)
        + f"ORDER BY e.source_file, e.source_row, {', '.join(f'e.{place}' for place in table.places)}"
    )


def child_keys(
    spec: MappingSpec, table: ElementTable, tables: Sequence[ElementTable], quoted: Callable[[str], str]
) -> tuple[list[str], list[str]]:
    """The columns of a child before its position, and the joins with those tables that they are from."""
    assert table.level is not None
    level = table.level
    by_name = {each.level.child.table: each for each in tables if each.level is not None}
    keys, joins = [], []
    above: list[ElementTable | None] = [None, *(by_name[parent.table] for parent in level.parents)]
    for depth, child in enumerate((*level.parents, level.child)):
        parent = above[depth]
        columns = spec.columns if parent is None else parent.columns
        of = dict(zip((column.name for column in output_columns(columns)), value_names(columns), strict=True))
        if child.key:
            alias = f"above_{depth}"
            on = [f"e.{name} = {alias}.{name}" for name in ("source_file", "source_row")]
            on += [f"e.p{at} = {alias}.p{at}" for at in range(depth)]
            joins.append(f"JOIN {'checked' if parent is None else parent.checked} AS {alias} ON {' AND '.join(on)}")
            keys += [f"{alias}.{of[name]} AS {quoted(name)}" for name in child.key]
        if child is not level.child:
            keys.append(f"CAST(e.p{depth} AS INTEGER) AS {quoted(child.position_in_children)}")
    return keys, joins


def _quarantine(table: str) -> str:
    columns = ",\n    ".join(quarantine_columns("source_file"))
    return f"SELECT {columns}\nFROM {table}\nWHERE failures IS NOT NULL\nORDER BY source_file, source_row"
