"""The types a target column can have, and what each is called in DuckDB, Spark, Glue and Redshift.

Nested types are written as Hive writes them: `array<varchar>`, `map<varchar,int>`, `struct<lat:double,lon:double>`.
"""

import difflib
import re
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from datalake_assets import names
from datalake_assets.errors import ConfigurationError, InvalidName

Kind = Literal[
    "smallint", "int", "bigint", "real", "double", "decimal", "boolean", "varchar", "date", "timestamp",
    "array", "map", "struct",
]  # fmt: skip
NESTED_KINDS = ("array", "map", "struct")
ALLOWED_TYPES = (
    "smallint, int (integer), bigint, real, double, decimal(p,s), boolean, "
    "varchar (string), varchar(n), date, timestamp, array<type>, map<type,type>, struct<name:type,...>"
)
MAX_VARCHAR_BYTES = 65_535  # Redshift's limit
MAX_DECIMAL_DIGITS = 38
MAX_DECIMAL_SCALE = 37  # Redshift's limit; Glue and DuckDB take one more
MAX_DEPTH = 32  # of nested types; far beyond what a reader of the lake can use

_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)} | {"integer": "int", "string": "varchar"}
_SHAPE = re.compile(r"([a-z]+)(?:\s*\(\s*(\d{1,6})\s*(?:,\s*(\d{1,6})\s*)?\))?")


