"""How a discovered table of raw files is described to Glue, so that Athena and Spectrum read the files as they are.

Not every file can be: where a serde would read something else than a pipeline does, the reason is told instead.
Types are those a serde reads without surprises: numbers and texts; what is a date only by its format stays a text, and
the column's comment says what it is.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from datalake_assets.column_types import TargetType
from datalake_assets.discovery.report import DiscoveredColumn, DiscoveredTable
from datalake_assets.errors import Unsupported
from datalake_assets.formats.source_format import SourceFormat

MARK = "datalake_crawl"  # the table parameter that tells tables of crawls from all others
MAX_COMMENT_CHARACTERS = 255
_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_READABLE_ENDS = (".zip", ".xz")
_CLASSES = {
    "parquet": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    "orc": (
        "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
    ),
    "avro": (
        "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat",
        "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat",
        "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
    ),
}


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table input for Glue, and the storage descriptor that its partitions share but for their location."""

    name: str
    input: dict[str, Any]
    partitions: tuple[tuple[tuple[str, ...], str], ...]
    notes: tuple[str, ...] = ()


def raw_table(table: DiscoveredTable, name: str, others: Iterable[DiscoveredTable]) -> RawTable:
    """Describe a discovered table to Glue.

    Args:
        name: of the Glue table.
        others: all tables of the report: one that has its files in the same folder makes both unreadable.

    Raises:
        Unsupported: Athena cannot read the files as they are; the message says why.
    """
    source = table.source
    if source is None or table.kind != "files":
        raise _cannot(table, f"it is no table of files, but of {table.kind}")
    if not table.uri.startswith("s3://"):
        raise _cannot(table, "its files are not in S3")
    if not table.uri.endswith("/"):
        raise _cannot(table, "it is one object of a folder, and a table is a whole folder")
    _require_own_folder(table, others)
    notes: list[str] = []
    keys = list(table.partition_keys)
    partitions = tuple((partition.values, partition.location) for partition in table.partitions) if keys else ()
    if len({location for _, location in partitions}) < len(partitions):
        keys, partitions = [], ()
        notes.append("its partitions share folders, so it is registered without them")
    descriptor = _descriptor(table, source, notes)
    taken = {key.name for key in keys}
    descriptor["Columns"] = [column for column in descriptor["Columns"] if column["Name"] not in taken]
    parameters = {
        "EXTERNAL": "TRUE",
        "classification": source.format,
        "typeOfData": "file",
        MARK: "true",
        "datalake_certainty": f"{table.certainty:.2f}",
    }
    if lines := source.skip_rows + source.header if source.format == "csv" else 0:
        parameters["skip.header.line.count"] = str(lines)
    return RawTable(
        name,
        {
            "Name": name,
            "Description": f"raw files, as `datalake crawl` found them: {table.classification.reason}"[:2048]
            if table.classification
            else "raw files, as `datalake crawl` found them",
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": key.name, "Type": key.type.glue} for key in keys],
            "Parameters": parameters,
            "StorageDescriptor": descriptor,
        },
        partitions,
        tuple(notes),
    )


def _cannot(table: DiscoveredTable, why: str) -> Unsupported:
    return Unsupported(
        f"it cannot be registered: {why}", where=table.name, todo="Make a pipeline of it with --scaffold"
    )


def _require_own_folder(table: DiscoveredTable, others: Iterable[DiscoveredTable]) -> None:
    for other in others:
        if other.name == table.name or other.kind != "files":
            continue
        folder = other.uri[: other.uri.rfind("/") + 1]
        if folder == table.uri or (not table.partition_keys and folder.startswith(table.uri)):
            raise _cannot(table, f"files of {other.name} are below the same folder")


def _descriptor(table: DiscoveredTable, source: SourceFormat, notes: list[str]) -> dict[str, Any]:
    if source.format in _CLASSES:
        return _own_schema(table, source)
    _require_readable_text(table, source)
    if source.format == "csv":
        return _csv(table, source, notes)
    if source.format == "json":
        return _json(table, source)
    if source.format == "log":
        return _log(table, source)
    raise _cannot(table, f"no serde reads {source.format}")


