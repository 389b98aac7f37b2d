"""A version: one complete set of lake objects for one partition, under a prefix that nothing else uses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from datalake_assets.accounts.s3_time import answered_at
from datalake_assets.errors import ConfigurationError, ManifestMismatch
from datalake_assets.names import UNPARTITIONED, partition_key, version_id, version_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_NAMED_OBJECTS = 5  # in messages; a version may have thousands
_TIME = "%Y%m%dT%H%M%S%fZ"  # sorts as the times do


@dataclass(frozen=True, slots=True)
class LakeObject:
    """One Parquet file of a version, as S3 stored it.

    `checksum` is the base64 SHA-256 that S3 verified while it took the object; an object sent in parts has the
    checksum of its parts' checksums, followed by `-` and their number. `etag` tells a later overwrite in a listing.
    """

    key: str
    size: int
    checksum: str
    etag: str
    row_count: int


@dataclass(frozen=True, slots=True)
class Version:
    """The lake objects of one partition, written by one run."""

    table: str
    partition: str
    id: str
    objects: tuple[LakeObject, ...]

    @property
    def prefix(self) -> str:
        """`flights/dt=2013-01-01/v=<id>/`."""
        return version_prefix(self.table, self.partition, self.id)

    @property
    def row_count(self) -> int:
        return sum(item.row_count for item in self.objects)

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        return sum(item.size for item in self.objects)

    def verify(self, s3: "S3Client", bucket: str) -> timedelta:
        """Check that exactly the version's objects are in S3, unchanged, with one request for each thousand of them.

        A surplus object counts too: a reader takes everything under the prefix.

        Returns:
            How long ago the oldest object was stored, by S3's clock.

        Raises:
            ManifestMismatch: anything differs, or the version has no object at all.
        """
        where = f"s3://{bucket}/{self.prefix}"
        if not self.objects:
            raise ManifestMismatch(
                "the version has no objects",
                where=where,
                expected="at least one Parquet file, with zero rows if the partition is empty",
            )
        listed: dict[str, _Listed] = {}
        now = None
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=self.prefix):
            now = now or answered_at(page)
            for item in page.get("Contents", []):
                listed[item["Key"]] = _Listed(item["Size"], item["ETag"], item["LastModified"])
        if found := self._differences(listed):
            more = f" and {len(found) - MAX_NAMED_OBJECTS} more" if len(found) > MAX_NAMED_OBJECTS else ""
            raise ManifestMismatch(
                "; ".join(found[:MAX_NAMED_OBJECTS]) + more,
                where=where,
                expected=f"the {len(self.objects)} objects that the run uploaded",
                todo="The published version is unchanged; run the partition again",
            )
        oldest = min(item.stored_at for item in listed.values())
        return (now or oldest) - oldest

    def _differences(self, listed: "Mapping[str, _Listed]") -> list[str]:
        found = []
        for item in self.objects:
            stored = listed.get(item.key)
            if stored is None:
                found.append(f"{item.key} is missing")
            elif stored.size != item.size:
                found.append(f"{item.key} has {stored.size} bytes, not {item.size}")
            elif stored.etag != item.etag:
                found.append(f"{item.key} was overwritten")
        own = {item.key for item in self.objects}
        return found + [f"{key} is not of this version" for key in listed if key not in own]


@dataclass(frozen=True, slots=True)
class _Listed:
    size: int
    etag: str
    stored_at: datetime


def new_version_id(run_id: str, now: datetime) -> str:
    """Make the id of a run's versions: ids sort by time, and two runs never share one.

    One run may use an id for many partitions, but for each of them once: a retry takes a new id, so that it never
    writes under the prefix of an attempt that readers may see.

    Args:
        run_id: Dagster's run id; its first letters and digits tell apart what two runs made in one microsecond.
        now: an aware time; ids of hosts sort as well as their clocks agree.
    """
    if now.tzinfo is None:
        raise ValueError("a version id needs an aware time")
    run = re.sub(r"[^0-9a-z]", "", run_id.lower())[:12]
    if not run:
        raise ValueError(f"run id {run_id!r} has no letter or digit")
    return version_id(f"{now.astimezone(UTC):{_TIME}}-{run}")


def following_version_id(run_id: str, now: datetime, latest: str) -> str:
    """Make the id of a run's versions greater than `latest`, also if that one was made by a clock ahead of `now`.

    Args:
        latest: the greatest id there is; empty if there is none.

    Raises:
        ConfigurationError: `latest` is greater than any id that a run can make.
    """
    own = new_version_id(run_id, now)
    if own > latest:
        return own
    made = made_at(latest)
    if made is None:
        raise ConfigurationError(
            f"the version {latest!r} is later than any that a run can make",
            expected=f"an id such as {own}",
            todo="Remove its manifest, and publish the partition again",
        )
    return new_version_id(run_id, made + timedelta(microseconds=1))


def made_at(version: str) -> datetime | None:
    """When the run of a version began, as its id tells; None for an id that no run has made."""
    try:
        return datetime.strptime(version.partition("-")[0], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def describe(table: str, partition: str) -> str:
    """How messages name a partition: `flights partition 2013-01-01`, or just `airlines`."""
    return table if partition_key(partition) == UNPARTITIONED else f"{table} partition {partition}"
