"""Decide, for one partition, which versions to mark and which to remove; nothing is changed here.

`vacuum` says why each of these rules is needed.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.history import manifest_of
from datalake_assets.catalog.layout import Kind
from datalake_assets.catalog.listing import ListedObject, ListedPartition, ListedVersion, list_partition
from datalake_assets.catalog.published import published_in
from datalake_assets.names import version_prefix

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Plan:
    """What is to become of one partition's versions; those in no list stay.

    `lone_marks` are marks without a version, left by a vacuum that was killed or overtaken. `is_damaged` if the
    published version's objects are not those of its manifest.
    """

    listed: ListedPartition
    mark: list[ListedVersion] = field(default_factory=list)
    remove: list[ListedVersion] = field(default_factory=list)
    lone_marks: list[ListedObject] = field(default_factory=list)
    is_damaged: bool = False


def plan_partition(
    listed: ListedPartition,
    entry: Any,
    *,
    table: GlueTable,
    now: datetime,
    keep_versions: int,
    grace: timedelta,
    settle: timedelta,
    unfinished_grace: timedelta,
) -> Plan:
    """Plan one partition.

    Args:
        listed: what S3 listed before Glue was asked.
        entry: Glue's table or partition; None if it knows none.
        now: S3's time of the listing.
        grace: how old a mark must be.
        settle: how old manifests must be, so that nobody can still switch on the ground of a listing without them.
        unfinished_grace: how old objects without a manifest must be.
    """
    plan = Plan(listed)
    retained = _retained(listed, keep_versions)
    published = published_in(entry) if entry else None
    location = entry["StorageDescriptor"].get("Location", "") if entry else ""
    for version in listed.versions.values():
        prefix = table.location(version_prefix(table.name, listed.partition, version.id))
        if (published and published.version_id == version.id) or _overlap(location, prefix):
            continue  # readers are sent there, whoever sent them
        if version.marked_at:
            if now - version.marked_at < grace or _is_accepted_after(version, version.marked_at):
                continue
            if set(version.beside) == {Kind.EXPIRED} and not version.data:
                plan.lone_marks.append(version.beside[Kind.EXPIRED])
            else:
                plan.remove.append(version)
        elif version.is_accepted or version.is_rejected:
            if version.id not in retained and (version.is_rejected or _is_settled(version, listed, now, settle)):
                plan.mark.append(version)
        elif now - version.newest_at >= unfinished_grace:
            plan.remove.append(version)
    if published and (plan.mark or plan.remove) and not _is_whole(table, listed, published.version_id):
        s3 = table.session.client("s3", table.region)
        is_whole = _is_whole(table, list_partition(s3, table, listed.partition), published.version_id)
        if not is_whole:
            log.error("%s %s: published version %s is damaged", table.where, listed.partition, published.version_id)
        return Plan(listed, is_damaged=not is_whole)  # whole, but published since the listing: the next visit acts
    return plan


def _retained(listed: ListedPartition, keep_versions: int) -> set[str]:
    """The newest accepted versions, and the newest rejected ones as far as an older accepted one is retained."""
    accepted = sorted((v.id for v in listed.versions.values() if v.is_accepted), reverse=True)[:keep_versions]
    rejected = sorted((v.id for v in listed.versions.values() if v.is_rejected), reverse=True)[:keep_versions]
    oldest = accepted[-1] if len(accepted) == keep_versions else ""
    return {*accepted, *(version for version in rejected if version > oldest)}


def _is_settled(version: ListedVersion, listed: ListedPartition, now: datetime, settle: timedelta) -> bool:
    def is_old(accepted: ListedVersion) -> bool:
        return now - accepted.beside[Kind.MANIFEST].stored_at >= settle

    # The greater one must itself never go, so it must be unmarked.
    return is_old(version) and any(
        is_old(other)
        for other in listed.versions.values()
        if other.is_accepted and other.id > version.id and not other.marked_at
    )


def _is_accepted_after(version: ListedVersion, marked_at: datetime) -> bool:
    """Whether somebody accepted it although it was marked, as no publisher does: its own may yet switch to it."""
    manifest = version.beside.get(Kind.MANIFEST)
    return manifest is not None and manifest.stored_at > marked_at


def _overlap(location: str, prefix: str) -> bool:
    """Whether a reader of the location would read the prefix, or a part of it."""
    if not location:
        return False
    folder = location if location.endswith("/") else location + "/"
    return folder.startswith(prefix) or prefix.startswith(folder)


def _is_whole(table: GlueTable, listed: ListedPartition, published: str) -> bool:
    """Whether the published version's objects are listed as its manifest says; not known is not whole."""
    version = listed.versions.get(published)
    if version is None:
        return False  # published since the listing, or vanished
    manifest = manifest_of(table, listed, version)
    if manifest is None:
        return False
    sizes = {item.key: item.size for item in version.data}
    return all(sizes.get(item.key) == item.size for item in manifest.version.objects)
