import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from datalake_assets import failpoints
from datalake_assets.accounts import registry, sessions, settings
from datalake_assets.arrivals import sensor as sensor_module
from datalake_assets.arrivals.dead_letters import dead_letters_after
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.notices import notices_after
from datalake_assets.arrivals.report import arrival_report
from datalake_assets.arrivals.sensor import build_arrival_sensor, run_states
from datalake_assets.errors import ConfigurationError, Unavailable
from tests.arrivals.builders import AIRLINES, FLIGHTS

if TYPE_CHECKING:
    pass

from tests.arrivals.ticking import AIRLINES_KEY, DAILY, FLIGHTS_KEY, RAW_KEY, Platform


@pytest.fixture
def platform(aws: None, empty_ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """The flights account of the registry, in moto and the throw-away database."""
    monkeypatch.setenv("DATALAKE_DATABASE_URL", empty_ledger_url)
    caches: list[Any] = [settings.settings, sessions.session, sessions._platform_sts, sensor_module._queue_url]
    for cache in caches:
        cache.cache_clear()
    account = registry.registry().account("flights")
    aws_session = sessions.session("flights")
    s3, sqs = aws_session.client("s3"), aws_session.client("sqs")
    s3.create_bucket(
        Bucket=account.raw_bucket,
        CreateBucketConfiguration={"LocationConstraint": account.region},  # type: ignore[typeddict-item]
    )
    url = sqs.create_queue(QueueName=account.arrivals_queue)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket=account.raw_bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]
        },
    )
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform(s3, account.raw_bucket, instance)
    for cache in caches:
        cache.cache_clear()


def test_files_of_contiguous_days_become_one_run_that_covers_them_all(platform: Platform) -> None:
    days = ["2013-01-01", "2013-01-02", "2013-01-03"]
    platform.land(*(f"flights/dt={day}/{name}.csv.gz" for day in days for name in "ab"))
    (request,) = platform.tick().run_requests
    assert request.partition_key is None
    assert request.tags["dagster/asset_partition_range_start"] == "2013-01-01"
    assert request.tags["dagster/asset_partition_range_end"] == "2013-01-03"
    assert (request.tags["datalake/objects"], request.tags["datalake/reason"]) == ("6", "new files")

    result = platform.run(request)

    assert result.success
    assert platform.seen == [days]
    assert platform.partitions_with_data(FLIGHTS_KEY) == set(days)
    assert [evaluation.check_name for evaluation in result.get_asset_check_evaluations()] == ["quarantine"]
    assert platform.tick().run_requests == []


def test_a_pipeline_that_its_trigger_starts_is_told_and_not_run(platform: Platform) -> None:
    platform.declare(starts_runs=False)
    platform.land("flights/dt=2013-01-01/a.csv.gz", "airlines/airlines.csv")
    result = platform.tick()

    assert [request.asset_selection for request in result.run_requests] == [[AIRLINES_KEY]]
    told = {(event.asset_key, event.partition) for event in result.asset_events}
    assert (RAW_KEY, "2013-01-01") in told
    assert [each.is_dirty for each in platform.ledger.states_of([FLIGHTS.source_id], ["2013-01-01"])] == [True]
    (flights, _) = arrival_report("flights", platform.sources).tables
    assert [(each.partition, each.reason[:22]) for each in flights.waiting] == [
        ("2013-01-01", "its trigger starts the")
    ]


def test_days_with_a_gap_become_one_run_for_each_stretch(platform: Platform) -> None:
    platform.land(*(f"flights/dt=2013-01-{day}/a.csv.gz" for day in ("01", "02", "05")))
    requests = platform.tick().run_requests
    for request in requests:
        platform.run(request)
    assert sorted(platform.seen) == [["2013-01-01", "2013-01-02"], ["2013-01-05"]]


def test_days_with_many_gaps_share_runs_that_take_only_these_days(platform: Platform) -> None:
    days = [f"2013-01-{n:02}" for n in range(1, 31, 2)]
    platform.land(*(f"flights/dt={day}/a.csv.gz" for day in days))
    (request,) = platform.tick().run_requests
    assert request.tags["dagster/asset_partition_range_start"] == "2013-01-01"
    assert request.tags["dagster/asset_partition_range_end"] == "2013-01-29"
    assert json.loads(request.tags["datalake/partitions"]) == days
    assert platform.run(request).success
    assert platform.seen == [days]
    assert {
        state.partition for state in platform.ledger.partition_states([FLIGHTS.source_id], only_dirty=False)
    } == set(days)
    assert platform.ledger.partition_states([FLIGHTS.source_id]) == []
    assert platform.tick().run_requests == []


