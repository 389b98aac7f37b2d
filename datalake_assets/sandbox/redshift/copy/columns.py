"""Which Parquet types fit which column types, as strictly as Redshift's columnar COPY judges them."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datalake_assets.sandbox.redshift.refusals import Refused

if TYPE_CHECKING:
    import pyarrow as pa

_VARLENA_HEADER = 4  # PostgreSQL's typmod of varchar(n) is n + 4


@dataclass(frozen=True)
class Column:
    """A column of the target table: its PostgreSQL type name and type modifier."""

    name: str
    type_name: str
    typmod: int

    @property
    def redshift_type(self) -> str:
        """The type as Redshift's messages write it."""
        if self.type_name == "numeric" and self.precision_scale:
            return "DECIMAL({}, {})".format(*self.precision_scale)
        return _REDSHIFT_NAMES.get(self.type_name, self.type_name.upper())

    @property
    def max_bytes(self) -> int | None:
        """The n of varchar(n) or char(n), which Redshift counts in bytes."""
        if self.type_name in ("varchar", "bpchar") and self.typmod >= _VARLENA_HEADER:
            return self.typmod - _VARLENA_HEADER
        return None

    @property
    def precision_scale(self) -> tuple[int, int] | None:
        if self.typmod < _VARLENA_HEADER:
            return None
        packed = self.typmod - _VARLENA_HEADER
        return (packed >> 16) & 0xFFFF, packed & 0x7FF


_REDSHIFT_NAMES = {
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "REAL",
    "float8": "DOUBLE PRECISION",
    "numeric": "DECIMAL",
    "bool": "BOOLEAN",
    "varchar": "VARCHAR",
    "text": "VARCHAR",
    "bpchar": "CHAR",
    "jsonb": "SUPER",
    "bytea": "VARBYTE",
    "timestamptz": "TIMESTAMPTZ",
}


def check_schema(schema: "pa.Schema", columns: list[Column], url: str, *, serialize_to_json: bool) -> None:
    """Compare a file with the table: by position, count first, then types.

    Raises:
        Refused: the file does not fit; the messages are Redshift's.
    """
    if len(schema) != len(columns):
        raise Refused(
            "XX000",
            "Spectrum Scan Error",
            detail=f"Unmatched number of columns between table and file. Table columns: {len(columns)}, "
            f"Data columns: {len(schema)}, File name: {url}",
        )
    for field, column in zip(schema, columns, strict=True):
        if not _fits(field.type, column, serialize_to_json=serialize_to_json):
            hint = ""
            if column.type_name == "jsonb":
                hint = "Nested columns need SERIALIZETOJSON; other types do not load into SUPER."
            raise Refused(
                "XX000",
                "Spectrum Scan Error",
                detail=f"File '{url}' has an incompatible Parquet schema for column '{url}.{field.name}'. "
                f"Column: {column.name}, Column type: {column.redshift_type}, "
                f"Parquet schema: {field.type} {field.name}",
                hint=hint,
            )


def _fits(kind: "pa.DataType", column: Column, *, serialize_to_json: bool) -> bool:
    import pyarrow.types as t

    if t.is_null(kind):
        return True
    if t.is_dictionary(kind):
        kind = kind.value_type
    name = column.type_name
    if name in ("int2", "int4"):
        # Parquet stores both as its 32-bit integer; a value too large for smallint is PostgreSQL's to refuse.
        return t.is_int8(kind) or t.is_int16(kind) or t.is_int32(kind)
    if name == "numeric":
        limits = column.precision_scale
        if not t.is_decimal(kind):
            return False
        return limits is None or (kind.scale == limits[1] and kind.precision <= limits[0])
    if name == "jsonb":
        return serialize_to_json and t.is_nested(kind)
    checks: dict[str, bool] = {
        "int8": t.is_int64(kind),
        "float4": t.is_float32(kind),
        "float8": t.is_float64(kind),
        "bool": t.is_boolean(kind),
        "varchar": t.is_string(kind) or t.is_large_string(kind) or t.is_binary(kind),
        "text": t.is_string(kind) or t.is_large_string(kind) or t.is_binary(kind),
        "bpchar": t.is_string(kind) or t.is_large_string(kind) or t.is_binary(kind),
        "bytea": t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind),
        "date": t.is_date32(kind),
        "timestamp": t.is_timestamp(kind),
        "timestamptz": t.is_timestamp(kind),
        "time": t.is_time(kind),
    }
    return checks.get(name, False)


def check_values(batch: "pa.RecordBatch", columns: list[Column]) -> None:
    """Refuse texts longer than their column: Redshift counts bytes, PostgreSQL would count characters."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for index, column in enumerate(columns):
        limit = column.max_bytes
        array: Any = batch.column(index)
        if limit is None or pa.types.is_null(array.type):
            continue
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        longest = pc.max(pc.binary_length(array)).as_py()
        if longest is not None and longest > limit:
            raise Refused(
                "XX000",
                "Spectrum Scan Error",
                detail=f"The length of the data column {column.name} is longer than the length defined in the table. "
                f"Table: {limit}, Data: {longest}",
            )


def prepared(array: Any, column: Column) -> Any:
    """Return an Arrow array whose CSV form PostgreSQL reads as the column's value."""
    import pyarrow as pa
    import pyarrow.types as t

    kind = array.type
    if t.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if t.is_null(kind):
        return array.cast(pa.string())
    if column.type_name == "jsonb":
        # Typed values of nested columns are few and irregular: Python writes them, dates and decimals as text.
        texts = [None if value is None else json.dumps(_plain(value), default=str) for value in array.to_pylist()]
        return pa.array(texts, pa.string())
    if column.type_name == "bytea":
        return pa.array([None if value is None else "\\x" + value.hex() for value in array.to_pylist()], pa.string())
    if t.is_binary(kind):
        return array.cast(pa.string())
    if t.is_timestamp(kind) and kind.unit == "ns":
        # Redshift keeps microseconds and cuts off the rest.
        return array.cast(pa.timestamp("us", kind.tz), safe=False)
    return array


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):  # a Parquet map
            return {str(key): _plain(item) for key, item in value}
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
