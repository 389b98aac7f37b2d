"""Find out what unknown objects hold: list, sample, classify, infer, group to tables.

A crawl lists everything and reads little: a few objects of each group of keys, and of each the beginning. What it
costs is bounded by the listing, and its result depends on nothing but what was crawled.
"""

import fnmatch
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.discovery.describe import describe, table_names
from datalake_assets.discovery.groups import Group, collapsed
from datalake_assets.discovery.layout import ignored_kind, template_of
from datalake_assets.discovery.objects import FoundObject, is_s3, list_objects, local_path, split_s3
from datalake_assets.discovery.reading import FileProfile, UnknownFormat, read_sample
from datalake_assets.discovery.report import MAX_SKIPPED_SHOWN, CrawlReport, DiscoveredTable, Skipped
from datalake_assets.discovery.sample import SAMPLE_BYTES
from datalake_assets.discovery.tables import Cluster, clusters_of
from datalake_assets.errors import BadInput, EmptyObject, PlatformError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from datalake_assets.discovery.custom import CustomClassifier

DEFAULT_SAMPLE_FILES = 4
MAX_SAMPLES = 256  # of one crawl; with more groups each gets fewer
MAX_READ_BYTES = 32 * 1024 * 1024  # of one crawl: with more than a few samples each gets less
MIN_SAMPLE_BYTES = 64 * 1024
MORE_ATTEMPTS = 3  # rounds of other samples for groups of which none could be read
READ_THREADS = 16

Progress = Callable[[str, int], None]
_Task = tuple[int, FoundObject]
_Result = tuple[int, FoundObject, FileProfile | PlatformError]


@dataclass(frozen=True)
class CrawlOptions:
    """What a crawl may do.

    Attributes:
        sample_files: objects to read of each group of keys.
        sample_bytes: to read of each object, at most.
        exclude: globs; an object whose key, or key below the URI, matches one is left out.
        table_level: how many folders below the URI make a table; None lets the schemas decide.
        custom: classifiers that are asked first.
        account: whose role reads buckets, by name or id.
    """

    sample_files: int = DEFAULT_SAMPLE_FILES
    sample_bytes: int = SAMPLE_BYTES
    exclude: tuple[str, ...] = ()
    table_level: int | None = None
    custom: "tuple[CustomClassifier, ...]" = ()
    account: str | None = None
    threads: int = READ_THREADS


@dataclass
class Known:
    """What the crawl before knew: its samples by URI, and whether it saw an object in the same version."""

    profiles: dict[str, FileProfile] = field(default_factory=dict)
    has: Callable[[FoundObject], bool] = lambda found: False
    rejected: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # etag, kind, reason


@dataclass
class Crawled:
    """All that a crawl of objects found, more than its report shows."""

    report: CrawlReport
    profiles: list[FileProfile] = field(default_factory=list)
    rejected: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    failed: tuple[str, ...] = ()


@dataclass
class _Listing:
    groups: dict[tuple[str, object], Group] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    skipped: list[Skipped] = field(default_factory=list)
    skipped_files: int = 0
    files: int = 0
    bytes: int = 0
    failed: list[str] = field(default_factory=list)
    excluded: int = 0
    unchanged: int = 0
    rejected: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def skip(self, uri: str, error: PlatformError) -> None:
        self._skip(uri, type(error).__name__, _reason(error))

    def reject(self, found: FoundObject, kind: str, reason: str) -> None:
        """Skip a sample that the next crawl need not read again while it is the same."""
        self.rejected[found.uri] = (found.etag, kind, reason)
        self._skip(found.uri, kind, reason)

    def _skip(self, uri: str, kind: str, reason: str) -> None:
        self.skipped_files += 1
        if len(self.skipped) < MAX_SKIPPED_SHOWN:
            self.skipped.append(Skipped(uri, kind, reason))


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
    listing = _Listing()
    errors: list[PlatformError] = []
    for uri in uris:
        try:
            _list(uri, options, listing, known, remember, s3, progress)
        except PlatformError as error:
            errors.append(error)
            listing.failed.append(uri)
            listing.skip(uri, error)
    if errors and len(errors) == len(uris):
        raise errors[0]
    groups = collapsed(listing.groups.values())
    sampled, read, read_bytes = _read_groups(groups, options, listing, s3, progress)
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


