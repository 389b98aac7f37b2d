"""A partition's manifest: which raw objects became which lake objects, written before readers see the version.

It lies beside the data (`<table>/_manifests/<partition>/<version>.json`), never under a version's prefix, and outlives
nothing it describes: whoever removes a version removes its manifest first.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.catalog.versions import Version
from datalake_assets.errors import ManifestMismatch
from datalake_assets.names import manifest_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class RawInput:
    """One raw object as the run listed it at its start: `etag`, and `version_id` where the bucket keeps versions."""

    key: str
    etag: str
    size: int
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows read from the raw objects; each was published, quarantined, or dropped by a declared rule."""

    rows_in: int
    rows_published: int
    rows_quarantined: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that is known about one version of one partition."""

    version: Version
    inputs: tuple[RawInput, ...]
    counts: RowCounts
    columns: tuple[CatalogColumn, ...]
    run_id: str
    created_at: datetime
    format_version: int = FORMAT_VERSION

    @property
    def key(self) -> str:
        """The manifest's own key in the lake bucket."""
        return manifest_key(self.version.table, self.version.partition, self.version.id)

    @property
    def redshift_key(self) -> str:
        """The key of the list that COPY reads, beside the manifest."""
        return self.key.removesuffix(".json") + ".redshift.json"


def write_manifest(s3: "S3Client", bucket: str, manifest: Manifest) -> str:
    """Store a manifest and return its URI; storing the same one again changes nothing.

    Raises:
        ManifestMismatch: the counts contradict each other, so the manifest would be a lie.
    """
    from pydantic import TypeAdapter

    uri = f"s3://{bucket}/{manifest.key}"
    _check_counts(manifest, uri)
    with aws_errors(uri):
        s3.put_object(
            Bucket=bucket,
            Key=manifest.key,
            Body=TypeAdapter(Manifest).dump_json(manifest, indent=1),
            ContentType="application/json",
        )
    return uri


def read_manifest(s3: "S3Client", bucket: str, table: str, partition: str, version: str) -> Manifest:
    """Read a version's manifest.

    Raises:
        ConfigurationError: there is no such manifest.
        ManifestMismatch: the object is not a manifest, is of a newer format, or describes another version.
    """
    from pydantic import TypeAdapter, ValidationError

    key = manifest_key(table, partition, version)
    uri = f"s3://{bucket}/{key}"
    with aws_errors(uri):
        text = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        manifest = TypeAdapter(Manifest).validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ManifestMismatch(
            f"the object is not a manifest: {'.'.join(map(str, problem['loc']))}: {problem['msg']}", where=uri
        ) from error
    if manifest.format_version != FORMAT_VERSION:
        raise ManifestMismatch(
            f"the manifest has format {manifest.format_version}", where=uri, expected=f"format {FORMAT_VERSION}"
        )
    if manifest.key != key:
        raise ManifestMismatch(f"the manifest is of {manifest.version.prefix}", where=uri)
    _check_counts(manifest, uri)
    return manifest


def redshift_manifest(s3: "S3Client", bucket: str, manifest: Manifest) -> str:
    """Store the list of a version's objects that Redshift's `COPY … MANIFEST` reads; return its URI.

    Every entry is mandatory and has its length, which COPY of Parquet asks for: a missing object fails the load.
    """
    import json

    entries = [
        {"url": f"s3://{bucket}/{item.key}", "mandatory": True, "meta": {"content_length": item.size}}
        for item in manifest.version.objects
    ]
    uri = f"s3://{bucket}/{manifest.redshift_key}"
    with aws_errors(uri):
        s3.put_object(
            Bucket=bucket,
            Key=manifest.redshift_key,
            Body=json.dumps({"entries": entries}, indent=1).encode(),
            ContentType="application/json",
        )
    return uri


def _check_counts(manifest: Manifest, uri: str) -> None:
    counts, in_objects = manifest.counts, manifest.version.row_count
    if counts.rows_published != in_objects:
        raise ManifestMismatch(f"{counts.rows_published} rows published, {in_objects} in the lake objects", where=uri)
    if min(counts.rows_in, counts.rows_published, counts.rows_quarantined) < 0:
        raise ManifestMismatch(f"a count is negative: {counts}", where=uri)
