"""The mapping as Spark SQL, with the result of the DuckDB engine: the same values, the same rows set aside and why.

It works on a view `records` of texts, as `script_reader` writes it: `source_file`, `source_row`, `reason` (of a broken
record, else NULL), `raw`, `surplus` (members of `_rescued_data`, else NULL), and c0 … in the order of
`header.wanted_paths`. Words that Spark cannot do equally are refused, never done differently.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from datalake_assets import names
from datalake_assets.column_types import MAX_VARCHAR_BYTES, TargetType
from datalake_assets.errors import Unsupported
from datalake_assets.mapping.columns import (
    REDACTED,
    Column,
    ConstantColumn,
    ExpressionColumn,
    MappedColumn,
    NestColumn,
)
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.script_levels import Statements, wanted_keys
from datalake_assets.mapping.script_reader import Shape
from datalake_assets.mapping.spark_expressions import compile_expression
from datalake_assets.mapping.spark_text import literal
from datalake_assets.mapping.spark_values import accepted, cast
from datalake_assets.mapping.spec import QUARANTINE_COLUMNS, MappingSpec
from datalake_assets.mapping.sql import NOT_NAMED
from datalake_assets.mapping.sql_columns import (
    HOLDS_NUL,
    NOT_COMPUTED,
    NULL_IN_REQUIRED,
    TOO_LONG,
    VALUE_CHARACTERS_IN_REASON,
)
from datalake_assets.mapping.sql_values import Reading, reason


def spark_shapes(spec: MappingSpec) -> tuple[Shape, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class SparkQueries:
    """Three statements, each over the view that the one before it makes.

    `checked` reads `records` and becomes the view `checked`; `good` and `quarantine` read that one and have the columns
    of the lake table and of its quarantine, in their order. `raw_columns` are the raw names or paths of c0 …, behind
    them `keys` are the names of the parts of the object's key that are read.
    """

    raw_columns: tuple[str, ...]
    keys: tuple[str, ...]
    checked: str
    good: str
    quarantine: str


def compile_spark(spec: MappingSpec) -> Statements:
    """Compile the spec to Spark SQL.

    Raises:
        Unsupported: a word that Spark cannot do as DuckDB does it; the message names it.
    """
    _require_known_words(spec)
    paths, keys = wanted_paths(spec), wanted_keys(spec)
    compiler = _Compiler(spec, paths, keys)
    columns = [
        *compiler.output,
        f"{compiler.rescued} AS {_name(names.RESCUED_COLUMN)}",
        f"source_file AS {_name(names.SOURCE_FILE_COLUMN)}",
        f"source_row AS {_name(names.SOURCE_ROW_COLUMN)}",
    ]
    good = f"SELECT {_listed(columns)}\nFROM checked\nWHERE reason IS NULL AND size(failures) = 0"
    if spec.deduplicate is not None:
        good = _deduplicated(good, spec)
    outputs = (("good", good), ("quarantine", _quarantine()))
    mapped = "SELECT count(*) FROM checked WHERE reason IS NULL AND size(failures) = 0"
    return Statements((("checked", compiler.checked()),), outputs, mapped)


def _require_known_words(spec: MappingSpec) -> None:
    words = [
        word
        for word, is_there in (
            ("explode", spec.explode is not None),
            ("children", bool(spec.children)),
            (f"on_schema_change: {spec.on_schema_change}", spec.on_schema_change in ("evolve", "freeze")),
        )
        if is_there
    ]
    words += [f"type {column.type} of {column.to}" for column in spec.mapped if not _is_plain(column)]
    words += [
        f"salt_secret of {column.to}" for column in spec.columns if isinstance(column, Column) and column.salt_secret
    ]
    if words:
        raise Unsupported(
            f"Spark does not run {', '.join(words)} of a mapping",
            expected="columns of plain types, deduplicate, and on_schema_change rescue, discard_row or discard_value",
            todo="Let DuckDB run this pipeline.",
        )


def _is_plain(column: MappedColumn) -> bool:
    """Whether the column, or each field of a struct made of raw columns, is of a plain type."""
    if isinstance(column, NestColumn):
        return not any(part.is_nested for _, part in column.type.parts)
    return not column.type.is_nested


class _Compiler:
    """The steps of a mapping, each a SELECT over the one before: texts, casts, values, uses, and failures at the end.

    What a value goes through is called x… (its text), v… (cast), t… (accepted), s… (a text split off).
    """

    def __init__(self, spec: MappingSpec, paths: Sequence[str], keys: Sequence[str]) -> None:
        self._spec = spec
        self._place = {path: f"c{number}" for number, path in enumerate(paths)}
        self._key = {key: f"c{number}" for number, key in enumerate(keys, start=len(paths))}
        self._steps: list[tuple[str, list[str]]] = [(name, []) for name in ("texts", "casts", "accepted", "used")]
        self._failures: list[str] = []
        self.output: list[str] = []
        known: dict[str, tuple[str, TargetType]] = {}
        for number, column in enumerate(spec.mapped):
            self._compile(column, str(number), known)
            for (name, type_), value in zip(column.output, (f"t{number}", f"s{number}"), strict=False):
                self.output.append(f"{value} AS {_name(name)}")
                known[name] = (value, type_)
        surplus = "concat('{', surplus, '}')"
        self.rescued = surplus
        if spec.on_schema_change == "discard_row":
            self._fail("surplus IS NOT NULL", names.RESCUED_COLUMN, NOT_NAMED, surplus)
        elif spec.on_schema_change == "discard_value":
            self.rescued = "CAST(NULL AS STRING)"
        else:
            self._fail(f"octet_length({surplus}) > {MAX_VARCHAR_BYTES}", names.RESCUED_COLUMN, TOO_LONG, surplus)

    def checked(self) -> str:
        """The statement that ends with the array `failures`, empty for a good row."""
        steps = [(name, columns) for name, columns in self._steps if columns]
        tables = ["records", *(name for name, _ in steps)]
        written = ",\n".join(
            f"{name} AS (\n    SELECT *,\n        " + ",\n        ".join(columns) + f"\n    FROM {before}\n)"
            for (name, columns), before in zip(steps, tables, strict=False)
        )
        failures = ",\n        ".join(self._failures)
        return (
            f"WITH {written}\nSELECT *, filter(array(\n        {failures}\n"
            f"    ), failure -> failure IS NOT NULL) AS failures\nFROM {tables[-1]}"
        )

    def _add(self, step: int, expression: str, name: str) -> str:
        self._steps[step][1].append(f"{expression} AS {name}")
        return name

    def _fail(self, condition: str, column: str, why: str, shown: str) -> None:
        self._failures.append(_failure(condition, column, why, shown))

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
        shown = literal(REDACTED) if column.mask else text
        fails = column.on_conflict not in ("split", "null")
        self._conflict(Reading.of(column), text, number, column.to, shown=shown, fails=fails)
        if column.on_conflict == "split":
            split = self._add(3, f"CASE WHEN {text} IS NOT NULL AND t{number} IS NULL THEN {text} END", f"s{number}")
            self._fail(f"octet_length({split}) > {MAX_VARCHAR_BYTES}", column.to, TOO_LONG, split)
            self._check_nul(column.to, split)

    def _nest(self, column: NestColumn, number: str) -> None:
        texts = []
        for at, (name, type_) in enumerate(column.type.parts):
            texts.append(self._add(0, self._text(column.nest[name]), f"x{number}_{at}"))
            self._conflict(Reading(type_), texts[-1], f"{number}_{at}", f"{column.to}.{name}")
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
    failure = f"named_struct('column', {literal(column)}, 'reason', {literal(why)}, 'value', {text})"
    return f"CASE WHEN {condition} THEN {failure} END"


def _quarantine() -> str:
    shown = f"replace(left(failure.value, {VALUE_CHARACTERS_IN_REASON}), chr(0), {literal(chr(92) + '0')})"
    # concat_ws leaves out the value where there is none.
    sentence = f"concat_ws(' ', failure.column, concat('\\'', {shown}, '\\''), failure.reason)"
    values = [
        f"coalesce(concat('record ', reason), array_join(transform(failures, failure -> {sentence}), '; '))",
        "CASE WHEN reason IS NULL THEN array_join(transform(failures, failure -> failure.column), ', ') END",
        "raw",
        "source_file",
        "source_row",
    ]
    columns = [f"{value} AS {_name(column.name)}" for value, column in zip(values, QUARANTINE_COLUMNS, strict=True)]
    return f"SELECT {_listed(columns)}\nFROM checked\nWHERE reason IS NOT NULL OR size(failures) > 0"


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
