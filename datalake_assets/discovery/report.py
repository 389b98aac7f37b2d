"""What a crawl found: tables with their columns, partitions and certainties, and what it left out and why.

All of it is plain values that go to JSON and back unchanged (`as_json`, `from_json`), in an order that depends only on
what was crawled.
"""

from dataclasses import dataclass
from typing import Any, Literal

from datalake_assets.column_types import TargetType
from datalake_assets.discovery.classifiers.classification import Classification
from datalake_assets.discovery.columns.discovered_column import (
    UNCERTAIN_BELOW,
    Conflict,
    DiscoveredColumn,
    OnConflict,
    without_empty,
)
from datalake_assets.formats.source_format import SourceFormat

TableKind = Literal["files", "postgresql", "dynamodb", "glue"]
__all__ = [
    "MAX_SKIPPED_SHOWN",
    "UNCERTAIN_BELOW",
    "Change",
    "Conflict",
    "CrawlReport",
    "DiscoveredColumn",
    "DiscoveredTable",
    "FoundPartition",
    "OnConflict",
    "PartitionKey",
    "Skipped",
    "TableKind",
]


@dataclass(frozen=True, slots=True)
class PartitionKey:
    """A column that the keys of the objects tell, not the objects themselves.

    Attributes:
        name: a valid target name; `raw_name` is what stands before the `=`, None in a positional layout.
        type: date, int, varchar …
        position: index of the (first) path segment that holds it, counted below the bucket.
        format: of a date, as the keys write it (`%Y-%m-%d`, `%Y/%m/%d` over three segments, `%Y%m%d`).
        in_pattern: whether it is the partition of `layout_pattern`; others become columns with `from_key`.
    """

    name: str
    type: TargetType
    position: int
    format: str | None = None
    raw_name: str | None = None
    in_pattern: bool = False
    values: int = 0
    examples: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return without_empty(
            {
                "name": self.name,
                "type": str(self.type),
                "position": self.position,
                "format": self.format,
                "raw_name": self.raw_name,
                "in_pattern": self.in_pattern,
                "values": self.values,
                "examples": list(self.examples),
            }
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "PartitionKey":
        return cls(
            name=data["name"],
            type=TargetType.parse(data["type"]),
            position=data["position"],
            format=data.get("format"),
            raw_name=data.get("raw_name"),
            in_pattern=data["in_pattern"],
            values=data.get("values", 0),
            examples=tuple(data.get("examples", ())),
        )


@dataclass(frozen=True, slots=True)
class FoundPartition:
    """One combination of the values of a table's partition keys, as typed text, and where its objects are."""

    values: tuple[str, ...]
    location: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DiscoveredTable:
    """One table: where it is, how it is written, its columns and partitions, and what was read to say so.

    Attributes:
        name: a valid Glue name, unique within the report.
        uri: the folder or object, or the table of a database (its password left out).
        source: how the files are written; None for a table of a database.
        classification: of the sample that was most certain.
        columns: in the order of the files.
        partition_keys: in the order of the path.
        layout_pattern: a key pattern for `source: {s3: …}` of a pipeline; None for a table of a database.
        files, bytes: all that were listed; `sampled_*`: what was read of them.
        rows: as a database or a file's own footer tells them, else None.
        partitions: each with its location, in order; empty for a table without partition keys.
        key_columns: the primary key that a database declares.
        broken_rows: sampled records that could not be read; `sampled_rows` are the others.
    """

    name: str
    uri: str
    source: SourceFormat | None
    classification: Classification | None
    columns: tuple[DiscoveredColumn, ...]
    partition_keys: tuple[PartitionKey, ...] = ()
    layout_pattern: str | None = None
    files: int = 0
    bytes: int = 0
    sampled_files: int = 0
    sampled_bytes: int = 0
    sampled_rows: int = 0
    notes: tuple[str, ...] = ()
    kind: TableKind = "files"
    rows: int | None = None
    partitions: tuple[FoundPartition, ...] = ()
    key_columns: tuple[str, ...] = ()
    certainty: float = 1.0
    broken_rows: int = 0

    def as_json(self) -> dict[str, Any]:
        first_and_last = (self.partitions[0], self.partitions[-1]) if self.partitions else ()
        return without_empty(
            {
                "name": self.name,
                "uri": self.uri,
                "kind": self.kind,
                "certainty": round(self.certainty, 3),
                "source": self.source.model_dump(mode="json", exclude_defaults=True) | {"format": self.source.format}
                if self.source
                else None,
                "classification": _classification_json(self.classification) if self.classification else None,
                "layout_pattern": self.layout_pattern,
                "partition_keys": [each.as_json() for each in self.partition_keys],
                "partitions": {
                    "count": len(self.partitions),
                    "first": list(first_and_last[0].values),
                    "last": list(first_and_last[1].values),
                }
                if first_and_last
                else None,
                "columns": [each.as_json() for each in self.columns],
                "key_columns": list(self.key_columns),
                "rows": self.rows,
                "files": self.files,
                "bytes": self.bytes,
                "sampled_files": self.sampled_files,
                "sampled_bytes": self.sampled_bytes,
                "sampled_rows": self.sampled_rows,
                "broken_rows": self.broken_rows or None,
                "notes": list(self.notes),
            }
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "DiscoveredTable":
        """All but the partitions, of which the JSON tells only how many there are."""
        said = data.get("classification")
        source = SourceFormat.model_validate(data["source"]) if data.get("source") else None
        return cls(
            name=data["name"],
            uri=data["uri"],
            source=source,
            classification=Classification(
                said["classifier"],
                said["certainty"],
                said["reason"],
                source,
                tuple((name, certainty, reason) for name, certainty, reason in said.get("tried", ())),
                said.get("details", {}),
            )
            if said
            else None,
            columns=tuple(DiscoveredColumn.from_json(each) for each in data.get("columns", ())),
            partition_keys=tuple(PartitionKey.from_json(each) for each in data.get("partition_keys", ())),
            layout_pattern=data.get("layout_pattern"),
            files=data["files"],
            bytes=data["bytes"],
            sampled_files=data["sampled_files"],
            sampled_bytes=data["sampled_bytes"],
            sampled_rows=data["sampled_rows"],
            notes=tuple(data.get("notes", ())),
            kind=data["kind"],
            rows=data.get("rows"),
            key_columns=tuple(data.get("key_columns", ())),
            certainty=data["certainty"],
            broken_rows=data.get("broken_rows", 0),
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that became part of no table, and why; `kind` is the class of the error, or UNKNOWN."""

    uri: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """One difference to the crawl before.

    `what` is table, column or partition; `how` new, changed or vanished; `name` is `table`, `table.column` or
    `table/partition`; `applied` says what the policy made of it.
    """

    what: Literal["table", "column", "partition", "classifier"]
    how: Literal["new", "changed", "vanished"]
    name: str
    before: str | None = None
    after: str | None = None
    applied: str | None = None

    def as_json(self) -> dict[str, Any]:
        return without_empty(
            {
                "what": self.what,
                "how": self.how,
                "name": self.name,
                "before": self.before,
                "after": self.after,
                "applied": self.applied,
            }
        )


@dataclass(frozen=True, slots=True)
class CrawlReport:
    """The result of a crawl.

    Attributes:
        skipped: at most `MAX_SKIPPED_SHOWN` of the `skipped_files` objects without a table.
        ignored: markers, hidden and temporary files that are no data: what kind → how many.
        unchanged_files: known from the crawl before and not read again.
        changes: to the crawl before; None when there was none.
    """

    uris: tuple[str, ...]
    tables: tuple[DiscoveredTable, ...]
    skipped: tuple[Skipped, ...] = ()
    skipped_files: int = 0
    ignored: tuple[tuple[str, int], ...] = ()
    listed_files: int = 0
    listed_bytes: int = 0
    read_files: int = 0
    read_bytes: int = 0
    unchanged_files: int = 0
    changes: tuple[Change, ...] | None = None
    notes: tuple[str, ...] = ()

    def table(self, name: str) -> DiscoveredTable:
        """The table of this name; KeyError if there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON values; what is empty or unknown is left out of tables and columns."""
        return {
            "uris": list(self.uris),
            "tables": [each.as_json() for each in self.tables],
            "skipped": [{"uri": each.uri, "kind": each.kind, "reason": each.reason} for each in self.skipped],
            "skipped_files": self.skipped_files,
            "ignored": dict(self.ignored),
            "listed_files": self.listed_files,
            "listed_bytes": self.listed_bytes,
            "read_files": self.read_files,
            "read_bytes": self.read_bytes,
            "unchanged_files": self.unchanged_files,
            "changes": None if self.changes is None else [each.as_json() for each in self.changes],
            "notes": list(self.notes),
        }


MAX_SKIPPED_SHOWN = 1_000


def _classification_json(found: Classification) -> dict[str, Any]:
    return {
        "classifier": found.classifier,
        "certainty": round(found.certainty, 3),
        "reason": found.reason,
        "details": dict(found.details),
        "tried": [list(each) for each in found.tried],
    }
