"""Where a scaffolded pipeline finds its files: the key pattern, and the first of its days."""

import datetime as dt
import re
from dataclasses import dataclass

from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.components.yaml_text import comment, flow
from datalake_assets.discovery.report import DiscoveredTable

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Place:
    """Which keys the pipeline reads, and its `partitions`."""

    pattern: str
    partition_lines: tuple[str, ...]


def place_of(table: DiscoveredTable, name: str) -> Place:
    """Where a pipeline `name` finds the files of a table, in the raw bucket of its account."""
    is_remote = table.uri.startswith("s3://")
    pattern = table.layout_pattern or f"{name}/*"
    if not is_remote:
        pattern = _below(name, pattern)
    if not KeyPattern.parse(pattern).is_partitioned:
        return Place(pattern, ())
    day, is_seen = _first_day(table)
    notes = () if is_seen else tuple(comment("the first day is a guess: no key told one", indent=2))
    return Place(pattern, (*notes, f"  partitions: {{daily: {flow(day)}}}"))


def _below(name: str, pattern: str) -> str:
    """The part of a local pattern that tells something, below a prefix of the pipeline's own."""
    segments = [each for each in pattern.split("/") if each]
    first = next((at for at, each in enumerate(segments) if set(each) & set("{*") or "=" in each), len(segments) - 1)
    return "/".join([name, *segments[first:]])


def _first_day(table: DiscoveredTable) -> tuple[str, bool]:
    for at, key in enumerate(table.partition_keys):
        if not key.in_pattern:
            continue
        values = [each.values[at] for each in table.partitions if at < len(each.values)] or list(key.examples)
        days = sorted(each for each in values if _ISO_DAY.fullmatch(each))
        if days:
            return days[0], True
    return dt.date(2020, 1, 1).isoformat(), False
