"""The sensor as a whole: from a failed run to a message in the channel, through the outbox."""

from collections.abc import Iterator

import dagster as dg
import pytest
import sqlalchemy

from datalake_assets.accounts.secrets import AlertsSecret
from datalake_assets.accounts.settings import settings
from datalake_assets.alerts import sensor as module
from datalake_assets.alerts.sensor import build_alert_sensor
from datalake_assets.database.tables import alert_outbox
from datalake_assets.errors import AccessDenied, ConfigurationError
from tests.alerts.conftest import Channel


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def platform(
    outbox: sqlalchemy.Engine, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sqlalchemy.Engine]:
    """Settings that lead to the outbox, and a secret that leads to the channel."""
    monkeypatch.setenv("DATALAKE_DATABASE_URL", outbox.url.render_as_string(hide_password=False))
    settings.cache_clear()
    monkeypatch.setattr(module, "alerts_secret", lambda: AlertsSecret.model_validate({"webhook_url": channel.url}))
    yield outbox
    settings.cache_clear()


def fail(instance: dg.DagsterInstance) -> str:
    @dg.op
    def step() -> None:
        raise ValueError("broken")

    @dg.job
    def flights() -> None:
        step()

    return flights.execute_in_process(instance=instance, raise_on_error=False).run_id


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[str, str | None]:
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        result = build_alert_sensor()(context)
        assert isinstance(result, dg.SkipReason)
        return result.skip_message or "", context.cursor


def undelivered(engine: sqlalchemy.Engine) -> int:
    with engine.connect() as connection:
        waiting = sqlalchemy.select(sqlalchemy.func.count()).where(alert_outbox.c.delivered_at.is_(None))
        return int(connection.execute(waiting.select_from(alert_outbox)).scalar_one())


def test_a_failed_run_arrives_once(instance: dg.DagsterInstance, platform: sqlalchemy.Engine, channel: Channel) -> None:
    fail(instance)
    message, cursor = tick(instance)
    tick(instance, cursor)

    assert message == "1 recorded, 0 may be retried; 1 delivered, 0 to be tried again"
    assert [each["text"] for each in channel.accepted] == ["flights failed (location unknown): ValueError: broken"]


def test_a_lost_cursor_repeats_no_message(
    instance: dg.DagsterInstance, platform: sqlalchemy.Engine, channel: Channel
) -> None:
    fail(instance)
    tick(instance)
    tick(instance, None)

    assert len(channel.accepted) == 1


def test_a_channel_that_is_down_fails_no_tick_and_loses_no_message(
    instance: dg.DagsterInstance, platform: sqlalchemy.Engine, channel: Channel
) -> None:
    channel.answers = [(503, {})]
    fail(instance)
    message, _ = tick(instance)

    assert message.endswith("0 delivered, 1 to be tried again")
    assert undelivered(platform) == 1


def test_an_unreadable_secret_loses_no_message(
    instance: dg.DagsterInstance, platform: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied() -> AlertsSecret:
        raise AccessDenied("the secret datalake/alerts cannot be read")

    monkeypatch.setattr(module, "alerts_secret", denied)
    fail(instance)
    message, _ = tick(instance)

    assert message.endswith("0 delivered, 1 to be tried again")
    assert undelivered(platform) == 1


def test_without_the_platform_database_the_cursor_stays(
    instance: dg.DagsterInstance, platform: sqlalchemy.Engine, channel: Channel
) -> None:
    fail(instance)
    with platform.begin() as connection:
        connection.execute(sqlalchemy.text("ALTER TABLE alert_outbox RENAME TO gone"))
    with dg.build_sensor_context(instance=instance) as context:
        with pytest.raises(ConfigurationError, match="alert_outbox"):
            build_alert_sensor()(context)
        assert context.cursor is None
    with platform.begin() as connection:
        connection.execute(sqlalchemy.text("ALTER TABLE gone RENAME TO alert_outbox"))
    tick(instance, None)

    assert len(channel.accepted) == 1
