"""Dead letters: what could not become an arrival, with its reason, once.

A key of no pipeline or a message nobody understands never blocks the rest: it is written here and told to people once.
Seen again, it is only counted. It is resolved when its key becomes an arrival (a pattern was mended), or is deleted.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from datalake_assets.arrivals.deadline import bounded_transaction
from datalake_assets.database.engine import engine

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

MAX_BODY_CHARACTERS = 4_000

Kind = Literal["unexpected_key", "poison_message"]


@dataclass(frozen=True)
class Unexpected:
    """A dead letter to be written."""

    location: str
    kind: Kind
    reason: str
    bucket: str | None = None
    key: str | None = None
    source_id: str | None = None
    body: str | None = None

    @property
    def fingerprint(self) -> str:
        """Equal for what is the same to a person: the same key for the same reason, or the same body."""
        identity = [self.bucket or "", self.key or ""] if self.key is not None else [self.body or ""]
        text = "\0".join([self.location, self.kind, self.reason, *identity])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter as it was written; ids grow in the order in which they become visible."""

    id: int
    location: str
    source_id: str | None
    kind: str
    bucket: str | None
    key: str | None
    reason: str
    body: str | None
    first_seen_at: dt.datetime
    last_seen_at: dt.datetime
    seen: int
    resolved_at: dt.datetime | None


class DeadLetters:
    """The table of dead letters; safe to share between threads, raises what `database.transaction` raises."""

    def __init__(self, database: "Engine | None" = None, *, statement_seconds: float | None = None) -> None:
        self._database = database
        self._statement_seconds = statement_seconds

    def _transaction(self) -> "AbstractContextManager[Connection]":
        return bounded_transaction(self._database if self._database is not None else engine(), self._statement_seconds)

    def record(self, letters: Iterable[Unexpected]) -> int:
        """Write these letters; return how many are new. One that was resolved and comes again is new again."""
        from sqlalchemy import text

        unique = sorted({letter.fingerprint: letter for letter in letters}.items())
        if not unique:
            return 0
        names = ("location", "source_id", "kind", "bucket", "key", "reason", "body")
        values: dict[str, list[Any]] = {"fingerprint": [fingerprint for fingerprint, _ in unique]}
        for name in names:
            values[name] = [_storable(getattr(letter, name)) for _, letter in unique]
        arrays = ", ".join(f"CAST(:{name} AS text[])" for name in values)
        columns = ", ".join(values)
        with self._transaction() as connection:
            # One writer at a time: ids become visible in their order, so a reader that keeps the last id misses none.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('arrival_dead_letter', 7))"))
            connection.execute(
                text("""
                    DELETE FROM arrival_dead_letter
                    WHERE fingerprint = ANY(CAST(:fingerprint AS text[])) AND resolved_at IS NOT NULL
                """),
                {"fingerprint": values["fingerprint"]},
            )
            known = connection.execute(
                text("""
                    UPDATE arrival_dead_letter SET last_seen_at = clock_timestamp(), seen = seen + 1
                    WHERE fingerprint = ANY(CAST(:fingerprint AS text[]))
                """),
                {"fingerprint": values["fingerprint"]},
            ).rowcount
            if known < len(unique):
                connection.execute(
                    text(
                        f"INSERT INTO arrival_dead_letter ({columns}) SELECT * FROM unnest({arrays}) AS u({columns}) "
                        "ON CONFLICT (fingerprint) DO NOTHING"
                    ),
                    values,
                )
            return len(unique) - int(known)

    def resolve(self, places: Sequence[tuple[str, str]]) -> int:
        """Close the letters of these (bucket, key) places: they became arrivals, or are gone."""
        from sqlalchemy import text

        if not places:
            return 0
        with self._transaction() as connection:
            return int(
                connection.execute(
                    text("""
                        UPDATE arrival_dead_letter d SET resolved_at = clock_timestamp()
                        FROM unnest(CAST(:buckets AS text[]), CAST(:keys AS text[])) AS u(bucket, key)
                        WHERE d.resolved_at IS NULL AND (d.bucket, d.key) = (u.bucket, u.key)
                    """),
                    {"buckets": [_storable(b) for b, _ in places], "keys": [_storable(k) for _, k in places]},
                ).rowcount
            )

    def resolve_unseen(self, bucket: str, prefix: str, since: dt.datetime) -> int:
        """Close the letters of keys below a prefix that were not seen since: a complete listing did not show them."""
        from sqlalchemy import text

        with self._transaction() as connection:
            return int(
                connection.execute(
                    text("""
                        UPDATE arrival_dead_letter SET resolved_at = clock_timestamp()
                        WHERE resolved_at IS NULL AND kind = 'unexpected_key' AND bucket = :bucket
                            AND starts_with(key, :prefix) AND last_seen_at < :since
                    """),
                    {"bucket": bucket, "prefix": prefix, "since": since},
                ).rowcount
            )

    def unresolved(self, location: str | None = None, *, limit: int = 100) -> list[DeadLetter]:
        """The newest open letters, of one location or of all."""
        return self._select(
            "resolved_at IS NULL AND (CAST(:location AS text) IS NULL OR location = :location) ORDER BY id DESC",
            {"location": location, "limit": limit},
        )

    def newest(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest letters of all locations, open and closed."""
        return self._select("true ORDER BY id DESC", {"limit": limit})

    def count(self, location: str) -> int:
        """How many letters of a location are open."""
        from sqlalchemy import text

        with self._transaction() as connection:
            found = connection.execute(
                text("SELECT count(*) FROM arrival_dead_letter WHERE resolved_at IS NULL AND location = :location"),
                {"location": location},
            )
            return int(found.scalar_one())

    def after(self, last_id: int, *, location: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """Letters with a greater id, in its order: keep the last id, and each letter is told once."""
        return self._select(
            "id > :last_id AND (CAST(:location AS text) IS NULL OR location = :location) ORDER BY id",
            {"last_id": last_id, "location": location, "limit": limit},
        )

    def now(self) -> dt.datetime:
        """The database's clock, for `resolve_unseen`."""
        from sqlalchemy import text

        with self._transaction() as connection:
            found: dt.datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            return found

    def _select(self, where: str, values: dict[str, Any]) -> list[DeadLetter]:
        from sqlalchemy import text

        columns = ", ".join(DeadLetter.__dataclass_fields__)
        with self._transaction() as connection:
            rows = connection.execute(
                text(f"SELECT {columns} FROM arrival_dead_letter WHERE {where} LIMIT :limit"), values
            ).all()
        return [DeadLetter(**row._mapping) for row in rows]


def dead_letters_after(last_id: int, *, location: str | None = None, limit: int = 100) -> list[DeadLetter]:
    """New dead letters of the platform database since the one with `last_id`, which starts at 0."""
    return DeadLetters().after(last_id, location=location, limit=limit)


def _storable(value: str | None) -> str | None:
    """What PostgreSQL can hold of any text: no NUL, no lone surrogates, no endless bodies."""
    if value is None:
        return None
    clean = value.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
    return clean[:MAX_BODY_CHARACTERS]
