"""Versions over time: clocks that disagree, runs that overlap, and an older version put back."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from datalake_assets.accounts.sessions import session
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.history import list_versions
from datalake_assets.catalog.layout import Kind, key_beside
from datalake_assets.catalog.versions import new_version_id
from datalake_assets.errors import ConcurrentChange, ConfigurationError
from datalake_assets.ingest import new_version, restore
from datalake_assets.ingest.behind import behind, load_behind, side_by_side
from datalake_assets.ingest.new_version import version_id_for
from datalake_assets.ingest.outcomes import Failed, Loaded, Outcome, Published
from tests.integration import trips
from tests.integration.runs import Run
from tests.integration.test_repeats import Gate, run_beside
from tests.integration.user import Platform, flights_file

FIRST: list[trips.Row] = [(1, "5.00", "Rome"), (2, "7.50", "Oslo")]
SECOND: list[trips.Row] = [(3, "1.00", "Bonn")]


def both(numbers: list[int]) -> tuple[list[int], list[int]]:
    return numbers, numbers


def lake() -> GlueTable:
    return GlueTable(session("flights"), "trips")


def published(day: str) -> str:
    found = lake().current(day)
    assert found is not None
    return found.version_id


def set_clock(patch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """Let runs of this process take their versions' time from a clock that is ahead, or behind."""
    patch.setattr(new_version, "database_time", lambda: datetime.now(UTC) + ahead)


# Clocks


