"""One table's columns as steps of Spark SQL: from the texts of a record to values of their types, and what is wrong."""

import json
from collections.abc import Callable, Sequence

from datalake_assets.column_types import MAX_VARCHAR_BYTES, TargetType
from datalake_assets.mapping.columns import (
    REDACTED,
    Column,
    ConstantColumn,
    DroppedColumn,
    ExpressionColumn,
    MappedColumn,
    NestColumn,
    mapped,
)
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.scripts.script_levels import (
    Array,
    element_tables,
    wanted_keys,
)
from datalake_assets.mapping.spark.expressions import compile_expression
from datalake_assets.mapping.spark.nested import first_failure, nested_value
from datalake_assets.mapping.spark.text import literal
from datalake_assets.mapping.spark.values import accepted, cast
from datalake_assets.mapping.spec import MappingSpec
from datalake_assets.mapping.sql import NO_ARRAY, NO_OBJECT
from datalake_assets.mapping.sql_columns import (
    HOLDS_NUL,
    NOT_COMPUTED,
    NULL_IN_REQUIRED,
    TOO_LONG,
)
from datalake_assets.mapping.sql_values import Reading, reason


def nested_columns(spec: MappingSpec) -> list[tuple[int | None, list[str], Column]]:
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


class Compiler:
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
        self._shape = {each.to: number for number, (of, _, each) in enumerate(nested_columns(spec)) if of == level}
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
        never = failure_struct("false", "CAST(NULL AS STRING)", "", "CAST(NULL AS STRING)")
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
        self._failures.append(failure_struct(condition, label, why, shown))

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


def failure_struct(condition: str, column: str, why: str, text: str) -> str:
    failure = f"named_struct('column', {column}, 'reason', {literal(why)}, 'value', {text})"
    return f"CASE WHEN {condition} THEN {failure} END"
