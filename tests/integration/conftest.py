"""The flights account on the shared sandbox, and ways to stop what it depends on."""

import json
import os
from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.components import materialize
from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.warehouse.connection import connect
from tests.integration.gateway import Gateway
from tests.integration.relay import Relay
from tests.integration.user import Platform, forget


@pytest.fixture(scope="package")
def shared_platform(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One for all tests, each with days of its own, and with retries that do not wait.

    Other tests fill the same warehouse, so it starts and ends empty.
    """
    _drop_warehouse_tables()
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setattr(materialize, "RETRY_SECONDS", (0, 0, 0))
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("scratch")))
        made = Platform(sandbox, instance)
        yield made
    _drop_warehouse_tables()
    made.close()


def _drop_warehouse_tables() -> None:
    with connect(warehouse_secret("flights")) as connection:
        connection.execute("DROP SCHEMA IF EXISTS lake CASCADE")


@pytest.fixture
def platform(shared_platform: Platform) -> Iterator[Platform]:
    """The platform, whose runs must leave nothing in the temp folder, whatever the test does to them."""
    shared_platform.drain()  # the sandbox gets slow with the messages that wait
    yield shared_platform
    assert shared_platform.leftovers() == []


@pytest.fixture
def hasty_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS clients that give up at once, so that a stopped service is seen without half a minute of retries."""
    from botocore.config import Config

    from datalake_assets.accounts import secrets, sessions

    def hasty() -> Config:
        return Config(retries={"mode": "standard", "max_attempts": 1}, connect_timeout=2, max_pool_connections=64)

    for module in (sessions, secrets):
        monkeypatch.setattr(module, "client_config", hasty)
    forget()
    yield
    monkeypatch.undo()
    forget()


@pytest.fixture
def warehouse_relay(platform: Platform) -> Iterator[Relay]:
    """The warehouse behind a relay, as the account's secret names it."""
    relay = Relay(platform.sandbox.ports["redshift"])
    before = platform.secret()
    platform.put_secret(json.dumps(before | {"port": relay.port}))
    yield relay
    relay.close()
    platform.put_secret(json.dumps(before))


@pytest.fixture
def database_relay(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The platform database behind a relay; the warehouse, on the same server, is not."""
    port = platform.sandbox.ports["postgres"]
    relay = Relay(port)
    monkeypatch.setenv(
        "DATALAKE_DATABASE_URL", os.environ["DATALAKE_DATABASE_URL"].replace(f":{port}/", f":{relay.port}/")
    )
    forget()
    yield relay
    relay.close()
    monkeypatch.undo()
    forget()


@pytest.fixture
def aws_relay(platform: Platform, monkeypatch: pytest.MonkeyPatch, hasty_aws: None) -> Iterator[Relay]:
    """AWS behind a relay, for the platform only: the gateway reads S3 directly."""
    relay = Relay(platform.sandbox.ports["aws"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{relay.port}")
    forget()
    yield relay
    relay.close()
    monkeypatch.undo()
    forget()


@pytest.fixture
def before_retry(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Register what happens between the first attempt of a step and its first retry."""
    actions: list[Callable[[], None]] = []

    class Waits(tuple[int, ...]):
        # Asked for the seconds to wait when an attempt has failed: the one place between two attempts.
        def __getitem__(self, at: object) -> int:  # type: ignore[override]
            while actions:
                actions.pop()()
            return 0

    monkeypatch.setattr(materialize, "RETRY_SECONDS", Waits())
    return actions.append


@pytest.fixture
def gateway(platform: Platform) -> Iterator[Gateway]:
    found = Gateway(platform)
    yield found
    if not found.is_running:
        found.start()
