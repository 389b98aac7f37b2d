"""The event log as a tail: what happened since a cursor, in order, nothing missed and nothing twice.

Dagster numbers its events before they are committed, so that a number can appear after a higher one was read. Each
reading therefore looks again at the last `OVERLAP_IDS` numbers and leaves out those it remembers. An event is missed
only if it is committed after that many later ones.

It reads PostgreSQL and Dagster's in-memory storage; the default SQLite files keep each run's events apart.
"""

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import dagster as dg
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.dagster_run import RunsFilter

OVERLAP_IDS = 2_000
LOOK_BACK_SECONDS = 24 * 3600

RunStatus = Literal["STARTED", "SUCCESS", "FAILED", "TIMED_OUT", "ABORTED"]

MATERIALIZED = frozenset({dg.DagsterEventType.ASSET_MATERIALIZATION})
RUN_FAILED = frozenset({dg.DagsterEventType.PIPELINE_FAILURE})

_STATUSES: Mapping[dg.DagsterEventType, RunStatus] = {
    dg.DagsterEventType.PIPELINE_START: "STARTED",
    dg.DagsterEventType.PIPELINE_SUCCESS: "SUCCESS",
    dg.DagsterEventType.PIPELINE_FAILURE: "FAILED",
    dg.DagsterEventType.PIPELINE_CANCELED: "ABORTED",
}
# Run monitoring reports a run that took too long as a failure without a reason; only its message tells.
_TIMED_OUT_MESSAGE = "Exceeded maximum runtime"


@dataclass(frozen=True)
class Materialized:
    """An asset, or one partition of it, was materialized."""

    storage_id: int
    at: float
    run_id: str
    asset_key: dg.AssetKey
    partition: str | None


@dataclass(frozen=True)
class RunChanged:
    """A run started or ended; `location` is None when the run was made without a workspace."""

    storage_id: int
    at: float
    run_id: str
    status: RunStatus
    job: str
    location: str | None
    tags: Mapping[str, str]
    entry: EventLogEntry


Event = Materialized | RunChanged


@dataclass(frozen=True)
class News:
    """Events in the order of their storage ids, and the cursor for the next reading.

    `has_more` says that the limit ended the reading: more is there already.
    """

    events: Sequence[Event]
    cursor: str
    has_more: bool


def read_news(
    instance: dg.DagsterInstance,
    cursor: str | None,
    event_types: Collection[dg.DagsterEventType],
    *,
    limit: int = 1_000,
    look_back_seconds: float = LOOK_BACK_SECONDS,
) -> News:
    """Return what happened since `cursor`, at most about `limit` events of each type.

    Without a cursor the reading starts `look_back_seconds` ago, so that what happened before the reader's first tick,
    or while its cursor was lost, is not missed. Callers must bear to see such events again.

    Args:
        cursor: `News.cursor` of the last reading; its size is bounded by `OVERLAP_IDS`.
        event_types: ASSET_MATERIALIZATION and the types of runs that start, succeed, fail or are cancelled.
    """
    start = time.time() - look_back_seconds
    place = Place.parse(cursor) if cursor else Place.after_id(id_before(instance, start))
    storage = instance.event_log_storage
    fetch = limit + len(place.seen)
    found: dict[int, EventLogEntry] = {}
    horizon: int | None = None
    for event_type in sorted(event_types, key=lambda each: each.value):
        read = storage.get_logs_for_all_runs_by_log_id(place.first_id - 1, event_type, fetch)
        if len(read) == fetch:
            # Beyond the last one of a type that was cut off, the order of all types is not known yet.
            horizon = min(max(read), horizon) if horizon is not None else max(read)
        found.update(read)

    new = {
        storage_id: entry
        for storage_id, entry in sorted(found.items())
        if storage_id not in place.seen and (horizon is None or storage_id <= horizon)
    }
    return News(_events(instance, new), str(place.after(new)), has_more=horizon is not None)


@dataclass(frozen=True)
class Place:
    """The highest id that was read, which ids were read among the `OVERLAP_IDS` before it, and where history begins."""

    last_id: int
    seen: frozenset[int]
    history: int

    @classmethod
    def after_id(cls, storage_id: int) -> "Place":
        return cls(storage_id, frozenset(), storage_id)

    @property
    def first_id(self) -> int:
        """The first id to look at again; what was history at the first reading stays history."""
        return max(self.history, self.last_id - OVERLAP_IDS) + 1

    def after(self, ids: Iterable[int], highest: int = 0) -> "Place":
        """The place after these ids were read; `highest`, if all up to it was looked at, also what is not read."""
        everything = self.seen.union(ids)
        last_id = max(highest, self.last_id, max(everything, default=0))
        return Place(last_id, frozenset(each for each in everything if each > last_id - OVERLAP_IDS), self.history)

    def __str__(self) -> str:
        # Runs of numbers as [distance from the last id, how many]: a burst of events needs a few characters.
        runs: list[list[int]] = []
        for each in sorted(self.seen, reverse=True):
            if runs and self.last_id - each == runs[-1][0] + runs[-1][1]:
                runs[-1][1] += 1
            else:
                runs.append([self.last_id - each, 1])
        return json.dumps({"last": self.last_id, "seen": runs, "history": self.history}, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> "Place":
        read = json.loads(text)
        last = int(read["last"])
        seen = frozenset(last - start - i for start, count in read["seen"] for i in range(count))
        return cls(last, seen, int(read["history"]))


def id_before(instance: dg.DagsterInstance, moment: float) -> int:
    """The highest storage id whose event happened before a moment, found by halving."""
    storage = instance.event_log_storage
    low, high = 0, storage.get_maximum_record_id() or 0
    while low < high:
        middle = (low + high + 1) // 2
        [entry] = storage.get_logs_for_all_runs_by_log_id(middle - 1, limit=1).values() or [None]
        if entry is not None and entry.timestamp < moment:
            low = middle
        else:
            high = middle - 1
    return low


def _events(instance: dg.DagsterInstance, entries: Mapping[int, EventLogEntry]) -> list[Event]:
    run_ids = [entry.run_id for entry in entries.values() if entry.dagster_event_type in _STATUSES]
    # One query for all runs: a run's tags and location are not in its events.
    runs = {run.run_id: run for run in instance.get_runs(RunsFilter(run_ids=run_ids))} if run_ids else {}
    found: list[Event] = []
    for storage_id, entry in entries.items():
        event = entry.get_dagster_event()
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            if event.asset_key is not None:
                found.append(Materialized(storage_id, entry.timestamp, entry.run_id, event.asset_key, event.partition))
        elif (status := _STATUSES.get(event.event_type)) is not None:
            run = runs.get(entry.run_id)
            origin = run.remote_job_origin if run else None
            if status == "FAILED" and _TIMED_OUT_MESSAGE in (event.message or ""):
                status = "TIMED_OUT"
            found.append(
                RunChanged(
                    storage_id,
                    entry.timestamp,
                    entry.run_id,
                    status,
                    job=entry.job_name or (run.job_name if run else ""),
                    location=origin.location_name if origin else None,
                    tags=dict(run.tags) if run else {},
                    entry=entry,
                )
            )
    return found
