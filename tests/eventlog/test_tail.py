"""The tail misses nothing and repeats nothing, whatever order events become visible in."""

import time
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, JobFailureData, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from hypothesis import given, settings
from hypothesis import strategies as st

from datalake_assets.eventlog import tail
from datalake_assets.eventlog.tail import MATERIALIZED, RUN_FAILED, Materialized, RunChanged, read_news

LONG = 10 * 365 * 86400


@pytest.fixture
def memory() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def materialize(instance: dg.DagsterInstance, key: str, partition: str | None = None) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(asset_key=key, partition=partition))


def keys(news: tail.News) -> list[tuple[str, str | None]]:
    return [(each.asset_key.to_user_string(), each.partition) for each in news.events if isinstance(each, Materialized)]


class LateStorage:
    """An event log whose events become visible in any order, as with transactions that commit late."""

    def __init__(self) -> None:
        self.visible: dict[int, EventLogEntry] = {}

    def commit(self, *ids: int, at: float | None = None) -> None:
        for each in ids:
            event = DagsterEvent(
                event_type_value="ASSET_MATERIALIZATION",
                job_name="job",
                event_specific_data=StepMaterializationData(dg.AssetMaterialization(asset_key=f"asset_{each}")),
            )
            self.visible[each] = EventLogEntry(
                error_info=None, level=20, user_message="", run_id="run", timestamp=at or time.time(),
                dagster_event=event,
            )  # fmt: skip

    def get_maximum_record_id(self) -> int | None:
        return max(self.visible, default=None)

    def get_logs_for_all_runs_by_log_id(
        self, after_cursor: int = -1, dagster_event_type: Any = None, limit: int | None = None
    ) -> Mapping[int, EventLogEntry]:
        found = [each for each in sorted(self.visible) if each > after_cursor]
        return {each: self.visible[each] for each in found[:limit]}


def late() -> tuple[LateStorage, Any]:
    storage = LateStorage()
    return storage, SimpleNamespace(event_log_storage=storage)


def ids(news: tail.News) -> list[int]:
    return [each.storage_id for each in news.events]


def test_the_first_reading_looks_back(memory: dg.DagsterInstance) -> None:
    materialize(memory, "before_the_first_tick")

    assert keys(read_news(memory, None, MATERIALIZED)) == [("before_the_first_tick", None)]


def test_what_is_older_than_the_look_back_is_history() -> None:
    storage, instance = late()
    storage.commit(*range(1, 100), at=time.time() - 7200)
    storage.commit(*range(100, 110), at=time.time() - 60)

    first = read_news(instance, None, MATERIALIZED, look_back_seconds=3600)
    storage.commit(110)
    second = read_news(instance, first.cursor, MATERIALIZED)

    assert ids(first) == list(range(100, 110))
    assert ids(second) == [110]


def test_an_empty_log_has_no_news(memory: dg.DagsterInstance) -> None:
    news = read_news(memory, None, MATERIALIZED)

    assert list(news.events) == []
    assert not news.has_more


def test_each_event_is_told_once(memory: dg.DagsterInstance) -> None:
    materialize(memory, "flights", "2013-01-01")
    first = read_news(memory, None, MATERIALIZED)
    materialize(memory, "flights", "2013-01-02")
    second = read_news(memory, first.cursor, MATERIALIZED)
    third = read_news(memory, second.cursor, MATERIALIZED)

    assert keys(first) == [("flights", "2013-01-01")]
    assert keys(second) == [("flights", "2013-01-02")]
    assert keys(third) == []


def test_an_event_that_commits_after_a_later_one_is_not_missed() -> None:
    storage, instance = late()
    storage.commit(1, 2, 5)
    first = read_news(instance, None, MATERIALIZED)
    storage.commit(4)
    second = read_news(instance, first.cursor, MATERIALIZED)
    storage.commit(3, 6)
    third = read_news(instance, second.cursor, MATERIALIZED)

    assert [ids(first), ids(second), ids(third)] == [[1, 2, 5], [4], [3, 6]]


def test_a_first_event_that_commits_late_is_not_missed() -> None:
    storage, instance = late()
    storage.commit(7)
    first = read_news(instance, None, MATERIALIZED)
    storage.commit(6)

    assert ids(read_news(instance, first.cursor, MATERIALIZED)) == [6]


def test_a_long_backlog_is_read_in_bounded_bites() -> None:
    storage, instance = late()
    storage.commit(*range(1, 5_001))
    cursor, seen, bites = None, [], 0
    while True:
        news = read_news(instance, cursor, MATERIALIZED, limit=700)
        assert len(news.events) <= 700
        cursor, bites = news.cursor, bites + 1
        seen += ids(news)
        if not news.has_more:
            break

    assert seen == list(range(1, 5_001))
    assert bites == 8


def test_the_cursor_stays_small_whatever_it_saw() -> None:
    storage, instance = late()
    storage.commit(*range(1, 40_000, 2))
    cursor = None
    while (news := read_news(instance, cursor, MATERIALIZED, limit=5_000)).has_more:
        cursor = news.cursor

    assert len(news.cursor) < 20_000


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 400), unique=True, max_size=120),
    st.lists(st.integers(0, 120), max_size=12),
    st.integers(1, 40),
)
def test_any_order_of_commits_is_told_completely_and_once(order: list[int], cuts: list[int], limit: int) -> None:
    storage, instance = late()
    storage.commit(*order[:1])
    told: list[int] = []
    cursor = None
    for cut in [*sorted(cuts), len(order)]:
        storage.commit(*(each for each in order[:cut] if each not in storage.visible))
        while True:
            news = read_news(instance, cursor, MATERIALIZED, limit=limit, look_back_seconds=LONG)
            cursor = news.cursor
            told += ids(news)
            if not news.has_more:
                break
    assert sorted(told) == sorted(order)


def test_a_failed_run_is_told_with_its_job_and_tags(memory: dg.DagsterInstance) -> None:
    @dg.op
    def fail() -> None:
        raise ValueError("broken")

    @dg.job(tags={"datalake/owner": "team:core"})
    def pipeline() -> None:
        fail()

    result = pipeline.execute_in_process(instance=memory, raise_on_error=False)
    [event] = read_news(memory, None, RUN_FAILED).events

    assert isinstance(event, RunChanged)
    assert (event.run_id, event.status, event.job) == (result.run_id, "FAILED", "pipeline")
    assert event.tags["datalake/owner"] == "team:core"


def test_a_run_that_took_too_long_is_told_apart(memory: dg.DagsterInstance) -> None:
    run = memory.create_run_for_job(dg.GraphDefinition(name="slow").to_job())
    memory.report_run_failed(run, "Exceeded maximum runtime of 60 seconds.", JobFailureData(error=None))
    [event] = read_news(memory, None, RUN_FAILED).events

    assert isinstance(event, RunChanged)
    assert event.status == "TIMED_OUT"


def test_it_reads_postgresql(instance: dg.DagsterInstance) -> None:
    materialize(instance, "flights", "2013-01-01")
    first = read_news(instance, None, MATERIALIZED)
    materialize(instance, "weather")
    second = read_news(instance, first.cursor, MATERIALIZED)

    assert keys(first) == [("flights", "2013-01-01")]
    assert keys(second) == [("weather", None)]
