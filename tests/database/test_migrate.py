import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, make_url, text

from datalake_assets.database.engine import engine, transaction
from datalake_assets.database.migrate import migrate
from datalake_assets.database.tables import metadata
from datalake_assets.errors import AccessDenied, ConcurrentChange, ConfigurationError, Unavailable


def test_the_migrations_make_exactly_the_tables_that_the_code_declares(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with engine(empty_database_url).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []


def test_migrating_again_changes_nothing(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with transaction(engine(empty_database_url)) as connection:
        connection.execute(text("INSERT INTO alert_outbox (dedup_key, payload) VALUES ('a', '{}')"))
    migrate(empty_database_url)
    with transaction(engine(empty_database_url)) as connection:
        assert connection.execute(text("SELECT count(*) FROM alert_outbox")).scalar_one() == 1


def test_two_migrations_at_once_end_with_one_set_of_tables(empty_database_url: str) -> None:
    # Threads of one process share Alembic's module-level proxies: real callers are processes, and so are these.
    import subprocess
    import sys

    program = "import sys; from datalake_assets.database.migrate import migrate; migrate(sys.argv[1])"
    with ThreadPoolExecutor(2) as pool:
        results = list(
            pool.map(
                lambda _: subprocess.run(
                    [sys.executable, "-c", program, empty_database_url], capture_output=True, text=True
                ),
                range(2),
            )
        )
    assert [(result.returncode, result.stderr) for result in results] == [(0, "")] * 2
    assert set(metadata.tables) < set(inspect(engine(empty_database_url)).get_table_names())


def test_a_failed_transaction_leaves_nothing_behind(empty_database_url: str) -> None:
    migrate(empty_database_url)

    def insert_and_fail() -> None:
        with transaction(engine(empty_database_url)) as connection:
            connection.execute(text("INSERT INTO alert_outbox (dedup_key, payload) VALUES ('a', '{}')"))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        insert_and_fail()
    with transaction(engine(empty_database_url)) as connection:
        assert connection.execute(text("SELECT count(*) FROM alert_outbox")).scalar_one() == 0


def test_a_stopped_server_is_unavailable_and_the_message_hides_the_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"postgresql+psycopg2://datalake:hunter2@127.0.0.1:{taken.getsockname()[1]}/platform"
        with pytest.raises(Unavailable, match="does not answer") as caught, transaction(engine(url)):
            pass
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).count("Is the server running") == 1


def test_a_wrong_password_is_access_denied(empty_database_url: str) -> None:
    with (
        pytest.raises(AccessDenied),
        transaction(engine(make_url(empty_database_url).set(password="wrong").render_as_string(hide_password=False))),
    ):
        pass


def test_a_database_without_tables_says_to_migrate(empty_database_url: str) -> None:
    with (
        pytest.raises(ConfigurationError, match="Migrate the platform database"),
        transaction(engine(empty_database_url)) as connection,
    ):
        connection.execute(text("SELECT * FROM arrival_object"))


def test_a_database_that_does_not_exist_is_a_configuration_error(empty_database_url: str) -> None:
    with pytest.raises(ConfigurationError), transaction(engine(empty_database_url + "_other")):
        pass


def test_a_deadlock_is_a_concurrent_change(empty_database_url: str) -> None:
    import threading

    migrate(empty_database_url)
    of = engine(empty_database_url)
    with transaction(of) as connection:
        connection.execute(text("INSERT INTO alert_outbox (dedup_key, payload) VALUES ('a', '{}'), ('b', '{}')"))
    both_hold_one = threading.Barrier(2)
    caught: list[ConcurrentChange] = []

    def update(first: str, second: str) -> None:
        statement = text("UPDATE alert_outbox SET attempts = attempts + 1 WHERE dedup_key = :key")
        try:
            with transaction(of) as connection:
                connection.execute(statement, {"key": first})
                both_hold_one.wait(20)
                connection.execute(statement, {"key": second})
        except ConcurrentChange as error:
            caught.append(error)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(update, "ab", "ba"))
    assert len(caught) == 1
