"""Roll back: publish what an old version holds, as a new version.

The objects are copied within S3 below the new version's prefix, and the copy is published like any other version. So
the greatest version id always is what readers see, the warehouse loads it as it loads everything newer than what it
has, and vacuum treats both versions by their age. A rollback that is repeated after a crash makes one more version
with the same content, which does no harm.
"""

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from datalake_assets.catalog.copying import copy_objects
from datalake_assets.catalog.glue import GlueTable, Switch
from datalake_assets.catalog.history import VersionInfo, list_versions
from datalake_assets.catalog.manifest import Manifest, read_manifest
from datalake_assets.catalog.publish import publish_partitions
from datalake_assets.catalog.versions import Version, describe, following_version_id
from datalake_assets.errors import ConfigurationError
from datalake_assets.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

MAX_NAMED_VERSIONS = 10  # in messages


def rollback(
    table: GlueTable,
    partition: str,
    *,
    reason: str,
    run_id: str,
    to: str | None = None,
    now: datetime | None = None,
    version: str | None = None,
    threads: int = 8,
) -> tuple[Manifest, Switch]:
    """Let readers of a partition see again what a kept version holds.

    Args:
        reason: why, for the manifest and whoever looks at it later; not empty.
        run_id: the Dagster run, or another name of who does it; part of the new version's id.
        to: the id of the version to restore; by default the newest kept one before the published one.
        now: an aware time, by the clock that the ids of runs are made with; this host's without it.
        version: the new version's id, for tables that change together; greater than all there are. Made of `run_id`
            and `now` without it.
        threads: S3 calls in flight.

    Returns:
        The new version's manifest (`restored_from` is the old one) and what became of the partition. `Switch.after`
        is another version only if a greater one was published at the same time.

    Raises:
        ConfigurationError: there is no such version, or none that could be restored; the message names those there are.
        ManifestMismatch: an object of the old version is missing or changed; readers see what they saw.
        ConcurrentChange, Throttled, Unavailable: worth another try, which makes a new version again.
    """
    if not reason.strip():
        raise ConfigurationError(
            "a rollback needs a reason", where=f"{table.database}.{describe(table.name, partition)}", expected="a text"
        )
    versions = list_versions(table, partition, threads=threads)
    old_id = _chosen(table, partition, versions, to)
    s3 = table.session.client("s3", table.region)
    old = read_manifest(s3, table.bucket, table.name, partition, old_id)
    now = now or datetime.now(UTC)
    # Above all that exist, also when this host's clock is behind that of who made them.
    new_id = version or following_version_id(run_id, now, max(each.version_id for each in versions))
    objects = copy_objects(s3, table.bucket, old.version, new_id, threads=threads)
    failpoint("rollback.copied")
    manifest = Manifest(
        version=Version(table.name, partition, new_id, objects),
        inputs=old.inputs,
        counts=old.counts,
        columns=old.columns,
        run_id=run_id,
        created_at=now,
        restored_from=old_id,
        reason=reason,
        checks=old.checks,
        reasons=old.reasons,
    )
    switch = publish_partitions(table, [manifest], threads=threads)[partition]
    if switch.error:
        raise switch.error
    log.info("%s %s: version %s restores %s (%s)", table.where, partition, new_id, old_id, reason)
    return manifest, switch


def restorable_version(table: GlueTable, partition: str, *, to: str | None = None) -> str:
    """The id of the version that `rollback` would restore; nothing is changed.

    Raises:
        ConfigurationError: there is no such version, or none that could be restored; the message names those there are.
    """
    return _chosen(table, partition, list_versions(table, partition), to)


def _chosen(table: GlueTable, partition: str, versions: "Sequence[VersionInfo]", to: str | None) -> str:
    where = f"{table.database}.{describe(table.name, partition)}"
    kept = [each.version_id for each in versions if each.state == "kept"]
    published = next((each.version_id for each in versions if each.state == "published"), None)
    choice = ", ".join(kept[:MAX_NAMED_VERSIONS]) or "none"
    expected = f"one of the kept versions: {choice}" if kept else "a kept version, and there is none"
    if to is None:
        if published is None:
            raise ConfigurationError(
                "nothing is published, so there is no version before it",
                where=where,
                expected=expected,
                todo="Name the version to restore (--to)",
            )
        before = [each for each in kept if each < published]
        if not before:
            raise ConfigurationError(
                f"there is no kept version before the published one, {published}",
                where=where,
                expected=expected,
                todo="Run the partition again",
            )
        return before[0]
    state = {each.version_id: each for each in versions}.get(to)
    if state is None:
        found = f"there is no version {to}: it never was, or is vacuumed"
    elif state.state == "kept":
        return to
    elif state.state == "published":
        found = f"version {to} is what readers see already"
    elif state.state == "rejected":
        found = f"version {to} was rejected: {'; '.join(state.failed_checks)}"
    elif state.state == "expiring":
        found = f"version {to} is being vacuumed"
    else:
        found = f"version {to} was never finished"
    raise ConfigurationError(found, where=where, expected=expected, todo="`datalake versions` lists them")
