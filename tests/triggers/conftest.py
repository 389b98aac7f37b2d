"""A Dagster instance as deployed, on a PostgreSQL of its own, and a world of pipelines on it."""

import dagster as dg
import pytest

from tests.database.conftest import empty_database_url, postgres_server
from tests.eventlog.conftest import dagster_home, instance
from tests.triggers.world import World

__all__ = ["dagster_home", "empty_database_url", "instance", "postgres_server"]


@pytest.fixture
def world(instance: dg.DagsterInstance) -> World:
    return World(instance)
