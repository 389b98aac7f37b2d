"""Connections to the platform database, with failures that say what to do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from datalake_assets.errors import (
    AccessDenied,
    ConcurrentChange,
    ConfigurationError,
    PlatformError,
    Unavailable,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.exc import DBAPIError

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 120

_engines: dict[str, "Engine"] = {}
_lock = threading.Lock()

# SQLSTATEs of PostgreSQL, appendix A: serialization_failure, deadlock_detected, lock_not_available.
_CONCURRENT = {"40001", "40P01", "55P03"}
_UNDEFINED = {"42P01", "42703"}  # undefined_table, undefined_column
_DENIED = {"28P01", "28000", "42501"}  # invalid_password, invalid_authorization, insufficient_privilege


def engine(url: str | None = None) -> "Engine":
    """Return this process's engine for the platform database, or for another one by its URL.

    Nothing connects before the first statement. The pool is small, because every code server and run has its own, and
    it tests a connection before it hands it out, so that a restarted server is not noticed.

    Raises:
        ConfigurationError: no URL was given and the environment names none.
    """
    from sqlalchemy import create_engine

    if url is None:
        from datalake_assets.accounts.settings import settings

        url = settings().database_url
    with _lock:
        if url not in _engines:
            _engines[url] = create_engine(
                url,
                pool_size=2,
                max_overflow=3,
                pool_pre_ping=True,
                pool_timeout=15,
                connect_args={
                    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
                    "application_name": "datalake",
                    "options": f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS * 1000} -c timezone=UTC",
                    "keepalives_idle": 30,
                },
            )
        return _engines[url]


@contextmanager
def transaction(of: "Engine") -> "Iterator[Connection]":
    """One transaction: committed at the end, rolled back by any exception.

    Raises:
        Unavailable: the server does not answer or went away.
        ConcurrentChange: a deadlock or a serialization failure; the same call can be repeated.
        AccessDenied: the user or password is wrong, or the user lacks a right.
        ConfigurationError: a table is missing, or the URL cannot be used.
    """
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    try:
        with of.begin() as connection:
            yield connection
    except PoolTimeout as error:
        raise Unavailable("all connections to the platform database are in use", where=_place(of)) from error
    except DBAPIError as error:
        if (known := _as_platform_error(error, _place(of))) is None:
            raise
        raise known from error


def _place(of: "Engine") -> str:
    """Host, port and database of an engine, never its password."""
    return f"platform database {of.url.host}:{of.url.port or 5432}/{of.url.database}"


def _as_platform_error(error: "DBAPIError", where: str) -> PlatformError | None:
    """Return what a driver's failure means for the caller, or None for a mistake in our own statement."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    state = getattr(error.orig, "pgcode", None)
    text = " ".join(str(error.orig).split())
    # A refused login has no SQLSTATE in psycopg2: the connection that would carry it does not exist.
    if state in _DENIED or "authentication failed" in text:
        return AccessDenied(f"the database refuses the user: {text}", where=where, todo="Check DATALAKE_DATABASE_URL")
    if state == "3D000" or ("database" in text and "does not exist" in text):
        return ConfigurationError(text, where=where, todo="Check DATALAKE_DATABASE_URL")
    if state in _CONCURRENT:
        return ConcurrentChange(text, where=where)
    if state in _UNDEFINED:
        return ConfigurationError(
            f"the tables are not those of this version: {text}", where=where, todo="Migrate the platform database"
        )
    if isinstance(error, OperationalError | InterfaceError):
        # libpq asks the same in its own words.
        return Unavailable(
            f"the database does not answer: {text.partition(' Is the server running')[0]}",
            where=where,
            todo="Is the server running? `datalake sandbox status` says so for the sandbox",
        )
    return None
