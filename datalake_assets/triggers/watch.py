"""What the triggers of a location watch: from a headline, and from a stretch of time, to the partitions it concerns."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from datalake_assets.errors import ConfigurationError
from datalake_assets.eventlog.headlines import STARTED, Headline, asset_text
from datalake_assets.eventlog.lookups import Touched
from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.candidates import affected, due_between, next_due
from datalake_assets.triggers.facts import statuses_of
from datalake_assets.triggers.model import PipelineTrigger

Candidate = tuple[str, str]
"""A pipeline of the location and one of its partitions."""


class Watch:
    """The triggers of a location, by what they wait for."""

    def __init__(self, triggers: Sequence[PipelineTrigger]) -> None:
        self.triggers = {trigger.pipeline.name: trigger for trigger in triggers}
        if len(self.triggers) != len(triggers):
            raise ConfigurationError("two triggers start the same pipeline", where=", ".join(sorted(self.triggers)))
        self.prints = {name: fingerprint(trigger) for name, trigger in self.triggers.items()}
        # Text of an asset → the triggers that its materialization concerns, with the parent that it is of.
        self._data: dict[str, list[tuple[PipelineTrigger, str]]] = defaultdict(list)
        # Text of an asset → the triggers that the end, or the start, of a run that was made for it concerns.
        self._runs: dict[str, list[tuple[PipelineTrigger, str | None]]] = defaultdict(list)
        self._wants_starts = False
        for trigger in triggers:
            for name, parent in trigger.parents.items():
                self._data[asset_text(parent.asset)].append((trigger, name))
                statuses = statuses_of(trigger, name)
                if statuses - {"SUCCESS"}:
                    for asset in parent.assets or (parent.asset,):
                        self._runs[asset_text(asset)].append((trigger, name))
                self._wants_starts |= "RUNNING" in statuses
            own = trigger.pipeline.assets or (trigger.pipeline.asset,)
            for asset in own:
                self._runs[asset_text(asset)].append((trigger, None))
        self._raw = {asset_text(each.raw_asset): each for each in triggers if each.raw_asset is not None}
        self._next_due: dict[str, float | None] = {}
        self._due_known_from = 0.0

    @property
    def run_assets(self) -> Collection[str]:
        """Assets that matter to the triggers as what a run was made for."""
        return self._runs.keys()

    def runs_among(self, headlines: Iterable[Headline]) -> set[str]:
        """The runs whose assets must be known to tell what the headlines concern."""
        return {
            each.run_id
            for each in headlines
            if not each.is_materialization and (self._wants_starts or each.event_type != STARTED)
        }

    def after_news(self, headlines: Iterable[Headline], touched: Iterable[Touched], now: float) -> list[Candidate]:
        """The partitions that the news concerns, each once.

        Args:
            touched: what the runs of `runs_among` were made for.
        """
        found: dict[Candidate, None] = {}
        # Many events are of the same asset and partition, and many assets of the same trigger.
        materialized = {(each.asset, each.partition): None for each in headlines if each.is_materialization}
        for asset, partition in materialized:
            for trigger, parent in self._data.get(asset or "", ()):
                _add(found, trigger, affected(trigger, parent, _key(trigger, parent, partition), now))
            if (waiting := self._raw.get(asset or "")) is not None:
                _add(found, waiting, [partition or UNPARTITIONED])
        for asset, partition in {(each.asset, each.partition): None for each in touched}:
            for trigger, name in self._runs.get(asset, ()):
                if name is None:
                    own = UNPARTITIONED if trigger.pipeline.calendar.every is None else partition
                    _add(found, trigger, [own] if own is not None else [])
                else:
                    _add(found, trigger, affected(trigger, name, _key(trigger, name, partition), now))
        return list(found)

    def due(self, since: float, until: float) -> list[Candidate]:
        """The partitions at which time alone may start a run after `since` and not after `until`."""
        if since < self._due_known_from:
            self._next_due.clear()  # a tick was lost: what it was told, nobody acted on
        self._due_known_from = until
        found: dict[Candidate, None] = {}
        for name, trigger in self.triggers.items():
            if name not in self._next_due:
                self._next_due[name] = _next_moment(trigger, since)
            following = self._next_due[name]
            if following is None or following > until:
                continue
            _add(found, trigger, [partition for partition, _ in due_between(trigger, since, until)])
            self._next_due[name] = _next_moment(trigger, until)
        return list(found)


def fingerprint(trigger: PipelineTrigger) -> str:
    """A few characters that change when the trigger does, the same in every process."""
    return hashlib.sha256(_canonical(trigger).encode()).hexdigest()[:8]


def _canonical(value: Any) -> str:
    if is_dataclass(value):
        inner = ",".join(f"{each.name}={_canonical(getattr(value, each.name))}" for each in fields(value))
        return f"{type(value).__name__}({inner})"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_canonical(each)}" for key, each in sorted(value.items())) + "}"
    if isinstance(value, frozenset):
        return "<" + ",".join(sorted(map(_canonical, value))) + ">"
    if isinstance(value, tuple):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return repr(value)


def _next_moment(trigger: PipelineTrigger, after: float) -> float | None:
    following = next_due(trigger, after)
    return following[1] if following is not None else None


def _key(trigger: PipelineTrigger, parent: str, partition: str | None) -> str:
    """How a trigger knows the partition of a parent that an event names."""
    return UNPARTITIONED if trigger.parents[parent].calendar.every is None else partition or UNPARTITIONED


def _add(found: dict[Candidate, None], trigger: PipelineTrigger, partitions: Iterable[str]) -> None:
    for partition in partitions:
        found[trigger.pipeline.name, partition] = None
