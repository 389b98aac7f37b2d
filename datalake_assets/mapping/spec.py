"""What a team declares about one table: its columns, how the raw files look, how many bad rows are too many.

These models stand in a defs.yaml as they are. They validate themselves completely: whatever passes here compiles.
The entries of `columns` are in `columns`, what changes the number of rows in `children`.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from datalake_assets import names
from datalake_assets.column_types import TargetType
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.mapping import agreement
from datalake_assets.mapping.children import (
    POSITION_COLUMN,
    Child,
    Deduplicate,
    Explode,
    Level,
    levels,
)
from datalake_assets.mapping.columns import (
    RESERVED_COLUMNS,
    TEXT,
    AnyColumn,
    Column,
    ConstantColumn,
    DroppedColumn,
    ExpressionColumn,
    KeyColumn,
    MappedColumn,
    NestColumn,
    Words,
    mapped,
    raw_paths,
)

__all__ = [
    "PLATFORM_COLUMNS",
    "QUARANTINE_COLUMNS",
    "RESERVED_COLUMNS",
    "AnyColumn",
    "BadRows",
    "Child",
    "Column",
    "ConstantColumn",
    "Deduplicate",
    "DroppedColumn",
    "Explode",
    "ExpressionColumn",
    "KeyColumn",
    "MappedColumn",
    "MappingSpec",
    "MappingWords",
    "NestColumn",
    "OnSchemaChange",
    "OutputColumn",
]

OnSchemaChange = Literal["evolve", "freeze", "rescue", "discard_row", "discard_value"]
ROW_NUMBER = TargetType("bigint")
POSITION = TargetType("int")


def _percent(value: object) -> object:
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)):
        value = float(match[1]) / 100
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 or math.isnan(value):
        raise ValueError("a share is a text such as '1%' or a number from 0 to 1")
    return float(value)


# A share from 0 to 1; "1%" and 0.01 are the same.
Percent = Annotated[float, BeforeValidator(_percent, json_schema_input_type=str | float)]


class BadRows(Words):
    """How many rows may be set aside before the partition fails instead of being published."""

    fail_above: Percent = Field(
        default=0.01, description="share of bad rows; the default of 1% lets a stray row pass, a changed format not"
    )


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of the lake table.

    `source` is the raw column or path it comes from, None for those the platform adds and those made of several or of
    none; `sources` are all raw columns that it hangs on, also through an expression.
    """

    name: str
    type: TargetType
    description: str | None
    source: str | None
    sources: tuple[str, ...] = ()


class MappingWords(Words):
    """The words about the rows of a table, as they stand in a pipeline's declaration and in its mapping alike."""

    columns: tuple[AnyColumn, ...]
    explode: Explode | None = None
    children: tuple[Child, ...] = ()
    deduplicate: Deduplicate | None = None
    on_schema_change: OnSchemaChange = Field(
        default="rescue",
        description="what becomes of raw columns that the mapping does not name: kept as JSON in `_rescued_data`, new "
        "text columns, a failure before anything is published, the row set aside, or the value dropped and counted",
    )
    bad_rows: BadRows = BadRows()

    @field_validator("columns")
    @classmethod
    def _columns_agree(cls, columns: tuple[AnyColumn, ...]) -> tuple[AnyColumn, ...]:
        _refuse("columns", agreement.column_mistakes(columns))
        return columns

    @field_validator("explode")
    @classmethod
    def _explode_agrees(cls, explode: Explode | None, info: ValidationInfo) -> Explode | None:
        if explode is not None and "columns" in info.data:
            _refuse("explode", agreement.explode_mistakes(explode, info.data["columns"]))
        return explode

    @field_validator("children")
    @classmethod
    def _children_agree(cls, children: tuple[Child, ...], info: ValidationInfo) -> tuple[Child, ...]:
        if "columns" in info.data:
            is_exploded = info.data.get("explode") is not None
            _refuse("children", agreement.children_mistakes(children, info.data["columns"], is_exploded=is_exploded))
        return children

    @field_validator("deduplicate")
    @classmethod
    def _deduplicate_agrees(cls, deduplicate: Deduplicate | None, info: ValidationInfo) -> Deduplicate | None:
        if deduplicate is not None and "columns" in info.data:
            _refuse("deduplicate", agreement.deduplicate_mistakes(deduplicate, info.data["columns"]))
        return deduplicate

    @property
    def mapped(self) -> tuple[MappedColumn, ...]:
        """The entries of `columns` that make a column of the table, without those that are dropped."""
        return mapped(self.columns)

    @property
    def dropped(self) -> frozenset[str]:
        """The raw columns or paths that are left out on purpose."""
        return frozenset(column.from_ for column in self.columns if isinstance(column, DroppedColumn))

    @property
    def levels(self) -> tuple[Level, ...]:
        """All child tables, each before its own children."""
        return tuple(levels(self.children))

    def output_columns(self) -> list[OutputColumn]:
        """The schema of the lake table, in the order of its Parquet files and so of a positional COPY."""
        return [*output_columns(self.columns), *PLATFORM_COLUMNS]

    def child_columns(self, level: Level) -> list[OutputColumn]:
        """The schema of a child table, in the order of its Parquet files."""
        known = {column.name: column for column in output_columns(self.columns)}
        for parent in (*level.parents, level.child):
            keys = [_repeated(known[name]) for name in parent.key]
            if parent is level.child:
                break
            known = {column.name: column for column in output_columns(parent.columns)}
        inherited: list[OutputColumn] = []
        above = {column.name: column for column in output_columns(self.columns)}
        for parent in level.parents:
            inherited += [_repeated(above[name]) for name in parent.key]
            text = f"place of the element of {parent.table} that the row belongs to, from 0"
            inherited.append(OutputColumn(parent.position_in_children, POSITION, text, None))
            above = {column.name: column for column in output_columns(parent.columns)}
        position = OutputColumn(POSITION_COLUMN, POSITION, f"place within {level.child.from_}, from 0", None)
        own = output_columns(level.child.columns)
        return [*inherited, *keys, position, *own, *PLATFORM_COLUMNS[1:]]


