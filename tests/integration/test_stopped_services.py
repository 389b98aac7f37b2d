"""A warehouse, an S3 or a platform database that stops: what was done stays, the rest is done when it is back."""

from collections.abc import Callable

import pytest

from datalake_assets.components import materialize
from tests.integration.gateway import Gateway
from tests.integration.relay import Relay
from tests.integration.user import Platform, asset

LAKE, WAREHOUSE = asset("lake", "flights"), asset("warehouse", "flights")


def land(platform: Platform, count: int) -> list[str]:
    days = platform.days(count)
    for day in days:
        platform.put_day(day)
    platform.drain()
    return days


def is_whole(platform: Platform, days: list[str]) -> bool:
    return platform.all_numbers(days) == dict.fromkeys(days, ([1, 2, 3], [1, 2, 3]))


def loaded(platform: Platform, days: list[str]) -> list[str]:
    return [day for day, (_, rows) in platform.all_numbers(days).items() if rows == [1, 2, 3]]


def dirty(platform: Platform, days: list[str]) -> list[str]:
    return [day for day in days if platform.is_dirty("flights/flights", day)]


def test_a_killed_warehouse_keeps_the_lake_published_and_the_load_as_work(platform: Platform, gateway: Gateway) -> None:
    days = land(platform, 2)
    gateway.kill()
    failed = platform.run("flights", days)
    gateway.start()

    assert not failed.success
    assert failed.restarts == materialize.MAX_RETRIES
    port = platform.sandbox.ports["redshift"]
    assert f"{days[0]}: 127.0.0.1:{port}/warehouse: the warehouse does not answer" in failed.failure
    assert "Check that it is running" in failed.failure
    assert sorted(failed.materialized(LAKE)) == days
    assert failed.materialized(WAREHOUSE) == {}
    assert dirty(platform, days) == days

    locations = {day: platform.glue_location("flights", day) for day in days}
    load = platform.run("flights", days[0], assets=[WAREHOUSE])
    assert load.success
    assert load.materialized(LAKE) == {}
    assert list(load.materialized(WAREHOUSE)) == days[:1]
    assert loaded(platform, days) == days[:1]
    assert {day: platform.glue_location("flights", day) for day in days} == locations

    assert platform.run("flights", days).success
    assert is_whole(platform, days)
    assert dirty(platform, days) == []


def test_a_warehouse_that_stops_during_a_run_of_a_week_loses_only_what_was_not_loaded(
    platform: Platform, warehouse_relay: Relay
) -> None:
    days = land(platform, 7)
    warehouse_relay.cut_at(b"COPY ", times=4)
    failed = platform.run("flights", days)
    assert not failed.success
    warehouse_relay.mend()

    assert sorted(failed.materialized(LAKE)) == days
    assert sorted(failed.materialized(WAREHOUSE)) == days[:3]
    assert loaded(platform, days) == days[:3]
    assert dirty(platform, days) == days[3:]
    assert sorted(failed.failure_metadata["failed_partitions"]) == days[3:]

    assert platform.run("flights", days[3:]).success
    assert is_whole(platform, days)


def test_a_warehouse_that_comes_back_is_found_by_the_run_itself(
    platform: Platform, warehouse_relay: Relay, before_retry: Callable[[Callable[[], None]], None]
) -> None:
    days = land(platform, 4)
    warehouse_relay.cut_at(b"COPY ", times=2)
    before_retry(warehouse_relay.mend)
    run = platform.run("flights", days)

    assert run.success
    assert run.restarts == 1
    assert is_whole(platform, days)
    assert dirty(platform, days) == []
    assert versions(platform, days) == len(days), "the retry published what was published already"
    for key in (LAKE, WAREHOUSE):
        assert run.materialized_partitions(key) == days, "each is told once"


def versions(platform: Platform, days: list[str]) -> int:
    """How many versions were written for these days."""
    pages = platform.s3.get_paginator("list_objects_v2").paginate(
        Bucket=platform.account.lake_bucket, Prefix="flights/"
    )
    keys = [item["Key"] for page in pages for item in page["Contents"]]
    written = {tuple(key.split("/")[1:3]) for key in keys}
    return sum(day.removeprefix("dt=") in days for day, _ in written)


