"""From a landed file to the right run: the arrival sensor, its ledger and its dead letters."""

import dagster as dg
import pytest

from datalake_assets.arrivals import requests
from datalake_assets.components.arrival_alerts import build_arrival_alert_sensor
from tests.integration.relay import Relay
from tests.integration.user import RANGE_END, RANGE_START, Platform, asset, flights_file


def requested(platform: Platform, days: list[str]) -> list[dg.RunRequest]:
    """What a tick asks for these days; other tests' days are their own."""
    return [request for request in platform.tick().run_requests if request.tags.get(RANGE_START) in days]


def test_landed_days_become_one_run_that_publishes_them_all(platform: Platform) -> None:
    days = platform.days(3)
    for day in days:
        platform.put_day(day)
    (request,) = requested(platform, days)
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (days[0], days[-1])
    run = platform.run_requested(request)
    assert run.success
    assert sorted(run.materialized(asset("lake", "flights"))) == days
    assert platform.all_numbers(days) == dict.fromkeys(days, ([1, 2, 3], [1, 2, 3]))
    assert requested(platform, days) == []


def test_a_failed_load_is_asked_for_again(
    platform: Platform, warehouse_relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "RETRY_AFTER_SECONDS", 0)
    days = platform.days(2)
    for day in days:
        platform.put_day(day)
    (first,) = requested(platform, days)
    warehouse_relay.cut()
    assert not platform.run_requested(first).success
    (again,) = requested(platform, days)
    assert again.run_key != first.run_key
    assert again.tags["datalake/reason"] == "attempt 2 after a failed run"
    warehouse_relay.mend()
    assert platform.run_requested(again).success
    assert platform.all_numbers(days) == dict.fromkeys(days, ([1, 2, 3], [1, 2, 3]))
    assert requested(platform, days) == []


def test_only_the_broken_day_of_a_range_is_asked_for_again(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "RETRY_AFTER_SECONDS", 0)
    days = platform.days(3)
    for day in days:
        platform.put_day(day, b"broken" if day == days[1] else None)
    (first,) = requested(platform, days)
    assert not platform.run_requested(first).success
    (again,) = requested(platform, days)
    assert (again.tags[RANGE_START], again.tags[RANGE_END]) == (days[1], days[1])
    assert not platform.run_requested(again).success

    platform.put_day(days[1], flights_file(days[1]))
    (mended,) = requested(platform, days)
    assert mended.tags["datalake/attempt"] == "1"
    assert platform.run_requested(mended).success
    assert platform.all_numbers(days) == dict.fromkeys(days, ([1, 2, 3], [1, 2, 3]))


def test_an_unexpected_key_becomes_one_alert_and_stops_nothing(platform: Platform) -> None:
    day = platform.day()
    stray = platform.put(f"flights/{day}.csv.gz", flights_file(day))
    platform.put(f"flights/{day}.csv.gz", flights_file(day, 1))  # again: the same news
    platform.put_day(day)
    (request,) = requested(platform, [day])
    assert platform.run_requested(request).success

    cursor: str | None = None
    sensor = build_arrival_alert_sensor()
    for _ in range(3):
        with dg.build_sensor_context(instance=platform.instance, cursor=cursor) as context:
            sensor(context)
            cursor = context.cursor
    told = [payload for payload in platform.outbox("arrivals") if stray in payload]
    assert len(told) == 1
    assert f"s3://{platform.account.raw_bucket}/flights/{day}.csv.gz: " in told[0]


def test_a_reference_file_becomes_an_unpartitioned_run(platform: Platform) -> None:
    platform.put("airlines/airlines.csv", "carrier,name\nAA,American\nZZ,Arrived\n")
    (request,) = [request for request in platform.tick().run_requests if request.job_name == "airlines"]
    assert RANGE_START not in request.tags
    assert platform.run_requested(request).success
    assert platform.warehouse("SELECT name FROM lake.airlines WHERE carrier = 'ZZ'") == [("Arrived",)]
