"""Remove versions that nobody can refer to any more, in two visits, and mend what a killed publisher left behind.

The first visit **marks** a version that is neither published nor among the newest to keep. A later one that finds the
mark older than the grace time **removes** it: manifest, objects, mark, in this order.

Why nothing is removed that anybody can still refer to:

1. *From its mark on, a version is never published.* A version is switched to by its own publisher within `SETTLE` of
   its manifest, or by others that find it to be the greatest of a listing, within `SETTLE` of that listing (see
   `deadline`). It is marked only if, when S3 was listed, its manifest and that of a greater version were both older
   than `SETTLE`: what was decided on before is over, and no later listing shows it as the greatest. Only after that
   listing Glue is asked what is published. The greater one cannot go: the newest version is always kept.
2. *So a reader that knows its location learned it before the mark*, and is older than the grace time at the removal.
   Only S3's clock is compared: the time it gave the mark with the time of its answer. Ours does not matter.
3. *Glue is asked again right before anything is removed*, by location too: whatever a partition points to is not
   touched, also if somebody else registered it. A call that fails ends the visit: what is not known is not removed.
4. *Objects without a manifest* are removed a day after the last of them was stored. A publisher refuses to accept a
   version half as old (`MAX_UNACCEPTED`), so none that is removed can be published by a publisher that slept.
5. *A rollback* copies first and publishes only what S3 has proved to be complete. One that copies from a version that
   is being removed fails, and readers see what they saw.
6. *Killed anywhere, or twice at once*: each step repeats without harm. Without a manifest a version is not published
   by anybody; its mark goes last and brings the next visit back to what is left of it.

Of a partition whose published version lacks objects nothing is marked or removed: an old one may be the only good copy.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.deadline import MAX_UNACCEPTED, SETTLE
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.layout import Kind, key_beside
from datalake_assets.catalog.listing import ListedPartition, ListedVersion, list_partition, list_table
from datalake_assets.catalog.partitions import READ_BATCH, in_threads
from datalake_assets.catalog.removal import delete_keys, put_mark
from datalake_assets.catalog.retention import Plan, plan_partition
from datalake_assets.catalog.settle import settle
from datalake_assets.errors import ConfigurationError
from datalake_assets.failpoints import failpoint
from datalake_assets.names import UNPARTITIONED, partition_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

MAX_CHUNK_OBJECTS = 50_000  # listed objects in memory, unless a single partition has more
UNFINISHED_GRACE = 2 * MAX_UNACCEPTED


@dataclass(frozen=True, slots=True)
class PartitionVersion:
    """A version of a partition."""

    partition: str
    version_id: str


@dataclass(slots=True)
class VacuumResult:
    """What one visit did, or with `is_dry_run` would do.

    Attributes:
        table: `flights_lake.flights`.
        partitions: number of partitions looked at.
        marked: versions marked for removal by this visit.
        removed: versions removed: expired, rejected, or never finished.
        objects: number of objects removed, manifests and marks included.
        bytes: their size.
        kept: number of versions that stay: published, retained, marked a short while ago, or still at work.
        repaired: partitions that were switched on to a greater version, which a killed publisher had left.
        damaged: partitions whose published version lacks objects; nothing of them is marked or removed.
        foreign: number of objects below the partitions that the platform did not write; never touched.
    """

    table: str
    is_dry_run: bool = False
    partitions: int = 0
    marked: list[PartitionVersion] = field(default_factory=list)
    removed: list[PartitionVersion] = field(default_factory=list)
    objects: int = 0
    bytes: int = 0
    kept: int = 0
    repaired: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    foreign: int = 0


def vacuum(
    table: GlueTable,
    *,
    keep_versions: int,
    grace: timedelta,
    now: datetime | None = None,
    dry_run: bool = False,
    partitions: Collection[str] | None = None,
    unfinished_grace: timedelta | None = None,
    threads: int = 8,
) -> VacuumResult:
    """Mark versions that are not needed, remove those marked long enough ago, and repair partitions.

    It can run at any time, beside publishers, readers, rollbacks and other vacuums, and repeats without harm. A
    partition that Glue does not know (dropped by hand, or not yet published) keeps its newest versions.

    Args:
        keep_versions: how many of the newest accepted versions of a partition stay, the published one among them. Of
            rejected ones as many stay, as long as an older accepted one does.
        grace: how long a reader can take. Less than `deadline.SETTLE` is for tests, where no publisher stalls: a
            version then needs to be only so old to be marked.
        now: for tests; by default S3's own time of each listing.
        dry_run: tell what would happen, and write nothing.
        partitions: only these; by default all that have objects.
        unfinished_grace: how old objects without a manifest must be; by default `grace`, at least a day.
        threads: S3 calls in flight.

    Raises:
        ConfigurationError: there is no such table in the catalog, so nothing is removed; or no version is to be kept.
        AccessDenied, Throttled, Unavailable: what was done until then stays done; run it again.
    """
    if keep_versions < 1 or grace < timedelta(0):
        raise ConfigurationError(
            f"vacuum was asked to keep {keep_versions} versions for {grace}",
            where=table.where,
            expected="at least one version, and no negative time",
        )
    is_partitioned = table.is_partitioned()
    visit = _Visit(
        table,
        keep_versions=keep_versions,
        grace=grace,
        unfinished_grace=max(grace, UNFINISHED_GRACE) if unfinished_grace is None else unfinished_grace,
        now=now,
        is_dry_run=dry_run,
        threads=threads,
    )
    s3 = table.session.client("s3", table.region)
    if partitions is None:
        listed = list_table(s3, table, is_partitioned=is_partitioned)
    else:
        for partition in partitions:
            if (partition_key(partition) == UNPARTITIONED) == is_partitioned:
                raise ConfigurationError(f"the table has no partition {partition!r}", where=table.where)
        listed = (list_partition(s3, table, partition) for partition in partitions)
    for chunk in _chunks(listed):
        visit.work(chunk)
    result = visit.result
    log.info(
        "%s %s: %d versions marked, %d removed (%d objects, %d bytes), %d kept, %d partitions repaired",
        "would vacuum" if dry_run else "vacuumed",
        table.where,
        len(result.marked),
        len(result.removed),
        result.objects,
        result.bytes,
        result.kept,
        len(result.repaired),
    )
    return result


def _chunks(listed: Iterator[ListedPartition]) -> Iterator[list[ListedPartition]]:
    """As many partitions as Glue tells of in one call, or fewer if they have very many objects."""
    chunk: list[ListedPartition] = []
    objects = 0
    for each in listed:
        chunk.append(each)
        objects += each.objects
        if len(chunk) >= READ_BATCH or objects >= MAX_CHUNK_OBJECTS:
            yield chunk
            chunk, objects = [], 0
    if chunk:
        yield chunk


class _Visit:
    """One call of `vacuum`."""

    def __init__(
        self,
        table: GlueTable,
        *,
        keep_versions: int,
        grace: timedelta,
        unfinished_grace: timedelta,
        now: datetime | None,
        is_dry_run: bool,
        threads: int,
    ) -> None:
        self._table = table
        self._s3: S3Client = table.session.client("s3", table.region)
        self._keep_versions = keep_versions
        self._grace = grace
        self._unfinished_grace = unfinished_grace
        self._now = now
        self._is_dry_run = is_dry_run
        self._threads = threads
        self.result = VacuumResult(table.where, is_dry_run)

    def work(self, chunk: Sequence[ListedPartition]) -> None:
        result = self.result
        result.foreign += sum(each.foreign for each in chunk)
        chunk = [each for each in chunk if each.versions]
        if not chunk:
            return
        result.partitions += len(chunk)
        # After the listing (see above), and again after the repair, which may have changed it.
        self._repair(chunk)
        entries = self._table.entries([each.partition for each in chunk])
        plans = in_threads(
            lambda each: plan_partition(
                each,
                entries[each.partition],
                table=self._table,
                now=self._now or each.listed_at,
                keep_versions=self._keep_versions,
                grace=self._grace,
                settle=min(SETTLE, self._grace),
                unfinished_grace=self._unfinished_grace,
            ),
            chunk,
            threads=self._threads,
        )
        self._mark(plans)
        self._remove(plans)
        result.kept += sum(len(plan.listed.versions) - len(plan.remove) - len(plan.mark) for plan in plans)
        result.damaged += [plan.listed.partition for plan in plans if plan.is_damaged]

    def _repair(self, chunk: Sequence[ListedPartition]) -> None:
        current = self._table.current_many([each.partition for each in chunk])
        behind: dict[str, str] = {}
        for each in chunk:
            published = current[each.partition]
            accepted = [v.id for v in each.versions.values() if v.is_accepted and not v.marked_at]
            if published and accepted and max(accepted) > published.version_id:
                behind[each.partition] = published.version_id
        if self._is_dry_run:
            self.result.repaired += list(behind)
            return
        for partition, switch in settle(self._table, behind, threads=self._threads).items():
            if switch and switch.error:
                raise switch.error
            if switch and switch.is_switched:
                self.result.repaired.append(partition)

    def _mark(self, plans: Sequence[Plan]) -> None:
        marks = [PartitionVersion(plan.listed.partition, version.id) for plan in plans for version in plan.mark]
        self.result.marked += marks
        if self._is_dry_run or not marks:
            return

        def put(each: PartitionVersion) -> None:
            key = key_beside(self._table.name, each.partition, each.version_id, Kind.EXPIRED)
            put_mark(self._s3, self._table.bucket, key)

        in_threads(put, marks, threads=self._threads)
        failpoint("vacuum.marked")

    def _remove(self, plans: Sequence[Plan]) -> None:
        gone = [(plan.listed.partition, version) for plan in plans for version in plan.remove]
        strays = [item for plan in plans for item in plan.lone_marks]
        self.result.removed += [PartitionVersion(partition, version.id) for partition, version in gone]
        removed = [item for _, version in gone for item in (*version.data, *version.beside.values())] + strays
        self.result.objects += len(removed)
        self.result.bytes += sum(item.size for item in removed)
        if self._is_dry_run or not removed:
            return
        self._delete(_beside(gone, Kind.MANIFEST) + _beside(gone, Kind.REJECTED) + _beside(gone, Kind.REDSHIFT))
        failpoint("vacuum.forgotten")
        self._delete([item.key for _, version in gone for item in version.data])
        failpoint("vacuum.deleted")
        # Last: as long as it is there, the next visit comes back to what is left.
        self._delete(_beside(gone, Kind.EXPIRED) + [item.key for item in strays])

    def _delete(self, keys: Sequence[str]) -> None:
        with aws_errors(f"s3://{self._table.bucket}/{self._table.name}/"):
            delete_keys(self._s3, self._table.bucket, keys, threads=self._threads)


def _beside(gone: Sequence[tuple[str, ListedVersion]], kind: Kind) -> list[str]:
    return [version.beside[kind].key for _, version in gone if kind in version.beside]
