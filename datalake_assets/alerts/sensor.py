"""The sensor of the operations location that turns failed runs of all locations into delivered messages."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import dagster as dg

from datalake_assets.accounts.secrets import alerts_secret
from datalake_assets.accounts.settings import settings
from datalake_assets.alerts.failures import read_failures
from datalake_assets.alerts.outbox import deliver, record_all
from datalake_assets.alerts.webhook import Webhook
from datalake_assets.errors import PlatformError, Unavailable

# Dagster gives a tick sixty seconds; what is left over goes out with the next one.
DELIVER_SECONDS = 20.0


def build_alert_sensor() -> dg.SensorDefinition:
    """Return the sensor that records one message per run that failed for good, and delivers what is due.

    The cursor moves only after the messages are committed to the outbox: a tick that dies repeats its reading, and the
    outbox knows what it has already. A channel that is down is a line in the tick, not a failed tick: its messages
    wait in the outbox.
    """

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tell people about failed runs, once each, until the message arrived.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        reading = read_failures(context.instance, context.cursor, ui_url=settings().ui_url, now=time.time())
        recorded = record_all(reading.notes)
        context.update_cursor(reading.cursor)
        return dg.SkipReason(f"{recorded} recorded, {reading.waiting} may be retried; {_deliver_due(context)}")

    return alerts


def _deliver_due(context: dg.SensorEvaluationContext) -> str:
    deadline = time.monotonic() + DELIVER_SECONDS
    with ExitStack() as stack:
        opened: list[Webhook] = []

        def send(payload: Mapping[str, Any]) -> None:
            if not opened:
                opened.append(stack.enter_context(_open_channel()))
            opened[0].send(payload)

        done = deliver(send, keep_going=lambda: time.monotonic() < deadline)
    if done.last_error:
        context.log.warning(f"An alert is tried again later: {done.last_error}")
    return f"{done.delivered} delivered, {done.failed} to be tried again"


def _open_channel() -> Webhook:
    """The webhook of the alerts secret, which is read only when there is something to send."""
    from botocore.exceptions import BotoCoreError

    try:
        return Webhook(alerts_secret().webhook_url.get_secret_value())
    except (PlatformError, BotoCoreError) as error:
        # Without the secret no message can go out: all of them wait, and none is to blame.
        raise Unavailable(f"the alerts channel is not known: {error}", where="alerts secret") from error