def test_a_commit_that_is_lost_on_its_way_loads_nothing_twice(
    platform: Platform, warehouse_relay: Relay, before_retry: Callable[[Callable[[], None]], None]
) -> None:
    days = land(platform, 2)
    warehouse_relay.cut_at(b"COMMIT")
    before_retry(warehouse_relay.mend)
    assert platform.run("flights", days).success
    assert is_whole(platform, days)


def test_a_stopped_s3_publishes_nothing_and_the_next_run_everything(platform: Platform, aws_relay: Relay) -> None:
    days = land(platform, 2)
    aws_relay.cut()
    failed = platform.run("flights", days)
    aws_relay.mend()

    assert not failed.success
    assert failed.restarts == materialize.MAX_RETRIES
    assert "AWS cannot be reached" in failed.failure
    assert f"127.0.0.1:{aws_relay.port}" in failed.failure
    assert "Check the network and AWS_ENDPOINT_URL" in failed.failure
    assert failed.materialized(LAKE) == {}
    assert dirty(platform, days) == days

    assert platform.run("flights", days).success
    assert is_whole(platform, days)


@pytest.mark.parametrize(
    "moment",
    [b"GET /datalake-flights-raw/flights/", b"PUT /datalake-flights-lake/", b"AWSGlue.BatchCreatePartition"],
    ids=["download", "upload", "catalog"],
)
def test_an_aws_that_stops_at_any_moment_leaves_nothing_half(
    platform: Platform, aws_relay: Relay, before_retry: Callable[[Callable[[], None]], None], moment: bytes
) -> None:
    days = land(platform, 3)
    aws_relay.cut_at(moment, times=2 if moment.startswith((b"GET", b"PUT")) else 1)
    seen: list[dict[str, tuple[list[int], list[int]]]] = []

    def mend() -> None:
        aws_relay.mend()
        seen.append({day: (rows, rows) for day in days if (rows := platform.numbers(day)[0])})

    before_retry(mend)
    run = platform.run("flights", days)
    assert run.success
    assert run.restarts == 1
    assert all(rows == ([1, 2, 3], [1, 2, 3]) for rows in seen[0].values())
    assert is_whole(platform, days)
    assert dirty(platform, days) == []


def test_a_publication_whose_answer_is_lost_is_found_and_told_by_the_retry(
    platform: Platform, aws_relay: Relay, before_retry: Callable[[Callable[[], None]], None]
) -> None:
    days = land(platform, 2)
    aws_relay.cut_at(b"AWSGlue.BatchCreatePartition", loses_answer=True)
    before_retry(aws_relay.mend)
    run = platform.run("flights", days)

    assert run.success
    assert run.restarts == 1
    assert versions(platform, days) == len(days), "the retry found what was published"
    assert sorted(run.materialized(LAKE)) == days
    assert is_whole(platform, days)


def test_a_stopped_platform_database_stops_a_run_before_it_publishes(platform: Platform, database_relay: Relay) -> None:
    days = land(platform, 2)
    database_relay.cut()
    failed = platform.run("flights", days)
    database_relay.mend()

    assert not failed.success
    assert f"platform database 127.0.0.1:{database_relay.port}/platform: the database does not answer" in failed.failure
    assert failed.materialized(LAKE) == {}
    assert platform.run("flights", days).success
    assert is_whole(platform, days)


def test_a_platform_database_that_stops_during_a_run_is_told_of_it_by_a_retry(
    platform: Platform, database_relay: Relay, before_retry: Callable[[Callable[[], None]], None]
) -> None:
    days = land(platform, 3)
    database_relay.cut_at(b"INSERT INTO arrival_partition", times=2)
    before_retry(database_relay.mend)
    run = platform.run("flights", days)

    assert run.success
    assert run.restarts == 1
    assert versions(platform, days) == len(days)
    assert is_whole(platform, days)
    assert dirty(platform, days) == []


def test_a_ledger_that_cannot_be_told_fails_the_run_although_readers_see_the_data(
    platform: Platform, database_relay: Relay
) -> None:
    days = land(platform, 2)
    database_relay.cut_at(b"INSERT INTO arrival_partition")
    failed = platform.run("flights", days)
    database_relay.mend()

    assert not failed.success
    assert "the database does not answer" in failed.failure
    assert sorted(failed.materialized(WAREHOUSE)) == days
    assert is_whole(platform, days)
    assert dirty(platform, days) == days
    assert platform.run("flights", days).success
    assert dirty(platform, days) == []