class MappingSpec(MappingWords):
    """From raw columns to target columns, for every file of one table."""

    source: SourceFormat = SourceFormat()


def output_columns(columns: Sequence[MappedColumn | DroppedColumn]) -> list[OutputColumn]:
    """The columns that entries make, in their order, without those of the platform."""
    found: list[OutputColumn] = []
    sources: dict[str, tuple[str, ...]] = {}
    for column in mapped(columns):
        hangs_on = raw_paths(column)
        if isinstance(column, ExpressionColumn):
            from datalake_assets.mapping.expressions import columns_of

            read = columns_of(column.expression)
            hangs_on = tuple(dict.fromkeys(path for name, of in sources.items() if name in read for path in of))
        source = column.from_ if isinstance(column, Column) else None
        for name, type in column.output:
            text = column.description if name == column.to else f"what is no {column.type} in {column.to}, as it was"
            found.append(OutputColumn(name, type, text, source, hangs_on))
            sources[name] = hangs_on
    return found


def _repeated(column: OutputColumn) -> OutputColumn:
    """A column of the parent, as its children repeat it."""
    return OutputColumn(column.name, column.type, column.description, column.source, column.sources)


def _refuse(title: str, mistakes: Iterable[agreement.Located]) -> None:
    """Raise for all mistakes at once, each at its place; a validator that does so passes the places on."""
    details = [
        InitErrorDetails(type=PydanticCustomError("misfit", "{text}", {"text": text}), loc=where, input={})
        for where, text in mistakes
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)


PLATFORM_COLUMNS = (
    OutputColumn(names.RESCUED_COLUMN, TEXT, "JSON object of the raw columns that the mapping does not name", None),
    OutputColumn(names.SOURCE_FILE_COLUMN, TEXT, "URI of the raw object that the row comes from", None),
    OutputColumn(names.SOURCE_ROW_COLUMN, ROW_NUMBER, "line of that object on which the row begins; header is 1", None),
)

QUARANTINE_COLUMNS = (
    OutputColumn("_reason", TEXT, "why the row was set aside, all its reasons in words", None),
    OutputColumn(
        "_column", TEXT, "target columns that caused it, comma-separated; null when the record is broken", None
    ),
    OutputColumn("_raw", TEXT, "the row as it was: a JSON object of its texts, or the line when it is broken", None),
    OutputColumn(names.SOURCE_FILE_COLUMN, TEXT, "URI of the raw object that the row comes from", None),
    OutputColumn(names.SOURCE_ROW_COLUMN, ROW_NUMBER, "line of that object on which the row begins; header is 1", None),
)
