import socket
from typing import Any

import pytest

from datalake_assets.accounts.secrets import WarehouseSecret
from datalake_assets.errors import (
    AccessDenied,
    ConcurrentChange,
    ConfigurationError,
    PlatformError,
    StatementFailed,
    Unavailable,
)
from datalake_assets.sandbox.redshift.server import Gateway
from datalake_assets.warehouse.connection import WarehouseConnection, connect, statement_error
from tests.warehouse.conftest import secret_of


def test_parameters_are_values_and_never_sql(connection: WarehouseConnection) -> None:
    text = 'it\'s "100%"; drop table x; --'
    assert connection.execute("SELECT CAST(%s AS varchar), CAST(%s AS bigint)", (text, None)).rows == [(text, None)]


def test_a_wrong_password_is_told_without_the_password(gateway: Gateway) -> None:
    with pytest.raises(AccessDenied, match=rf"127\.0\.0\.1:{gateway.port}.*refuses the login") as caught:
        connect(secret_of(gateway.port, password="wr0ng-secret"))
    assert "wr0ng-secret" not in str(caught.value)


def test_a_database_that_is_not_there_points_to_the_secret(gateway: Gateway) -> None:
    with pytest.raises(ConfigurationError, match="dbname"):
        connect(secret_of(gateway.port, dbname="no_such_database"))


def test_a_stopped_warehouse_says_where_it_was_expected() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{port}/warehouse: the warehouse does not answer"):
            connect(secret_of(port))


def test_a_host_without_a_name_is_unavailable_too() -> None:
    with pytest.raises(Unavailable, match=r"warehouse\.invalid:5439"):
        connect(secret_of(5439, host="warehouse.invalid"))


def test_a_refused_statement_keeps_its_sqlstate_and_its_text(connection: WarehouseConnection) -> None:
    with pytest.raises(StatementFailed, match=r"SQLSTATE 42P01, in: SELECT 1 FROM no_such_table"):
        connection.execute("SELECT 1\n FROM no_such_table")
    assert connection.execute("SELECT 1").rows == [(1,)]


def test_a_transaction_that_raises_leaves_nothing(connection: WarehouseConnection) -> None:
    connection.execute("CREATE TABLE public.things (n int)")
    try:
        with pytest.raises(StatementFailed), connection.transaction():
            _insert_and_fail(connection)
        assert connection.execute("SELECT count(*) FROM public.things").rows == [(0,)]
    finally:
        connection.execute("DROP TABLE public.things")


def _insert_and_fail(connection: WarehouseConnection) -> None:
    connection.execute("INSERT INTO public.things VALUES (1)")
    connection.execute("INSERT INTO public.things VALUES ('one')")


def test_a_closed_connection_can_be_closed_again(secret: WarehouseSecret) -> None:
    opened = connect(secret)
    opened.close()
    opened.close()
    with pytest.raises(Unavailable):
        opened.execute("SELECT 1")


@pytest.mark.parametrize(
    ("state", "message", "kind"),
    [
        ("40001", "could not serialize access", ConcurrentChange),
        ("XX000", "1023", ConcurrentChange),
        ("40P01", "deadlock detected", ConcurrentChange),
        ("57P01", "terminating connection", Unavailable),
        ("42501", "permission denied for schema lake", AccessDenied),
        ("22P02", "invalid input syntax", StatementFailed),
    ],
)
def test_the_sqlstate_decides_whether_another_try_helps(state: str, message: str, kind: type[PlatformError]) -> None:
    from redshift_connector.error import ProgrammingError

    fields: dict[str, Any] = {"C": state, "M": message, "D": "Serializable isolation violation on table - 1"}
    error = statement_error(ProgrammingError(fields), where="host:5439/dev", sql="SELECT 1")
    assert type(error) is kind
    assert "Serializable isolation" in str(error)
