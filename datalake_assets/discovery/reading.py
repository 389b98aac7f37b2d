"""What one sampled object says: how it is written, and what its first records hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datalake_assets.discovery.classifiers.classification import Classification
from datalake_assets.discovery.classifiers.excerpt import excerpt
from datalake_assets.discovery.columns.node import Node
from datalake_assets.discovery.sampled_records import count_sample
from datalake_assets.discovery.sources.objects import FoundObject, sample_of
from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.source_format import SourceFormat

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from datalake_assets.discovery.classifiers.custom import CustomClassifier

MAX_SAMPLE_ROWS = 10_000  # of one object
DECLARED_FORMATS = ("parquet", "orc", "avro")


class UnknownFormat(UnreadableObject):
    """An object that no classifier knows; its message has the reason."""


@dataclass(slots=True)
class FileProfile:
    """One object that was read, in a form that goes to JSON and back.

    Attributes:
        rows: records that were counted; `total_rows` as the file itself tells them.
        is_all: whether the whole object was read.
        read_bytes: what was fetched of it.
        broken: records that could not be read.
    """

    uri: str
    etag: str
    classification: Classification
    root: Node
    rows: int = 0
    total_rows: int | None = None
    is_all: bool = False
    read_bytes: int = 0
    broken: int = 0
    is_ascii: bool = False

    @property
    def source(self) -> SourceFormat:
        assert self.classification.source is not None
        return self.classification.source

    def as_json(self) -> dict[str, Any]:
        found = self.classification
        return {
            "uri": self.uri,
            "etag": self.etag,
            "classifier": found.classifier,
            "certainty": found.certainty,
            "reason": found.reason,
            "details": found.details,
            "tried": [list(each) for each in found.tried],
            "source": self.source.model_dump(mode="json", exclude_defaults=True) | {"format": self.source.format},
            "root": self.root.as_json(),
            "rows": self.rows,
            "total_rows": self.total_rows,
            "is_all": self.is_all,
            "broken": self.broken,
            "is_ascii": self.is_ascii,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "FileProfile":
        source = SourceFormat.model_validate(data["source"])
        return cls(
            uri=data["uri"],
            etag=data["etag"],
            classification=Classification(
                data["classifier"],
                data["certainty"],
                data["reason"],
                source,
                tuple((name, certainty, reason) for name, certainty, reason in data["tried"]),
                dict(data["details"]),
            ),
            root=Node.from_json(data["root"]),
            rows=data["rows"],
            total_rows=data["total_rows"],
            is_all=data["is_all"],
            broken=data["broken"],
            is_ascii=data["is_ascii"],
        )


def read_sample(
    found: FoundObject,
    folder: Path,
    *,
    custom: "Sequence[CustomClassifier]" = (),
    s3: "S3Client | None" = None,
    account: str | None = None,
    sample_bytes: int,
) -> FileProfile:
    """Classify an object and count its first records.

    Args:
        folder: for an excerpt, which is deleted again.
        sample_bytes: the most to fetch of a text format, and to decompress.

    Raises:
        EmptyObject, UnreadableObject: nothing in it, broken, or of no known format; the message has the reason.
        AccessDenied, Unavailable, Throttled, ConcurrentChange: the object could not be fetched.
    """
    from datalake_assets.discovery.classifiers.classify import classify

    if not found.size:
        raise EmptyObject("the object has zero bytes", where=found.uri)
    sample = sample_of(found, s3=s3, account=account, sample_bytes=sample_bytes)
    classification = classify(sample, custom)
    source = classification.source
    if source is None:
        raise UnknownFormat(classification.reason, where=found.uri)
    profile = FileProfile(found.uri, found.etag, classification, Node(), read_bytes=len(sample.head))
    if source.format in DECLARED_FORMATS:
        from datalake_assets.discovery.columns.schemas import declared_columns

        profile.root, profile.total_rows = declared_columns(sample, source.format)
        return profile
    target = folder / f"excerpt-{abs(hash(found.uri)):x}"
    try:
        readable, profile.is_all, profile.is_ascii = excerpt(sample, source, target, max_bytes=sample_bytes)
        profile.root, profile.broken = count_sample(
            target, readable, uri=found.uri, is_all=profile.is_all, max_rows=MAX_SAMPLE_ROWS
        )
    finally:
        target.unlink(missing_ok=True)
    profile.rows = profile.root.objects
    profile.is_all = profile.is_all and profile.rows < MAX_SAMPLE_ROWS
    return profile
