"""The mapping as Spark SQL, with the result of the DuckDB engine: the same values, the same rows set aside and why.

It works on a view `records` of texts, as `script_files.columns_of` says: `source_file`, `source_row`, `reason` (of a
broken record, else NULL), `raw`, `surplus` (members of `_rescued_data`, else NULL), and c0 … in the order of
`header.wanted_paths`; elements of arrays are in views of their own. Words that Spark cannot do equally are refused,
never done differently.
"""

import json
from collections.abc import Callable, Sequence

from datalake_assets import names
from datalake_assets.column_types import MAX_VARCHAR_BYTES, TargetType
from datalake_assets.errors import Unsupported
from datalake_assets.mapping.children import POSITION_COLUMN
from datalake_assets.mapping.columns import (
    REDACTED,
    Column,
    ConstantColumn,
    DroppedColumn,
    ExpressionColumn,
    MappedColumn,
    NestColumn,
    mapped,
    raw_paths,
)
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
from datalake_assets.mapping.scripts.script_reader import Shape
from datalake_assets.mapping.scripts.script_sql import child_keys
from datalake_assets.mapping.spark.expressions import compile_expression
from datalake_assets.mapping.spark.nested import first_failure, nested_value, tree_of_type
from datalake_assets.mapping.spark.text import literal
from datalake_assets.mapping.spark.values import accepted, cast
from datalake_assets.mapping.spec import QUARANTINE_COLUMNS, MappingSpec, output_columns
from datalake_assets.mapping.sql import NO_ARRAY, NO_OBJECT, NOT_NAMED, is_of_element
from datalake_assets.mapping.sql_columns import (
    HOLDS_NUL,
    NOT_COMPUTED,
    NULL_IN_REQUIRED,
    TOO_LONG,
    VALUE_CHARACTERS_IN_REASON,
    value_names,
)
from datalake_assets.mapping.sql_values import Reading, reason
from datalake_assets.mapping.writer import MAX_FAILURES

_POSITION = r"\[[0-9]+\]"
_ON_RECORD = "r.source_file = {other}.source_file AND r.source_row = {other}.source_row"


def spark_shapes(spec: MappingSpec) -> tuple[Shape, ...]:
    """The nested columns, which the reader unfolds; the number of each is that of its j…"""
    return tuple(
        Shape(level, paths.index(column.from_), tree_of_type(column.value_type))
        for level, paths, column in _nested_columns(spec)
    )


def _nested_columns(spec: MappingSpec) -> list[tuple[int | None, list[str], Column]]:
    found: list[tuple[int | None, list[str], Column]] = []
    places: list[tuple[int | None, list[str], Sequence[MappedColumn | DroppedColumn]]] = []
    if spec.explode is None:
        places.append((None, wanted_paths(spec), spec.columns))
    places += [(table.number, list(table.paths), table.columns) for table in element_tables(spec)]
    for level, paths, columns in places:
        found += [
            (level, paths, column) for column in columns if isinstance(column, Column) and column.value_type.is_nested
        ]
    return found


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


def _record_compiler(spec: MappingSpec) -> "_Compiler":
    columns = spec.columns if spec.explode is None else ()
    compiler = _Compiler(spec, columns, wanted_paths(spec), None, literal, masked_paths(spec))
    for number, array in enumerate(record_arrays(spec)):
        compiler.fail_array(number, array, literal(array.path))
    rescued = compiler.add_last(f"concat('{{', {compiler.left_over()}, '}}')", "rescued")
    told = literal(names.RESCUED_COLUMN)
    if spec.on_schema_change == "discard_row":
        compiler.fail("rescued IS NOT NULL", told, NOT_NAMED, rescued)
    elif spec.on_schema_change != "discard_value":
        compiler.fail(f"octet_length(rescued) > {MAX_VARCHAR_BYTES}", told, TOO_LONG, rescued)
    return compiler


def _element_compiler(spec: MappingSpec, table: ElementTable) -> "_Compiler":
    place = _place(table)

    def label(target: str) -> str:
        if spec.explode is not None:
            column = next(column for column in spec.mapped if column.to == target.partition(".")[0])
            if not any(is_of_element(spec, path) for path in raw_paths(column)):
                return literal(target)
        return f"concat({place}, {literal('.' + target)})"

    compiler = _Compiler(spec, table.columns, table.paths, table.number, label, table.hidden)
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
        too_long = f"array({_failure(size, literal(names.RESCUED_COLUMN), TOO_LONG, 'l.members')})"
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


