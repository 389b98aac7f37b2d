"""The flights account and Dagster's real storage on the shared sandbox, and the command as a person calls it."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from datalake_assets.cli import main
from datalake_assets.cli.dagster_processes import make_home
from datalake_assets.sandbox.sandbox import Sandbox
from tests.conftest import enter_environment
from tests.integration.user import Platform

Datalake = Callable[..., Result]

# Modules share the sandbox, so none starts again at the first day; the integration tests count up from January.
_next_days = [date(2013, 9, 20)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Dagster with the project's own settings."""
    return make_home(tmp_path_factory.mktemp("dagster"))


@pytest.fixture(scope="module")
def shared_platform(sandbox: Sandbox, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One for a module, with days that no other folder of tests uses."""
    from datalake_assets.eventlog.storage import close_pools

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("scratch")))
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.from_config(str(home)) as instance:
            made = Platform(sandbox, instance)
            made._next_day = _next_days.pop()
            yield made
            enter_environment("sandbox", sandbox.environment())  # whatever the last test saw
            _next_days.append(made._next_day)
            _leave_no_work(made)
            made.close()
    close_pools()


def _leave_no_work(platform: Platform) -> None:
    """What these tests landed and never ran is no work for the sensors of other tests."""
    from sqlalchemy import text

    from datalake_assets.database.engine import engine, transaction

    platform.drain()
    with transaction(engine()) as connection:
        connection.execute(text("UPDATE arrival_partition SET published_seq = changed_seq"))


@pytest.fixture
def platform(shared_platform: Platform, home: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The platform, and an environment that leads commands to it."""
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    shared_platform.drain()
    return shared_platform


@pytest.fixture
def datalake() -> Datalake:
    """Call the command in this process; `output` has what it printed, errors included."""

    def call(*arguments: str, answer: str | None = None) -> Result:
        result = CliRunner().invoke(main, list(arguments), input=answer)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call
