"""When a changed partition may run, by what its pipeline declares: quiet, complete, or due with what is there.

Pure, from the ledger's row: all times are the database's, and `now` is, too.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from datalake_assets.arrivals.conditions import SourceRules
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.partitions import Daily, PartitionKind

MAX_NAMED_PATTERNS = 3


@dataclass(frozen=True)
class Ready:
    """It may run: since when, and whether it could wait no longer; `note` says what it then goes without."""

    since: dt.datetime
    is_overdue: bool = False
    note: str = ""


@dataclass(frozen=True)
class NotYet:
    """It waits for what `reason` says, and at the longest until `until`."""

    reason: str
    until: dt.datetime | None = None


def readiness(state: PartitionState, rules: SourceRules, now: dt.datetime, names: Sequence[str] = ()) -> Ready | NotYet:
    """Say whether a dirty partition has what it needs to run.

    Args:
        names: of the partition's live objects, each the last segment of its key or the whole key; only read when the
            pipeline declares `files` as a list.
    """
    if (due := _due(state, rules)) is not None:
        at = rules.conditions.at
        return Ready(due, is_overdue=True) if now >= due else NotYet(f"it runs at {at} with what is there", due)
    settled = state.last_changed_at + dt.timedelta(seconds=rules.settle_seconds)
    latest = None
    if (max_wait := rules.max_wait_seconds) is not None:
        latest = state.unpublished_since + dt.timedelta(seconds=max_wait)
    missing = _missing(state, rules, names)
    if latest is not None and now >= latest and (missing or now < settled):
        return Ready(
            latest, is_overdue=True, note=f"waited long enough: {missing}" if missing else "it never got quiet"
        )
    if missing:
        return NotYet(missing, latest)
    if now < settled:
        return NotYet("it changed a moment ago", settled if latest is None else min(settled, latest))
    return Ready(settled)


def late_at(state: PartitionState, rules: SourceRules) -> dt.datetime | None:
    """From when on a change of a published partition is late; None when none is."""
    after = rules.conditions.late_after_seconds
    kind = rules.partitions
    if after is None or not isinstance(kind, Daily) or not state.is_published:
        return None
    return _day_end(kind, state.partition) + dt.timedelta(seconds=after)


def opens_at(kind: PartitionKind, partition: str) -> dt.datetime | None:
    """When Dagster will know a partition that it does not know yet, as far as that can be told."""
    if not isinstance(kind, Daily):
        return None
    return _day_end(kind, (dt.date.fromisoformat(partition) - dt.timedelta(days=kind.end_offset)).isoformat())


def _day_end(kind: Daily, partition: str) -> dt.datetime:
    """The first moment after a day, on the clocks of its pipeline."""
    day = dt.date.fromisoformat(partition) + dt.timedelta(days=1)
    return dt.datetime.combine(day, dt.time(), ZoneInfo(kind.timezone)).astimezone(dt.UTC)


def _due(state: PartitionState, rules: SourceRules) -> dt.datetime | None:
    """The time of day that decides alone; None when quiet time does.

    A day's partition has one such moment, and what comes after it settles as usual. A table without partitions has one
    after each first change.
    """
    at = rules.conditions.at
    if at is None:
        return None
    if not isinstance(rules.partitions, Daily):
        return at.next_after(state.unpublished_since)
    due = at.on(dt.date.fromisoformat(state.partition) + dt.timedelta(days=1))
    return None if state.is_published or state.unpublished_since > due else due


def _missing(state: PartitionState, rules: SourceRules, names: Sequence[str]) -> str:
    """What the partition still needs, in words; empty when nothing."""
    needs = []
    if rules.needs_marker and state.markers == 0:
        needs.append("its marker is not there")
    files = rules.conditions.files
    if isinstance(files, int) and state.objects < files:
        needs.append(f"{state.objects} of {files} files are there")
    elif isinstance(files, tuple):
        last = [name[name.rfind("/") + 1 :] for name in names]
        absent = [pattern for pattern in files if not any(map(_name_regex(pattern).fullmatch, last))]
        if absent:
            more = f" and {len(absent) - MAX_NAMED_PATTERNS} more" if len(absent) > MAX_NAMED_PATTERNS else ""
            needs.append(f"no file is there for {', '.join(absent[:MAX_NAMED_PATTERNS])}{more}")
    return " and ".join(needs)


@lru_cache(maxsize=4096)
def _name_regex(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, re.split(r"\*+", pattern))), re.DOTALL)
