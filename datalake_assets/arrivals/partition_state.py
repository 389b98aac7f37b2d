"""What the ledger knows of one partition."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class PartitionState:
    """One partition in the ledger; `read_at` is the database's time of reading, and all other times are its too.

    `newest_event_at` alone is S3's time. `first_changed_at` is of the changes since the partition was last clean.
    `markers` are there beside the `objects`; `recent_requests` has the time of each run that was requested within the
    last hour, oldest first.
    """

    source_id: str
    partition: str
    changed_seq: int
    objects: int
    bytes: int
    newest_event_at: dt.datetime
    first_changed_at: dt.datetime
    last_changed_at: dt.datetime
    requested_seq: int | None
    requested_at: dt.datetime | None
    run_key: str | None
    attempts: int
    published_seq: int
    published_version: str | None
    published_at: dt.datetime | None
    read_at: dt.datetime
    markers: int = 0
    recent_requests: tuple[dt.datetime, ...] = ()

    @property
    def is_dirty(self) -> bool:
        return self.changed_seq > self.published_seq

    @property
    def is_published(self) -> bool:
        return self.published_version is not None

    @property
    def unpublished_since(self) -> dt.datetime:
        """When the first change came that is not published, as far as it is known.

        Of what changed during a run, it is known that it was not there at the beginning of that run only.
        """
        if self.published_at is None or self.published_at <= self.first_changed_at:
            return self.first_changed_at
        return min(self.published_at, self.last_changed_at)

    @property
    def awaits_its_run(self) -> bool:
        """Whether its last request has neither led to a publication nor been overtaken by one."""
        if self.requested_at is None:
            return False
        return self.published_at is None or self.published_at < self.requested_at
