"""The columns of a table as DuckDB SQL: steps over a source of texts, each beside the one before.

    SELECT *, <accepted> FROM (SELECT *, <cast> FROM (SELECT *, <text> FROM source))

Column `i` of those that are mapped becomes `t<i>`; what else it needs is called `x<i>`, `v<i>` … Names of raw columns
never become identifiers. All steps are plain projections, so the rows keep their order.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from datalake_assets.column_types import MAX_VARCHAR_BYTES
from datalake_assets.mapping.columns import (
    REDACTED,
    Column,
    ConstantColumn,
    DroppedColumn,
    ExpressionColumn,
    KeyColumn,
    MappedColumn,
    NestColumn,
    mapped,
)
from datalake_assets.mapping.sql_nested import first_failure, has_structs, has_surplus, nested_value, parsed
from datalake_assets.mapping.sql_text import literal
from datalake_assets.mapping.sql_values import Reading, accepted, cast, reason

VALUE_CHARACTERS_IN_REASON = 100
NULL_IN_REQUIRED = "is required but null"
HOLDS_NUL = "holds a NUL byte"
NOT_COMPUTED = "cannot be computed from its expression"
TOO_LONG = f"is longer than {MAX_VARCHAR_BYTES} bytes"

# What a column goes through: its expression is tried, it has a text, that is cast or parsed, accepted, and used; a
# struct is made of such values in one more step.
_TRY, _TEXT, _CAST, _ACCEPT, _USE = range(5)
_STEPS = 6


@dataclass(slots=True)
class Projection:
    """Steps that make the columns of a table, and what is wrong with a row after the last one.

    Attributes:
        steps: lists of `expression AS name`.
        failures: pairs of a condition and the SQL of its `STRUCT("column", reason, "value")`.
        surplus: SQL of members for `_rescued_data`: nested values of which the type does not name all; NULL if it does.
        nulled: pairs of a target column and the name of the boolean that says whether a conflict took null there.
    """

    steps: list[list[str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    nulled: list[tuple[str, str]] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)

    def over(self, source: str) -> str:
        """A table expression with all columns of the source and of the steps."""
        for step in self.steps:
            if step:
                source = f"(SELECT *, {', '.join(step)}\nFROM {source})"
        return source

    def is_bad(self) -> str:
        return " OR ".join(f"({condition})" for condition, _ in self.failures) or "false"

    def listed(self) -> str:
        """The failures of a row as a list; empty for a good one."""
        each = ", ".join(f"CASE WHEN {condition} THEN {failure} END" for condition, failure in self.failures)
        return f"list_filter([{each}], lambda failure: failure IS NOT NULL)"

    def add_last(self, expression: str, name: str) -> str:
        """Compute a named value of all that is there."""
        return self.add(len(self.steps), expression, name)

    def add(self, step: int, expression: str, name: str) -> str:
        """Compute a named value in a step; return its name."""
        while len(self.steps) <= step:
            self.steps.append([])
        self.steps[step].append(f"{expression} AS {name}")
        return name


@dataclass(frozen=True, slots=True)
class Source:
    """Where the texts of a table's columns come from.

    Attributes:
        text: raw column or path → SQL of its text, NULL where there is none.
        key: name in the object's key → SQL of its text.
        salt: name of a secret → SQL of its value.
        label: target column or path below it → SQL of what reasons call it.
        hidden: raw columns and paths whose texts, or parts of them, are masked.
    """

    text: Callable[[str], str]
    key: Callable[[str], str]
    salt: Callable[[str], str]
    label: Callable[[str], str] = literal
    hidden: Collection[str] = ()
    check_nul: bool = False


def value_names(columns: Sequence[MappedColumn | DroppedColumn]) -> list[str]:
    """What the output columns of these entries are called in SQL, in their order."""
    found = []
    for number, column in enumerate(mapped(columns)):
        found += [f"t{number}", f"s{number}"][: len(column.output)]
    return found


def nulled_names(columns: Sequence[MappedColumn | DroppedColumn]) -> list[tuple[str, str]]:
    """Target columns in which a conflict takes null, and the booleans that say so."""
    return [
        (column.to, f"z{number}")
        for number, column in enumerate(mapped(columns))
        if isinstance(column, Column) and column.on_conflict == "null"
    ]


def compile_columns(columns: Sequence[MappedColumn | DroppedColumn], source: Source) -> Projection:
    """Compile the entries of one table."""
    projection = Projection()
    spelled: dict[str, str] = {}
    generation: dict[str, int] = {}
    for number, column in enumerate(mapped(columns)):
        begin = 0
        if isinstance(column, ExpressionColumn):
            from datalake_assets.mapping.expressions import columns_of

            begin = 1 + max((generation[name] for name in columns_of(column.expression)), default=0)
        _Compiler(projection, source, number, begin * _STEPS, spelled).compile(column)
        for name, value in zip([name for name, _ in column.output], [f"t{number}", f"s{number}"], strict=False):
            spelled[name], generation[name] = value, begin
    return projection


def null_if(text: str, null_values: Sequence[str]) -> str:
    """The text, NULL if it is one of these."""
    # Not IN: from five values on it becomes a join, and a join lets the rows come out of their order.
    nulls = " ".join(f"WHEN {literal(value)} THEN NULL" for value in null_values)
    return f"CASE {text} {nulls} ELSE {text} END" if nulls else text


def failure(label: str, why: str, text: str) -> str:
    """`STRUCT("column", reason, "value")`; `label` and `text` are SQL."""
    shown = f"replace(left({text}, {VALUE_CHARACTERS_IN_REASON}), chr(0), '\\0')"
    return f'struct_pack("column" := {label}, reason := {literal(why)}, "value" := {shown})'


@dataclass(frozen=True, slots=True)
class _Value:
    """A text made a value: the name of the value, when the text is none of the type, and how that is told."""

    name: str
    conflict: str
    told: str


class _Compiler:
    """Compiles one column into the projection."""

    def __init__(
        self, projection: Projection, source: Source, number: int, begin: int, spelled: dict[str, str]
    ) -> None:
        self._projection = projection
        self._source = source
        self._number = number
        self._begin = begin
        self._spelled = spelled

    def compile(self, column: MappedColumn) -> None:
        if isinstance(column, Column):
            self._raw(column)
        elif isinstance(column, NestColumn):
            self._nest(column)
        elif isinstance(column, ExpressionColumn):
            self._expression(column)
        elif isinstance(column, ConstantColumn):
            self._plain(column, literal(column.text))
        else:
            self._plain(column, self._add(_TEXT, self._source.key(column.from_key), f"x{self._number}"))

    def _raw(self, column: Column) -> None:
        text = raw = self._source.text(column.from_)
        if column.null_values:
            text = null_if(text, column.null_values)
        if column.mask == "hash":
            text = f"sha256({self._source.salt(column.salt_secret) + ' || ' if column.salt_secret else ''}{text})"
        elif column.mask == "redact":
            text = f"CASE WHEN {text} IS NOT NULL THEN {literal(REDACTED)} END"
        if text != raw:
            text = self._add(_TEXT, text, f"x{self._number}")
        if column.required:
            self._fail(f"{text} IS NULL", self._null(column.to))
        is_hidden = column.mask is not None or column.from_ in self._source.hidden
        value = self._value(Reading.of(column), text, target=column.to, path=column.from_, is_hidden=is_hidden)
        if column.on_conflict == "split":
            split = self._add(_USE, f"CASE WHEN {value.conflict} THEN {text} END", f"s{self._number}")
            told = failure(self._source.label(column.to), TOO_LONG, split)
            self._fail(f"strlen({split}) > {MAX_VARCHAR_BYTES}", told)
            self._check_nul(column.to, split)
        elif column.on_conflict == "null":
            self._add(_USE, f"coalesce({value.conflict}, false)", f"z{self._number}")
            self._projection.nulled.append((column.to, f"z{self._number}"))
        else:
            self._fail(value.conflict, value.told)
        if column.value_type.kind == "varchar":
            self._check_nul(column.to, value.name)

    def _plain(self, column: ConstantColumn | KeyColumn, text: str) -> None:
        if column.required:
            self._fail(f"{text} IS NULL", self._null(column.to))
        value = self._value(Reading(column.type), text, target=column.to)
        self._fail(value.conflict, value.told)

    def _expression(self, column: ExpressionColumn) -> None:
        from datalake_assets.mapping.expressions import with_columns

        # On lines of its own: it may end with a comment.
        sql = f"(\n{with_columns(column.expression, self._spelled)}\n)"
        as_text = f"CAST({f'to_json({sql})' if column.type.is_nested else sql} AS VARCHAR)"
        # NULL if it fails, a list of NULL if that is what it gives.
        tried = self._add(_TRY, f"TRY([{as_text}])", f"y{self._number}")
        text = self._add(_TEXT, f"{tried}[1]", f"x{self._number}")
        self._fail(f"{tried} IS NULL", failure(self._source.label(column.to), NOT_COMPUTED, "NULL::VARCHAR"))
        if column.required:
            self._fail(f"{tried} IS NOT NULL AND {text} IS NULL", self._null(column.to))
        value = self._value(Reading(column.type), text, target=column.to)
        self._fail(value.conflict, value.told)
        if column.type.kind == "varchar":
            self._check_nul(column.to, value.name)

    def _nest(self, column: NestColumn) -> None:
        texts, members = [], []
        for at, (name, part) in enumerate(column.type.parts):
            text = self._source.text(column.nest[name])
            target = f"{column.to}.{name}"
            suffix = f"{self._number}_{at}"
            path = column.nest[name]
            is_hidden = path in self._source.hidden
            value = self._value(Reading(part), text, target=target, suffix=suffix, path=path, is_hidden=is_hidden)
            self._fail(value.conflict, value.told)
            texts.append(text)
            members.append(f'"{name}" := {value.name}')
        some = " OR ".join(f"{text} IS NOT NULL" for text in texts)
        self._add(_USE + 1, f"CASE WHEN {some} THEN struct_pack({', '.join(members)}) END", f"t{self._number}")
        if column.required:
            self._fail(f"NOT ({some})", self._null(column.to))

    def _value(
        self,
        reading: Reading,
        text: str,
        *,
        target: str,
        suffix: str | None = None,
        path: str | None = None,
        is_hidden: bool = False,
    ) -> _Value:
        suffix = str(self._number) if suffix is None else suffix
        label, type = self._source.label(target), reading.type
        told = failure(label, reason(reading), literal(REDACTED) if is_hidden else text)
        if not type.is_nested:
            value = self._add(_CAST, cast(reading, text), f"v{suffix}")
            value = self._add(_ACCEPT, accepted(type, value), f"t{suffix}")
            return _Value(value, f"{text} IS NOT NULL AND {value} IS NULL", told)
        parsed_json = self._add(_CAST, parsed(text), f"j{suffix}")
        bad = self._add(_ACCEPT, first_failure(type, parsed_json, label), f"f{suffix}")
        value = self._add(_ACCEPT, nested_value(type, parsed_json), f"v{suffix}")
        value = self._add(_USE, f"CASE WHEN {bad} IS NULL THEN {value} END", f"t{suffix}")
        if path is not None and not is_hidden and has_structs(type):
            key = literal(json.dumps(path, ensure_ascii=False) + ":")
            self._projection.surplus.append(
                f"CASE WHEN {bad} IS NULL AND {has_surplus(type, parsed_json)} THEN {key} || {text} END"
            )
        inner_value = literal(REDACTED) if is_hidden else f'{bad}."value"'
        inner = f'struct_pack("column" := {bad}.path, reason := {bad}.reason, "value" := {inner_value})'
        return _Value(
            value,
            f"{text} IS NOT NULL AND ({parsed_json} IS NULL OR {bad} IS NOT NULL)",
            f"CASE WHEN {bad} IS NULL THEN {told} ELSE {inner} END",
        )

    def _add(self, step: int, expression: str, name: str) -> str:
        return self._projection.add(self._begin + step, expression, name)

    def _fail(self, condition: str, told: str) -> None:
        self._projection.failures.append((condition, told))

    def _null(self, target: str) -> str:
        return failure(self._source.label(target), NULL_IN_REQUIRED, "NULL::VARCHAR")

    def _check_nul(self, target: str, value: str) -> None:
        if self._source.check_nul:
            self._fail(f"contains({value}, chr(0))", failure(self._source.label(target), HOLDS_NUL, value))
