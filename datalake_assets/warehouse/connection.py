"""One connection to Redshift: statements, transactions, and what its errors mean to the platform."""

import logging
import struct
import traceback
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from datalake_assets.accounts.secrets import WarehouseSecret
from datalake_assets.errors import (
    AccessDenied,
    ConcurrentChange,
    ConfigurationError,
    PlatformError,
    StatementFailed,
    Unavailable,
)

log = logging.getLogger(__name__)

CONNECT_SECONDS = 15
# A COPY may be silent for long: a dead peer is found by keepalive, a living one is given this much time.
STATEMENT_SECONDS = 3600
KEEPALIVE_IDLE_SECONDS = 60  # load balancers in front of Redshift forget a silent connection after 350 s
KEEPALIVE_INTERVAL_SECONDS = 15
KEEPALIVE_PROBES = 4

# Serialization failure, deadlock, lock not available; then schema, table, column or a catalog row that exists already:
# our DDL looks first, so another session made it meanwhile.
CONCURRENT_STATES = {"40001", "40P01", "55P03", "42P06", "42P07", "42701", "42710", "23505"}
# Redshift numbers its isolation errors: 1023 a serializable violation, 1018 a table replaced meanwhile.
CONCURRENT_MESSAGES = ("1023", "1018", "tuple concurrently updated")
UNAVAILABLE_STATES = {"57P01", "57P02", "57P03", "53300"}


@dataclass(frozen=True, slots=True)
class AnswerColumn:
    """A column of a query's rows: PostgreSQL's number of its type, and the type's modifier (-1 without)."""

    name: str
    type_oid: int
    modifier: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of a query, and the number of rows that a statement touched (-1 where Redshift does not say)."""

    rows: list[tuple[Any, ...]]
    row_count: int
    columns: tuple[AnswerColumn, ...] = ()


class WarehouseConnection:
    """A connection that commits each statement by itself outside `transaction()`.

    Not safe to share between threads. After an `Unavailable` it is of no more use: connect again.
    """

    def __init__(self, raw: Any, where: str) -> None:
        self._raw = raw
        self._raw.autocommit = True
        self.where = where
        # The tables that were found as declared: looking at their columns again costs more than a small load.
        self.prepared: set[Hashable] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; closing one that is broken or closed is no error."""
        from redshift_connector.error import Error

        try:
            self._raw.close()
        except (Error, OSError):
            log.debug("the connection to %s was closed already", self.where)

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Answer:
        """Run one statement with `%s` for each parameter.

        Raises:
            StatementFailed: Redshift refused it; the message has the SQLSTATE.
            ConcurrentChange: it lost against another transaction; the whole transaction is worth another try.
            AccessDenied: the user may not do this.
            Unavailable: the connection is lost; what an open transaction did is undone.
        """
        with self._errors(sql):
            cursor = self._raw.cursor()
            try:
                cursor.execute(sql, tuple(parameters) or None)
                rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
                return Answer(rows, cursor.rowcount, _columns(cursor))
            finally:
                cursor.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block does, or undo all of it if the block raises.

        If the connection breaks during the commit itself, nobody can tell whether it happened: `Unavailable` is
        raised, and the load ledger tells the next attempt.
        """
        self.execute("BEGIN")
        try:
            yield
            self.execute("COMMIT")  # it can lose against another transaction too
        except BaseException:
            try:
                self.execute("ROLLBACK")
            except Unavailable:
                log.debug("no rollback: %s has dropped the connection and the transaction with it", self.where)
            raise

    @contextmanager
    def _errors(self, sql: str) -> Iterator[None]:
        from redshift_connector.error import Error

        try:
            yield
        except Error as error:
            raise statement_error(error, where=self.where, sql=sql) from error
        except (OSError, struct.error) as error:  # struct.error: the answer broke off within a message's head
            raise _lost(self.where, error) from error


def connect(secret: WarehouseSecret) -> WarehouseConnection:
    """Connect to the warehouse.

    Raises:
        Unavailable: nothing answers at the secret's host and port, or it broke off.
        AccessDenied: user or password is wrong.
        ConfigurationError: there is no such database.
    """
    import redshift_connector
    from redshift_connector.error import Error

    where = f"{secret.host}:{secret.port}/{secret.dbname}"
    try:
        raw = redshift_connector.connect(
            host=secret.host,
            port=secret.port,
            database=secret.dbname,
            user=secret.username,
            password=secret.password.get_secret_value(),
            ssl=secret.ssl,
            timeout=CONNECT_SECONDS,
            application_name="datalake",
            tcp_keepalive=True,
            tcp_keepalive_idle=KEEPALIVE_IDLE_SECONDS,
            tcp_keepalive_interval=KEEPALIVE_INTERVAL_SECONDS,
            tcp_keepalive_count=KEEPALIVE_PROBES,
        )
    except Error as error:
        _close_socket(error)
        raise statement_error(error, where=where, sql="connect") from error
    except (OSError, struct.error) as error:
        _close_socket(error)
        raise _lost(where, error) from error
    # The driver has one time-out for connecting and for every later answer, and no way to set the second alone.
    raw._usock.settimeout(STATEMENT_SECONDS)
    return WarehouseConnection(raw, where)


def statement_error(error: Exception, *, where: str, sql: str) -> PlatformError:
    """Return what a driver's error means: its SQLSTATE decides, its text is kept."""
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else None
    if fields is None:  # the driver's own: refused, reset, timed out, closed
        return _lost(where, error)
    state, message = fields.get("C", "?????"), fields.get("M", "no message")
    if detail := fields.get("D"):
        message += f" ({' '.join(detail.split())[:500]})"
    told = f"{message}, SQLSTATE {state}"
    if state in CONCURRENT_STATES or message.startswith(CONCURRENT_MESSAGES):
        return ConcurrentChange(f"another transaction was in the way: {told}", where=where)
    if state.startswith("28"):
        return AccessDenied(f"the warehouse refuses the login: {told}", where=where, todo="Mend the warehouse's secret")
    if state == "42501":
        return AccessDenied(told, where=where, todo="Grant the warehouse's user the right that is missing")
    if state == "3D000":
        return ConfigurationError(told, where=where, todo="Mend `dbname` in the warehouse's secret")
    if state.startswith("08") or state in UNAVAILABLE_STATES:
        return Unavailable(told, where=where, todo="Run it again once the warehouse is back")
    return StatementFailed(f"{told}, in: {' '.join(sql.split())[:300]}", where=where)


def _columns(cursor: Any) -> tuple[AnswerColumn, ...]:
    # `description` lacks the modifier, which holds the precision and scale of a decimal.
    found = (cursor.ps or {}).get("row_desc", ())
    return tuple(AnswerColumn(each["label"].decode(), each["type_oid"], each["type_modifier"]) for each in found)


def _close_socket(error: Exception) -> None:
    """Close what a failed login left open: the driver raises from its constructor and keeps the socket."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if opened := getattr(frame.f_locals.get("self"), "_usock", None):
            opened.close()


def _lost(where: str, error: Exception) -> Unavailable:
    causes = [text for text in (str(part) for part in error.args) if text] or [type(error).__name__]
    return Unavailable(
        f"the warehouse does not answer ({': '.join(causes)})",
        where=where,
        todo="Check that it is running and that host and port of the warehouse's secret are right, then run it again: "
        "nothing was loaded by halves",
    )
