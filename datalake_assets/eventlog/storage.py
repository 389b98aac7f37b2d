"""Dagster's PostgreSQL storage with a small connection pool, as `deploy/dagster.yaml` names it.

The shipped classes open a connection for each query and look up the columns of a table before each query of assets and
of runs; with hundreds of pipelines that was three quarters of the database's work. Here all storages of a process share
one pool, which also outlives a Dagster instance: a code server makes an instance for every sensor tick.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Self

from dagster._core.storage.event_log import AssetKeyTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config, retry_pg_connection_fn

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

POOL_SIZE = 3
# The daemon's threads may all ask at once; what exceeds the pool is closed again when it is given back.
MAX_OVERFLOW = 40
RECYCLE_SECONDS = 600
TABLES_LOCK = 0x6461677374657200  # an advisory lock of our own, made of letters of "dagster"

_lock = threading.Lock()
# By process id, because a connection must never be used on both sides of a fork.
_engines: dict[tuple[int, str], "Engine"] = {}
_prepared: set[tuple[type, str]] = set()
_asset_columns: dict[str, frozenset[str]] = {}
_run_columns: set[tuple[str, str]] = set()


def shared_engine(url: str) -> "Engine":
    """Return this process's engine for a database, made at the first call; nothing connects before it is used."""
    with _lock:
        key = (os.getpid(), url)
        if key not in _engines:
            _engines[key] = create_pg_engine(
                url,
                isolation_level="AUTOCOMMIT",
                pool_size=POOL_SIZE,
                max_overflow=MAX_OVERFLOW,
                pool_recycle=RECYCLE_SECONDS,
                # A restarted database must not fail the next step of a run: asking costs a tenth of a millisecond.
                pool_pre_ping=True,
            )
        return _engines[key]


def close_pools() -> None:
    """Close every idle connection of this process and forget what was learnt about its databases."""
    with _lock:
        for engine in _engines.values():
            engine.dispose()
        _engines.clear()
        _prepared.clear()
        _asset_columns.clear()
        _run_columns.clear()


@contextmanager
def _one_at_a_time(url: str) -> Iterator[None]:
    """Let one process after the other see whether the tables are there and make them.

    Code servers, daemon and webserver start together; on an empty database each found no table and all but one failed.
    """
    from sqlalchemy import text

    connection = retry_pg_connection_fn(shared_engine(url).connect)
    with connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": TABLES_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": TABLES_LOCK})


def _build(
    make: Callable[..., Any], storage: type, inst_data: ConfigurableClassData | None, config: Mapping[str, Any]
) -> Any:
    """Make a storage on the shared pool, creating its tables only once per process.

    Each construction of a shipped storage opens a connection to see whether its tables are there.
    """
    url = pg_url_from_config(config)
    create = bool(config.get("should_autocreate_tables", True)) and (storage, url) not in _prepared
    with _one_at_a_time(url) if create else nullcontext():
        made = make(postgres_url=url, should_autocreate_tables=create, inst_data=inst_data)
    made._engine = shared_engine(url)
    with _lock:
        _prepared.add((storage, url))
    return made


class PooledRunStorage(PostgresRunStorage):
    """Runs, tags and daemon heartbeats in PostgreSQL, over the process's shared pool."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Make the storage that dagster.yaml describes (`postgres_url` or `postgres_db`)."""
        made: Self = _build(cls, PooledRunStorage, inst_data, config_value)
        return made

    def has_run_stats_index_cols(self) -> bool:
        """Tell whether runs have their times in columns; asked before each reading of runs, so only until a yes."""
        return self._is_known("times", super().has_run_stats_index_cols)

    def has_backfill_id_column(self) -> bool:
        """Tell whether runs have their backfill in a column."""
        return self._is_known("backfill", super().has_backfill_id_column)

    def _is_known(self, what: str, ask: Callable[[], bool]) -> bool:
        if (self.postgres_url, what) in _run_columns:
            return True
        if ask():
            _run_columns.add((self.postgres_url, what))
            return True
        return False


class PooledScheduleStorage(PostgresScheduleStorage):
    """Ticks and cursors of schedules and sensors in PostgreSQL, over the process's shared pool."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Make the storage that dagster.yaml describes (`postgres_url` or `postgres_db`)."""
        made: Self = _build(cls, PooledScheduleStorage, inst_data, config_value)
        return made


class PooledEventLogStorage(PostgresEventLogStorage):
    """The event log in PostgreSQL, over the process's shared pool; the asset table's columns are read once."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Make the storage that dagster.yaml describes (`postgres_url` or `postgres_db`)."""
        made: Self = _build(cls, PooledEventLogStorage, inst_data, config_value)
        return made

    def has_asset_key_col(self, column_name: str) -> bool:
        """Tell whether the asset table has a column, asking the database only until the first yes."""
        return column_name in self._known_columns() or super().has_asset_key_col(column_name)

    def _has_asset_key_col_on_connection(self, conn: "Connection", column_name: str) -> bool:
        if column_name in self._known_columns():
            return True
        import sqlalchemy

        found = frozenset(str(column["name"]) for column in sqlalchemy.inspect(conn).get_columns(AssetKeyTable.name))
        # Only what is there is believed later: a migration adds columns and never takes one away.
        _asset_columns[self.postgres_url] = found
        return column_name in found

    def _known_columns(self) -> frozenset[str]:
        return _asset_columns.get(self.postgres_url, frozenset())
