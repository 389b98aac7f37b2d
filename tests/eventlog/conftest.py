"""A real Dagster instance on a throw-away PostgreSQL, configured by deploy/dagster.yaml."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from datalake_assets.eventlog.storage import close_pools
from tests.database.conftest import empty_database_url, postgres_server

__all__ = ["empty_database_url", "postgres_server"]

DEPLOYED = Path(__file__).parents[2] / "deploy" / "dagster.yaml"


@pytest.fixture
def dagster_home(tmp_path: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A DAGSTER_HOME with the deployed settings, and the variable that they read."""
    shutil.copy(DEPLOYED, tmp_path / "dagster.yaml")
    monkeypatch.setenv("DATALAKE_DAGSTER_DATABASE_URL", empty_database_url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    yield tmp_path
    close_pools()


@pytest.fixture
def instance(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(dagster_home)) as made:
        yield made
