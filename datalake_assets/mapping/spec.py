"""What a team declares about one table: its columns, how the raw files look, how many bad rows are too many.

These models stand in a defs.yaml as they are. They validate themselves completely: whatever passes here compiles.
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from datalake_assets import names
from datalake_assets.column_types import TargetType
from datalake_assets.errors import InvalidName
from datalake_assets.formats.source_format import SourceFormat

RESERVED_COLUMNS = (
    names.SOURCE_FILE_COLUMN,
    names.SOURCE_ROW_COLUMN,
    names.RESCUED_COLUMN,
    names.PARTITION_COLUMN,
)
# What both DuckDB's strptime and a later Spark compiler can read.
FORMAT_DIRECTIVES = "%Y %y %m %-m %B %b %d %-d %j %A %a %H %-H %I %-I %p %M %-M %S %-S %f %z %%"
_DIRECTIVE = re.compile(r"%-?.?", re.DOTALL)

TEXT = TargetType("varchar")
ROW_NUMBER = TargetType("bigint")


def _percent(value: object) -> object:
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)):
        value = float(match[1]) / 100
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 or math.isnan(value):
        raise ValueError("a share is a text such as '1%' or a number from 0 to 1")
    return float(value)


# A share from 0 to 1; "1%" and 0.01 are the same.
Percent = Annotated[float, BeforeValidator(_percent, json_schema_input_type=str | float)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Column(_Model):
    """One column of the lake table and the raw column it comes from."""

    from_: str = Field(alias="from", min_length=1, description="name in the header of the raw files, exactly")
    to: str = Field(description="name in the lake and the warehouse")
    type: TargetType
    required: bool = Field(default=False, description="a missing column fails the file, a null puts the row aside")
    format: str | None = Field(default=None, description="of a date or timestamp, in the letters of strptime")
    description: str | None = None

    @field_validator("from_")
    @classmethod
    def _no_spaces_around(cls, value: str) -> str:
        if value != value.strip():
            raise ValueError("spaces around the names of a header are ignored: write the name without them")
        return value

    @field_validator("to")
    @classmethod
    def _valid_target(cls, value: str) -> str:
        try:
            names.identifier(value, what="column")
        except InvalidName as error:
            raise ValueError(str(error)) from error
        if value in RESERVED_COLUMNS:
            raise ValueError(f"column {value!r} is written by the platform; reserved are {', '.join(RESERVED_COLUMNS)}")
        return value

    @field_validator("format")
    @classmethod
    def _known_directives(cls, value: str | None) -> str | None:
        if value is None:
            return None
        found = _DIRECTIVE.findall(value)
        if unknown := [directive for directive in found if directive not in FORMAT_DIRECTIVES.split()]:
            raise ValueError(f"format {value!r} holds {', '.join(unknown)}; allowed are {FORMAT_DIRECTIVES}")
        if not {"%Y", "%y"} & set(found):
            raise ValueError(f"format {value!r} reads no year; it needs %Y or %y")
        return value

    @model_validator(mode="after")
    def _format_fits_type(self) -> Self:
        if self.format is not None and self.type.kind not in ("date", "timestamp"):
            raise ValueError(f"format is for date and timestamp, column {self.to!r} is {self.type}")
        return self


class BadRows(_Model):
    """How many rows may be set aside before the partition fails instead of being published."""

    fail_above: Percent = Field(
        default=0.01, description="share of bad rows; the default of 1% lets a stray row pass, a changed format not"
    )


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of the lake table: `source` is the raw column it comes from, None for those the platform adds."""

    name: str
    type: TargetType
    description: str | None
    source: str | None


class MappingSpec(_Model):
    """From raw columns to target columns, for every file of one table."""

    columns: tuple[Column, ...]
    source: SourceFormat = SourceFormat()
    bad_rows: BadRows = BadRows()

    @field_validator("columns")
    @classmethod
    def _some_and_unique(cls, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        if not columns:
            raise ValueError("a mapping has at least one column")
        seen: set[str] = set()
        for number, column in enumerate(columns, start=1):
            if column.to in seen:
                raise ValueError(f"column {column.to!r} is mapped twice, again as number {number} of the list")
            seen.add(column.to)
        return columns

    def output_columns(self) -> list[OutputColumn]:
        """The schema of the lake table, in the order of its Parquet files and so of a positional COPY."""
        mapped = [OutputColumn(c.to, c.type, c.description, c.from_) for c in self.columns]
        return [*mapped, *PLATFORM_COLUMNS]


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
