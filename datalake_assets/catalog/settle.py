"""After a switch: look for a greater version that the switch replaced by mistake, and go on to it.

Glue has no lock for a partition, so a publisher that compared early and wrote late puts its version over a greater one.
But a publisher writes its manifest before it compares. So whoever has written looks at the manifests afterwards: the
greater version's is there. It then publishes that, looks again, and rests when a listing shows nothing greater.

Why the greatest wins: take the last write of all to a partition, of version w. Its writer then listed the manifests
and found none greater, or it would have written again. A publisher with a greater version therefore wrote its
manifest later, compared after that, saw w, and wrote: a contradiction. A publisher that is killed between its write
and its look is the exception; the next publisher of the partition, or vacuum, looks in its place.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.deadline import Deadline
from datalake_assets.catalog.glue import GlueTable, Switch
from datalake_assets.catalog.layout import Kind, manifests_prefix, place_of
from datalake_assets.catalog.manifest import Manifest, read_manifest
from datalake_assets.catalog.partitions import in_threads
from datalake_assets.errors import ConcurrentChange, ManifestMismatch, PlatformError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

MAX_ROUNDS = 100  # each is another publisher's version: more than that many at once is no race but a loop


def settle(table: GlueTable, above: Mapping[str, str], *, threads: int = 8) -> dict[str, Switch | None]:
    """Switch each partition on to its greatest accepted version, until a listing shows none that is greater.

    A greater version whose objects are not as its manifest says is left alone, and logged: what is visible is complete.

    Args:
        above: partition key → only versions with greater ids are looked for.
        threads: S3 calls in flight.

    Returns:
        What became of each partition; None where there is no greater version. `before` is what was published when
        its first greater version was found.
    """
    s3 = table.session.client("s3", table.region)
    results: dict[str, Switch | None] = dict.fromkeys(above)
    waiting = dict(above)
    for _ in range(MAX_ROUNDS):
        if not waiting:
            return results
        deadline = Deadline.from_now()

        def find(partition: str, above: Mapping[str, str] = waiting) -> Manifest | PlatformError | None:
            try:
                return _greatest(s3, table, partition, above[partition])
            except PlatformError as error:
                return error

        found = dict(zip(waiting, in_threads(find, list(waiting), threads=threads), strict=True))
        for partition, each in found.items():
            if isinstance(each, PlatformError):
                results[partition] = Switch(None, None, each)
        greater = [each for each in found.values() if isinstance(each, Manifest)]
        waiting = {}
        for partition, switch in table.switch_locations(greater, deadline=deadline).items():
            earlier = results[partition]
            results[partition] = Switch(earlier.before if earlier else switch.before, switch.after, switch.error)
            if switch.is_switched and switch.after:
                log.info("%s %s: switched on to version %s", table.where, partition, switch.after.version_id)
                waiting[partition] = switch.after.version_id
    for partition in waiting:
        never = ConcurrentChange(f"{MAX_ROUNDS} greater versions, one after another", where=table.where)
        results[partition] = Switch(None, None, never)
    return results


def _greatest(s3: "S3Client", table: GlueTable, partition: str, above: str) -> Manifest | None:
    """The manifest of the greatest accepted version above an id, its objects verified; None without one."""
    accepted = accepted_versions(s3, table, partition, above=above)
    if not accepted:
        return None
    try:
        manifest = read_manifest(s3, table.bucket, table.name, partition, max(accepted))
        with aws_errors(table.where):
            manifest.version.verify(s3, table.bucket)
    except ManifestMismatch as error:
        # Not the next one below: vacuum relies on it that only the greatest of a listing is ever switched to.
        log.error("%s %s: the greatest version cannot be published: %s", table.where, partition, error)
        return None
    return manifest


def accepted_versions(s3: "S3Client", table: GlueTable, partition: str, *, above: str = "") -> set[str]:
    """The ids of a partition's accepted versions that are not marked for removal, as S3 lists them now."""
    prefix = manifests_prefix(table.name, partition)
    accepted: set[str] = set()
    marked: set[str] = set()
    with aws_errors(table.where):
        # Keys of greater ids sort after the id itself; the rest is told by comparing.
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=table.bucket, Prefix=prefix, StartAfter=f"{prefix}{above}"
        )
        for page in pages:
            for item in page.get("Contents", []):
                place = place_of(table.name, item["Key"])
                if place is None or place.partition != partition or place.version_id <= above:
                    continue
                if place.kind is Kind.MANIFEST:
                    accepted.add(place.version_id)
                elif place.kind is Kind.EXPIRED:
                    marked.add(place.version_id)
    return accepted - marked
