"""The raw sources of a location, and which of them a key belongs to."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from datalake_assets.arrivals.conditions import RunConditions, SourceRules
from datalake_assets.arrivals.partitions import PartitionKind
from datalake_assets.arrivals.pattern import MAX_KEY_BYTES, KeyPattern, is_ignored


class Source(Protocol):
    """What a matcher needs to know of a source."""

    @property
    def source_id(self) -> str: ...
    @property
    def patterns(self) -> Sequence[KeyPattern]: ...
    @property
    def marker(self) -> KeyPattern | None: ...


@dataclass(frozen=True)
class ArrivalSource:
    """One raw source and what its arrivals start.

    Args:
        source_id: `names.source_id(location, table)`.
        table: the pipeline's table.
        patterns: which keys of the raw bucket are its objects; a key of two of them counts once.
        asset_key: the external asset of the raw objects, `[location, "raw", table]`.
        lake_asset_key: the asset that a run computes.
        settle_seconds: a partition runs when nothing changed in it for that long.
        target: the name of the job that materializes the partitions; without one, `lake_asset_key` is requested alone.
        max_partitions_per_run: contiguous partitions that one run may cover.
        marker: which keys say that a partition is complete and are no data; each partition then waits for one.
        conditions: what else it waits for, and how often it may run.
        starts_runs: whether arrivals start the runs; otherwise the pipeline's trigger does, and arrivals keep the
            ledger and tell Dagster what came.
    """

    source_id: str
    table: str
    patterns: tuple[KeyPattern, ...]
    asset_key: tuple[str, ...]
    lake_asset_key: tuple[str, ...]
    settle_seconds: float
    target: str | None = None
    max_partitions_per_run: int = 31
    marker: KeyPattern | None = None
    conditions: RunConditions = field(default_factory=RunConditions)
    starts_runs: bool = True

    @property
    def is_partitioned(self) -> bool:
        return self.patterns[0].is_partitioned

    @property
    def partitions(self) -> PartitionKind:
        return self.patterns[0].partitions

    @property
    def rules(self) -> SourceRules:
        """All that decides about its runs."""
        return SourceRules(
            self.settle_seconds, self.partitions, self.max_partitions_per_run, self.marker is not None, self.conditions
        )


@dataclass(frozen=True)
class Match:
    """A key that belongs to a source: an object of it, or a marker."""

    source_id: str
    partition: str
    is_marker: bool = False


@dataclass(frozen=True)
class NoMatch:
    """A key that belongs to no source, or to more than one; `source_id` is the one it was probably meant for."""

    reason: str
    source_id: str | None = None


def partition_of(key: str, patterns: Sequence[KeyPattern], marker: KeyPattern | None = None) -> str | None:
    """The partition that the key is an object of, by the first pattern that it matches; None for a marker."""
    if marker is not None and marker.match(key) is not None:
        return None
    return next((found for pattern in patterns if (found := pattern.match(key)) is not None), None)


class Matcher:
    """Finds the one source and partition of a key."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self._markers = [(s.marker.prefix(), s.marker, s) for s in sources if s.marker is not None]
        self._by_prefix = [(pattern.prefix(), pattern, source) for source in sources for pattern in source.patterns]

    @cached_property
    def texts(self) -> dict[str, str]:
        """For each source the text of all that decides which keys are its own: its patterns, and those beside them.

        Equal texts claim the same keys, so what a listing said of a source's keys holds as long as its text does.
        """
        prefixes = {s.source_id: prefixes_of(s) for s in self.sources}
        own = {s.source_id: _text_of(s) for s in self.sources}

        def meet(one: str, other: str) -> bool:
            return any(a.startswith(b) or b.startswith(a) for a in prefixes[one] for b in prefixes[other])

        return {
            each: own[each]
            + "".join(f"; beside {other}: {own[other]}" for other in own if other != each and meet(each, other))
            for each in own
        }

    def texts_below(self, prefix: str) -> dict[str, str]:
        """The same for the sources that may have keys below a prefix."""
        return {
            s.source_id: self.texts[s.source_id]
            for s in self.sources
            if any(own.startswith(prefix) or prefix.startswith(own) for own in prefixes_of(s))
        }

    def match(self, key: str) -> Match | NoMatch | None:
        """Return what the key belongs to; None for folders, temporary names and markers of no source.

        A key that several sources claim belongs to none: loading it twice would be as wrong as choosing silently. What
        is a marker of a source is never its data, also if a pattern would take it.
        """
        found = [
            Match(source.source_id, partition, is_marker=True)
            for prefix, marker, source in self._markers
            if key.startswith(prefix) and (partition := marker.match(key)) is not None
        ]
        if not found and is_ignored(key):
            return None
        if (refusal := _unstorable(key)) is not None:
            return NoMatch(refusal)
        below = [(pattern, source) for prefix, pattern, source in self._by_prefix if key.startswith(prefix)]
        told = {match.source_id for match in found}
        for pattern, source in below:
            if source.source_id not in told and (partition := pattern.match(key)) is not None:
                told.add(source.source_id)
                found.append(Match(source.source_id, partition))
        if len(found) == 1:
            return found[0]
        if found:
            return NoMatch("it belongs to several sources: " + ", ".join(sorted(told)))
        if not below:
            return NoMatch("it is below no source's prefix")
        nearest, source = max(below, key=lambda pair: len(pair[0].prefix()))
        return NoMatch(nearest.refusal(key) or "it matches nothing", source.source_id)

    def prefixes(self, partitions: Sequence[str] | None = None) -> list[str]:
        """The fewest prefixes whose listings together show every object and marker, or those of some partitions.

        `UNPARTITIONED` among `partitions` stands for the tables without.
        """
        patterns = [each for s in self.sources for each in _patterns_of(s)]
        if partitions is None:
            return fewest_prefixes(pattern.prefix() for pattern in patterns)
        return fewest_prefixes(
            pattern.prefix(partition)
            for pattern in patterns
            for partition in partitions
            if pattern.partitions.refusal(partition) is None
        )


def _patterns_of(source: Source) -> list[KeyPattern]:
    return [*source.patterns, *([source.marker] if source.marker is not None else [])]


def prefixes_of(source: Source) -> list[str]:
    """The prefixes below which the source may have objects or markers, one for each pattern."""
    return [pattern.prefix() for pattern in _patterns_of(source)]


def _text_of(source: Source) -> str:
    patterns = _patterns_of(source)
    told = [("marker " if pattern.is_marker else "") + pattern.text for pattern in patterns]
    return f"{', '.join(told)} ({patterns[0].partitions!r})"


def fewest_prefixes(prefixes: Iterable[str]) -> list[str]:
    """These prefixes without those that lie within another, in key order: listed one by one they show no key twice."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
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
