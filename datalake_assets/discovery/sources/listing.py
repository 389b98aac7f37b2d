"""The listing of a crawl: objects by their groups, what is no data left out, what the crawl before knew kept."""

import fnmatch
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datalake_assets.discovery.crawl_options import CrawlOptions, Progress
from datalake_assets.discovery.groups import Group
from datalake_assets.discovery.layout import ignored_kind, template_of
from datalake_assets.discovery.reading import FileProfile
from datalake_assets.discovery.report import MAX_SKIPPED_SHOWN, Skipped
from datalake_assets.discovery.sources.objects import FoundObject, is_s3, list_objects, local_path, split_s3
from datalake_assets.errors import EmptyObject, PlatformError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass
class Known:
    """What the crawl before knew: its samples by URI, and whether it saw an object in the same version."""

    profiles: dict[str, FileProfile] = field(default_factory=dict)
    has: Callable[[FoundObject], bool] = lambda found: False
    rejected: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # etag, kind, reason


@dataclass
class Listing:
    """All that was listed so far."""

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
        self._skip(uri, type(error).__name__, reason_of(error))

    def reject(self, found: FoundObject, kind: str, reason: str) -> None:
        """Skip a sample that the next crawl need not read again while it is the same."""
        self.rejected[found.uri] = (found.etag, kind, reason)
        self._skip(found.uri, kind, reason)

    def _skip(self, uri: str, kind: str, reason: str) -> None:
        self.skipped_files += 1
        if len(self.skipped) < MAX_SKIPPED_SHOWN:
            self.skipped.append(Skipped(uri, kind, reason))


def list_uri(
    uri: str,
    options: CrawlOptions,
    listing: Listing,
    known: Known | None,
    remember: Callable[[FoundObject], None] | None,
    s3: "S3Client | None",
    progress: Progress | None,
) -> None:
    """Add what is below a URI to a listing.

    Raises:
        PlatformError: it could not be listed completely; what came before is in the listing.
    """
    base, prefix, below = place_of(uri)
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


def place_of(uri: str) -> tuple[str, str, int]:
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


def reason_of(error: PlatformError) -> str:
    """Why, in one sentence: without the place, which stands beside it."""
    text = error.found
    return f"{text}; expected {error.expected}" if error.expected else text