def test_a_late_file_is_noticed_once_and_runs_with_its_reason(platform: Platform) -> None:
    platform.declare(late_after_seconds=86_400)
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    platform.run(platform.tick().run_requests[0])
    platform.land("flights/dt=2013-01-01/late.csv.gz")
    (request,) = platform.tick().run_requests
    assert request.tags["datalake/reason"].startswith("late files: changed at ")
    platform.tick()
    (notice,) = notices_after(0)
    assert (notice.kind, notice.source_id, notice.partition) == ("late", "flights/flights", "2013-01-01")


def test_a_partition_waits_for_its_declared_files(platform: Platform) -> None:
    platform.declare(files=("a.csv.gz", "b-*.csv.gz"))
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    waiting = platform.tick()
    assert waiting.run_requests == []
    assert "flights/flights 2013-01-01 waits: no file is there for b-*.csv.gz" in waiting.skip_message
    platform.land("flights/dt=2013-01-01/b-7.csv.gz")
    assert len(platform.tick().run_requests) == 1


def test_a_partition_waits_for_its_marker(platform: Platform) -> None:
    platform.declare(marker="flights/dt={partition}/_SUCCESS")
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    assert "its marker is not there" in platform.tick().skip_message
    platform.land("flights/dt=2013-01-01/_SUCCESS")
    (request,) = platform.tick().run_requests
    assert request.tags["datalake/objects"] == "1"


def test_a_partition_that_ran_too_often_is_held_back_and_noticed_once(platform: Platform) -> None:
    platform.declare(max_runs_per_hour=2)
    for n in range(2):
        platform.land("flights/dt=2013-01-01/a.csv.gz", body=b"%d" % n)
        platform.run(platform.tick().run_requests[0])
    for n in range(2, 4):
        platform.land("flights/dt=2013-01-01/a.csv.gz", body=b"%d" % n)
        held = platform.tick()
        assert held.run_requests == []
        assert "it is throttled: 2 runs within an hour" in held.skip_message
    (notice,) = notices_after(0)
    assert notice.kind == "throttled"


