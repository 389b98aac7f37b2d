"""The event log's headlines: which asset was materialized and which run started or ended, and nothing else of it.

The tail of `tail` reads whole events. Here one query reads a few columns of all that may concern pipelines, so that ten
locations can follow each other at hundreds of runs a minute; and a reading of nothing new costs one look at the highest
storage id. The same trust in order as there: each reading looks again at the last `OVERLAP_IDS` numbers.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import dagster as dg

from datalake_assets.errors import ConfigurationError
from datalake_assets.eventlog.tail import LOOK_BACK_SECONDS, Place, id_before

if TYPE_CHECKING:
    from dagster._core.storage.event_log import SqlEventLogStorage

MATERIALIZATION = dg.DagsterEventType.ASSET_MATERIALIZATION.value
PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value
STARTED = dg.DagsterEventType.PIPELINE_START.value
ENDS = tuple(
    each.value
    for each in (
        dg.DagsterEventType.PIPELINE_SUCCESS,
        dg.DagsterEventType.PIPELINE_FAILURE,
        dg.DagsterEventType.PIPELINE_CANCELED,
    )
)
_TOLD = (MATERIALIZATION, STARTED, *ENDS)

# So long after the highest id appeared, an event with a lower one may still be committed and no higher one follow.
SETTLED_SECONDS = 15.0


@dataclass(frozen=True)
class Headline:
    """One event: `asset` is the text by which Dagster's tables know an asset key, None for an event of a run."""

    storage_id: int
    event_type: str
    run_id: str
    asset: str | None
    partition: str | None

    @property
    def is_materialization(self) -> bool:
        return self.event_type == MATERIALIZATION


@dataclass(frozen=True)
class Headlines:
    """Events in the order of their ids, the cursor for the next reading, and whether there is more already."""

    events: Sequence[Headline]
    cursor: str
    has_more: bool = False


@lru_cache(maxsize=65_536)
def asset_text(path: tuple[str, ...]) -> str:
    """How Dagster's tables spell an asset key."""
    return dg.AssetKey(list(path)).to_string()


def sql_storage(instance: dg.DagsterInstance) -> "SqlEventLogStorage":
    """The instance's event log, as one whose tables can be asked.

    Raises:
        ConfigurationError: it is of another kind, such as the default of one file for each run.
    """
    from dagster._core.storage.event_log import SqlEventLogStorage

    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise ConfigurationError(
            f"the event log is a {type(storage).__name__}",
            where="event_log_storage of dagster.yaml",
            expected="storage in PostgreSQL",
        )
    return storage


def read_headlines(
    instance: dg.DagsterInstance,
    cursor: str | None,
    *,
    again: bool = False,
    limit: int = 5_000,
    look_back_seconds: float = LOOK_BACK_SECONDS,
) -> Headlines:
    """Return the materializations, starts and ends of runs since `cursor`, at most `limit`.

    Without a cursor the reading starts `look_back_seconds` ago. Callers must bear to see events again.

    Args:
        again: read what happened within `look_back_seconds` another time, although there is a cursor.
    """
    storage = sql_storage(instance)
    place, top, since = _parse(cursor) if cursor else (None, -1, 0.0)
    if place is None or again:
        earlier = id_before(instance, time.time() - look_back_seconds)
        if place is None or earlier < place.last_id:
            place, top = Place.after_id(earlier), -1
    highest = storage.get_maximum_record_id() or 0
    if highest == top and time.time() - since > SETTLED_SECONDS:
        return Headlines((), cursor or "")
    rows = _rows(storage, place.first_id - 1, limit + len(place.seen))
    has_more = len(rows) == limit + len(place.seen)
    new = [row for row in rows if row.storage_id not in place.seen]
    after = place.after([row.storage_id for row in new], 0 if has_more else highest)
    if has_more:
        top, since = -1, 0.0
    elif highest != top:
        top, since = highest, time.time()
    told = {"place": json.loads(str(after)), "top": top, "since": round(since, 1)}
    return Headlines(new, json.dumps(told, separators=(",", ":")), has_more)


def _parse(cursor: str) -> tuple[Place, int, float]:
    read = json.loads(cursor)
    return Place.parse(json.dumps(read["place"])), int(read["top"]), float(read["since"])


def _rows(storage: "SqlEventLogStorage", after: int, limit: int) -> list[Headline]:
    import sqlalchemy as sa
    from dagster._core.storage.event_log import SqlEventLogStorageTable

    table = SqlEventLogStorageTable.c
    query = (
        sa.select(table.id, table.dagster_event_type, table.run_id, table.asset_key, table.partition)
        .where(table.id > after, table.dagster_event_type.in_(_TOLD))
        .order_by(table.id)
        .limit(limit)
    )
    with storage.index_connection() as connection:
        return [Headline(*row) for row in connection.execute(query).all()]
