"""A throw-away PostgreSQL server for the tests of what the platform database holds."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

if TYPE_CHECKING:
    from datalake_assets.sandbox.postgres import Postgres


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running server as its superuser, without a database name at its end.

    It is the sandbox's PostgreSQL without the rest of the sandbox, which most of these tests have no use for.
    """
    from datalake_assets.sandbox.ports import free_ports
    from datalake_assets.sandbox.postgres import start_postgres
    from datalake_assets.sandbox.state import StateFolder
    from datalake_assets.sandbox.supervisor import Supervisor

    state = StateFolder(tmp_path_factory.mktemp("postgres") / "state")
    state.create()
    state.lock()
    with Supervisor() as supervisor:
        server, _ = start_postgres(supervisor, state, free_ports(1)[0])
        yield _superuser_url(server)
    state.unlock()
    state.delete()  # root's PostgreSQL keeps its data elsewhere than in pytest's folder


def _superuser_url(server: "Postgres") -> str:
    return f"postgresql+psycopg2://postgres:{server.passwords['postgres']}@127.0.0.1:{server.port}"


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """A database of its own for one test, without tables."""
    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(f"{postgres_server}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield f"{postgres_server}/{name}"
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
