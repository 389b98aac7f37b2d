"""The mapping as Spark SQL, with the result of the DuckDB engine: the same values, the same rows set aside and why.

It works on a view `records` of texts, as `script_reader` writes it: `source_file`, `source_row`, `reason` (of a broken
record, else NULL), `raw`, `surplus` (members of `_rescued_data`, else NULL), and c0 … in the order of
`header.wanted_paths`. Words that Spark cannot do equally are refused, never done differently.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from datalake_assets import names
from datalake_assets.column_types import MAX_VARCHAR_BYTES
from datalake_assets.errors import Unsupported
from datalake_assets.mapping.columns import REDACTED, Column, ConstantColumn, ExpressionColumn, KeyColumn, MappedColumn
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.spark_expressions import compile_expression
from datalake_assets.mapping.spark_text import literal
from datalake_assets.mapping.spark_values import accepted, cast_column, cast_text
from datalake_assets.mapping.spec import QUARANTINE_COLUMNS, MappingSpec
from datalake_assets.mapping.sql import HOLDS_NUL, NOT_NAMED, NULL_IN_REQUIRED, VALUE_CHARACTERS_IN_REASON, reason

_NOT_COMPUTED = "cannot be computed"


@dataclass(frozen=True, slots=True)
class SparkQueries:
    """Three statements, each over the view that the one before it makes.

    `checked` reads `records` and becomes the view `checked`; `good` and `quarantine` read that one and have the columns
    of the lake table and of its quarantine, in their order. `raw_columns` are the raw names or paths of c0 ….
    """

    raw_columns: tuple[str, ...]
    checked: str
    good: str
    quarantine: str


def compile_spark(spec: MappingSpec) -> SparkQueries:
    """Compile the spec to Spark SQL.

    Raises:
        Unsupported: a word that Spark cannot do as DuckDB does it; the message names it.
    """
    _require_known_words(spec)
    paths = wanted_paths(spec)
    compiler = _Compiler(spec, paths)
    columns = [
        *compiler.output,
        f"{compiler.rescued} AS {_name(names.RESCUED_COLUMN)}",
        f"source_file AS {_name(names.SOURCE_FILE_COLUMN)}",
        f"source_row AS {_name(names.SOURCE_ROW_COLUMN)}",
    ]
    good = f"SELECT {_listed(columns)}\nFROM checked\nWHERE reason IS NULL AND size(failures) = 0"
    if spec.deduplicate is not None:
        good = _deduplicated(good, spec)
    return SparkQueries(tuple(paths), compiler.checked(), good, _quarantine())


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
    words += [f"type {column.type} of {column.to}" for column in spec.mapped if column.type.is_nested]
    if words:
        raise Unsupported(
            f"Spark does not run {', '.join(words)} of a mapping",
            expected="columns of plain types, deduplicate, and on_schema_change rescue, discard_row or discard_value",
            todo="Let DuckDB run this pipeline.",
        )


@dataclass(frozen=True, slots=True)
class _Cell:
    """One column on its way: the text it comes from, how it is cast, what is wrong with it, and what it becomes."""

    column: MappedColumn
    number: int

    @property
    def text(self) -> str:
        return f"x{self.number}"

    @property
    def cast(self) -> str:
        return f"v{self.number}"

    @property
    def value(self) -> str:
        return f"t{self.number}"


class _Compiler:
    """The steps of a mapping, each a SELECT over the one before: texts, casts, values, expressions, failures."""

    def __init__(self, spec: MappingSpec, paths: Sequence[str]) -> None:
        self._spec = spec
        self._place = {path: f"c{number}" for number, path in enumerate(paths)}
        self._cells = [_Cell(column, number) for number, column in enumerate(spec.mapped)]
        self._computed = [cell for cell in self._cells if isinstance(cell.column, ExpressionColumn)]
        self._read = [cell for cell in self._cells if cell not in self._computed]
        keeps = spec.on_schema_change not in ("discard_row", "discard_value")
        self.rescued = "concat('{', surplus, '}')" if keeps else "CAST(NULL AS STRING)"

    @property
    def output(self) -> list[str]:
        found = []
        for cell in self._cells:
            found.append(f"{cell.value} AS {_name(cell.column.to)}")
            for name, _ in cell.column.output[1:]:
                found.append(f"CASE WHEN {cell.value} IS NULL THEN {cell.text} END AS {_name(name)}")
        return found

    def checked(self) -> str:
        steps = [
            ("texts", [f"{self._text(cell.column)} AS {cell.text}" for cell in self._read]),
            ("casts", [f"{self._cast(cell)} AS {cell.cast}" for cell in self._read]),
            ("typed", [f"{self._accepted(cell)} AS {cell.value}" for cell in self._read]),
        ]
        for cell in self._computed:
            # Each expression may read the one before it.
            known = {each.column.to: (each.value, each.column.output[0][1]) for each in self._cells[: cell.number]}
            expression = compile_expression(cell.column.expression, known)  # type: ignore[union-attr]
            steps += [
                (
                    f"computed_{cell.number}",
                    [f"{expression.sql} AS {cell.text}", f"{expression.fails} AS f{cell.number}"],
                ),
                (f"cast_{cell.number}", [f"{cast_text(cell.column.type, cell.text)} AS {cell.cast}"]),
                (f"typed_{cell.number}", [f"{self._accepted(cell)} AS {cell.value}"]),
            ]
        tables = ["records", *(name for name, _ in steps)]
        written = ",\n".join(
            f"{name} AS (\n    SELECT *,\n        " + ",\n        ".join(columns) + f"\n    FROM {before}\n)"
            for (name, columns), before in zip(steps, tables, strict=False)
            if columns
        )
        return (
            f"WITH {written}\n"
            f"SELECT *, filter(array(\n        {_separated(self._failures())}\n    ), failure -> failure IS NOT NULL) "
            f"AS failures\nFROM {tables[-1]}"
        )

    def _text(self, column: MappedColumn) -> str:
        if isinstance(column, ConstantColumn):
            return literal(column.text)
        if isinstance(column, KeyColumn):
            return _from_key(column.from_key)
        assert isinstance(column, Column)
        raw = self._place[column.from_]
        nulls = dict.fromkeys([*self._spec.source.null_values, *column.null_values])
        if nulls:
            raw = f"CASE WHEN {raw} IN ({', '.join(map(literal, nulls))}) THEN NULL ELSE {raw} END"
        if column.mask == "redact":
            return f"CASE WHEN {raw} IS NOT NULL THEN {literal(REDACTED)} END"
        if column.mask == "hash":
            return f"sha2({raw}, 256)"
        return raw

    def _cast(self, cell: _Cell) -> str:
        if isinstance(cell.column, Column):
            return cast_column(cell.column, cell.text)
        return cast_text(cell.column.type, cell.text)

    def _accepted(self, cell: _Cell) -> str:
        return accepted(cell.column.output[0][1], cell.cast)

    def _failures(self) -> list[str]:
        found = []
        for cell in self._cells:
            column = cell.column
            is_computed = isinstance(column, ExpressionColumn)
            if is_computed:
                found.append(_failure(f"f{cell.number}", column.to, _NOT_COMPUTED, "CAST(NULL AS STRING)"))
            if column.required:
                also = f" AND NOT f{cell.number}" if is_computed else ""
                found.append(_failure(f"{cell.text} IS NULL{also}", column.to, NULL_IN_REQUIRED, cell.text))
            conflict = f"{cell.text} IS NOT NULL AND {cell.value} IS NULL"
            resolution = column.on_conflict if isinstance(column, Column) else "quarantine"
            if resolution in ("quarantine", "text"):
                found.append(_failure(conflict, column.to, reason(column), cell.text))  # type: ignore[arg-type]
            if column.output[0][1].kind == "varchar":
                found.append(_failure(f"contains({cell.value}, chr(0))", column.to, HOLDS_NUL, cell.text))
        surplus = "concat('{', surplus, '}')"
        if self._spec.on_schema_change == "discard_row":
            found.append(_failure("surplus IS NOT NULL", names.RESCUED_COLUMN, NOT_NAMED, surplus))
        elif self._spec.on_schema_change != "discard_value":
            too_long = f"is longer than {MAX_VARCHAR_BYTES} bytes"
            condition = f"octet_length({surplus}) > {MAX_VARCHAR_BYTES}"
            found.append(_failure(condition, names.RESCUED_COLUMN, too_long, surplus))
        return found


def _failure(condition: str, column: str, why: str, text: str) -> str:
    shown = f"replace(left({text}, {VALUE_CHARACTERS_IN_REASON}), chr(0), {literal(chr(92) + '0')})"
    quoted = f"coalesce(concat(' \\'', {shown}, '\\''), '')"
    sentence = f"concat({literal(column)}, {quoted}, {literal(' ' + why)})"
    return f"CASE WHEN {condition} THEN named_struct('column', {literal(column)}, 'sentence', {sentence}) END"


def _from_key(name: str) -> str:
    raise Unsupported(f"Spark does not read {name}= from keys yet")


def _quarantine() -> str:
    values = [
        "coalesce(concat('record ', reason), array_join(transform(failures, failure -> failure.sentence), '; '))",
        "CASE WHEN reason IS NULL THEN array_join(transform(failures, failure -> failure.column), ', ') END",
        "raw",
        "source_file",
        "source_row",
    ]
    columns = [f"{value} AS {_name(column.name)}" for value, column in zip(values, QUARANTINE_COLUMNS, strict=True)]
    return f"SELECT {_listed(columns)}\nFROM checked\nWHERE reason IS NOT NULL OR size(failures) > 0"


def _deduplicated(good: str, spec: MappingSpec) -> str:
    assert spec.deduplicate is not None
    order = [f"{_name(name)} {'DESC' if is_desc else 'ASC'} NULLS LAST" for name, is_desc in spec.deduplicate.orders]
    order += [f"{_name(names.SOURCE_FILE_COLUMN)} DESC", f"{_name(names.SOURCE_ROW_COLUMN)} DESC"]
    by = ", ".join(map(_name, spec.deduplicate.by))
    whole = " AND ".join(f"{_name(name)} IS NOT NULL" for name in spec.deduplicate.by)
    kept = [_name(column.name) for column in spec.output_columns()]
    return (
        f"SELECT {_listed(kept)}\nFROM (\n    SELECT *, {whole} AS is_comparable,\n"
        f"        row_number() OVER (PARTITION BY {by} ORDER BY {', '.join(order)}) AS place\n"
        f"    FROM ({good})\n)\nWHERE place = 1 OR NOT is_comparable"
    )


def _name(text: str) -> str:
    """An identifier; those of the lake are validated and hold no backtick."""
    return f"`{text}`"


def _listed(columns: Sequence[str]) -> str:
    return ",\n    ".join(columns)


def _separated(failures: Sequence[str]) -> str:
    return ",\n        ".join(failures)
