"""The entries of `columns`: where each target column comes from, and how its texts are read.

An entry has exactly one origin: `from` (a raw column, or a path into a nested record), `nest`, `constant`,
`expression` or `from_key`; `{from: …, drop: true}` says that a raw column is left out on purpose.

What a value means is the same in every engine that runs a mapping:

1. The text of the raw column. NULL if the record does not have it, if it equals one of `source.null_values` or of the
   column's own `null_values` exactly, or if it is a null of JSON, Avro, Parquet …
2. `mask` replaces the text by its hash or by `***`; NULL stays NULL.
3. The text becomes the type (`docs/mapping.md` lists what each type takes). Decimals are rounded half away from zero;
   what overflows, does not fit or is no such value is a conflict, which `on_conflict` decides.
4. NULL in a column that is `required` sets the record aside.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from datalake_assets import names
from datalake_assets.column_types import TargetType
from datalake_assets.errors import InvalidName
from datalake_assets.mapping.constants import constant_text
from datalake_assets.mapping.moments import known_time_zone, require_known_format

RESERVED_COLUMNS = (
    names.SOURCE_FILE_COLUMN,
    names.SOURCE_ROW_COLUMN,
    names.RESCUED_COLUMN,
    names.PARTITION_COLUMN,
    names.VERSION_KEY,
)
NUMBERS = ("smallint", "int", "bigint", "real", "double", "decimal")
MOMENTS = ("date", "timestamp")
MAX_EXPRESSION_CHARACTERS = 2_000
TEXT_SUFFIX = "_text"  # of the column that `on_conflict: split` adds
REDACTED = "***"

TEXT = TargetType("varchar")
OnConflict = Literal["quarantine", "split", "text", "null"]
Mask = Literal["hash", "redact"]
ORIGINS = ("from", "nest", "constant", "expression", "from_key")

_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_SECRET = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")  # what Secrets Manager takes for a name


class Words(BaseModel):
    """A part of a declaration: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Target(Words):
    """What every column of a table says of itself."""

    to: str = Field(description="name in the lake and the warehouse")
    type: TargetType
    required: bool = Field(default=False, description="a missing column fails the file, a null puts the row aside")
    description: str | None = None

    @field_validator("to")
    @classmethod
    def _valid_target(cls, value: str) -> str:
        return target_name(value)

    @property
    def output(self) -> tuple[tuple[str, TargetType], ...]:
        """Name and type of the columns it makes in the table, in their order."""
        return ((self.to, self.type),)


def target_name(value: str) -> str:
    """Return `value` if a column of the lake can have this name; raise `ValueError` otherwise."""
    try:
        names.identifier(value, what="column")
    except InvalidName as error:
        raise ValueError(str(error)) from error
    if value in RESERVED_COLUMNS:
        raise ValueError(f"column {value!r} is written by the platform; reserved are {', '.join(RESERVED_COLUMNS)}")
    return value


