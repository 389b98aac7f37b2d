"""The deployed dagster.yaml against a real PostgreSQL: it works, reuses connections and survives a lost one."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
from dagster._core.instance.ref import InstanceRef
from dagster._core.run_coordinator import QueuedRunCoordinator

from datalake_assets.components.words.run import AT_ONCE_TAG, MOST_AT_ONCE
from datalake_assets.errors import ConfigurationError
from datalake_assets.eventlog.run_queue import default_limit, tag_limits
from datalake_assets.eventlog.storage import (
    POOL_SIZE,
    TABLES_LOCK,
    PooledEventLogStorage,
    PooledScheduleStorage,
    close_pools,
    shared_engine,
)


@dg.asset
def numbers() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"dagster/row_count": 3})


def backends(url: str, state: str = "%") -> list[tuple[int, str]]:
    """Process id and last statement of this database's other connections."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        rows = connection.execute(
            sqlalchemy.text(
                "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        return [(row.pid, row.query) for row in rows]


def statements(url: str, work: Callable[[], object]) -> list[str]:
    """The statements that the shared pool sends while `work` runs."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    engine = shared_engine(url)
    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", note)
    return sent


def test_a_run_is_stored_and_read_back(instance: dg.DagsterInstance) -> None:
    result = dg.materialize([numbers], instance=instance)

    assert result.success
    assert instance.get_run_by_id(result.run_id).status == dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]
    event = instance.get_latest_materialization_event(dg.AssetKey("numbers"))
    assert event is not None
    assert event.run_id == result.run_id


def test_the_instance_is_configured_as_deployed(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(instance.event_log_storage, PooledEventLogStorage)
    coordinator = instance.run_coordinator
    assert isinstance(coordinator, QueuedRunCoordinator)
    assert coordinator.get_run_queue_config().max_concurrent_runs == default_limit()
    assert coordinator.dequeue_interval_seconds == 1
    limits = coordinator.get_run_queue_config().tag_concurrency_limits
    assert limits == tag_limits()
    assert {each["key"]: each["limit"] for each in limits} == {
        AT_ONCE_TAG.format(limit=limit): limit for limit in range(1, MOST_AT_ONCE + 1)
    }
    assert instance.run_retries_enabled
    assert not instance.run_retries_retry_on_asset_or_op_failure
    assert instance.run_monitoring_enabled
    assert not instance.telemetry_enabled
    assert instance.get_sensor_settings()["num_workers"] == 32  # type: ignore[attr-defined]


def test_many_queries_share_a_few_connections(instance: dg.DagsterInstance, empty_database_url: str) -> None:
    dg.materialize([numbers], instance=instance)
    before = {pid for pid, _ in backends(empty_database_url)}
    for _ in range(20):
        instance.get_runs()
        instance.all_asset_keys()
    after = {pid for pid, _ in backends(empty_database_url)}

    assert after == before
    assert len(after) <= POOL_SIZE


def test_a_second_instance_of_the_process_opens_no_connection(
    instance: dg.DagsterInstance, dagster_home: Path, empty_database_url: str
) -> None:
    instance.get_runs()
    before = {pid for pid, _ in backends(empty_database_url)}
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(dagster_home))) as second:
        second.get_runs()
        assert {pid for pid, _ in backends(empty_database_url)} == before
    instance.get_runs()


def test_the_columns_of_the_asset_table_are_looked_up_once(
    instance: dg.DagsterInstance, empty_database_url: str
) -> None:
    dg.materialize([numbers], instance=instance)
    instance.get_asset_records()

    sent = statements(empty_database_url, lambda: [instance.get_asset_records() for _ in range(5)])

    assert sent
    assert not [each for each in sent if "pg_catalog" in each]


def test_a_connection_that_the_server_closed_is_replaced(instance: dg.DagsterInstance, empty_database_url: str) -> None:
    instance.get_runs()
    killer = sqlalchemy.create_engine(empty_database_url, poolclass=sqlalchemy.NullPool)
    with killer.connect() as connection:
        connection.execute(
            sqlalchemy.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )

    assert instance.get_runs() == []


def test_the_tables_are_made_again_for_a_database_that_was_recreated(
    dagster_home: Path, empty_database_url: str
) -> None:
    with dg.DagsterInstance.from_config(str(dagster_home)) as first:
        first.get_runs()
    engine = sqlalchemy.create_engine(empty_database_url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP SCHEMA public CASCADE"))
        connection.execute(sqlalchemy.text("CREATE SCHEMA public"))
    close_pools()

    with dg.DagsterInstance.from_config(str(dagster_home)) as second:
        assert second.get_runs() == []


@pytest.mark.parametrize(("text", "limit"), [("5", 5), ("1", 1)])
def test_the_environment_sets_how_many_runs_go_at_once(text: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATALAKE_MAX_CONCURRENT_RUNS", text)

    assert default_limit() == limit


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_a_wrong_number_of_runs_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATALAKE_MAX_CONCURRENT_RUNS", text)

    with pytest.raises(ConfigurationError, match="DATALAKE_MAX_CONCURRENT_RUNS"):
        default_limit()


def test_without_a_setting_there_are_at_least_two_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATALAKE_MAX_CONCURRENT_RUNS", raising=False)

    assert default_limit() >= 2


def test_a_process_waits_for_another_that_makes_the_tables(empty_database_url: str) -> None:
    close_pools()
    engine = sqlalchemy.create_engine(empty_database_url, poolclass=sqlalchemy.NullPool)
    waiting_for_us = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'instigators'"

    def make() -> None:
        PooledScheduleStorage.from_config_value(
            None, {"postgres_url": empty_database_url, "should_autocreate_tables": True}
        )

    with engine.connect() as other, ThreadPoolExecutor(1) as pool:
        other.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": TABLES_LOCK})
        made = pool.submit(make)
        deadline = time.monotonic() + 30
        while not other.execute(sqlalchemy.text(waiting_for_us)).scalar_one():
            assert not made.done(), "the tables were made although another process is making them"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert other.execute(sqlalchemy.text(tables)).scalar_one() == 0
        other.execute(sqlalchemy.text("SELECT pg_advisory_unlock(:key)"), {"key": TABLES_LOCK})
        made.result(timeout=60)
        assert other.execute(sqlalchemy.text(tables)).scalar_one() == 1