def test_a_run_with_a_clock_an_hour_behind_publishes_its_files(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = platform.day()
    trips.put(platform, day, FIRST)
    assert trips.run(platform, day).success
    before = published(day)
    trips.put(platform, day, SECOND)
    set_clock(monkeypatch, -timedelta(hours=1))
    run = trips.run(platform, day)
    assert run.success
    assert list(run.materialized(trips.LAKE)) == [day]
    assert trips.numbers(platform, day) == both([3])
    assert published(day) > before


def test_a_later_version_that_was_never_published_does_not_win_over_newer_files(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another host, an hour ahead, was killed with its manifest written and its location not switched."""
    day = platform.day()
    trips.put(platform, day, FIRST)
    with monkeypatch.context() as patch:
        set_clock(patch, timedelta(hours=1))
        patch.setattr(GlueTable, "switch_locations", killed)
        assert not trips.run(platform, day).success
    assert platform.glue_location("trips", day) == ""
    left = max(version.version_id for version in list_versions(lake(), day))

    trips.put(platform, day, SECOND)
    for _ in range(2):  # a first publication creates the partition, the next one updates it
        assert trips.run(platform, day).success
        assert trips.numbers(platform, day) == both([3])
        assert published(day) > left


def killed(*_: object, **__: object) -> None:
    raise ConcurrentChange("the switch never happened")


def test_versions_are_dated_by_the_database_and_follow_what_is_later(platform: Platform) -> None:
    day = platform.day()
    trips.put(platform, day, FIRST)
    assert trips.run(platform, day).success
    now = datetime.now(UTC)
    own = version_id_for("run1", [day], [lake()])
    assert abs(time_of(own) - now) < timedelta(minutes=5), "one machine, so the database's clock is ours"
    assert version_id_for("run1", [day], [lake()], now=now) == new_version_id("run1", now)

    behind_by = now - timedelta(hours=1)
    assert time_of(version_id_for("run1", [day], [lake()], now=behind_by)) == time_of(published(day)) + timedelta(
        microseconds=1
    )
    later = new_version_id("other", now + timedelta(days=1))
    key = key_beside("trips", day, later, Kind.REJECTED)
    platform.s3.put_object(Bucket=platform.account.lake_bucket, Key=key, Body=b"{}")
    assert version_id_for("run1", [day], [lake()]) > later
    assert version_id_for("run1", [platform.day()], [lake()]) < later, "another partition's"


@pytest.mark.parametrize("max_pages", [new_version.MAX_PAGES, 0], ids=["neighbours at once", "one by one"])
def test_the_latest_version_of_any_partition_of_a_run_counts(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, max_pages: int
) -> None:
    monkeypatch.setattr(new_version, "MAX_PAGES", max_pages)
    before, first, last, after = platform.days(4)
    trips.put(platform, first, FIRST)
    assert trips.run(platform, first).success
    now = datetime.now(UTC)

    def leave(day: str, ahead: timedelta) -> str:
        version = new_version_id("other", now + ahead)
        key = key_beside("trips", day, version, Kind.MANIFEST)
        platform.s3.put_object(Bucket=platform.account.lake_bucket, Key=key, Body=b"{}")
        return version

    leave(before, timedelta(days=9))
    leave(after, timedelta(days=9))
    own = new_version_id("run1", now)
    assert version_id_for("run1", [first, last], [lake()], now=now) == own
    for day in (first, last):
        later = leave(day, timedelta(hours=1) if day == first else timedelta(hours=2))
        assert time_of(version_id_for("run1", [last, first], [lake()], now=now)) == time_of(later) + timedelta(
            microseconds=1
        )


def test_a_version_that_no_run_made_and_none_can_follow_is_refused(platform: Platform) -> None:
    day = platform.day()
    key = key_beside("trips", day, "zebra", Kind.MANIFEST)
    platform.s3.put_object(Bucket=platform.account.lake_bucket, Key=key, Body=b"{}")
    trips.put(platform, day, FIRST)
    with pytest.raises(ConfigurationError, match="'zebra' is later than any that a run can make"):
        version_id_for("run1", [day], [lake()])
    run = trips.run(platform, day)
    assert not run.success
    assert "'zebra'" in run.failure
    platform.s3.delete_object(Bucket=platform.account.lake_bucket, Key=key)


def time_of(version: str) -> datetime:
    return datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)


# Two runs at once


def test_a_run_that_overtakes_with_a_clock_behind_loses_and_its_file_stays_work(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one case in which the later listing has the smaller id: the ledger still knows what is not published."""
    day = platform.day()
    platform.put_day(day)
    gate = Gate(monkeypatch)
    slow: list[Run] = []
    thread = threading.Thread(target=lambda: slow.append(run_beside(platform, day)))
    thread.start()
    assert gate.has_listed.wait(60)
    platform.put_day(day, flights_file(day, 1, first=21), name="late.csv.gz")
    with monkeypatch.context() as patch:
        set_clock(patch, -timedelta(hours=1))
        quick = platform.run("flights", day)
    gate.open()
    thread.join(60)
    platform.drain()

    assert quick.success
    assert slow[0].success
    assert platform.numbers(day) == both([1, 2, 3]), "the greater id wins, in the lake and in the warehouse"
    assert platform.is_dirty("flights/flights", day)
    assert platform.run("flights", day).success
    assert platform.numbers(day) == both([1, 2, 3, 21])
    assert not platform.is_dirty("flights/flights", day)


# An older version put back


def roll_back(day: str, to: str, *, run_id: str = "rollback1") -> list[Outcome]:
    return list(restore.restore(trips.pipeline(), day, to=to, reason="wrong prices", run_id=run_id))


def test_a_restored_version_is_what_readers_of_lake_and_warehouse_see(platform: Platform) -> None:
    day = platform.day()
    trips.put(platform, day, FIRST)
    assert trips.run(platform, day).success
    first = published(day)
    trips.put(platform, day, SECOND)
    assert trips.run(platform, day).success

    told, loaded = roll_back(day, first)

    assert isinstance(told, Published)
    assert isinstance(loaded, Loaded)
    assert (told.restored_from, told.counts.rows_published, loaded.rows) == (first, 2, 2)
    assert told.version == loaded.version == published(day)
    assert trips.numbers(platform, day) == both([1, 2])
    assert not next(each for each in side_by_side(trips.pipeline()) if each.partition == day).is_behind

    again = roll_back(day, first, run_id="rollback2")
    assert isinstance(again[0], Published)
    assert again[0].version == told.version, "what is restored already is not restored again"
    assert isinstance(again[1], Loaded)
    assert again[1].skipped

    assert trips.run(platform, day).success
    assert trips.numbers(platform, day) == both([3]), "the files are the truth of the next run"


def test_a_restored_version_that_was_not_loaded_is_behind(platform: Platform) -> None:
    day = platform.day()
    trips.put(platform, day, FIRST)
    assert trips.run(platform, day).success
    first = published(day)
    trips.put(platform, day, SECOND)
    assert trips.run(platform, day).success

    outcomes = restore.restore(trips.pipeline(), day, to=first, reason="wrong prices", run_id="rollback1")
    assert isinstance(next(outcomes), Published)
    del outcomes  # whoever asked ends here

    assert trips.numbers(platform, day) == ([1, 2], [3])
    assert [each.partition for each in behind(trips.pipeline()) if each.partition == day] == [day]
    (loaded,) = load_behind(trips.pipeline(), [day], run_id="operations")
    assert isinstance(loaded, Loaded)
    assert trips.numbers(platform, day) == both([1, 2])


def test_what_cannot_be_restored_is_told_and_changes_nothing(platform: Platform) -> None:
    day = platform.day()
    trips.put(platform, day, FIRST)
    assert trips.run(platform, day).success
    before = published(day)
    for to in (new_version_id("never", datetime.now(UTC)), before):
        (failed,) = roll_back(day, to)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, ConfigurationError)
    assert published(day) == before


def test_a_pipeline_that_never_ran_has_no_versions(platform: Platform) -> None:
    never = replace(trips.pipeline(), name="never_ran", warehouse_target=("lake", "never_ran"))
    assert side_by_side(never) == behind(never) == []