class _Compiler:
    """The steps of a table, each a SELECT over the one before: texts, casts, values, uses, and failures at the end.

    What a value goes through is called x… (its text), v… (cast), t… (accepted), s… (a text split off); of a nested one
    j… is how it comes from the reader, u… whether it has members that its type does not name, f… what is wrong with it.
    """

    def __init__(
        self,
        spec: MappingSpec,
        columns: Sequence[MappedColumn | DroppedColumn],
        paths: Sequence[str],
        level: int | None,
        label: Callable[[str], str],
        hidden: Sequence[str],
    ) -> None:
        self._hidden = hidden
        self._spec = spec
        self._label = label
        self._place = {path: f"c{number}" for number, path in enumerate(paths)}
        self._key = {key: f"c{number}" for number, key in enumerate(wanted_keys(spec), start=len(paths))}
        self._shape = {each.to: number for number, (of, _, each) in enumerate(_nested_columns(spec)) if of == level}
        self._steps: list[tuple[str, list[str]]] = [(name, []) for name in ("texts", "casts", "accepted", "used")]
        self._failures: list[str] = []
        self._surplus = ["surplus"]
        known: dict[str, tuple[str, TargetType]] = {}
        for number, column in enumerate(mapped(columns)):
            self._compile(column, str(number), known)
            for (name, type_), value in zip(column.output, (f"t{number}", f"s{number}"), strict=False):
                known[name] = (value, type_)

    def checked(self, table: str) -> str:
        """The statement that ends with the array `failures`, empty for a good row."""
        steps = [(name, columns) for name, columns in self._steps if columns]
        tables = [table, *(name for name, _ in steps)]
        written = ",\n".join(
            f"{name} AS (\n    SELECT *,\n        " + ",\n        ".join(columns) + f"\n    FROM {before}\n)"
            for (name, columns), before in zip(steps, tables, strict=False)
        )
        never = _failure("false", "CAST(NULL AS STRING)", "", "CAST(NULL AS STRING)")
        failures = ",\n        ".join(self._failures or [never])
        return (
            f"WITH {written}\nSELECT *, filter(array(\n        {failures}\n"
            f"    ), failure -> failure IS NOT NULL) AS failures\nFROM {tables[-1]}"
        )

    def left_over(self) -> str:
        """The members that no column names, as JSON without braces; NULL if there is none."""
        return f"nullif(concat_ws(',', {', '.join(self._surplus)}), '')"

    def add_last(self, expression: str, name: str) -> str:
        """Compute a named value of all that is there."""
        self._steps.append((f"with_{name}", [f"{expression} AS {name}"]))
        return name

    def fail(self, condition: str, label: str, why: str, shown: str) -> None:
        """Tell what is wrong with a row; `label` and `shown` are SQL."""
        self._failures.append(_failure(condition, label, why, shown))

    def fail_array(self, number: int, array: Array, label: str) -> None:
        """Tell an array that is none."""
        shown = literal(REDACTED) if array.is_hidden else f"a{number}"
        self.fail(f"a{number} IS NOT NULL", label, NO_OBJECT if array.is_map else NO_ARRAY, shown)

    def _add(self, step: int, expression: str, name: str) -> str:
        self._steps[step][1].append(f"{expression} AS {name}")
        return name

    def _fail(self, condition: str, column: str, why: str, shown: str) -> None:
        self.fail(condition, self._label(column), why, shown)

    def _compile(self, column: MappedColumn, number: str, known: dict[str, tuple[str, TargetType]]) -> None:
        if isinstance(column, Column):
            self._raw(column, number)
        elif isinstance(column, NestColumn):
            self._nest(column, number)
        elif isinstance(column, ExpressionColumn):
            self._expression(column, number, known)
        else:
            text = literal(column.text) if isinstance(column, ConstantColumn) else self._key[column.from_key]
            text = self._add(0, text, f"x{number}")
            self._require(column, text)
            self._conflict(Reading(column.type), text, number, column.to)

    def _raw(self, column: Column, number: str) -> None:
        text = self._text(column.from_)
        if column.null_values:
            text = _null_if(text, column.null_values)
        if column.mask == "hash":
            text = f"sha2({text}, 256)"
        elif column.mask == "redact":
            text = f"CASE WHEN {text} IS NOT NULL THEN {literal(REDACTED)} END"
        text = self._add(0, text, f"x{number}")
        self._require(column, text)
        is_hidden = column.mask is not None or column.from_ in self._hidden
        shown = literal(REDACTED) if is_hidden else text
        if column.value_type.is_nested:
            self._nested(column, text, number)
            return
        fails = column.on_conflict not in ("split", "null")
        self._conflict(Reading.of(column), text, number, column.to, shown=shown, fails=fails)
        if column.on_conflict == "split":
            split = self._add(3, f"CASE WHEN {text} IS NOT NULL AND t{number} IS NULL THEN {text} END", f"s{number}")
            self._fail(f"octet_length({split}) > {MAX_VARCHAR_BYTES}", column.to, TOO_LONG, split)
            self._check_nul(column.to, split)

    def _nested(self, column: Column, text: str, number: str) -> None:
        shape = self._shape[column.to]
        type_ = column.value_type
        bad = first_failure(type_, f"j{shape}", self._label(column.to))
        bad = self._add(1, f"CASE WHEN {text} IS NOT NULL THEN {bad} END", f"f{number}")
        value = f"CASE WHEN {text} IS NOT NULL AND {bad} IS NULL THEN {nested_value(type_, f'j{shape}')} END"
        self._add(2, value, f"t{number}")
        key = literal(json.dumps(column.from_, ensure_ascii=False) + ":")
        is_left = f"{text} IS NOT NULL AND {bad} IS NULL AND u{shape} IS NOT NULL"
        is_hidden = column.from_ in self._hidden
        if not is_hidden:
            self._surplus.append(f"CASE WHEN {is_left} THEN concat({key}, {text}) END")
        if column.on_conflict == "split":
            split = self._add(3, f"CASE WHEN {bad} IS NOT NULL THEN {text} END", f"s{number}")
            self._fail(f"octet_length({split}) > {MAX_VARCHAR_BYTES}", column.to, TOO_LONG, split)
            self._check_nul(column.to, split)
        elif column.on_conflict != "null":
            hidden = f"named_struct('column', {bad}.column, 'reason', {bad}.reason, 'value', {literal(REDACTED)})"
            self._failures.append(f"CASE WHEN {bad} IS NOT NULL THEN {hidden} END" if is_hidden else bad)

    def _nest(self, column: NestColumn, number: str) -> None:
        texts = []
        for at, (name, type_) in enumerate(column.type.parts):
            texts.append(self._add(0, self._text(column.nest[name]), f"x{number}_{at}"))
            shown = literal(REDACTED) if column.nest[name] in self._hidden else None
            self._conflict(Reading(type_), texts[-1], f"{number}_{at}", f"{column.to}.{name}", shown=shown)
        fields = ", ".join(f"{literal(name)}, t{number}_{at}" for at, (name, _) in enumerate(column.type.parts))
        some = f"coalesce({', '.join(texts)})"
        self._add(3, f"CASE WHEN {some} IS NOT NULL THEN named_struct({fields}) END", f"t{number}")
        self._require(column, some)

    def _expression(self, column: ExpressionColumn, number: str, known: dict[str, tuple[str, TargetType]]) -> None:
        expression = compile_expression(column.expression, known)
        # Steps of its own: it may read the expression before it.
        first = len(self._steps)
        self._steps += [(f"{step}_{number}", []) for step in ("computed", "cast", "accepted")]
        text = self._add(first, expression.sql, f"x{number}")
        fails = self._add(first, expression.fails, f"y{number}")
        self._fail(fails, column.to, NOT_COMPUTED, "CAST(NULL AS STRING)")
        if column.required:
            self._fail(f"NOT {fails} AND {text} IS NULL", column.to, NULL_IN_REQUIRED, text)
        self._conflict(Reading(column.type), text, number, column.to, first=first)

    def _text(self, path: str) -> str:
        return _null_if(self._place[path], self._spec.source.null_values)

    def _require(self, column: MappedColumn, text: str) -> None:
        if column.required:
            self._fail(f"{text} IS NULL", column.to, NULL_IN_REQUIRED, text)

    def _conflict(
        self,
        reading: Reading,
        text: str,
        suffix: str,
        target: str,
        *,
        shown: str | None = None,
        fails: bool = True,
        first: int = 0,
    ) -> None:
        """Make `t…` of a text, and tell when it is no value of the type."""
        value = self._add(first + 1, cast(reading, text), f"v{suffix}")
        value = self._add(first + 2, accepted(reading.type, value), f"t{suffix}")
        if reading.type.kind == "varchar":
            self._check_nul(target, value)
        if fails:
            self._fail(f"{text} IS NOT NULL AND {value} IS NULL", target, reason(reading), shown or text)

    def _check_nul(self, target: str, value: str) -> None:
        self._fail(f"contains({value}, chr(0))", target, HOLDS_NUL, value)


def _null_if(text: str, null_values: Sequence[str]) -> str:
    if not null_values:
        return text
    return f"CASE WHEN {text} IN ({', '.join(map(literal, dict.fromkeys(null_values)))}) THEN NULL ELSE {text} END"


def _failure(condition: str, column: str, why: str, text: str) -> str:
    failure = f"named_struct('column', {column}, 'reason', {literal(why)}, 'value', {text})"
    return f"CASE WHEN {condition} THEN {failure} END"


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
