"""A partition's manifest: which raw objects became which lake objects, written before readers see the version.

It lies beside the data (`<table>/_manifests/<partition>/<version>.json`), never under a version's prefix, and outlives
nothing it describes: whoever removes a version removes its manifest first. A version that a blocking check refused has
a manifest of another name (`<version>.rejected.json`), so that nobody ever takes it for one to publish.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Literal

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.layout import Kind, key_beside
from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.catalog.versions import Version
from datalake_assets.errors import ManifestMismatch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from pydantic import TypeAdapter

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class RawInput:
    """One raw object as the run listed it at its start: `etag`, and `version_id` where the bucket keeps versions.

    Of a table that is made of others, one version that was read: `key` is the URI of its folder, `etag` its id.
    """

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
    rows_duplicate: int = 0
    """Dropped because another row has the same key."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one declared check found on a version; a check with severity `error` that did not pass blocks it."""

    name: str
    passed: bool
    severity: Literal["error", "warn"] = "error"
    found: str = ""
    """What a person reads: `3 rows with price_eur < 0`."""
    failed_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that is known about one version of one partition.

    Fields with a default were not always written: a manifest without them is read as before.

    Attributes:
        checks: what each declared check found, passed or not.
        failed_checks: the blocking checks that failed, as a person reads them; a version with any is rejected.
        restored_from: the version whose objects a rollback copied; `inputs` and `counts` are those of that one.
        reason: why somebody rolled back.
        reasons: why rows were set aside, most frequent first, with their number.
    """

    version: Version
    inputs: tuple[RawInput, ...]
    counts: RowCounts
    columns: tuple[CatalogColumn, ...]
    run_id: str
    created_at: datetime
    format_version: int = FORMAT_VERSION
    restored_from: str | None = None
    reason: str | None = None
    checks: tuple[CheckResult, ...] = ()
    failed_checks: tuple[str, ...] = ()
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def is_rejected(self) -> bool:
        """Whether a blocking check refused the version."""
        return bool(self.failed_checks)

    @property
    def key(self) -> str:
        """The manifest's own key in the lake bucket."""
        return self._key(Kind.REJECTED if self.is_rejected else Kind.MANIFEST)

    @property
    def redshift_key(self) -> str:
        """The key of the list that COPY reads, beside the manifest."""
        return self._key(Kind.REDSHIFT)

    def _key(self, kind: Kind) -> str:
        return key_beside(self.version.table, self.version.partition, self.version.id, kind)


def write_manifest(s3: "S3Client", bucket: str, manifest: Manifest) -> bool:
    """Store a manifest unless the version has one; return whether it was stored now.

    A version's manifest never changes, and the time S3 gave it tells vacuum when the version was accepted.

    Raises:
        ManifestMismatch: the counts contradict each other, so the manifest would be a lie, or the version has a
            manifest with other objects.
    """
    from botocore.exceptions import ClientError

    uri = f"s3://{bucket}/{manifest.key}"
    _check_counts(manifest, uri)
    body = _adapter().dump_json(manifest, indent=1)
    with aws_errors(uri):
        try:
            s3.put_object(Bucket=bucket, Key=manifest.key, Body=body, ContentType="application/json", IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
        else:
            return True
    version = manifest.version
    stored = read_manifest(s3, bucket, version.table, version.partition, version.id, is_rejected=manifest.is_rejected)
    if stored.version != version:
        raise ManifestMismatch("the version has a manifest with other objects", where=uri)
    return False


def has_manifest(s3: "S3Client", bucket: str, manifest: Manifest) -> bool:
    """Whether the version was accepted before."""
    from botocore.exceptions import ClientError

    with aws_errors(f"s3://{bucket}/{manifest.key}"):
        try:
            s3.head_object(Bucket=bucket, Key=manifest.key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
                raise
            return False
    return True


def read_manifest(
    s3: "S3Client", bucket: str, table: str, partition: str, version: str, *, is_rejected: bool = False
) -> Manifest:
    """Read the manifest of an accepted or a rejected version.

    Raises:
        ConfigurationError: there is no such manifest.
        ManifestMismatch: the object is not a manifest, is of a newer format, or describes another version.
    """
    from pydantic import ValidationError

    key = key_beside(table, partition, version, Kind.REJECTED if is_rejected else Kind.MANIFEST)
    uri = f"s3://{bucket}/{key}"
    with aws_errors(uri):
        text = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        manifest = _adapter().validate_json(text)
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


@cache
def _adapter() -> "TypeAdapter[Manifest]":
    # Made once: that takes a hundred times as long as reading a manifest with it.
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest)


def _check_counts(manifest: Manifest, uri: str) -> None:
    counts, in_objects = manifest.counts, manifest.version.row_count
    if counts.rows_published != in_objects:
        raise ManifestMismatch(f"{counts.rows_published} rows published, {in_objects} in the lake objects", where=uri)
    if min(counts.rows_in, counts.rows_published, counts.rows_quarantined) < 0:
        raise ManifestMismatch(f"a count is negative: {counts}", where=uri)
