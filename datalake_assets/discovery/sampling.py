"""The sampling of a crawl: a few objects of each group, read in parallel."""

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.discovery.crawl_options import CrawlOptions, Progress
from datalake_assets.discovery.groups import Group
from datalake_assets.discovery.reading import FileProfile, UnknownFormat, read_sample
from datalake_assets.discovery.sources.listing import Listing, reason_of
from datalake_assets.discovery.sources.objects import FoundObject
from datalake_assets.errors import BadInput, PlatformError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_SAMPLES = 256  # of one crawl; with more groups each gets fewer
MAX_READ_BYTES = 32 * 1024 * 1024  # of one crawl: with more than a few samples each gets less
MIN_SAMPLE_BYTES = 64 * 1024
MORE_ATTEMPTS = 3  # rounds of other samples for groups of which none could be read
KEPT_PROFILES = 24  # samples of the crawls before that still speak for a group

_Task = tuple[int, FoundObject]
_Result = tuple[int, FoundObject, FileProfile | PlatformError]


def read_groups(
    groups: Sequence[Group],
    options: CrawlOptions,
    listing: Listing,
    s3: "S3Client | None",
    progress: Progress | None,
) -> tuple[list[tuple[Group, list[FileProfile]]], int, int]:
    """Read samples of every group in parallel; return them with the number of objects and bytes that were read."""
    each = max(1, min(options.sample_files, MAX_SAMPLES // max(len(groups), 1)))
    share = max(MAX_READ_BYTES // max(each * len(groups), 1), MIN_SAMPLE_BYTES)
    sample_bytes = min(options.sample_bytes, share)
    sampled: dict[int, list[FileProfile]] = {n: group.known[-KEPT_PROFILES:] for n, group in enumerate(groups)}
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
                    listing.reject(found, kind, reason_of(result))
                    read_bytes += min(found.size, sample_bytes)  # what it takes to know
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
