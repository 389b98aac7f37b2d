"""Publish partitions: point the catalog at versions that are complete and audited.

A reader sees the whole old version of a partition or the whole new one. Partitions switch one after another: whoever
needs several tables or partitions to change together publishes to one partition.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.deadline import MAX_UNACCEPTED, Deadline
from datalake_assets.catalog.glue import GlueTable, Switch
from datalake_assets.catalog.manifest import Manifest, has_manifest, write_manifest
from datalake_assets.catalog.partitions import READ_BATCH, in_threads
from datalake_assets.catalog.settle import settle
from datalake_assets.catalog.versions import describe
from datalake_assets.errors import AuditFailed, ConcurrentChange, PlatformError
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
    Of publishers of one partition the greatest version id wins, whatever the order of their steps, also if some of
    them die: each that replaced a version looks for a greater one afterwards (`settle`).

    Args:
        failed_checks: partition key → blocking checks that failed, as a person should read them. Such a version gets
            a manifest as rejected and is never published; its error is `AuditFailed`.
        threads: S3 calls in flight.
    """
    switches: dict[str, Switch] = {}
    # In groups, so that the first manifest of ten thousand is not out of date when the last is written.
    for start in range(0, len(manifests), READ_BATCH):
        group = manifests[start : start + READ_BATCH]
        switches |= _publish_group(table, group, failed_checks or {}, threads)
    log.info(
        "published %d of %d partitions of %s, %d failed",
        sum(switch.is_switched for switch in switches.values()),
        len(manifests),
        table.where,
        sum(switch.error is not None for switch in switches.values()),
    )
    return switches


def _publish_group(
    table: GlueTable, manifests: Sequence[Manifest], failed_checks: Mapping[str, Sequence[str]], threads: int
) -> dict[str, Switch]:
    s3 = table.session.client("s3", table.region)
    deadline = Deadline.from_now()

    def accept(manifest: Manifest) -> bool | PlatformError:
        try:
            return _accept(s3, table, manifest, failed_checks.get(manifest.version.partition, ()))
        except PlatformError as error:
            return error

    accepted = dict(zip(manifests, in_threads(accept, manifests, threads=threads), strict=True))
    new = [manifest for manifest, is_new in accepted.items() if is_new is True]
    switches = table.switch_locations(new, deadline=deadline)
    failpoint("publish.switched")
    looked = {
        **{m: m.version.id for m in new if _may_have_replaced(switches[m.version.partition])},
        # Published or tried before, by ourselves: what is the greatest now is not known.
        **{manifest: "" for manifest, is_new in accepted.items() if is_new is False},
    }
    settled = settle(table, {m.version.partition: above for m, above in looked.items()}, threads=threads)
    for manifest in looked:
        partition = manifest.version.partition
        switches[partition] = _joined(manifest, switches.get(partition), settled[partition], table)
    failpoint("publish.settled")
    for manifest, error in accepted.items():
        if isinstance(error, PlatformError):
            switches[manifest.version.partition] = Switch(None, None, error)
    return switches


def _may_have_replaced(switch: Switch) -> bool:
    # A call that failed may have been carried out all the same.
    return (switch.is_switched and not switch.is_created) or switch.error is not None


def _accept(s3: "S3Client", table: GlueTable, manifest: Manifest, failed_checks: Sequence[str]) -> bool:
    """Audit a version and write its manifest; return whether it had none before."""
    version = manifest.version
    where = f"{table.database}.{describe(version.table, version.partition)}"
    with aws_errors(where):
        age = version.verify(s3, table.bucket)
    failpoint("publish.audited")
    if failed_checks:
        rejected = replace(manifest, failed_checks=tuple(failed_checks))
        write_manifest(s3, table.bucket, rejected)
        raise AuditFailed(
            f"blocking checks failed: {'; '.join(failed_checks)}",
            where=where,
            todo=f"Readers see what they saw before; the refused version is at {table.location(version.prefix)}, "
            f"its manifest at {table.location(rejected.key)}",
        )
    if age > MAX_UNACCEPTED and not has_manifest(s3, table.bucket, manifest):
        raise ConcurrentChange(
            f"the version was uploaded {age} ago and never published: vacuum may be about to remove it",
            where=where,
            expected=f"a version that is published within {MAX_UNACCEPTED} of its upload",
            todo="Run the partition again",
        )
    is_new = write_manifest(s3, table.bucket, manifest)
    failpoint("publish.manifest")
    return is_new


def _joined(manifest: Manifest, first: Switch | None, settled: Switch | None, table: GlueTable) -> Switch:
    """What became of a partition from before the first step to after the last."""
    if settled is None:
        if first is None:
            version = manifest.version
            where = f"{table.database}.{describe(version.table, version.partition)}"
            gone = ConcurrentChange(f"version {version.id} is marked for removal", where=where)
            return Switch(None, None, gone)
        return first
    if first is None or first.error:
        return settled if first is None or settled.error is None else first
    return Switch(first.before, settled.after, settled.error)
