"""Which failures are told, and how they read."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from datalake_assets.alerts.failures import RETRY_SECONDS, TAG_SECONDS, judge, read_failures
from datalake_assets.alerts.message import FailedRun, compose, compose_notice, shorten
from datalake_assets.errors import UnreadableObject

UI = "http://ui.example"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def fail(instance: dg.DagsterInstance, body: Callable[[], Any], **tags: str) -> str:
    @dg.op(name="ingest")
    def step() -> None:
        body()

    @dg.job(name="flights")
    def pipeline() -> None:
        step()

    return pipeline.execute_in_process(instance=instance, raise_on_error=False, tags=tags).run_id


def broken_gzip() -> None:
    try:
        gzip.decompress(b"not a gzip file")
    except gzip.BadGzipFile as error:
        raise UnreadableObject("not a gzip file", where="s3://raw/flights.csv.gz", todo="Upload it again") from error


def wrapped() -> None:
    try:
        {}["origin"]
    except KeyError as error:
        raise RuntimeError("transform failed") from error


def texts(instance: dg.DagsterInstance, cursor: str | None = None) -> list[str]:
    reading = read_failures(instance, cursor, ui_url=UI, now=time.time() + 60)
    return [note.payload["text"] for note in reading.notes]


def failed_run(**changes: Any) -> FailedRun:
    known = {
        "run_id": "1234", "job": "flights", "location": "flights", "status": "FAILED", "partition": "2013-01-03",
        "step": "ingest", "cause": "broken", "owner": "team:core", "reason": None, "attempts": 1, "ui_url": UI,
    }  # fmt: skip
    return FailedRun(**{**known, **changes})


def test_a_failed_run_is_told_once(instance: dg.DagsterInstance) -> None:
    run_id = fail(instance, broken_gzip)
    first = read_failures(instance, None, ui_url=UI, now=time.time() + 60)
    second = read_failures(instance, first.cursor, ui_url=UI, now=time.time() + 60)

    assert [note.dedup_key for note in first.notes] == [f"run_failed:{run_id}"]
    assert list(second.notes) == []


def test_a_run_that_succeeded_is_no_news(instance: dg.DagsterInstance) -> None:
    fail(instance, lambda: None)

    assert texts(instance) == []


def test_an_error_of_the_platform_is_the_cause_not_what_it_came_from(instance: dg.DagsterInstance) -> None:
    fail(instance, broken_gzip)

    [text] = texts(instance)
    assert text.endswith("UnreadableObject: s3://raw/flights.csv.gz: not a gzip file. Upload it again")


def test_otherwise_the_innermost_exception_is_the_cause(instance: dg.DagsterInstance) -> None:
    fail(instance, wrapped)

    [text] = texts(instance)
    assert text.endswith("KeyError: 'origin'")


def test_a_run_without_a_step_tells_its_message(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(dg.GraphDefinition(name="lost").to_job(), status=DagsterRunStatus.STARTED)
    instance.report_run_failed(run, "Run worker (pid 7) exited unexpectedly")

    [text] = texts(instance)
    assert text.endswith("Run worker (pid 7) exited unexpectedly")


def test_the_message_names_partition_step_owner_and_page(instance: dg.DagsterInstance) -> None:
    run_id = fail(instance, wrapped, **{"dagster/partition": "2013-01-03", "datalake/owner": "team:core"})
    [note] = read_failures(instance, None, ui_url=UI, now=time.time() + 60).notes

    shown = json.dumps(note.payload)
    for part in ("2013-01-03", "ingest", "team:core", f"{UI}/runs/{run_id}"):
        assert part in shown


def test_a_range_of_one_partition_is_that_partition(instance: dg.DagsterInstance) -> None:
    day, start, end = "2013-01-03", "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    fail(instance, wrapped, **{start: day, end: day})
    fail(instance, wrapped, **{start: day, end: "2013-01-05"})

    first, second = texts(instance)
    assert "partition 2013-01-03)" in first
    assert "partition 2013-01-03 to 2013-01-05)" in second


@pytest.mark.parametrize(
    ("tags", "enabled", "age", "verdict"),
    [
        ({}, False, 0, "alert"),
        ({WILL_RETRY_TAG: "false"}, True, 0, "alert"),
        ({WILL_RETRY_TAG: "true"}, True, 30, "wait"),
        ({WILL_RETRY_TAG: "true"}, True, RETRY_SECONDS, "alert"),
        ({WILL_RETRY_TAG: "true", AUTO_RETRY_RUN_ID_TAG: "next"}, True, RETRY_SECONDS, "retried"),
        ({}, True, TAG_SECONDS - 1, "wait"),
        ({}, True, TAG_SECONDS, "alert"),
    ],
)
def test_only_the_last_attempt_is_told(tags: dict[str, str], enabled: bool, age: float, verdict: str) -> None:
    assert judge(tags, retries_enabled=enabled, age_seconds=age) == verdict


class Retrying(dg.DagsterInstance):
    """Not an instance of its own: only the setting that in-memory instances lack."""

    run_retries_enabled = True


def test_a_promised_retry_that_never_comes_is_told_after_all(instance: dg.DagsterInstance) -> None:
    instance.__class__ = Retrying
    run_id = fail(instance, wrapped)
    instance.add_run_tags(run_id, {WILL_RETRY_TAG: "true"})
    held = read_failures(instance, None, ui_url=UI, now=time.time())
    told = read_failures(instance, held.cursor, ui_url=UI, now=time.time() + RETRY_SECONDS + 1)

    assert list(held.notes) == []
    assert held.waiting == 1
    assert [note.dedup_key for note in told.notes] == [f"run_failed:{run_id}"]
    assert told.waiting == 0


def test_a_retry_that_came_is_watched_in_its_place(instance: dg.DagsterInstance) -> None:
    instance.__class__ = Retrying
    run_id = fail(instance, wrapped)
    instance.add_run_tags(run_id, {WILL_RETRY_TAG: "true"})
    held = read_failures(instance, None, ui_url=UI, now=time.time())
    instance.add_run_tags(run_id, {AUTO_RETRY_RUN_ID_TAG: "next"})
    then = read_failures(instance, held.cursor, ui_url=UI, now=time.time() + RETRY_SECONDS + 1)

    assert list(then.notes) == []
    assert then.waiting == 0


def test_data_cannot_page_anybody() -> None:
    payload = compose(failed_run(cause="<!channel> a & b <https://evil|click>", partition="<!here>"))

    shown = json.dumps(payload).replace(f"<{UI}/runs/1234|Open the run>", "")
    assert "<" not in shown
    assert "&lt;!channel&gt; a &amp; b" in shown


def test_a_code_block_cannot_be_left() -> None:
    payload = compose(failed_run(cause="x ``` *bold*"))

    assert json.dumps(payload["blocks"]).count("```") == 2


def test_a_huge_message_fits_slack() -> None:
    payload = compose(failed_run(cause="<&>" * 50_000, step="s" * 5_000))

    assert len(payload["text"]) <= 40_000
    for block in payload["blocks"]:
        assert len(block.get("text", {}).get("text", "")) <= 3_000
        assert all(len(each["text"]) <= 2_000 for each in block.get("fields", []))


def test_a_long_text_keeps_its_start_and_its_end() -> None:
    short = shorten("found " + "x" * 500 + " do this", 60)

    assert len(short) <= 60
    assert short.startswith("found ")
    assert short.endswith("do this")


def test_a_notice_needs_no_run() -> None:
    payload = compose_notice("2 dead letters", ["flights/<x>.csv: unexpected key"])

    assert payload["text"] == "2 dead letters\nflights/&lt;x&gt;.csv: unexpected key"
