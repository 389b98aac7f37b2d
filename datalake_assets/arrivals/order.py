"""Which of two things we heard about one object is the newer: the pure rule behind the ledger.

Notifications come twice, late and in any order; a listing says what is true now, but has no order of its own. So:

* Two notifications of one key: S3's `sequencer` decides, or S3's event time if one has none.
* A listing says what was true at `listed_at`, which is S3's clock when the listing began. It loses against a
  notification of a later event, and wins against all earlier ones, also those that have yet to arrive.
* The same content again (the ETag) is no change. A deleted object keeps its state, as a stone on its grave.

All times are S3's own, never those of our machines. What S3 cannot order (two events in the same millisecond without a
sequencer; an event in the second of a listing) may end wrong here, and is right again after the next sweep.
"""

import datetime as dt
from dataclasses import dataclass
from enum import Enum
from typing import Literal

Origin = Literal["event", "sweep", "run"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One state of one object, as an event or a listing told it.

    Args:
        source_id: the source it belongs to, and `partition` the partition of it.
        event_at: S3's time of the state: of the event, or the object's last modification.
        sequencer: S3's order of the events of one key.
        listed_at: set by a listing: S3's time when it began, from which on the state is true.
        is_marker: it says that its partition is complete, and is no data.
    """

    bucket: str
    key: str
    source_id: str
    partition: str
    etag: str
    size: int
    event_at: dt.datetime
    sequencer: str | None = None
    version_id: str | None = None
    is_deleted: bool = False
    origin: Origin = "event"
    listed_at: dt.datetime | None = None
    is_marker: bool = False

    @property
    def place(self) -> tuple[str, str]:
        return self.bucket, self.key

    def has_content_of(self, other: "Arrival") -> bool:
        """Whether both are the same object content in the same place of the same partition."""
        if self.is_deleted or other.is_deleted:
            same = self.is_deleted and other.is_deleted
        else:
            same = self.etag == other.etag and self.size == other.size
        return same and self._belonging() == other._belonging()

    def _belonging(self) -> tuple[str, str, bool]:
        return self.source_id, self.partition, self.is_marker


class Outcome(Enum):
    """What one piece of news means for the ledger."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    BURIED = "buried"  # a deletion of an object that was never seen: kept, so that its creation cannot come after it
    REFRESHED = "refreshed"  # the same content, told by a later event
    UNCHANGED = "unchanged"
    STALE = "stale"  # older than what is known

    @property
    def is_written(self) -> bool:
        return self not in (Outcome.UNCHANGED, Outcome.STALE)


def judge(known: Arrival | None, told: Arrival) -> Outcome:
    """Decide what `told` means when `known` is the newest state so far."""
    if known is None:
        return Outcome.BURIED if told.is_deleted else Outcome.ADDED
    same = told.has_content_of(known)
    if told.listed_at is not None:
        if same:
            return Outcome.UNCHANGED
        is_newer = _listing_is_newer(known, told, told.listed_at)
    else:
        is_newer = _event_is_newer(known, told, same)
    if not is_newer:
        return Outcome.UNCHANGED if same else Outcome.STALE
    if same:
        return Outcome.REFRESHED
    if told.is_deleted:
        return Outcome.REMOVED
    return Outcome.ADDED if known.is_deleted else Outcome.CHANGED


def _event_is_newer(known: Arrival, told: Arrival, same: bool) -> bool:
    if told.is_deleted and known.version_id and told.version_id and told.version_id != known.version_id:
        # In a versioned bucket somebody deleted an old version: the current one is still there. (A delete marker has
        # a version of its own, but its event is told as one without: see `events`.)
        return False
    if known.listed_at is not None and told.event_at <= known.listed_at:
        return False
    if known.sequencer and told.sequencer and known.sequencer != told.sequencer:
        # AWS: pad the shorter one with zeros on its right, then compare as text. Stripping them does the same.
        return told.sequencer.rstrip("0") > known.sequencer.rstrip("0")
    if told.event_at == known.event_at:
        return not same
    return told.event_at > known.event_at


def _listing_is_newer(known: Arrival, told: Arrival, listed_at: dt.datetime) -> bool:
    if not told.is_deleted and told.event_at > known.event_at:
        return True
    # Of two listings in the same second the one told last is taken for the newer.
    return known.event_at < listed_at and (known.listed_at is None or known.listed_at <= listed_at)