@dataclass(frozen=True, slots=True)
class TargetType:
    """A column's type: a kind with the precision and scale of a decimal, the bytes of a varchar, or its parts.

    `parts` are pairs of name and type: the fields of a struct; `("element", …)` of an array; `("key", …)` and
    `("value", …)` of a map. They are empty for every other kind.
    """

    kind: Kind
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    parts: "tuple[tuple[str, TargetType], ...]" = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a type as it is written in a defs.yaml, for example `decimal(12,2)`; case does not matter.

        Raises:
            ConfigurationError: `text` is no such type; the message lists the allowed ones and the nearest spelling.
        """
        return cls._parse(text, text, depth=0)

    @classmethod
    def _parse(cls, text: str, whole: str, *, depth: int) -> Self:
        stripped = text.strip().lower()
        word, bracket, rest = stripped.partition("<")
        if bracket and word.strip() in NESTED_KINDS:
            if depth >= MAX_DEPTH:
                raise ConfigurationError(f"type {whole[:100]!r} is nested more than {MAX_DEPTH} levels deep")
            return cls._nested(word.strip(), rest, whole, depth=depth)
        shape = _SHAPE.fullmatch(stripped)
        if shape is None:
            raise _unknown(text)
        name, first, second = shape.groups()
        kind = _KINDS.get(name)
        if kind is None or kind in NESTED_KINDS:
            raise _unknown(text)
        if kind == "decimal":
            return cls._decimal(text, first, second)
        if kind == "varchar":
            return cls._varchar(text, first, second)
        if first is not None:
            raise ConfigurationError(f"type {text!r} takes no numbers in brackets", expected=kind)
        return cls(kind)

    @classmethod
    def _nested(cls, word: str, rest: str, whole: str, *, depth: int) -> Self:
        kind = _KINDS[word]
        inner = rest.rstrip().removesuffix(">")
        expected = {
            "array": "array<type>, for example array<varchar>",
            "map": "map<type,type>, for example map<varchar,int>",
            "struct": "struct<name:type,...>, for example struct<lat:double,lon:double>",
        }[word]
        pieces = _split(inner) if rest.rstrip().endswith(">") and inner.strip() else None
        if pieces is None or len(pieces) != {"array": 1, "map": 2}.get(word, len(pieces)):
            raise ConfigurationError(f"type {whole!r} is not a complete {word}", expected=expected)
        if kind != "struct":
            labels = ("element",) if kind == "array" else ("key", "value")
            types = [cls._parse(piece, whole, depth=depth + 1) for piece in pieces]
            if kind == "map" and types[0].kind in NESTED_KINDS:
                raise ConfigurationError(f"the keys of {whole!r} are nested", expected="a plain type as key of a map")
            return cls(kind, parts=tuple(zip(labels, types, strict=True)))
        fields: dict[str, TargetType] = {}
        for piece in pieces:
            name, colon, field_type = piece.partition(":")
            name = name.strip()
            if not colon:
                raise ConfigurationError(f"type {whole!r} has a field without a type: {piece!r}", expected=expected)
            try:
                names.identifier(name, what="field")
            except InvalidName as error:
                raise ConfigurationError(str(error), where=f"type {whole!r}") from error
            if name in fields:
                raise ConfigurationError(f"type {whole!r} names the field {name!r} twice", expected="each field once")
            fields[name] = cls._parse(field_type, whole, depth=depth + 1)
        return cls(kind, parts=tuple(fields.items()))

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
        if self.kind == "struct":
            return "struct<" + ",".join(f"{name}:{part}" for name, part in self.parts) + ">"
        if self.parts:
            return f"{self.kind}<" + ",".join(str(part) for _, part in self.parts) + ">"
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return self.kind if self.length is None else f"varchar({self.length})"

    @property
    def is_nested(self) -> bool:
        return self.kind in NESTED_KINDS

    @property
    def duckdb(self) -> str:
        """The type in DuckDB; it also decides the physical type in the Parquet files."""
        if self.kind == "array":
            return f"{self.parts[0][1].duckdb}[]"
        if self.kind == "map":
            return f"MAP({self.parts[0][1].duckdb}, {self.parts[1][1].duckdb})"
        if self.kind == "struct":
            return "STRUCT(" + ", ".join(f"{names.quoted(name)} {part.duckdb}" for name, part in self.parts) + ")"
        words = {"int": "INTEGER", "real": "FLOAT", "varchar": "VARCHAR"}
        return words.get(self.kind, str(self).upper())

    @property
    def spark(self) -> str:
        """The type in Spark SQL; lengths of texts are checked by the mapping, so they stay plain strings."""
        if self.kind == "struct":
            return "STRUCT<" + ", ".join(f"`{name}`: {part.spark}" for name, part in self.parts) + ">"
        if self.parts:
            return f"{self.kind.upper()}<" + ", ".join(part.spark for _, part in self.parts) + ">"
        words = {"real": "FLOAT", "varchar": "STRING", "timestamp": "TIMESTAMP_NTZ"}
        return words.get(self.kind, str(self).upper())

    @property
    def glue(self) -> str:
        """The type of a Glue (Hive) column."""
        if self.kind == "struct":
            return "struct<" + ",".join(f"{name}:{part.glue}" for name, part in self.parts) + ">"
        if self.parts:
            return f"{self.kind}<" + ",".join(part.glue for _, part in self.parts) + ">"
        if self.kind == "varchar":
            return "string" if self.length is None else str(self)
        return "float" if self.kind == "real" else str(self)

    @property
    def redshift(self) -> str:
        """The type of a Redshift column; a text without a length becomes `varchar(65535)`, a nested one `super`."""
        if self.is_nested:
            return "super"
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


def _split(text: str) -> list[str] | None:
    """The parts between the commas outside of any bracket; None when the brackets do not match."""
    pieces, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        if letter in "<(":
            depth += 1
        elif letter in ">)":
            depth -= 1
            if depth < 0:
                return None
        elif letter == "," and depth == 0:
            pieces.append(text[start:at])
            start = at + 1
    pieces.append(text[start:])
    return pieces if depth == 0 and all(piece.strip() for piece in pieces) else None


def _unknown(text: str) -> ConfigurationError:
    word = re.split(r"[\s(<]", text.strip().lower(), maxsplit=1)[0]
    near = difflib.get_close_matches(word, _KINDS, n=1)
    return ConfigurationError(
        f"type {text!r} is unknown",
        expected=f"one of {ALLOWED_TYPES}",
        todo=f"Did you mean {near[0]}?" if near else None,
    )