def test_a_tick_without_time_left_asks_for_no_run_states_and_tells_of_few_partitions(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    (request,) = platform.tick().run_requests
    platform.run(request)
    platform.land(*(f"flights/dt=2013-01-0{n}/b.csv.gz" for n in range(1, 7)))
    monkeypatch.setattr(sensor_module, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(sensor_module, "MIN_ANNOUNCED", 4)
    short = platform.tick()
    assert [r.tags["dagster/asset_partition_range_start"] for r in short.run_requests] == ["2013-01-02"]
    assert len(short.asset_events) == 4


@pytest.mark.parametrize("point", ["sensor.decided", "sensor.requested"])
def test_a_tick_that_ends_between_its_steps_loses_no_request_and_no_notice(
    platform: Platform, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.declare(late_after_seconds=86_400)
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    platform.run(platform.tick().run_requests[0])
    platform.land("flights/dt=2013-01-01/late.csv.gz")
    failpoints.arm(f"{point}=error")
    with pytest.raises(Unavailable):
        platform.tick()
    failpoints.arm("")
    monkeypatch.setattr("datalake_assets.arrivals.requests.LOST_AFTER_SECONDS", 0)
    (request,) = platform.tick().run_requests
    (state,) = platform.ledger.partition_states([FLIGHTS.source_id])
    assert request.run_key == state.run_key
    assert len(state.recent_requests) == 2
    assert len(notices_after(0)) == 1
    platform.run(request)
    assert platform.tick().run_requests == []


def test_what_the_ledger_knows_runs_although_the_queue_does_not_answer(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> None:
        raise Unavailable("SQS does not answer")

    platform.declare(files=2)
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    platform.tick()
    with monkeypatch.context() as broken:
        broken.setattr(sensor_module, "drain", silent)
        with pytest.raises(Unavailable, match="SQS does not answer"):
            platform.tick()
        platform.declare()
        assert len(platform.tick().run_requests) == 1


def test_a_tick_ends_in_time_although_the_database_does_not(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    answers = threading.Event()
    with monkeypatch.context() as slow:
        slow.setattr(sensor_module, "TICK_SECONDS", 0.0)
        slow.setattr(sensor_module, "REQUEST_SECONDS", 0.1)
        slow.setattr(Ledger, "work", lambda *_: answers.wait(60) and [])
        with pytest.raises(Unavailable, match="did not end within"):
            platform.tick()
        answers.set()
    assert len(platform.tick().run_requests) == 1


def test_a_run_that_was_never_handed_to_the_queue_is_requested_again(platform: Platform) -> None:
    @dg.job
    def nothing() -> None: ...

    platform.instance.create_run_for_job(nothing, tags={"dagster/run_key": "key"})
    assert run_states(platform.instance, ["key"]) == {}


def test_a_tick_tells_of_each_changed_partition_once_and_never_of_files(platform: Platform) -> None:
    platform.land(*(f"flights/dt=2013-01-01/{n}.csv.gz" for n in range(12)), "flights/dt=2013-01-02/a.csv.gz")
    events = platform.tick().asset_events
    assert [(e.asset_key, e.partition) for e in events] == [(RAW_KEY, "2013-01-01"), (RAW_KEY, "2013-01-02")]
    assert events[0].metadata["objects"].value == 12
    assert events[0].metadata["dagster/uri"].value == f"s3://{platform.bucket}/flights/dt=2013-01-01/"
    assert platform.tick().asset_events == []
    assert platform.partitions_with_data(RAW_KEY) == {"2013-01-01", "2013-01-02"}


def test_a_table_without_partitions_runs_without_a_range(platform: Platform) -> None:
    platform.land("airlines/airlines.csv")
    result = platform.tick()
    (request,) = result.run_requests
    assert not any(tag.startswith("dagster/asset_partition") for tag in request.tags)
    assert result.asset_events[0].partition is None
    assert platform.run(request).success
    assert platform.instance.get_latest_materialization_event(AIRLINES_KEY) is not None
    assert platform.tick().run_requests == []


def test_a_tick_that_died_after_its_request_was_remembered_is_repeated_under_the_same_key(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    (request,) = platform.tick().run_requests  # and nobody ever hears of it
    assert platform.tick().run_requests == []
    monkeypatch.setattr("datalake_assets.arrivals.requests.LOST_AFTER_SECONDS", 0)
    (again,) = platform.tick().run_requests
    assert again.run_key == request.run_key
    platform.run(again)
    assert platform.tick().run_requests == []


def test_a_late_file_replaces_its_partition_once(platform: Platform) -> None:
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    platform.run(platform.tick().run_requests[0])
    platform.land("flights/dt=2013-01-01/late.csv.gz")
    (request,) = platform.tick().run_requests
    assert request.tags["datalake/reason"] == "changed files"
    platform.run(request)
    assert platform.tick().run_requests == []
    assert platform.seen == [["2013-01-01"], ["2013-01-01"]]


def test_a_failed_run_is_not_requested_again_at_once_but_a_mended_file_is(platform: Platform) -> None:
    platform.land("flights/dt=2013-01-01/a.csv.gz", body=b"broken")
    platform.fails = True
    assert not platform.run(platform.tick().run_requests[0], raises=False).success
    idle = platform.tick()
    assert idle.run_requests == []
    assert "its run failed" in idle.skip_message
    platform.fails = False
    platform.land("flights/dt=2013-01-01/a.csv.gz", body=b"mended")
    assert platform.run(platform.tick().run_requests[0]).success
    assert platform.tick().run_requests == []


def test_a_run_in_flight_keeps_its_partition_waiting(platform: Platform) -> None:
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    (request,) = platform.tick().run_requests
    run = platform.instance.create_run_for_job(
        platform.definitions.get_repository_def().get_job(request.job_name),
        tags={"dagster/run_key": request.run_key},
        asset_selection=frozenset([FLIGHTS_KEY]),
        status=dg.DagsterRunStatus.STARTED,
    )
    platform.land("flights/dt=2013-01-01/b.csv.gz")
    waiting = platform.tick()
    assert waiting.run_requests == []
    assert "in flight" in waiting.skip_message
    platform.instance.report_run_failed(run)
    (request,) = platform.tick().run_requests
    assert request.tags["datalake/objects"] == "2"


def test_an_unexpected_key_is_told_once_and_does_not_block_the_others(platform: Platform) -> None:
    platform.land("flights/dt=2013-13-45/a.csv.gz", "flights/dt=2013-01-01/a.csv.gz", "nobody/knows.csv")
    assert len(platform.tick().run_requests) == 1
    letters = dead_letters_after(0, location="flights")
    assert {letter.key: letter.source_id for letter in letters} == {
        "flights/dt=2013-13-45/a.csv.gz": "flights/flights",
        "nobody/knows.csv": None,
    }
    platform.land("nobody/knows.csv")
    assert dead_letters_after(letters[-1].id) == []


def test_sources_that_name_jobs_request_these_jobs(platform: Platform) -> None:
    @dg.asset(key=FLIGHTS_KEY, partitions_def=DAILY, backfill_policy=dg.BackfillPolicy.single_run())
    def flights() -> None: ...

    jobs = [dg.define_asset_job(name, selection=dg.AssetSelection.assets(FLIGHTS_KEY)) for name in ("flights", "other")]
    sources = [replace(FLIGHTS, target="flights"), replace(AIRLINES, target="other")]
    with pytest.raises(ConfigurationError, match="no job other"):
        build_arrival_sensor("flights", sources, jobs=jobs[:1])
    sensor = build_arrival_sensor("flights", sources, jobs=jobs)
    definitions = dg.Definitions(assets=[flights], jobs=jobs, sensors=[sensor])
    platform.land("flights/dt=2013-01-01/a.csv.gz")
    context = dg.build_sensor_context(instance=platform.instance, repository_def=definitions.get_repository_def())
    (request,) = sensor.evaluate_tick(context).run_requests or []
    assert (request.job_name, request.asset_selection) == ("flights", None)
