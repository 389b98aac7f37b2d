"""The outbox: messages are written once per event and stay until somebody took them.

A message is recorded in its own transaction before the reader's cursor moves, and marked as delivered only after the
channel accepted it. A crash between the two repeats a delivery; none is lost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from datalake_assets.errors import PlatformError, Throttled, TransientError

if TYPE_CHECKING:
    from sqlalchemy import Engine

FIRST_RETRY_SECONDS = 5.0
MAX_RETRY_SECONDS = 900.0
MAX_ERROR_CHARACTERS = 500


class ChannelBusy(Throttled):
    """The channel asks for fewer messages, and says for how long."""

    retry_after_seconds: float = 0.0


@dataclass(frozen=True)
class Note:
    """One message to record; `dedup_key` names the event, and a second note of the same event changes nothing."""

    kind: str
    dedup_key: str
    payload: Mapping[str, Any]
    location: str | None = None


@dataclass(frozen=True)
class Delivery:
    """What one round of delivering did."""

    delivered: int = 0
    failed: int = 0
    last_error: str | None = None


def record(
    kind: str, dedup_key: str, payload: Mapping[str, Any], *, location: str | None = None, to: "Engine | None" = None
) -> bool:
    """Write one message and commit; return whether it is a new one.

    Args:
        kind: what it is about, for example run_failed.
        dedup_key: the event that it is about.
        payload: `text` and `blocks`, as `message.compose` makes them.
        to: another database than the platform's.

    Raises:
        Unavailable: the platform database does not answer; nothing was recorded.
    """
    return record_all([Note(kind, dedup_key, payload, location)], to=to) == 1


def record_all(notes: Sequence[Note], *, to: "Engine | None" = None) -> int:
    """Write messages in one transaction and return how many of them are new."""
    if not notes:
        return 0
    from sqlalchemy.dialects.postgresql import insert

    from datalake_assets.database.engine import engine, transaction
    from datalake_assets.database.tables import alert_outbox

    rows = [
        {"kind": note.kind, "dedup_key": note.dedup_key, "payload": dict(note.payload), "location": note.location}
        for note in notes
    ]
    with transaction(to or engine()) as connection:
        statement = insert(alert_outbox).values(rows).on_conflict_do_nothing(index_elements=["dedup_key"])
        return len(connection.execute(statement.returning(alert_outbox.c.id)).all())


def deliver(
    send: Callable[[Mapping[str, Any]], None],
    *,
    to: "Engine | None" = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    keep_going: Callable[[], bool] = lambda: True,
) -> Delivery:
    """Send what is due, oldest first, until nothing is or `keep_going` says no.

    Each message is claimed, sent and marked in a transaction of its own, so that two senders never take the same one
    and a killed sender leaves it as it was. A failed one is tried again after a growing time, for ever. A channel that
    is down ends the round: the next message would fare no better.

    Args:
        send: hands the payload to the channel; raises TransientError when the channel is down or asks to wait, and
            any other PlatformError when it refuses this message.
    """
    from datalake_assets.database.engine import engine

    database = to or engine()
    delivered = failed = 0
    last_error: str | None = None
    while keep_going():
        outcome = _deliver_one(send, database, now)
        if outcome is None:
            break
        if outcome.last_error is None:
            delivered += 1
            continue
        failed, last_error = failed + 1, outcome.last_error
        if outcome.channel_is_down:
            break
    return Delivery(delivered, failed, last_error)


@dataclass(frozen=True)
class _Outcome:
    last_error: str | None = None
    channel_is_down: bool = False


def _deliver_one(
    send: Callable[[Mapping[str, Any]], None], database: "Engine", now: Callable[[], datetime]
) -> _Outcome | None:
    """Deliver the oldest due message; None when there is none."""
    from sqlalchemy import select, update

    from datalake_assets.database.engine import transaction
    from datalake_assets.database.tables import alert_outbox as outbox

    with transaction(database) as connection:
        due = connection.execute(
            select(outbox.c.id, outbox.c.payload, outbox.c.attempts)
            .where(outbox.c.delivered_at.is_(None), outbox.c.next_attempt_at <= now())
            .order_by(outbox.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if due is None:
            return None
        mark = update(outbox).where(outbox.c.id == due.id)
        attempts = due.attempts + 1
        try:
            send(due.payload)
        except PlatformError as error:
            text = str(error)[:MAX_ERROR_CHARACTERS]
            asked = error.retry_after_seconds if isinstance(error, ChannelBusy) else 0.0
            later = now() + timedelta(seconds=max(retry_seconds(attempts), asked))
            connection.execute(mark.values(attempts=attempts, next_attempt_at=later, last_error=text))
            return _Outcome(text, channel_is_down=isinstance(error, TransientError))
        connection.execute(mark.values(attempts=attempts, delivered_at=now(), last_error=None))
        return _Outcome()


def retry_seconds(attempts: int) -> float:
    """How long to wait after so many failed attempts: doubling from five seconds to a quarter of an hour."""
    return float(min(FIRST_RETRY_SECONDS * 2 ** min(attempts - 1, 20), MAX_RETRY_SECONDS))