def _require_readable_text(table: DiscoveredTable, source: SourceFormat) -> None:
    pattern = (table.layout_pattern or "").lower()
    if source.compression in ("zip", "xz") or pattern.endswith(_READABLE_ENDS):
        raise _cannot(table, "Athena reads no zip and no xz")
    if source.encoding not in ("utf-8", "ascii"):
        raise _cannot(table, f"its files are in {source.encoding}, Athena reads UTF-8")


def _descriptor_of(
    table: DiscoveredTable, columns: list[dict[str, str]], classes: tuple[str, str, str], parameters: dict[str, str]
) -> dict[str, Any]:
    reads, writes, serde = classes
    return {
        "Columns": columns,
        "Location": table.uri,
        "InputFormat": reads,
        "OutputFormat": writes,
        "Compressed": (table.layout_pattern or "").endswith((".gz", ".bz2", ".zst")),
        "NumberOfBuckets": -1,
        "SerdeInfo": {"SerializationLibrary": serde, "Parameters": parameters},
        "BucketColumns": [],
        "SortColumns": [],
        "StoredAsSubDirectories": False,
        "Parameters": {"classification": table.source.format if table.source else "", "typeOfData": "file"},
    }


def _column(name: str, glue_type: str, column: DiscoveredColumn) -> dict[str, str]:
    told = [f"{column.type}" + (f" {column.format}" if column.format else "")] if glue_type != column.type.glue else []
    if column.raw_path != name:
        told.append(f"raw name {column.raw_path}")
    return {"Name": name, "Type": glue_type, "Comment": ", ".join(told)[:MAX_COMMENT_CHARACTERS]}


def _own_schema(table: DiscoveredTable, source: SourceFormat) -> dict[str, Any]:
    """Parquet, ORC and Avro: their columns are found by name, whatever their case."""
    columns = []
    for column in table.columns:
        raw = column.raw_path.strip('"').lower()
        if not re.fullmatch(r"[^,;:\n\r\t`]{1,255}", raw):
            raise _cannot(table, f"column {column.raw_path!r} has a name that Glue cannot take")
        columns.append(_column(raw, _raw_struct(column, table), column))
    parameters = {"serialization.format": "1"}
    if source.format == "avro":
        parameters["avro.schema.literal"] = json.dumps(_avro_record(table.name, table.columns))
    return _descriptor_of(table, columns, _CLASSES[source.format], parameters)


def _raw_struct(column: DiscoveredColumn, table: DiscoveredTable) -> str:
    """The Glue type with fields under the names that they have in the files."""
    if column.type.kind == "array":
        return f"array<{_raw_struct(column.parts[0], table)}>"
    if column.type.kind == "map":
        return f"map<string,{_raw_struct(column.parts[-1], table)}>"
    if column.type.kind == "struct":
        fields = []
        for part in column.parts:
            raw = _last_segment(part.raw_path)
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", raw):
                raise _cannot(table, f"field {part.raw_path!r} has a name that Glue cannot take within a struct")
            fields.append(f"{raw.lower()}:{_raw_struct(part, table)}")
        return f"struct<{','.join(fields)}>"
    return column.type.glue


def _last_segment(path: str) -> str:
    return path.rpartition('."')[2].rstrip('"') if path.endswith('"') else path.rpartition(".")[2]


def _csv(table: DiscoveredTable, source: SourceFormat, notes: list[str]) -> dict[str, Any]:
    if len(source.delimiter) != 1:
        raise _cannot(table, f"its delimiter {source.delimiter!r} has several characters")
    if source.skip_footer:
        raise _cannot(table, f"{source.skip_footer} lines after the data would be read as rows")
    if source.tables == "first":
        raise _cannot(table, "other tables follow in the same files")
    if source.quote:
        # OpenCSVSerde reads dates as numbers of days and fails at empty numbers: as texts it reads everything.
        columns = [_column(column.name, "string", column) for column in table.columns]
        parameters = {"separatorChar": source.delimiter, "quoteChar": source.quote, "escapeChar": source.escape or "\\"}
        if source.escape is None or source.escape == source.quote:
            notes.append("values with a backslash lose it: the serde takes it for an escape")
        notes.append("all columns are texts: cast them in queries")
        serde = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
        return _descriptor_of(table, columns, (_TEXT_INPUT, _TEXT_OUTPUT, serde), parameters)
    columns = [_column(column.name, _plain_type(column), column) for column in table.columns]
    parameters = {"field.delim": source.delimiter, "serialization.format": source.delimiter}
    serde = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
    return _descriptor_of(table, columns, (_TEXT_INPUT, _TEXT_OUTPUT, serde), parameters)


