"""Publish partitions: point the catalog at versions that are complete and audited.

A reader sees the whole old version of a partition or the whole new one. Partitions switch one after another: whoever
needs several tables or partitions to change together publishes to one partition.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.glue import GlueTable, Switch
from datalake_assets.catalog.manifest import Manifest, write_manifest
from datalake_assets.catalog.versions import describe
from datalake_assets.errors import AuditFailed, PlatformError
from datalake_assets.failpoints import failpoint

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)


def publish(table: GlueTable, manifest: Manifest, *, failed_checks: Sequence[str] = ()) -> str | None:
    """Make the manifest's version what readers of its partition see; return the id of the version it replaces.

    Publishing the same version twice changes nothing, so a retried run is safe at any point. A version older than the
    published one leaves that in place. Nothing is ever deleted.

    Args:
        failed_checks: blocking checks that failed on this version, as a person should read them.

    Raises:
        AuditFailed: a blocking check failed; readers still see the old version, and the new one stays for inspection.
        ManifestMismatch: an object of the version is missing, surplus or another than was uploaded.
        ConcurrentChange, Throttled, Unavailable: worth another try; the old version or the new one is visible.
    """
    partition = manifest.version.partition
    switch = publish_partitions(table, [manifest], failed_checks={partition: failed_checks})[partition]
    if switch.error:
        raise switch.error
    return switch.before.version_id if switch.is_switched and switch.before else None


def publish_partitions(
    table: GlueTable,
    manifests: Sequence[Manifest],
    *,
    failed_checks: Mapping[str, Sequence[str]] | None = None,
    threads: int = 8,
) -> dict[str, Switch]:
    """Publish many partitions of one table: each by itself, those that fail with their `Switch.error`.

    Audited first, then each manifest is written, then the locations switch: whoever sees a version finds its manifest.

    Args:
        failed_checks: partition key → blocking checks that failed.
        threads: S3 calls in flight.
    """
    s3 = table.session.client("s3", table.region)
    failed = failed_checks or {}

    def prepare(manifest: Manifest) -> PlatformError | None:
        try:
            _prepare(s3, table, manifest, failed.get(manifest.version.partition, ()))
        except PlatformError as error:
            return error
        return None

    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="publish") as pool:
        errors = list(pool.map(prepare, manifests))
    switches = table.switch_locations([m for m, error in zip(manifests, errors, strict=True) if error is None])
    for manifest, error in zip(manifests, errors, strict=True):
        if error is not None:
            switches[manifest.version.partition] = Switch(None, None, error)
    log.info(
        "published %d of %d partitions of %s, %d failed",
        sum(switch.is_switched for switch in switches.values()),
        len(manifests),
        table.where,
        sum(switch.error is not None for switch in switches.values()),
    )
    return switches


def _prepare(s3: "S3Client", table: GlueTable, manifest: Manifest, failed_checks: Sequence[str]) -> None:
    version = manifest.version
    where = f"{table.database}.{describe(version.table, version.partition)}"
    with aws_errors(where):
        version.verify(s3, table.bucket)
    failpoint("publish.audited")
    if failed_checks:
        rejected = replace(manifest, failed_checks=tuple(failed_checks))
        write_manifest(s3, table.bucket, rejected)
        raise AuditFailed(
            f"blocking checks failed: {'; '.join(failed_checks)}",
            where=where,
            todo=f"The old version stays published; the new one is at {table.location(version.prefix)}, "
            f"its manifest at {table.location(rejected.key)}",
        )
    write_manifest(s3, table.bucket, manifest)
    failpoint("publish.manifest")
