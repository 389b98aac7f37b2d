"""Find out what unknown objects hold: list, sample, classify, infer, group to tables.

A crawl lists everything and reads little: a few objects of each group of keys, and of each the beginning. What it
costs is bounded by the listing, and its result depends on nothing but what was crawled.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.discovery.crawl_options import DEFAULT_SAMPLE_FILES, CrawlOptions, Progress
from datalake_assets.discovery.describe import describe, table_names
from datalake_assets.discovery.groups import collapsed
from datalake_assets.discovery.reading import FileProfile
from datalake_assets.discovery.report import CrawlReport, DiscoveredTable
from datalake_assets.discovery.sampling import read_groups
from datalake_assets.discovery.sources.listing import Known, Listing, list_uri, place_of
from datalake_assets.discovery.sources.objects import FoundObject, is_s3, local_path, split_s3
from datalake_assets.discovery.tables import Cluster, clusters_of
from datalake_assets.errors import PlatformError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["DEFAULT_SAMPLE_FILES", "CrawlOptions", "Crawled", "Progress", "crawl", "crawl_objects"]


@dataclass
class Crawled:
    """All that a crawl of objects found, more than its report shows."""

    report: CrawlReport
    profiles: list[FileProfile] = field(default_factory=list)
    rejected: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    failed: tuple[str, ...] = ()


def crawl(
    uris: Sequence[str],
    options: CrawlOptions | None = None,
    *,
    s3: "S3Client | None" = None,
    progress: Progress | None = None,
) -> CrawlReport:
    """Crawl objects: S3 prefixes and local paths.

    Args:
        s3: the client for every bucket, that of the bucket's account by default.
        progress: told what is being done, and how much of it is done.

    Raises:
        PlatformError: none of the URIs could be listed. One that fails beside others is in `skipped`.
    """
    return crawl_objects(uris, options, s3=s3, progress=progress).report


def crawl_objects(
    uris: Sequence[str],
    options: CrawlOptions | None = None,
    *,
    known: Known | None = None,
    remember: Callable[[FoundObject], None] | None = None,
    s3: "S3Client | None" = None,
    progress: Progress | None = None,
) -> Crawled:
    """Like `crawl`, with what a later crawl needs to know of this one.

    Args:
        known: the crawl before: what did not change since is not read again.
        remember: called with every object that was listed.
    """
    options = options or CrawlOptions()
    listing = Listing()
    errors: list[PlatformError] = []
    for uri in uris:
        try:
            list_uri(uri, options, listing, known, remember, s3, progress)
        except PlatformError as error:
            errors.append(error)
            listing.failed.append(uri)
            listing.skip(uri, error)
    if errors and len(errors) == len(uris):
        raise errors[0]
    groups = collapsed(listing.groups.values())
    sampled, read, read_bytes = read_groups(groups, options, listing, s3, progress)
    clusters = clusters_of(sampled, table_level=_level(uris, options))
    tables = _tables(clusters, uris)
    profiles = [profile for cluster in clusters for profile in (*cluster.profiles, *cluster.apart)]
    notes = []
    if listing.excluded:
        notes.append(f"{listing.excluded:,} objects were excluded")
    if listing.failed:
        notes.append("not listed completely: " + ", ".join(listing.failed))
    report = CrawlReport(
        uris=tuple(uris),
        tables=tables,
        skipped=tuple(sorted(listing.skipped, key=lambda each: each.uri)),
        skipped_files=listing.skipped_files,
        ignored=tuple(sorted(listing.ignored.items())),
        listed_files=listing.files,
        listed_bytes=listing.bytes,
        read_files=read,
        read_bytes=read_bytes,
        unchanged_files=listing.unchanged,
        notes=tuple(notes),
    )
    return Crawled(report, profiles, listing.rejected, tuple(listing.failed))


def _level(uris: Sequence[str], options: CrawlOptions) -> int | None:
    """The table level counted below the bucket; with several URIs it is that of the first."""
    if options.table_level is None or not uris:
        return None
    _, prefix, below = place_of(uris[0])
    if is_s3(uris[0]):
        return options.table_level + (split_s3(uris[0])[1].strip("/").count("/") + 1 if below else 0)
    return options.table_level + (1 if prefix else 0)


def _tables(clusters: Sequence[Cluster], uris: Sequence[str]) -> tuple[DiscoveredTable, ...]:
    folders = Counter((cluster.groups[0].base, cluster.template.folders) for cluster in clusters)
    named = {str(local_path(uri).absolute()) if not is_s3(uri) else uri for uri in uris}
    tables = []
    for cluster, name in zip(clusters, table_names(clusters), strict=True):
        is_alone = folders[cluster.groups[0].base, cluster.template.folders] == 1
        files = sum(group.files for group in cluster.groups)
        first = cluster.profiles[0].uri
        is_one = files == 1 and (first in named or str(Path(first).absolute()) in named)
        tables.append(describe(cluster, name, is_alone=is_alone, is_one_object=is_one))
    return tuple(sorted(tables, key=lambda table: table.name))
