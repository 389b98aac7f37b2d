"""Which versions a partition has: the one readers see, those kept, rejected, on their way out, or never finished."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.layout import Kind, manifests_prefix, place_of
from datalake_assets.catalog.listing import ListedPartition, ListedVersion, list_partition
from datalake_assets.catalog.manifest import Manifest, read_manifest
from datalake_assets.catalog.partitions import in_threads
from datalake_assets.errors import ConfigurationError, ManifestMismatch

VersionState = Literal["published", "kept", "rejected", "expiring", "unfinished"]


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of one partition.

    Attributes:
        state: `published`: what readers see. `kept`: accepted, can be restored. `rejected`: a blocking check failed.
            `expiring`: marked, vacuum removes it. `unfinished`: objects without a manifest, of a run that was killed
            or is still at work, or whose manifest cannot be read.
        row_count: rows in the version's objects; None if it has no manifest.
        size: bytes of the version's objects.
        objects: their number.
        created_at: when its run wrote the manifest; without one, when S3 stored its last object.
        run_id: the Dagster run, or who rolled back; empty without a manifest.
        restored_from: the version that a rollback copied.
        reason: why somebody rolled back.
        failed_checks: the blocking checks that failed, as a person reads them.
    """

    version_id: str
    state: VersionState
    row_count: int | None
    size: int
    objects: int
    created_at: datetime
    run_id: str
    restored_from: str | None = None
    reason: str | None = None
    failed_checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartitionVersions:
    """One partition: the published version with its rows, and the number of versions by what they are."""

    partition: str
    published_version: str | None
    rows: int | None
    versions: int
    rejected: int
    expiring: int


def list_versions(table: GlueTable, partition: str, *, threads: int = 8) -> list[VersionInfo]:
    """Every version of a partition that is still there, the newest first; none if there never was one.

    Raises:
        ConfigurationError: there is no such table.
    """
    current = table.current(partition)
    s3 = table.session.client("s3", table.region)
    listed = list_partition(s3, table, partition)
    published = current.version_id if current else None

    def info(version: ListedVersion) -> VersionInfo:
        return _info(version, manifest_of(table, listed, version), is_published=version.id == published)

    newest_first = [listed.versions[each] for each in sorted(listed.versions, reverse=True)]
    return in_threads(info, newest_first, threads=threads)


def partition_versions(table: GlueTable) -> list[PartitionVersions]:
    """All partitions that have a manifest, in their order; one listing, and one Glue call for each thousand of them.

    Raises:
        ConfigurationError: the table is not in the catalog yet.
        Unavailable, AccessDenied: S3 or Glue does not answer.
    """
    s3 = table.session.client("s3", table.region)
    prefix = manifests_prefix(table.name)
    counts: dict[str, Counter[Kind]] = {}
    with aws_errors(f"s3://{table.bucket}/{prefix}"):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=table.bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                if place := place_of(table.name, item["Key"]):
                    counts.setdefault(place.partition, Counter())[place.kind] += 1
    published = table.current_many(sorted(counts))
    return [
        PartitionVersions(
            partition=partition,
            published_version=now.version_id if (now := published[partition]) else None,
            rows=now.row_count if now else None,
            versions=kinds[Kind.MANIFEST] + kinds[Kind.REJECTED],
            rejected=kinds[Kind.REJECTED],
            expiring=kinds[Kind.EXPIRED],
        )
        for partition, kinds in sorted(counts.items())
    ]


def manifest_of(table: GlueTable, listed: ListedPartition, version: ListedVersion) -> Manifest | None:
    """The manifest of a listed version; None if it has none, or one that cannot be read."""
    if not (version.is_accepted or version.is_rejected):
        return None
    s3 = table.session.client("s3", table.region)
    try:
        return read_manifest(
            s3, table.bucket, table.name, listed.partition, version.id, is_rejected=not version.is_accepted
        )
    except (ConfigurationError, ManifestMismatch):
        return None  # vacuumed since it was listed, or spoilt by hand


def _info(version: ListedVersion, manifest: Manifest | None, *, is_published: bool) -> VersionInfo:
    state: VersionState
    if is_published:
        state = "published"
    elif version.marked_at:
        state = "expiring"
    elif manifest is None:
        state = "unfinished"
    else:
        state = "rejected" if manifest.is_rejected else "kept"
    return VersionInfo(
        version_id=version.id,
        state=state,
        row_count=manifest.version.row_count if manifest else None,
        size=version.size,
        objects=len(version.data),
        created_at=manifest.created_at if manifest else version.newest_at,
        run_id=manifest.run_id if manifest else "",
        restored_from=manifest.restored_from if manifest else None,
        reason=manifest.reason if manifest else None,
        failed_checks=manifest.failed_checks if manifest else (),
    )