def raw_name(value: str) -> str:
    """Return `value` if a header can hold it as a name; raise `ValueError` otherwise."""
    if value != value.strip():
        raise ValueError("spaces around the names of a header are ignored: write the name without them")
    return value


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Column(Target):
    """A column that comes from a raw one.

    `type` may be nested: the text is JSON then, each element is cast as strictly as a column of its type, and one that
    does not fit is a conflict of the whole value, told with its path (`tags[3]`, `place.lat`).
    """

    from_: str = Field(
        alias="from", min_length=1, description="name in the header of the raw files, exactly; or a path: `user.name`"
    )
    format: str | tuple[str, ...] | None = Field(
        default=None,
        description="of a date or timestamp: the letters of strptime, `iso`, `epoch_s` or `epoch_ms`; of a list, the "
        "first that reads the text counts",
    )
    time_zone: str | None = Field(
        default=None,
        description="IANA name of the zone that timestamps without an offset are in; they become UTC. Of a time that "
        "is there twice the earlier is meant; one that the clocks skip is no valid timestamp",
    )
    null_values: tuple[str, ...] = Field(default=(), description="texts that mean null here, beside those of `source`")
    decimal: str = Field(default=".", description="the decimal separator of a number")
    thousands: str | None = Field(default=None, description="what stands between groups of three digits")
    on_conflict: OnConflict = Field(
        default="quarantine",
        description="of a value that is none of the type: set the row aside, put its text into the column "
        f"`<to>{TEXT_SUFFIX}`, keep the whole column as text, or take null (counted in the run's notes)",
    )
    mask: Mask | None = Field(default=None, description="hash: SHA-256 of the text in hexadecimal; redact: `***`")
    salt_secret: str | None = Field(default=None, description="name of the secret whose value is hashed with the text")

    @field_validator("from_")
    @classmethod
    def _no_spaces_around(cls, value: str) -> str:
        return raw_name(value)

    @field_validator("format")
    @classmethod
    def _known_directives(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if value is None:
            return None
        formats = _as_list(value)
        if not formats:
            raise ValueError("a list of formats has at least one")
        if len(set(formats)) != len(formats):
            raise ValueError("a format stands here twice")
        for each in formats:
            require_known_format(each)
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        return None if value is None else known_time_zone(value)

    @field_validator("decimal", "thousands")
    @classmethod
    def _a_separator(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value.isalnum() or value in "+-\r\n\0"):
            raise ValueError(f"a separator is one character that is no letter, digit or sign, found {value!r}")
        return value

    @field_validator("salt_secret")
    @classmethod
    def _a_secret(cls, value: str | None) -> str | None:
        if value is not None and not _SECRET.fullmatch(value):
            raise ValueError(f"{value!r} cannot be the name of a secret")
        return value

    @model_validator(mode="after")
    def _words_fit_the_type(self) -> Self:
        kind = self.type.kind
        if self.format is not None and kind not in MOMENTS:
            raise ValueError(f"format is for date and timestamp, column {self.to!r} is {self.type}")
        if self.time_zone is not None:
            if kind != "timestamp":
                raise ValueError(f"time_zone is for timestamp, column {self.to!r} is {self.type}")
            if self.formats and all(has_own_zone(each) for each in self.formats):
                raise ValueError("time_zone has no effect: each of the formats says the offset itself")
        if (self.thousands or self.decimal != ".") and kind not in NUMBERS:
            raise ValueError(f"decimal and thousands are for numbers, column {self.to!r} is {self.type}")
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}")
        if self.mask and kind != "varchar":
            raise ValueError(f"a masked value is a text: write type varchar, column {self.to!r} is {self.type}")
        if self.mask and self.on_conflict != "quarantine":
            raise ValueError("a masked value has no conflicts to resolve: leave on_conflict away")
        if self.salt_secret and self.mask != "hash":
            raise ValueError("salt_secret is for `mask: hash`")
        if self.required and self.on_conflict in ("split", "null"):
            raise ValueError(f"required and on_conflict: {self.on_conflict} contradict: a conflict would be a null")
        return self

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats to try in their order; empty for ISO 8601 as the type takes it."""
        found: tuple[str, ...] = () if self.format is None else _as_list(self.format)
        return found

    @property
    def value_type(self) -> TargetType:
        """The type of the column in the table: `type`, or varchar if conflicts keep it as text."""
        return TEXT if self.on_conflict == "text" else self.type

    @property
    def output(self) -> tuple[tuple[str, TargetType], ...]:
        if self.on_conflict == "split":
            return ((self.to, self.type), (self.to + TEXT_SUFFIX, TEXT))
        return ((self.to, self.value_type),)


def has_own_zone(format: str) -> bool:
    """Whether what a format reads says its offset from UTC itself."""
    return format.startswith("epoch_") or "%z" in format.replace("%%", "")


class NestColumn(Target):
    """A struct made of raw columns: `nest` says which field comes from which.

    Each field is cast as a column of its type would be. The struct is NULL where all of them are.
    """

    nest: dict[str, str] = Field(min_length=1, description="field of the struct → raw column or path")

    @field_validator("nest")
    @classmethod
    def _raw_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value.values():
            if not name:
                raise ValueError("the name of a raw column is empty")
            raw_name(name)
        return value

    @model_validator(mode="after")
    def _fills_the_struct(self) -> Self:
        if self.type.kind != "struct":
            raise ValueError(f"nest makes a struct, column {self.to!r} is {self.type}")
        fields = [name for name, _ in self.type.parts]
        if unknown := [name for name in self.nest if name not in fields]:
            raise ValueError(f"{unknown[0]!r} is no field of {self.type}")
        if missing := [name for name in fields if name not in self.nest]:
            raise ValueError(f"nest does not say where the field {missing[0]!r} comes from")
        return self


class ConstantColumn(Target):
    """The same value in each row."""

    constant: str | bool | int | float

    @model_validator(mode="after")
    def _is_of_the_type(self) -> Self:
        constant_text(self.constant, self.type)
        return self

    @property
    def text(self) -> str:
        """The constant as a raw column would hold it."""
        return constant_text(self.constant, self.type)


class ExpressionColumn(Target):
    """DuckDB SQL over the target columns before it in the list, computed for each row by itself.

    The columns it reads have their final values: typed, masked, null where a conflict took null. Its result is turned
    into text and read as a raw column of the type: rounded half away from zero, 12.7 is no int, a text longer than the
    type is refused. A row for which it fails (a cast, a division, an overflow) is set aside; a NULL it gives is NULL.
    """

    expression: str

    @field_validator("expression")
    @classmethod
    def _of_a_readable_length(cls, value: str) -> str:
        if not 0 < len(value.strip()) <= MAX_EXPRESSION_CHARACTERS:
            raise ValueError(f"an expression has 1 to {MAX_EXPRESSION_CHARACTERS} characters")
        return value


class KeyColumn(Target):
    """The value of `name=…` in the object's key, percent-decoded; cast as a raw column of the type.

    NULL if the key has no such part or says `__HIVE_DEFAULT_PARTITION__`; of several the last counts.
    """

    from_key: str = Field(description="the name before `=` in a part of the key")

    @field_validator("from_key")
    @classmethod
    def _a_name(cls, value: str) -> str:
        if not _KEY.fullmatch(value):
            raise ValueError(f"{value!r} cannot stand before `=` in a key; expected letters, digits, _ . -")
        return value


class DroppedColumn(Words):
    """A raw column that is left out on purpose: neither mapped nor rescued. A row set aside shows it all the same."""

    from_: str = Field(alias="from", min_length=1)
    drop: Literal[True]

    @field_validator("from_")
    @classmethod
    def _no_spaces_around(cls, value: str) -> str:
        return raw_name(value)


MappedColumn = Column | NestColumn | ConstantColumn | ExpressionColumn | KeyColumn
_CLASSES: dict[str, type[Words]] = {
    "from": Column,
    "nest": NestColumn,
    "constant": ConstantColumn,
    "expression": ExpressionColumn,
    "from_key": KeyColumn,
}


def _read(value: Any, handler: Any) -> Any:
    """Choose the kind of an entry by its origin, so that a mistake is told for that kind alone."""
    if not isinstance(value, dict):
        return handler(value)
    origins = [each for each in ORIGINS if each in value]
    if len(origins) > 1:
        raise PydanticCustomError(
            "origins",
            "a column has one origin, found {found}; expected one of {known}",
            {"found": " and ".join(origins), "known": ", ".join(ORIGINS)},
        )
    if "drop" in value and value["drop"] is not False:
        return DroppedColumn.model_validate(value)
    # `from_` by a program; anything else without an origin lacks its `from`.
    kind = _CLASSES[origins[0] if origins else "from"]
    if kind is not Column:
        _refuse_words_of_raw_columns(value, origins[0], kind)
    return kind.model_validate(value)


def _refuse_words_of_raw_columns(value: dict[Any, Any], origin: str, kind: type[Words]) -> None:
    allowed = ", ".join(sorted(kind.model_fields))
    details = [
        InitErrorDetails(
            type=PydanticCustomError(
                "misfit",
                "an entry with `{origin}` takes no {word}; allowed: {allowed}",
                {"origin": origin, "word": repr(word), "allowed": allowed},
            ),
            loc=(word,),
            input={},
        )
        for word in value
        if word in Column.model_fields and word not in kind.model_fields
    ]
    if details:
        raise ValidationError.from_exception_data(kind.__name__, details)


AnyColumn = Annotated[MappedColumn | DroppedColumn, WrapValidator(_read)]


def mapped(columns: Sequence[MappedColumn | DroppedColumn]) -> tuple[MappedColumn, ...]:
    """The entries that make a column of the table."""
    return tuple(column for column in columns if not isinstance(column, DroppedColumn))


def raw_paths(column: MappedColumn | DroppedColumn) -> tuple[str, ...]:
    """The raw columns or paths that an entry names, in their order."""
    if isinstance(column, Column | DroppedColumn):
        return (column.from_,)
    return tuple(column.nest.values()) if isinstance(column, NestColumn) else ()