def _plain_type(column: DiscoveredColumn) -> str:
    """The type if the text as it stands is one to Hive; a number with separators or a date with a format is not."""
    is_plain = not (column.conflicts or column.format or column.decimal or column.thousands or column.null_values)
    return column.type.glue if is_plain and column.type.kind not in ("timestamp", "boolean") else "string"


def _json(table: DiscoveredTable, source: SourceFormat) -> dict[str, Any]:
    if source.records or source.layout not in ("auto", "lines"):
        raise _cannot(table, f"its JSON is laid out as {source.layout}, Athena reads one object a line")
    columns = []
    parameters = {"serialization.format": "1", "case.insensitive": "TRUE", "ignore.malformed.json": "FALSE"}
    for column in table.columns:
        raw = column.raw_path.strip('"')
        if raw.lower() != column.name:
            parameters[f"mapping.{column.name}"] = raw
        columns.append(_column(column.name, _json_type(column, table), column))
    return _descriptor_of(table, columns, (_TEXT_INPUT, _TEXT_OUTPUT, "org.openx.data.jsonserde.JsonSerDe"), parameters)


def _json_type(column: DiscoveredColumn, table: DiscoveredTable) -> str:
    if column.type.kind == "array":
        return f"array<{_json_type(column.parts[0], table)}>"
    if column.type.kind == "map":
        return f"map<string,{_json_type(column.parts[-1], table)}>"
    if column.type.kind == "struct":
        for part in column.parts:
            raw = _last_segment(part.raw_path)
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", raw):
                return "string"
        return "struct<" + ",".join(f"{_last_segment(p.raw_path).lower()}:{_json_type(p, table)}" for p in column.parts) + ">"  # fmt: skip  # noqa: E501
    if column.conflicts or column.type.kind in ("date", "timestamp"):
        return "string"
    return column.type.glue


def _log(table: DiscoveredTable, source: SourceFormat) -> dict[str, Any]:
    from datalake_assets.formats.grok import compile_grok
    from datalake_assets.formats.known_logs import KNOWN_LOGS

    known = KNOWN_LOGS.get(source.pattern or "")
    if known is not None and known.delimiter:
        raise _cannot(table, "its files name their columns themselves")
    grok = compile_grok(known.pattern if known else source.pattern or "", source.patterns)
    if not grok.is_plain:
        raise _cannot(table, "its pattern captures a column in several places")
    # Java calls a named group otherwise; the serde goes by the order of the groups.
    expression = re.sub(r"\(\?P<\w+>", "(", grok.expression.pattern)
    columns = [_column(column.name, "string", column) for column in table.columns]
    serde = "org.apache.hadoop.hive.serde2.RegexSerDe"
    return _descriptor_of(table, columns, (_TEXT_INPUT, _TEXT_OUTPUT, serde), {"input.regex": expression})


_AVRO: dict[str, Any] = {
    "smallint": "int",
    "int": "int",
    "bigint": "long",
    "real": "float",
    "double": "double",
    "boolean": "boolean",
    "date": {"type": "int", "logicalType": "date"},
    "timestamp": {"type": "long", "logicalType": "timestamp-millis"},
}


def _avro_record(name: str, columns: Iterable[DiscoveredColumn]) -> dict[str, Any]:
    fields = [
        {"name": _last_segment(column.raw_path), "type": ["null", _avro_type(column, name)], "default": None}
        for column in columns
    ]
    return {"type": "record", "name": name, "fields": fields}


def _avro_type(column: DiscoveredColumn, parent: str) -> Any:
    kind: TargetType = column.type
    if kind.kind == "array":
        return {"type": "array", "items": ["null", _avro_type(column.parts[0], f"{parent}_{column.name}")]}
    if kind.kind == "map":
        return {"type": "map", "values": ["null", _avro_type(column.parts[-1], f"{parent}_{column.name}")]}
    if kind.kind == "struct":
        return _avro_record(f"{parent}_{column.name}", column.parts)
    if kind.kind == "decimal":
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    return _AVRO.get(kind.kind, "string")
