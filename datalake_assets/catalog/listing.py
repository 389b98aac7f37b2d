"""What a table's bucket holds, partition by partition, read in one pass over a listing of the whole table.

Manifests and data lie below two prefixes, both sorted by partition: two listings are read side by side, so that a
table of any size needs the memory of its largest partition.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.s3_time import answered_at
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.layout import Kind, data_prefix, manifests_prefix, place_of
from datalake_assets.names import PARTITION_COLUMN, UNPARTITIONED

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class ListedObject:
    key: str
    size: int
    stored_at: datetime
    """By S3's clock."""


@dataclass(slots=True)
class ListedVersion:
    """All objects of one version: those readers read, and those beside them (manifest, mark, list for COPY)."""

    id: str
    data: list[ListedObject] = field(default_factory=list)
    beside: dict[Kind, ListedObject] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(item.size for item in self.data)

    @property
    def is_accepted(self) -> bool:
        return Kind.MANIFEST in self.beside

    @property
    def is_rejected(self) -> bool:
        return Kind.REJECTED in self.beside and not self.is_accepted

    @property
    def marked_at(self) -> datetime | None:
        """When the version was marked for removal; None if it is not."""
        mark = self.beside.get(Kind.EXPIRED)
        return mark.stored_at if mark else None

    @property
    def newest_at(self) -> datetime:
        """When the last of its objects was stored."""
        return max(item.stored_at for item in (*self.data, *self.beside.values()))


@dataclass(slots=True)
class ListedPartition:
    """One partition's versions, by id, and when S3 began to list them, by S3's clock."""

    partition: str
    listed_at: datetime
    versions: dict[str, ListedVersion] = field(default_factory=dict)
    foreign: int = 0
    """Keys below the partition that the platform did not write."""

    @property
    def objects(self) -> int:
        return sum(len(version.data) + len(version.beside) for version in self.versions.values())


def list_table(s3: "S3Client", table: GlueTable, *, is_partitioned: bool) -> Iterator[ListedPartition]:
    """Yield every partition of a table that has any object, with two requests for each thousand objects at most.

    A request that fails ends it with an error: nothing is known then of what was not listed.
    """
    if not is_partitioned:
        yield list_partition(s3, table, UNPARTITIONED)
        return
    folder = f"{PARTITION_COLUMN}="
    manifests = _grouped(_listed(s3, table.bucket, f"{manifests_prefix(table.name)}{folder}"), skip=2)
    data = _grouped(_listed(s3, table.bucket, f"{table.name}/{folder}"), skip=1)
    for _, groups in itertools.groupby(_merged(manifests, data), key=lambda group: group[0]):
        yield _partition(table.name, None, itertools.chain.from_iterable(items for _, items in groups))


def list_partition(s3: "S3Client", table: GlueTable, partition: str) -> ListedPartition:
    """One partition's versions, with two requests for up to a thousand objects each."""
    items = itertools.chain.from_iterable(
        _listed(s3, table.bucket, prefix)
        for prefix in (manifests_prefix(table.name, partition), data_prefix(table.name, partition))
    )
    return _partition(table.name, partition, items)


_Item = tuple[ListedObject, datetime]
_Group = tuple[str, list[_Item]]


def _listed(s3: "S3Client", bucket: str, prefix: str) -> Iterator[_Item]:
    """The objects below a prefix with the time of the listing's first answer, after one item that has only the time."""
    first: datetime | None = None
    with aws_errors(f"s3://{bucket}/{prefix}"):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            # The first answer's time for all: an object is then taken for younger than it is, never for older.
            if first is None:
                first = answered_at(page)
                yield ListedObject("", 0, first), first
            for item in page.get("Contents", []):
                yield ListedObject(item["Key"], item["Size"], item["LastModified"]), first


def _grouped(items: Iterator[_Item], *, skip: int) -> Iterator[_Group]:
    """Groups of one partition each, named by its folder, in the order of the listing."""

    def folder(item: _Item) -> str:
        # With the slash: it decides how `dt=a` and `dt=a-b` sort.
        return item[0].key.split("/", skip + 1)[skip] + "/"

    real = (item for item in items if item[0].key.count("/") > skip)
    for name, group in itertools.groupby(real, key=folder):
        yield name, list(group)


def _merged(left: Iterator[_Group], right: Iterator[_Group]) -> Iterator[_Group]:
    import heapq

    yield from heapq.merge(left, right, key=lambda group: group[0])


def _partition(table: str, partition: str | None, items: Iterable[_Item]) -> ListedPartition:
    found: Any = None
    for item, listed_at in items:
        place = place_of(table, item.key) if item.key else None
        if found is None or listed_at < found.listed_at:
            found = found or ListedPartition(partition or UNPARTITIONED, listed_at)
            found.listed_at = listed_at
        if not item.key:
            continue
        if place is None or (partition is not None and place.partition != partition):
            found.foreign += 1
            continue
        found.partition = place.partition
        version = found.versions.setdefault(place.version_id, ListedVersion(place.version_id))
        if place.kind is Kind.DATA:
            version.data.append(item)
        else:
            version.beside[place.kind] = item
    listed: ListedPartition = found
    return listed
