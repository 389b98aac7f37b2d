"""Tables of the Glue catalog, as an AWS crawler leaves them, in the words of a crawl's report."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from datalake_assets.column_types import MAX_VARCHAR_BYTES, TargetType
from datalake_assets.discovery.classifiers.classification import Classification
from datalake_assets.discovery.columns.lattice import TEXT
from datalake_assets.discovery.columns.target_names import RESERVED, target_name, unique_names
from datalake_assets.discovery.report import DiscoveredColumn, DiscoveredTable, FoundPartition, PartitionKey
from datalake_assets.errors import ConfigurationError
from datalake_assets.formats.source_format import SourceFormat

# Glue's crawler says no certainty of its own: its classifiers return 1.0 or fall through.
GLUE_CERTAINTY = 0.7
UNKNOWN_CERTAINTY = 0.0
_WORDS = {"tinyint": "smallint", "float": "real", "binary": "varchar", "string": "varchar", "integer": "int"}
_SIZED = re.compile(r"(char|varchar)\((\d+)\)")


def glue_table(table: Any, partitions: Iterable[Any], *, prefix: str = "") -> DiscoveredTable:
    """What the catalog says of one table.

    Args:
        table: as GetTable answers.
        partitions: as GetPartitions answers.
        prefix: of the names of the crawler's tables, which is left out.
    """
    descriptor = table["StorageDescriptor"]
    parameters = table.get("Parameters", {})
    keys = table.get("PartitionKeys", [])
    classification = parameters.get("classification", descriptor.get("Parameters", {}).get("classification", "UNKNOWN"))
    source = _source(classification, descriptor, parameters)
    columns = _columns(descriptor.get("Columns", []), taken=[target_name(key["Name"]) for key in keys])
    found = tuple(
        sorted(
            (FoundPartition(tuple(each["Values"]), each["StorageDescriptor"]["Location"], 0, 0) for each in partitions),
            key=lambda each: each.values,
        )
    )
    rows = parameters.get("recordCount", "")
    return DiscoveredTable(
        name=target_name(table["Name"].removeprefix(prefix), prefix="table"),
        uri=descriptor.get("Location", ""),
        source=source,
        classification=Classification(
            "AWS Glue",
            GLUE_CERTAINTY if source else UNKNOWN_CERTAINTY,
            f"the crawler classified it as {classification}",
            source,
        ),
        columns=columns,
        partition_keys=tuple(_key(key, number, found) for number, key in enumerate(keys)),
        files=_number(parameters.get("objectCount")),
        bytes=_number(parameters.get("sizeKey")),
        notes=() if source else (f"Glue calls it {classification}: no source of a pipeline",),
        kind="glue",
        rows=int(rows) if rows.isdecimal() else None,
        partitions=found,
        certainty=GLUE_CERTAINTY if source else UNKNOWN_CERTAINTY,
    )


def glue_type(text: str) -> TargetType | None:
    """A Glue type as a target type; None for one that has no counterpart."""
    plain = text.strip().lower()
    if sized := _SIZED.fullmatch(plain):
        length = int(sized[2])
        return TargetType("varchar", length=length) if length <= MAX_VARCHAR_BYTES else TEXT
    plain = re.sub(r"\b(tinyint|float|binary|integer)\b", lambda found: _WORDS[found[0]], plain)
    plain = re.sub(r"\bdecimal\b(?!\()", "decimal(10,0)", plain)  # Hive's default
    try:
        return TargetType.parse(plain)
    except ConfigurationError:
        return None


def _columns(columns: list[Any], *, taken: list[str]) -> tuple[DiscoveredColumn, ...]:
    names = unique_names([column["Name"] for column in columns], taken=(*RESERVED, *taken))
    result = []
    for position, (column, name) in enumerate(zip(columns, names, strict=True)):
        found = glue_type(column.get("Type", "string"))
        result.append(
            DiscoveredColumn(
                name=name,
                raw_path=column["Name"],
                type=found or TEXT,
                nulls=0,
                count=0,
                certainty=GLUE_CERTAINTY if found else 0.5,
                notes=() if found else (f"Glue's type {column['Type']} has no counterpart: text",),
                position=position,
            )
        )
    return tuple(result)


def _key(key: Any, number: int, partitions: tuple[FoundPartition, ...]) -> PartitionKey:
    values = sorted({each.values[number] for each in partitions})
    return PartitionKey(
        name=target_name(key["Name"]),
        type=glue_type(key.get("Type", "string")) or TEXT,
        position=number,
        raw_name=key["Name"],
        values=len(values),
        examples=tuple(values[:5]),
    )


def _source(classification: str, descriptor: Any, parameters: Any) -> SourceFormat | None:
    serde = descriptor.get("SerdeInfo", {}).get("Parameters", {})
    words: dict[str, Any] = {"format": classification}
    if classification == "csv":
        words["delimiter"] = serde.get("separatorChar") or serde.get("field.delim") or parameters.get("delimiter", ",")
        words["header"] = 1 if _number(parameters.get("skip.header.line.count")) else 0
        if "quoteChar" in serde:
            words["quote"] = serde["quoteChar"]
    elif classification == "xml":
        words["row_tag"] = parameters.get("rowTag") or serde.get("rowTag")
    elif serde.get("input.format"):
        words = {"format": "log", "pattern": serde["input.format"]}
    try:
        return SourceFormat.model_validate(words)
    except ValidationError:
        return None


def _number(text: Any) -> int:
    return int(text) if str(text or "").isdecimal() else 0
