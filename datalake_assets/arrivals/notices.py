"""What people should hear about arrivals that are no mistake of a file: late ones, and partitions held back.

A notice is written once for each `dedup_key`; the operations location makes alerts of them.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from datalake_assets.database.engine import engine, transaction

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Kind = Literal["late", "throttled"]


@dataclass(frozen=True)
class Notice:
    """One thing to tell about one partition; a second notice of the same `dedup_key` changes nothing."""

    location: str
    source_id: str
    partition: str
    kind: Kind
    reason: str
    dedup_key: str


@dataclass(frozen=True)
class RecordedNotice:
    """A notice as it was written; ids grow in the order in which they become visible."""

    id: int
    location: str
    source_id: str
    partition: str
    kind: str
    reason: str


class Notices:
    """The table of notices; safe to share between threads, raises what `database.transaction` raises."""

    def __init__(self, database: "Engine | None" = None) -> None:
        self._database = database

    def _transaction(self) -> "AbstractContextManager[Connection]":
        return transaction(self._database if self._database is not None else engine())

    def record(self, notices: Iterable[Notice]) -> int:
        """Write these notices; return how many are new."""
        from sqlalchemy import select, text
        from sqlalchemy.dialects.postgresql import insert

        from datalake_assets.database.tables import arrival_notice

        rows = {notice.dedup_key: vars(notice) for notice in notices}
        if not rows:
            return 0
        key = arrival_notice.c.dedup_key
        with self._transaction() as connection:
            # What is told again in every tick costs a read; only news takes the lock.
            known = set(connection.execute(select(key).where(key.in_(rows))).scalars())
            if new := [row for dedup_key, row in sorted(rows.items()) if dedup_key not in known]:
                # One writer at a time: ids become visible in their order, so who keeps the last id misses none.
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('arrival_notice', 7))"))
                statement = insert(arrival_notice).values(new).on_conflict_do_nothing(index_elements=["dedup_key"])
                return len(connection.execute(statement.returning(arrival_notice.c.id)).all())
        return 0

    def after(self, last_id: int, *, limit: int = 100) -> list[RecordedNotice]:
        """Notices with a greater id, in its order: keep the last id, and each is told once."""
        from sqlalchemy import select

        from datalake_assets.database.tables import arrival_notice

        columns = [arrival_notice.c[name] for name in RecordedNotice.__dataclass_fields__]
        with self._transaction() as connection:
            rows = connection.execute(
                select(*columns).where(arrival_notice.c.id > last_id).order_by(arrival_notice.c.id).limit(limit)
            ).all()
        return [RecordedNotice(**row._mapping) for row in rows]


def notices_after(last_id: int, limit: int = 100) -> list[RecordedNotice]:
    """New notices of the platform database since the one with `last_id`, which starts at 0."""
    return Notices().after(last_id, limit=limit)
