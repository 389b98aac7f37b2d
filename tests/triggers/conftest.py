"""A Dagster instance as deployed, on a PostgreSQL of its own, and a world of pipelines on it."""

import shutil
import uuid
from collections.abc import Iterator

import dagster as dg
import pytest
import sqlalchemy

from datalake_assets.eventlog.storage import close_pools, shared_engine
from tests.database.conftest import empty_database_url, postgres_server
from tests.eventlog.conftest import DEPLOYED, dagster_home
from tests.triggers.world import World

__all__ = ["dagster_home", "empty_database_url", "postgres_server"]


@pytest.fixture(scope="session")
def shared_instance(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> Iterator[tuple[dg.DagsterInstance, str]]:
    """An instance and its database: making the tables takes longer than most of these tests."""
    home = tmp_path_factory.mktemp("dagster_home")
    name = f"test_{uuid.uuid4().hex}"
    admin = sqlalchemy.create_engine(f"{postgres_server}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url = f"{postgres_server}/{name}"
    shutil.copy(DEPLOYED, home / "dagster.yaml")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATALAKE_DAGSTER_DATABASE_URL", url)
        environment.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.from_config(str(home)) as made:
            yield made, url
    close_pools()


@pytest.fixture
def world(shared_instance: tuple[dg.DagsterInstance, str]) -> World:
    """A world in which nothing has happened."""
    instance, url = shared_instance
    with shared_engine(url).connect() as connection:
        connection.execute(sqlalchemy.text("TRUNCATE event_logs, asset_keys, runs, run_tags RESTART IDENTITY CASCADE"))
    return World(instance)