def _list(
    uri: str,
    options: CrawlOptions,
    listing: _Listing,
    known: Known | None,
    remember: Callable[[FoundObject], None] | None,
    s3: "S3Client | None",
    progress: Progress | None,
) -> None:
    base, prefix, below = _place(uri)
    for found in list_objects(uri, s3=s3, account=options.account, failed=listing.skip):
        key = prefix + found.key
        inner = key[below:] or found.name
        if below < len(key) and (kind := ignored_kind(inner)) is not None:
            listing.ignored[kind] += 1
            continue
        if any(fnmatch.fnmatchcase(key, glob) or fnmatch.fnmatchcase(inner, glob) for glob in options.exclude):
            listing.excluded += 1
            continue
        listing.files += 1
        listing.bytes += found.size
        if progress is not None and listing.files % 1_000 == 0:
            progress("listed", listing.files)
        if found.size == 0:
            listing.skip(found.uri, EmptyObject("the object has zero bytes"))
            continue
        template, values = template_of(key)
        group = listing.groups.get((base, template))
        if group is None:
            group = listing.groups[base, template] = Group(template, base)
        is_known = known is not None and known.has(found)
        listing.unchanged += is_known
        group.add(found, values, is_fresh=known is not None and not is_known)
        if known is not None and found.uri in known.rejected and known.rejected[found.uri][0] == found.etag:
            listing.reject(found, known.rejected[found.uri][1], known.rejected[found.uri][2])
        if known is not None and (profile := known.profiles.get(found.uri)) is not None and profile.etag == found.etag:
            group.known.append(profile)
        if remember is not None:
            remember(found)


def _place(uri: str) -> tuple[str, str, int]:
    """What keys of a URI's objects are below, what stands before them, and how long the part is that the URI names."""
    if is_s3(uri):
        bucket, prefix = split_s3(uri)
        inside = prefix if not prefix or prefix.endswith("/") else prefix + "/"
        return f"s3://{bucket}/", "", len(inside)
    path = local_path(uri).absolute()
    if path.is_dir():
        path = path.resolve()
        return str(path.parent), f"{path.name}/", len(path.name) + 1
    return str(path.parent), "", len(path.name)


def _level(uris: Sequence[str], options: CrawlOptions) -> int | None:
    """The table level counted below the bucket; with several URIs it is that of the first."""
    if options.table_level is None or not uris:
        return None
    _, prefix, below = _place(uris[0])
    if is_s3(uris[0]):
        return options.table_level + (split_s3(uris[0])[1].strip("/").count("/") + 1 if below else 0)
    return options.table_level + (1 if prefix else 0)


def _read_groups(
    groups: Sequence[Group],
    options: CrawlOptions,
    listing: _Listing,
    s3: "S3Client | None",
    progress: Progress | None,
) -> tuple[list[tuple[Group, list[FileProfile]]], int, int]:
    """Read samples of every group in parallel; return them with the number of objects and bytes that were read."""
    each = max(1, min(options.sample_files, MAX_SAMPLES // max(len(groups), 1)))
    share = max(MAX_READ_BYTES // max(each * len(groups), 1), MIN_SAMPLE_BYTES)
    sample_bytes = min(options.sample_bytes, share)
    sampled: dict[int, list[FileProfile]] = {n: list(group.known[: 2 * each]) for n, group in enumerate(groups)}
    tried: dict[int, set[str]] = {n: {profile.uri for profile in found} for n, found in sampled.items()}
    read, read_bytes = 0, 0
    with tempfile.TemporaryDirectory(prefix="datalake-crawl-") as name:
        folder = Path(name)

        def work(task: _Task) -> _Result:
            number, found = task
            try:
                profile = read_sample(
                    found,
                    folder,
                    custom=options.custom,
                    s3=s3,
                    account=options.account,
                    sample_bytes=sample_bytes,
                )
            except PlatformError as error:
                return number, found, error
            return number, found, profile

        for attempt in range(1 + MORE_ATTEMPTS):
            tasks = []
            for number, group in enumerate(groups):
                if attempt and sampled[number]:
                    continue
                pool = group.fresh if sampled[number] else group.spread
                for found in pool.choose(each * (attempt + 1)):
                    if found.uri not in tried[number] and found.uri not in listing.rejected:
                        tried[number].add(found.uri)
                        tasks.append((number, found))
            if not tasks:
                continue
            for number, found, result in _in_order(work, tasks, options.threads):
                read += 1
                if isinstance(result, BadInput):
                    kind = "UNKNOWN" if isinstance(result, UnknownFormat) else type(result).__name__
                    listing.reject(found, kind, _reason(result))
                elif isinstance(result, PlatformError):
                    listing.skip(found.uri, result)
                else:
                    sampled[number].append(result)
                    read_bytes += result.read_bytes
            if progress is not None:
                progress("read", read)
    for number, group in enumerate(groups):
        if not sampled[number]:
            # What was tried is in the list of skipped objects already.
            told = tried[number] | {found.uri for found in group.spread if found.uri in listing.rejected}
            listing.skipped_files += max(group.files - len(told), 0)
    done = [(group, sorted(sampled[number], key=lambda profile: profile.uri)) for number, group in enumerate(groups)]
    return done, read, read_bytes


def _in_order(work: Callable[[_Task], _Result], tasks: Sequence[_Task], threads: int) -> list[_Result]:
    if len(tasks) == 1 or threads == 1:
        return [work(task) for task in tasks]
    with ThreadPoolExecutor(min(threads, len(tasks)), thread_name_prefix="crawl") as pool:
        return list(pool.map(work, tasks))


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


def _reason(error: PlatformError) -> str:
    text = error.found
    return f"{text}; expected {error.expected}" if error.expected else text
