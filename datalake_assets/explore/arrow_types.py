"""Glue's column types as Arrow types, nested ones included."""

import re
from collections.abc import Sequence

import pyarrow as pa

from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.errors import Unsupported

_PLAIN: dict[str, pa.DataType] = {
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
_TEXT = re.compile(r"(?:var)?char\(\d+\)")
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")


def arrow_schema(columns: Sequence[CatalogColumn]) -> pa.Schema:
    """The columns of a table as an Arrow schema, in their order.

    Raises:
        Unsupported: a column has a type that Arrow has no word for.
    """
    return pa.schema([(column.name, arrow_type(column.glue_type)) for column in columns])


def arrow_type(glue_type: str) -> pa.DataType:
    """One Glue type, for example `decimal(12,2)` or `array<struct<a:int,b:string>>`."""
    text = glue_type.replace(" ", "").lower()
    if plain := _PLAIN.get(text):
        return plain
    if _TEXT.fullmatch(text):
        return pa.string()
    if match := _DECIMAL.fullmatch(text):
        return pa.decimal128(int(match[1]), int(match[2]))
    word, bracket, rest = text.partition("<")
    if bracket and rest.endswith(">"):
        parts = _parts(rest[:-1])
        if word == "array" and len(parts) == 1:
            return pa.list_(arrow_type(parts[0]))
        if word == "map" and len(parts) == 2:
            return pa.map_(arrow_type(parts[0]), arrow_type(parts[1]))
        if word == "struct":
            named = [part.partition(":") for part in parts]
            return pa.struct([(name, arrow_type(of)) for name, _, of in named])
    raise Unsupported(f"the catalog's type {glue_type!r} cannot be read", expected="a type of Hive")


def _parts(text: str) -> list[str]:
    """What stands between the commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        if letter in "<(":
            depth += 1
        elif letter in ">)":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]
