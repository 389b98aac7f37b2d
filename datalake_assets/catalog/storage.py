"""Glue's description of Parquet on S3, in the form that Athena, Spectrum, Spark and awswrangler write and expect."""

from collections.abc import Iterable
from typing import Any

from datalake_assets.catalog.schema import CatalogColumn, TableSchema

MAX_COMMENT_CHARACTERS = 255  # a Glue limit; the whole text is in the asset's own description
MAX_DESCRIPTION_CHARACTERS = 2048

# What UpdateTable takes of what GetTable returns; the rest is Glue's own.
_TABLE_INPUT_KEYS = (
    "Name",
    "Description",
    "Owner",
    "Retention",
    "StorageDescriptor",
    "PartitionKeys",
    "ViewOriginalText",
    "ViewExpandedText",
    "TableType",
    "Parameters",
    "TargetTable",
)


def glue_columns(columns: Iterable[CatalogColumn]) -> list[dict[str, str]]:
    return [
        {"Name": column.name, "Type": column.glue_type, "Comment": column.comment[:MAX_COMMENT_CHARACTERS]}
        for column in columns
    ]


def catalog_columns(columns: Iterable[Any]) -> tuple[CatalogColumn, ...]:
    return tuple(CatalogColumn(column["Name"], column["Type"], column.get("Comment", "")) for column in columns)


def storage_descriptor(location: str, columns: Iterable[CatalogColumn]) -> dict[str, Any]:
    return {
        "Columns": glue_columns(columns),
        "Location": location,
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "Compressed": True,
        "NumberOfBuckets": -1,
        "SerdeInfo": {
            "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            "Parameters": {"serialization.format": "1"},
        },
        "BucketColumns": [],
        "SortColumns": [],
        "StoredAsSubDirectories": False,
        "Parameters": {"classification": "parquet", "typeOfData": "file"},
    }


def table_input(name: str, schema: TableSchema, location: str) -> dict[str, Any]:
    return {
        "Name": name,
        **declared_texts(schema),
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": glue_columns(schema.partition_keys),
        "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet", "typeOfData": "file", **schema.parameters},
        "StorageDescriptor": storage_descriptor(location, schema.columns),
    }


def declared_texts(schema: TableSchema) -> dict[str, str]:
    """Description and owner, as far as declared: Glue takes no empty owner."""
    texts = {"Description": schema.description[:MAX_DESCRIPTION_CHARACTERS], "Owner": schema.owner}
    return {key: text for key, text in texts.items() if text}


def as_input(table: Any) -> dict[str, Any]:
    """The part of a GetTable answer that UpdateTable takes, so that what others set on the table stays."""
    return {key: table[key] for key in _TABLE_INPUT_KEYS if table.get(key) is not None}
