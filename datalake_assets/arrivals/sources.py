"""The raw sources of a location, and which of them a key belongs to."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from datalake_assets.arrivals.pattern import MAX_KEY_BYTES, KeyPattern, is_ignored

DEFAULT_SETTLE_SECONDS = 10.0


class Source(Protocol):
    """What a matcher needs to know of a source."""

    @property
    def source_id(self) -> str: ...
    @property
    def pattern(self) -> KeyPattern: ...


@dataclass(frozen=True)
class ArrivalSource:
    """One raw source and what its arrivals start.

    Args:
        source_id: `names.source_id(location, table)`.
        table: the pipeline's table.
        pattern: which keys of the raw bucket are its objects.
        asset_key: the external asset of the raw objects, `[location, "raw", table]`.
        lake_asset_key: the asset that a run computes.
        target: the name of the job that materializes the partitions; without one, `lake_asset_key` is requested alone.
        settle_seconds: a partition runs when nothing changed in it for that long.
        max_partitions_per_run: contiguous partitions that one run may cover.
    """

    source_id: str
    table: str
    pattern: KeyPattern
    asset_key: tuple[str, ...]
    lake_asset_key: tuple[str, ...]
    target: str | None = None
    settle_seconds: float = DEFAULT_SETTLE_SECONDS
    max_partitions_per_run: int = 31

    @property
    def is_partitioned(self) -> bool:
        return self.pattern.is_partitioned


@dataclass(frozen=True)
class Match:
    """A key that belongs to a source."""

    source_id: str
    partition: str


@dataclass(frozen=True)
class NoMatch:
    """A key that belongs to no source, or to more than one; `source_id` is the one it was probably meant for."""

    reason: str
    source_id: str | None = None


class Matcher:
    """Finds the one source and partition of a key."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self._by_prefix = [(source.pattern.prefix(), source) for source in sources]

    def match(self, key: str) -> Match | NoMatch | None:
        """Return what the key belongs to; None for markers, folders and temporary names.

        A key of two sources belongs to none: loading it twice would be as wrong as choosing silently.
        """
        if is_ignored(key):
            return None
        if (refusal := _unstorable(key)) is not None:
            return NoMatch(refusal)
        below = [source for prefix, source in self._by_prefix if key.startswith(prefix)]
        found = [
            Match(source.source_id, partition)
            for source in below
            if (partition := source.pattern.match(key)) is not None
        ]
        if len(found) == 1:
            return found[0]
        if found:
            return NoMatch("it belongs to several sources: " + ", ".join(sorted(m.source_id for m in found)))
        if not below:
            return NoMatch("it is below no source's prefix")
        nearest = max(below, key=lambda source: len(source.pattern.prefix()))
        return NoMatch(nearest.pattern.refusal(key) or "it matches nothing", nearest.source_id)

    def prefixes(self) -> list[str]:
        """The fewest prefixes whose listings together show every object of every source."""
        kept: list[str] = []
        for prefix in sorted({prefix for prefix, _ in self._by_prefix}):
            if not kept or not prefix.startswith(kept[-1]):
                kept.append(prefix)
        return kept


def _unstorable(key: str) -> str | None:
    """Why neither PostgreSQL nor a path can hold the key, or None."""
    if "\x00" in key:
        return "it holds a NUL character"
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return f"it has {size} bytes, more than a key can have" if size > MAX_KEY_BYTES else None


@dataclass(frozen=True)
class RawObject:
    """One object as S3 shows it; `etag` without quotes, `last_modified` in UTC with S3's resolution of a second."""

    bucket: str
    key: str
    etag: str
    size: int
    last_modified: dt.datetime
    version_id: str | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"
