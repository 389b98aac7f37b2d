"""Dead letters and notices of arrivals become one message a tick, each told once."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import select

from datalake_assets.accounts import settings
from datalake_assets.arrivals.dead_letters import DeadLetters, Unexpected
from datalake_assets.arrivals.notices import Notice, Notices
from datalake_assets.components.arrival_alerts import build_arrival_alert_sensor
from datalake_assets.database.engine import engine, transaction
from datalake_assets.database.tables import alert_outbox
from tests.arrivals.conftest import empty_ledger_url, ledger_url, postgres_server

__all__ = ["empty_ledger_url", "ledger_url", "postgres_server"]

Tick = Callable[[str | None], str | None]


@pytest.fixture
def tick(empty_ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tick]:
    """One tick of the sensor: from a cursor to the next."""
    monkeypatch.setenv("DATALAKE_DATABASE_URL", empty_ledger_url)
    settings.settings.cache_clear()
    with transaction(engine()) as connection:
        connection.execute(alert_outbox.delete())
    sensor = build_arrival_alert_sensor()

    def once(cursor: str | None) -> str | None:
        with dg.build_sensor_context(cursor=cursor) as context:
            sensor(context)
            return context.cursor

    yield once
    settings.settings.cache_clear()


def outbox() -> list[dict[str, Any]]:
    with transaction(engine()) as connection:
        return list(connection.execute(select(alert_outbox.c.payload).order_by(alert_outbox.c.id)).scalars())


def letter(n: int) -> Unexpected:
    return Unexpected("flights", "unexpected_key", "it is below no source's prefix", "raw", f"stray/{n}.csv")


def notice(n: int, kind: Any = "late") -> Notice:
    return Notice("flights", "flights/flights", f"2013-01-{n:02}", kind, "late files", f"{kind}:{n}")


def test_dead_letters_and_notices_share_one_message_and_are_told_once(tick: Tick) -> None:
    assert tick(None) is None
    DeadLetters().record([letter(1)])
    Notices().record([notice(1), notice(2), notice(3, "throttled")])
    cursor = tick(None)
    assert tick(cursor) == cursor
    (told,) = outbox()
    assert told["text"].splitlines() == [
        "1 object or message that fits no pipeline, 2 partitions with late files, 1 partition held back",
        "flights: s3://raw/stray/1.csv: it is below no source's prefix",
        "flights/flights 2013-01-01: late files",
        "flights/flights 2013-01-02: late files",
        "flights/flights 2013-01-03: late files",
    ]
    Notices().record([notice(1), notice(4)])
    tick(cursor)
    assert "2013-01-04" in outbox()[-1]["text"]
    assert "2013-01-01" not in outbox()[-1]["text"]


def test_a_message_names_ten_and_counts_the_rest(tick: Tick) -> None:
    DeadLetters().record(letter(n) for n in range(20))
    Notices().record(notice(n) for n in range(1, 9))
    tick(None)
    (told,) = outbox()
    title, *lines = told["text"].splitlines()
    assert title.startswith("20 objects or messages that fit no pipeline, 8 partitions with late files")
    assert (len(lines), lines[-1]) == (11, "and 18 more")
    assert sum("late files" in line for line in lines) == 5


def test_a_tick_that_died_before_its_cursor_moved_tells_nothing_twice(tick: Tick) -> None:
    Notices().record([notice(1)])
    tick(None)
    tick(None)
    assert len(outbox()) == 1
