"""The types a target column can have, and what each is called in DuckDB, Glue and Redshift."""

import difflib
import re
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from datalake_assets.errors import ConfigurationError

Kind = Literal[
    "smallint", "int", "bigint", "real", "double", "decimal", "boolean", "varchar", "date", "timestamp"
]  # fmt: skip
ALLOWED_TYPES = (
    "smallint, int (integer), bigint, real, double, decimal(p,s), boolean, "
    "varchar (string), varchar(n), date, timestamp"
)
MAX_VARCHAR_BYTES = 65_535  # Redshift's limit
MAX_DECIMAL_DIGITS = 38
MAX_DECIMAL_SCALE = 37  # Redshift's limit; Glue and DuckDB take one more

_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)} | {"integer": "int", "string": "varchar"}
_SHAPE = re.compile(r"([a-z]+)(?:\s*\(\s*(\d{1,6})\s*(?:,\s*(\d{1,6})\s*)?\))?")


@dataclass(frozen=True, slots=True)
class TargetType:
    """A column's type: a kind with the precision and scale of a decimal or the length in bytes of a varchar."""

    kind: Kind
    precision: int | None = None
    scale: int | None = None
    length: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a type as it is written in a defs.yaml, for example `decimal(12,2)`; case does not matter.

        Raises:
            ConfigurationError: `text` is no such type; the message lists the allowed ones and the nearest spelling.
        """
        shape = _SHAPE.fullmatch(text.strip().lower())
        if shape is None:
            raise _unknown(text)
        word, first, second = shape.groups()
        kind = _KINDS.get(word)
        if kind is None:
            raise _unknown(text)
        if kind == "decimal":
            return cls._decimal(text, first, second)
        if kind == "varchar":
            return cls._varchar(text, first, second)
        if first is not None:
            raise ConfigurationError(f"type {text!r} takes no numbers in brackets", expected=kind)
        return cls(kind)

    @classmethod
    def _decimal(cls, text: str, first: str | None, second: str | None) -> Self:
        if first is None or second is None:
            raise ConfigurationError(
                f"type {text!r} lacks its precision and scale", expected="decimal(p,s), for example decimal(12,2)"
            )
        precision, scale = int(first), int(second)
        if not 1 <= precision <= MAX_DECIMAL_DIGITS or scale > min(precision, MAX_DECIMAL_SCALE):
            raise ConfigurationError(
                f"type {text!r} is out of range",
                expected=f"decimal(p,s) with p from 1 to {MAX_DECIMAL_DIGITS} and s from 0 to p, "
                f"at most {MAX_DECIMAL_SCALE}",
            )
        return cls("decimal", precision=precision, scale=scale)

    @classmethod
    def _varchar(cls, text: str, first: str | None, second: str | None) -> Self:
        length = None if first is None else int(first)
        if second is not None or (length is not None and not 1 <= length <= MAX_VARCHAR_BYTES):
            raise ConfigurationError(
                f"type {text!r} is out of range", expected=f"varchar(n) with n from 1 to {MAX_VARCHAR_BYTES} bytes"
            )
        return cls("varchar", length=length)

    def __str__(self) -> str:
        """The canonical text: `TargetType.parse(str(t)) == t`."""
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return self.kind if self.length is None else f"varchar({self.length})"

    @property
    def duckdb(self) -> str:
        """The type in DuckDB; it also decides the physical type in the Parquet files."""
        names = {"int": "INTEGER", "real": "FLOAT", "varchar": "VARCHAR"}
        return names.get(self.kind, str(self).upper())

    @property
    def glue(self) -> str:
        """The type of a Glue (Hive) column."""
        if self.kind == "varchar":
            return "string" if self.length is None else str(self)
        return "float" if self.kind == "real" else str(self)

    @property
    def redshift(self) -> str:
        """The type of a Redshift column; a text without a length becomes `varchar(65535)`."""
        if self.kind == "varchar":
            return f"varchar({self.max_bytes})"
        return {"int": "integer", "double": "double precision"}.get(self.kind, str(self))

    @property
    def max_bytes(self) -> int:
        """The longest text in UTF-8 bytes: Redshift counts bytes, Glue characters; what fits in bytes fits in both."""
        return MAX_VARCHAR_BYTES if self.length is None else self.length

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: object) -> TargetType:
            if isinstance(value, TargetType):
                return value
            if not isinstance(value, str):
                raise PydanticCustomError("target_type", "a type is a text; expected one of {a}", {"a": ALLOWED_TYPES})
            try:
                return cls.parse(value)
            except ConfigurationError as error:
                raise PydanticCustomError("target_type", "{message}", {"message": str(error)}) from error

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "description": f"one of {ALLOWED_TYPES}", "examples": ["bigint", "decimal(12,2)"]}


def _unknown(text: str) -> ConfigurationError:
    word = re.split(r"[\s(]", text.strip().lower(), maxsplit=1)[0]
    near = difflib.get_close_matches(word, _KINDS, n=1)
    return ConfigurationError(
        f"type {text!r} is unknown",
        expected=f"one of {ALLOWED_TYPES}",
        todo=f"Did you mean {near[0]}?" if near else None,
    )
