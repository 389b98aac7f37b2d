"""What `datalake arrivals` shows, and which partitions are swept often."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from datalake_assets.arrivals.dead_letters import DeadLetters, Unexpected
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.partitions import Daily
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.arrivals.report import Backlog, arrival_report, backlog
from datalake_assets.arrivals.requests import PartitionsRun, RunState
from datalake_assets.arrivals.sweep import is_whole_cheaper, recent_partitions, sweep
from datalake_assets.names import UNPARTITIONED
from tests.arrivals.builders import AIRLINES, FLIGHTS, NOON, SOURCE, SOURCES, at, event, listed
from tests.arrivals.doubles import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

DAYS = Daily(dt.date(2013, 1, 1))
MARKED = replace(FLIGHTS, marker=KeyPattern.parse("flights/dt={partition}/_SUCCESS", DAYS, is_marker=True))


def swept(ledger: Ledger, partitions: Sequence[str] | None = None) -> None:
    sweep(cast("S3Client", Bucket()), "raw", SOURCES, ledger, location="flights", partitions=partitions)


def test_a_report_has_what_is_there_and_what_waits_for_what(ledger: Ledger, dead_letters: DeadLetters) -> None:
    ledger.record([event("a", "123"), event("b", "4", day="2013-01-02")])
    ledger.mark_published(SOURCE, "2013-01-02", objects=[listed("b", "4", day="2013-01-02")], version="v")
    dead_letters.record(
        [
            Unexpected("flights", "unexpected_key", "no", "raw", "flights/x", SOURCE),
            Unexpected("flights", "poison_message", "no JSON", body="x"),
            Unexpected("search", "poison_message", "no JSON", body="y"),
        ]
    )
    report = arrival_report("flights", [MARKED, AIRLINES], ledger=ledger)
    flights, airlines = report.tables
    assert (flights.table, flights.partitions, flights.objects, flights.bytes) == ("flights", 2, 2, 4)
    assert (flights.dirty_partitions, flights.dead_letters, report.dead_letters) == (1, 1, 2)
    assert [(w.partition, w.reason) for w in flights.waiting] == [("2013-01-01", "its marker is not there")]
    assert flights.lag_seconds is not None
    assert (airlines.objects, airlines.dirty_partitions, airlines.lag_seconds, airlines.waiting) == (0, 0, None, ())
    assert (report.sweep_age_seconds, report.queue, flights.swept_at) == (None, None, None)


def test_a_report_says_what_the_next_tick_runs_and_what_runs(ledger: Ledger) -> None:
    ledger.record([event("a")])
    (waits,) = arrival_report("flights", SOURCES, ledger=ledger).tables[0].waiting
    assert waits.reason == "the next tick: it runs for new files"
    (state,) = ledger.partition_states([SOURCE])
    ledger.mark_requested([PartitionsRun(SOURCE, (state,), "key", 1, "new files")])
    (waits,) = arrival_report("flights", SOURCES, ledger=ledger).tables[0].waiting
    assert waits.reason == "its run is in flight"
    report = arrival_report("flights", SOURCES, ledger=ledger, run_states=lambda keys: {keys[0]: RunState.CANCELED})
    assert "ended by a person" in report.tables[0].waiting[0].reason


def test_a_report_knows_when_everything_was_compared_with_the_bucket(ledger: Ledger) -> None:
    swept(ledger, partitions=["2013-01-01", UNPARTITIONED])
    report = arrival_report("flights", SOURCES, ledger=ledger)
    assert [table.swept_at is None for table in report.tables] == [True, False]
    assert report.sweep_age_seconds is None
    swept(ledger)
    report = arrival_report("flights", SOURCES, ledger=ledger)
    assert report.sweep_age_seconds is not None
    assert all(table.swept_at is not None for table in report.tables)


def test_a_report_of_thousands_of_waiting_partitions_names_those_that_waited_longest(ledger: Ledger) -> None:
    days = [str(dt.date(2013, 1, 1) + dt.timedelta(days=n)) for n in range(300)]
    for day in reversed(days[:5]):
        ledger.record([event(day=day)])
    ledger.record([event(day=day) for day in days[5:]])
    (table, _) = arrival_report("flights", [MARKED, AIRLINES], ledger=ledger).tables
    assert (table.dirty_partitions, len(table.waiting)) == (300, 100)
    assert [waits.partition for waits in table.waiting[:5]] == days[4::-1]
    (table, _) = arrival_report("flights", [MARKED, AIRLINES], ledger=ledger, most_waiting=None).tables
    assert {waits.partition for waits in table.waiting} == set(days)


def test_a_queue_tells_its_backlog(sqs: "SQSClient") -> None:
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    for n in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(n), DelaySeconds=900 if n == 2 else 0)
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)
    assert backlog(sqs, url) == Backlog(visible=1, in_flight=1, delayed=1)


def test_recent_partitions_are_the_last_days_what_changed_lately_and_what_has_no_days(ledger: Ledger) -> None:
    ledger.record([event(day="2013-05-05")])
    assert recent_partitions(ledger, SOURCES, NOON, 2) == ["", "2013-05-05", "2026-01-03", "2026-01-04", "2026-01-05"]
    assert recent_partitions(ledger, [AIRLINES], NOON, 2) == [UNPARTITIONED]
    ended = replace(FLIGHTS, patterns=(KeyPattern.parse("f/{partition}", Daily(DAYS.start, dt.date(2026, 1, 4))),))
    assert recent_partitions(ledger, [ended], NOON, 1) == ["2013-05-05"]
    tokyo = replace(FLIGHTS, patterns=(KeyPattern.parse("f/{partition}", Daily(timezone="Asia/Tokyo")),))
    assert recent_partitions(ledger, [tokyo], at(4 * 3600), 0) == ["2013-05-05", "2026-01-06"]


def test_many_small_partitions_are_listed_as_a_whole_and_few_large_ones_by_themselves(ledger: Ledger) -> None:
    days = [str(dt.date(2013, 1, 1) + dt.timedelta(n)) for n in range(5)]
    ledger.record([event(str(n), day=day) for day in days for n in range(3)])
    assert is_whole_cheaper(ledger, SOURCES, days)
    ledger.record([event(f"more-{n}") for n in range(4_000)])
    assert not is_whole_cheaper(ledger, SOURCES, days)
