"""A message is recorded once and delivered until somebody took it."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import select

from datalake_assets.alerts.outbox import MAX_RETRY_SECONDS, deliver, record, retry_seconds
from datalake_assets.alerts.webhook import Webhook
from datalake_assets.database.tables import alert_outbox
from datalake_assets.errors import ConfigurationError, PermanentError, Unavailable
from tests.alerts.conftest import Channel


class Clock:
    def __init__(self) -> None:
        self.moment = datetime.now(UTC) + timedelta(seconds=1)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def message(text: str) -> dict[str, Any]:
    return {"text": text, "blocks": []}


def rows(outbox: sqlalchemy.Engine) -> list[Any]:
    with outbox.connect() as connection:
        return list(connection.execute(select(alert_outbox).order_by(alert_outbox.c.id)))


def test_an_event_is_recorded_once(outbox: sqlalchemy.Engine) -> None:
    assert record("run_failed", "run_failed:1", message("one"), location="flights", to=outbox)
    assert not record("run_failed", "run_failed:1", message("again"), to=outbox)

    [row] = rows(outbox)
    assert row.payload["text"] == "one"
    assert row.location == "flights"


def test_messages_are_delivered_in_order_and_once(outbox: sqlalchemy.Engine, channel: Channel) -> None:
    for number in range(3):
        record("run_failed", f"run_failed:{number}", message(str(number)), to=outbox)
    clock = Clock()
    with Webhook(channel.url) as webhook:
        first = deliver(webhook.send, to=outbox, now=clock)
        second = deliver(webhook.send, to=outbox, now=clock)

    assert [each["text"] for each in channel.accepted] == ["0", "1", "2"]
    assert (first.delivered, second.delivered) == (3, 0)


def test_a_channel_that_is_down_loses_nothing(outbox: sqlalchemy.Engine, channel: Channel) -> None:
    for number in range(2):
        record("run_failed", f"run_failed:{number}", message(str(number)), to=outbox)
    channel.answers = [(503, {})] * 3
    clock = Clock()
    with Webhook(channel.url) as webhook:
        for _ in range(6):
            deliver(webhook.send, to=outbox, now=clock)
            clock.forward(60)

    assert sorted(each["text"] for each in channel.accepted) == ["0", "1"]
    assert all(row.delivered_at for row in rows(outbox))


def test_a_failed_attempt_waits_longer_each_time(outbox: sqlalchemy.Engine) -> None:
    record("run_failed", "run_failed:1", message("one"), to=outbox)
    clock = Clock()
    attempts = []

    def refuse(payload: Mapping[str, Any]) -> None:
        attempts.append(clock.moment)
        raise Unavailable("down")

    for _ in range(100):
        deliver(refuse, to=outbox, now=clock)
        clock.forward(1)

    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(attempts)]
    assert waits == [5, 10, 20, 40]
    [row] = rows(outbox)
    assert (row.attempts, row.last_error, row.delivered_at) == (5, "down", None)


def test_waiting_has_an_end() -> None:
    assert retry_seconds(1) == 5
    assert retry_seconds(10_000) == MAX_RETRY_SECONDS


def test_a_busy_channel_is_left_alone_for_as_long_as_it_asks(outbox: sqlalchemy.Engine, channel: Channel) -> None:
    record("run_failed", "run_failed:1", message("one"), to=outbox)
    channel.answers = [(429, {"Retry-After": "120"})]
    clock = Clock()
    with Webhook(channel.url) as webhook:
        deliver(webhook.send, to=outbox, now=clock)
        clock.forward(119)
        deliver(webhook.send, to=outbox, now=clock)
        assert channel.accepted == []
        clock.forward(2)
        deliver(webhook.send, to=outbox, now=clock)

    assert len(channel.accepted) == 1


def test_a_message_that_is_refused_does_not_hold_up_the_others(outbox: sqlalchemy.Engine, channel: Channel) -> None:
    for number in range(2):
        record("run_failed", f"run_failed:{number}", message(str(number)), to=outbox)
    channel.answers = [(400, {})]
    with Webhook(channel.url) as webhook:
        done = deliver(webhook.send, to=outbox, now=Clock())

    assert [each["text"] for each in channel.accepted] == ["1"]
    assert (done.delivered, done.failed) == (1, 1)


def test_a_sender_that_dies_before_marking_repeats_the_message(outbox: sqlalchemy.Engine, channel: Channel) -> None:
    record("run_failed", "run_failed:1", message("one"), to=outbox)
    clock = Clock()
    with Webhook(channel.url) as webhook:

        def die_after(payload: Mapping[str, Any]) -> None:
            webhook.send(payload)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            deliver(die_after, to=outbox, now=clock)
        deliver(webhook.send, to=outbox, now=clock)

    assert len(channel.accepted) == 2


def test_two_senders_never_take_the_same_message(outbox: sqlalchemy.Engine) -> None:
    for number in range(20):
        record("run_failed", f"run_failed:{number}", message(str(number)), to=outbox)
    clock = Clock()
    sent: list[str] = []
    both_hold_one = threading.Barrier(2, timeout=20)
    met = threading.local()

    def send(payload: Mapping[str, Any]) -> None:
        if not getattr(met, "done", False):
            met.done = True
            both_hold_one.wait()
        sent.append(payload["text"])

    threads = [threading.Thread(target=deliver, args=(send,), kwargs={"to": outbox, "now": clock}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(sent, key=int) == [str(number) for number in range(20)]


@pytest.mark.parametrize(("status", "error"), [(404, ConfigurationError), (500, Unavailable), (400, PermanentError)])
def test_an_answer_says_whose_fault_it_is(channel: Channel, status: int, error: type[Exception]) -> None:
    channel.answers = [(status, {})]

    with Webhook(channel.url) as webhook, pytest.raises(error):
        webhook.send(message("one"))


def test_the_address_of_a_webhook_appears_in_no_error() -> None:
    with Webhook("http://127.0.0.1:1/secret-token") as webhook, pytest.raises(Unavailable) as caught:
        webhook.send(message("one"))

    assert "secret-token" not in str(caught.value)
