"""The columns of files that tell their own schema: Parquet, ORC and Avro. The schema is fetched, never the data."""

from contextlib import closing
from typing import TYPE_CHECKING, Any

from datalake_assets.column_types import TargetType
from datalake_assets.discovery.classifiers.sample import Sample
from datalake_assets.discovery.columns.lattice import TEXT, join
from datalake_assets.discovery.columns.node import Node
from datalake_assets.errors import UnreadableObject

if TYPE_CHECKING:
    import pyarrow as pa

_MAX_DEPTH = 24


def declared_columns(sample: Sample, file_format: str) -> tuple[Node, int | None]:
    """What the schema of a file declares, as if one record had been seen, and how many rows the file says it has.

    Raises:
        UnreadableObject: broken, encrypted, or not of this format.
    """
    readers = {"parquet": _parquet, "orc": _orc, "avro": _avro}
    with closing(sample.open()) as file:
        try:
            return readers[file_format](file)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            EOFError,
            IndexError,
            AttributeError,
            NotImplementedError,
        ) as error:
            # What the libraries raise for broken files is whatever went wrong inside.
            raise UnreadableObject(f"its {file_format} schema cannot be read: {error}", where=sample.uri) from error


def _parquet(file: Any) -> tuple[Node, int | None]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        root = of_arrow(opened.schema_arrow)
        metadata = opened.metadata
        _count_nulls(root, metadata)
        return root, metadata.num_rows


def _count_nulls(root: Node, metadata: Any) -> None:
    """Take the nulls of plain columns from the statistics, where every row group has them."""
    nulls: dict[str, int | None] = {}
    for group in range(metadata.num_row_groups):
        columns = metadata.row_group(group)
        for index in range(columns.num_columns):
            column = columns.column(index)
            name = column.path_in_schema
            if name not in root.fields:
                continue
            statistics = column.statistics
            known = nulls.get(name, 0)
            has = statistics is not None and statistics.has_null_count
            nulls[name] = known + statistics.null_count if has and known is not None else None
    for name, count in nulls.items():
        if count is not None:
            root.fields[name].seen = metadata.num_rows
            root.fields[name].nulls = count


def _orc(file: Any) -> tuple[Node, int | None]:
    import pyarrow.orc as orc

    opened = orc.ORCFile(file)
    return of_arrow(opened.schema), opened.nrows


def of_arrow(schema: "pa.Schema") -> Node:
    """What an Arrow schema declares."""
    root = Node()
    for field in schema:
        root.fields[field.name] = _arrow(field.type, 1)
    return root


def _arrow(found: "pa.DataType", depth: int) -> Node:
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(found):
        return _arrow(found.value_type, depth)
    if depth < _MAX_DEPTH:
        if types.is_struct(found) and found.num_fields:
            fields = {found.field(n).name: _arrow(found.field(n).type, depth + 1) for n in range(found.num_fields)}
            return Node(objects=1, fields=fields)
        if types.is_map(found):
            return Node(objects=1, values=_arrow(found.item_type, depth + 1))
        if types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found):
            return Node(arrays=1, element=_arrow(found.value_type, depth + 1))
    return Node(declared=arrow_type(found))


def arrow_type(found: "pa.DataType") -> TargetType | None:
    """The target type of a plain Arrow type; text for what has none, None for null."""
    import pyarrow as pa

    types = pa.types
    if types.is_null(found):
        return None
    if types.is_decimal(found):
        fits = found.precision <= 38 and 0 <= found.scale <= min(found.precision, 37)
        return TargetType("decimal", precision=found.precision, scale=found.scale) if fits else TEXT
    for test, kind in (
        (types.is_boolean, "boolean"),
        (types.is_int8, "smallint"),
        (types.is_int16, "smallint"),
        (types.is_int32, "int"),
        (types.is_int64, "bigint"),
        (types.is_uint8, "smallint"),
        (types.is_uint16, "int"),
        (types.is_uint32, "bigint"),
        (types.is_float16, "real"),
        (types.is_float32, "real"),
        (types.is_float64, "double"),
        (types.is_date, "date"),
        (types.is_timestamp, "timestamp"),
    ):
        if test(found):
            return TargetType(kind)  # type: ignore[arg-type]
    if types.is_uint64(found):
        return TargetType("decimal", precision=20, scale=0)
    return TEXT


def _avro(file: Any) -> tuple[Node, int | None]:
    import fastavro

    schema = fastavro.reader(file).writer_schema
    found = _of_avro(schema, {}, 0)
    if not found.fields:
        return Node(fields={"value": found}), None
    found.objects = 0
    return found, None


_AVRO = {
    "boolean": "boolean",
    "int": "int",
    "long": "bigint",
    "float": "real",
    "double": "double",
    "string": "varchar",
    "bytes": "varchar",
    "fixed": "varchar",
    "enum": "varchar",
}
_AVRO_LOGICAL = {
    "date": "date",
    "timestamp-millis": "timestamp",
    "timestamp-micros": "timestamp",
    "timestamp-nanos": "timestamp",
    "local-timestamp-millis": "timestamp",
    "local-timestamp-micros": "timestamp",
    "time-millis": "varchar",
    "time-micros": "varchar",
}


def _of_avro(schema: Any, named: dict[str, Any], depth: int) -> Node:
    if depth > _MAX_DEPTH:
        return Node(declared=TEXT)
    if isinstance(schema, str):
        return _of_avro(named[schema], named, depth + 1) if schema in named else Node(declared=_avro_type(schema, {}))
    if isinstance(schema, list):
        return _of_union([_of_avro(each, named, depth) for each in schema if each != "null"])
    kind = schema["type"]
    if isinstance(kind, dict | list):
        return _of_avro(kind, named, depth)
    if "name" in schema:
        named[schema["name"]] = schema
    if kind in ("record", "error"):
        fields = {each["name"]: _of_avro(each["type"], named, depth + 1) for each in schema["fields"]}
        return Node(objects=1, fields=fields)
    if kind == "array":
        return Node(arrays=1, element=_of_avro(schema["items"], named, depth + 1))
    if kind == "map":
        return Node(objects=1, values=_of_avro(schema["values"], named, depth + 1))
    return Node(declared=_avro_type(kind, schema))


def _of_union(options: list[Node]) -> Node:
    if len(options) == 1:
        return options[0]
    if options and all(each.declared is not None for each in options):
        declared: TargetType | None = None
        for each in options:
            declared = join(declared, each.declared)
        return Node(declared=declared)
    return Node(declared=TEXT)


def _avro_type(kind: str, schema: dict[str, Any]) -> TargetType | None:
    logical = schema.get("logicalType")
    if logical == "decimal":
        precision, scale = int(schema.get("precision", 38)), int(schema.get("scale", 0))
        return TargetType("decimal", precision=precision, scale=scale) if precision <= 38 and scale <= 37 else TEXT
    if kind == "null":
        return None
    return TargetType(_AVRO_LOGICAL.get(str(logical), _AVRO.get(kind, "varchar")))  # type: ignore[arg-type]
