import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from datalake_assets.arrivals import ledger as ledger_module
from datalake_assets.arrivals.dead_letters import DeadLetters
from datalake_assets.arrivals.ledger import Ledger, Recorded
from datalake_assets.arrivals.listing import list_partition
from datalake_assets.arrivals.partitions import Daily
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.arrivals.sources import Matcher
from datalake_assets.arrivals.sweep import SweepResult, sweep
from datalake_assets.database.engine import engine, transaction
from datalake_assets.errors import ConfigurationError, Throttled, Unavailable, Unsupported
from tests.arrivals.builders import AIRLINES, DAY, FLIGHTS, NOON, SOURCE, SOURCES, etag_of, event, key_of, listed
from tests.arrivals.doubles import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


DAYS = Daily(dt.date(2013, 1, 1))
TEXTS = Matcher(SOURCES).texts


def swept(bucket: Bucket, ledger: Ledger, **more: Any) -> SweepResult:
    return sweep(cast("S3Client", bucket), "raw", SOURCES, ledger, location="flights", **more)


def live(ledger: Ledger) -> dict[str, str]:
    return {o.key: o.etag for batch in ledger.live_objects("raw", "") for o in batch}


def contents(bucket: Bucket) -> dict[str, str]:
    return {key: etag_of(content) for key, (content, _) in bucket.objects.items()}


def test_a_sweep_finds_files_that_were_there_before_the_deployment(ledger: Ledger) -> None:
    bucket = Bucket()
    for n in range(8):
        bucket.put(key_of(str(n), f"2013-01-{n // 4 + 1:02}"))
    bucket.put("airlines/a.csv")
    assert swept(bucket, ledger) == SweepResult(listed=9, added=9)
    assert live(ledger) == contents(bucket)
    assert swept(bucket, ledger) == SweepResult(listed=9)


def test_a_sweep_finds_what_was_overwritten_and_removed_without_an_event(ledger: Ledger) -> None:
    ledger.record([event("a", "1"), event("b", "1"), event("c", "1")])
    bucket = Bucket(page_keys=1)
    bucket.put(key_of("a"), "1")
    bucket.put(key_of("c"), "2", seconds=60)
    assert swept(bucket, ledger) == SweepResult(listed=2, changed=1, removed=1)
    assert live(ledger) == contents(bucket)


def test_an_emptied_prefix_removes_its_objects(ledger: Ledger) -> None:
    ledger.record([event(str(n)) for n in range(5)])
    assert swept(Bucket(), ledger).removed == 5


def test_a_listing_that_fails_removes_nothing(ledger: Ledger) -> None:
    ledger.record([event("a"), event("b")])
    bucket = Bucket()
    bucket.fails_on_call = 2  # the second prefix: flights
    with pytest.raises(Throttled):
        swept(bucket, ledger)
    assert len(live(ledger)) == 2


def test_a_listing_that_breaks_off_keeps_what_it_has_not_shown(ledger: Ledger) -> None:
    bucket = Bucket(page_keys=2)
    for name in "abcdef":
        bucket.put(key_of(name))
    swept(bucket, ledger)
    before = live(ledger)
    for name in "af":
        del bucket.objects[key_of(name)]
    bucket.calls, bucket.fails_on_call = 0, 3
    with pytest.raises(Throttled):
        swept(bucket, ledger)
    assert set(before) - set(live(ledger)) == {key_of("a")}  # of the page that came
    bucket.fails_on_call = None
    assert swept(bucket, ledger).removed == 1
    assert live(ledger) == contents(bucket)


def test_an_event_of_after_the_listing_wins(ledger: Ledger) -> None:
    bucket = Bucket()
    bucket.put(key_of("a"), "old")
    just_now = (bucket.now - NOON).total_seconds()
    ledger.record([event("a", "new", just_now), event("b", "new", just_now)])
    assert swept(bucket, ledger) == SweepResult(listed=1)
    assert set(live(ledger).values()) == {etag_of("new")}


def test_an_event_of_before_the_listing_that_comes_late_loses(ledger: Ledger) -> None:
    bucket = Bucket()
    bucket.put(key_of("a"), "newest", seconds=90)
    swept(bucket, ledger)
    ledger.record([event("a", "old", 50), event("a", "", 60, deleted=True)])
    assert live(ledger) == contents(bucket)
    del bucket.objects[key_of("a")]
    swept(bucket, ledger)
    ledger.record([event("a", "newest", 90.5)])
    assert live(ledger) == {}


def test_an_object_that_comes_back_is_added_again(ledger: Ledger) -> None:
    ledger.record([event("a"), event("a", seconds=5, deleted=True)])
    bucket = Bucket()
    bucket.put(key_of("a"), "1", seconds=10)
    assert swept(bucket, ledger).added == 1
    (found,) = ledger.partition_states([SOURCE])
    assert found.objects == 1


def test_a_sweep_of_some_partitions_leaves_the_others(ledger: Ledger) -> None:
    bucket = Bucket()
    for day in ("2013-01-01", "2013-01-02"):
        bucket.put(key_of("a", day))
    ledger.record([event("gone", day=day) for day in ("2013-01-01", "2013-01-02")])
    assert swept(bucket, ledger, partitions=["2013-01-02"]) == SweepResult(listed=1, added=1, removed=1)
    assert set(live(ledger)) == {key_of("gone", "2013-01-01"), key_of("a", "2013-01-02")}


def test_unexpected_keys_become_dead_letters_until_they_are_gone(ledger: Ledger, dead_letters: DeadLetters) -> None:
    bucket = Bucket()
    bucket.put("flights/dt=2013-13-45/a.csv.gz")
    bucket.put("flights/_SUCCESS")
    assert swept(bucket, ledger).unexpected == 1
    swept(bucket, ledger)
    (letter,) = dead_letters.unresolved("flights")
    assert (letter.seen, letter.reason) == (2, "'2013-13-45' is no day of the calendar")
    bucket.objects.clear()
    swept(bucket, ledger)
    assert dead_letters.unresolved() == []


def test_an_object_that_no_pattern_claims_any_more_leaves_the_ledger(ledger: Ledger) -> None:
    ledger.record([replace(event(), key="flights/dt=2013-01-01/a.txt")])
    bucket = Bucket()
    bucket.put("flights/dt=2013-01-01/a.txt")
    assert (swept(bucket, ledger).removed, live(ledger)) == (1, {})


def test_a_listing_without_order_is_refused(ledger: Ledger) -> None:
    class Unordered(Bucket):
        def list_objects_v2(self, **request: Any) -> dict[str, Any]:
            answer = super().list_objects_v2(**request)
            return {**answer, "Contents": answer["Contents"][::-1]}

    bucket = Unordered()
    bucket.put("airlines/a.csv")
    bucket.put("airlines/b.csv")
    with pytest.raises(Unsupported):
        swept(bucket, ledger)


def test_a_truncated_answer_without_a_continuation_is_no_end() -> None:
    class Broken(Bucket):
        def list_objects_v2(self, **request: Any) -> dict[str, Any]:
            return {**super().list_objects_v2(**request), "IsTruncated": True}

    with pytest.raises(Unavailable):
        list_partition(cast("S3Client", Broken()), "raw", FLIGHTS.patterns, DAY)


def test_real_listings_show_partitions_and_sources(s3: "S3Client", bucket: str, ledger: Ledger) -> None:
    keys = [key_of("a b"), key_of("ü+'"), key_of("a", "2013-01-02"), "flights/dt=2013-01-01/_SUCCESS", "airlines/x.csv"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"123")
    found = list_partition(s3, bucket, FLIGHTS.patterns, DAY)
    assert [(o.key, o.size) for o in found] == [(key, 3) for key in sorted(keys[:2])]
    assert '"' not in found[0].etag
    assert sweep(s3, bucket, SOURCES, ledger, location="flights") == SweepResult(listed=5, added=4)


def test_a_partition_of_several_prefixes_is_listed_once_and_in_key_order_without_its_markers() -> None:
    bucket = Bucket(page_keys=2)
    keys = [f"b/{DAY}/{n}" for n in range(3)] + [f"a/{DAY}/x{n}" for n in range(5)]
    for key in [*keys, f"a/{DAY}/x_done", f"a/{DAY}/_SUCCESS", "a/2013-01-02/x"]:
        bucket.put(key)
    patterns = [KeyPattern.parse(text, DAYS) for text in ("b/{partition}/*", "a/{partition}/x*", "a/{%Y-%m-%d}/*")]
    marker = KeyPattern.parse("a/{partition}/x_done", DAYS, is_marker=True)
    found = list_partition(cast("S3Client", bucket), "raw", patterns, DAY, marker=marker)
    assert [o.key for o in found] == sorted(keys)


def test_a_missing_bucket_is_no_empty_one(s3: "S3Client", ledger: Ledger) -> None:
    ledger.record([event()])
    with pytest.raises(ConfigurationError, match="NoSuchBucket"):
        sweep(s3, "raw", SOURCES, ledger, location="flights")
    assert len(live(ledger)) == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["1", "22", None])), min_size=1, max_size=10),
    data=st.data(),
)
def test_after_a_sweep_the_ledger_is_the_bucket_whatever_was_lost_or_comes_late(
    ledger: Ledger, history: list[tuple[str, str | None]], data: st.DataObject
) -> None:
    with transaction(ledger.database) as connection:  # type: ignore[arg-type]
        connection.execute(text("TRUNCATE arrival_object, arrival_history, arrival_partition, arrival_listing"))
    bucket = Bucket(page_keys=2)
    events = []
    for number, (name, content) in enumerate(history):
        seconds = number * 10.25
        if content is None:
            bucket.objects.pop(key_of(name), None)
            events.append(event(name, "", seconds, deleted=True))
        else:
            bucket.put(key_of(name), content, seconds)
            events.append(event(name, content, seconds))
    told = data.draw(st.permutations(events))
    before = data.draw(st.integers(0, len(told)))
    ledger.record(told[:before], TEXTS)
    swept(bucket, ledger)
    assert live(ledger) == contents(bucket)
    late = data.draw(st.integers(0, len(told) - before))
    ledger.record(told[before : before + late], TEXTS)
    assert live(ledger) == contents(bucket)
    ledger.record(told, TEXTS)
    assert live(ledger) == contents(bucket)
    swept(bucket, ledger)
    assert live(ledger) == contents(bucket)
    assert sum(s.objects for s in ledger.partition_states([SOURCE], only_dirty=False)) == len(bucket.objects)


def test_late_news_of_what_came_and_went_before_a_sweep_bring_nothing_back(ledger: Ledger) -> None:
    bucket = Bucket()
    swept(bucket, ledger)
    just_now = (bucket.now - NOON).total_seconds()
    assert ledger.record([event("a", seconds=5)], TEXTS) == Recorded(stale=1)
    assert ledger.record([event("a", seconds=just_now)], TEXTS) == Recorded(added=1)


def test_a_slow_answer_counts_from_when_s3_looked(ledger: Ledger) -> None:
    class Slow(Bucket):
        def list_objects_v2(self, **request: Any) -> dict[str, Any]:
            answer = super().list_objects_v2(**request)
            self.now += dt.timedelta(seconds=30)
            return {**answer, "ResponseMetadata": super().list_objects_v2(**request)["ResponseMetadata"]}

    bucket = Slow()
    meanwhile = (bucket.now - NOON).total_seconds() + 31  # S3 looks at the second prefix after 30
    ledger.record([event("a", seconds=meanwhile)], TEXTS)
    sweep_clock = {"clock": lambda: bucket.now.timestamp(), "requests_per_second": None}
    assert swept(bucket, ledger, **sweep_clock) == SweepResult()
    assert ledger.record([event("b", seconds=meanwhile)], TEXTS) == Recorded(added=1)


def test_a_mended_pattern_takes_late_news_of_what_was_a_dead_letter_before(ledger: Ledger) -> None:
    key = "flights/dt=2013-01-01/a.txt"
    bucket = Bucket()
    bucket.put(key)
    swept(bucket, ledger)
    mended = replace(FLIGHTS, patterns=(*FLIGHTS.patterns, KeyPattern.parse("flights/dt={partition}/*.txt", DAYS)))
    texts = Matcher([mended, AIRLINES]).texts
    assert ledger.record([event("a", seconds=5, key=key)], texts) == Recorded(added=1)


def test_a_source_that_no_other_claims_keys_of_any_more_takes_late_news(ledger: Ledger) -> None:
    class Other:
        source_id = "flights/all"
        patterns = (KeyPattern.parse("flights/**"),)
        marker = None

    bucket = Bucket()
    bucket.put(key_of("a"))
    result = sweep(cast("S3Client", bucket), "raw", [FLIGHTS, Other()], ledger, location="flights")
    assert (result.unexpected, live(ledger)) == (1, {})
    assert ledger.record([event("a")], TEXTS) == Recorded(added=1)


def test_a_sweep_of_one_partition_says_nothing_of_others(ledger: Ledger) -> None:
    swept(Bucket(), ledger, partitions=["2013-01-02"])
    late = [event("a", day="2013-01-01"), event("a", day="2013-01-02")]
    assert ledger.record(late, TEXTS) == Recorded(added=1, stale=1)


def test_a_listing_that_broke_off_says_what_it_saw_and_no_more(ledger: Ledger) -> None:
    bucket = Bucket(page_keys=2)
    for name in "bdfh":
        bucket.put(key_of(name))
    bucket.fails_on_call = 3  # the second page of the flights
    with pytest.raises(Throttled):
        swept(bucket, ledger)
    assert ledger.record([event("c"), event("e")], TEXTS) == Recorded(added=1, stale=1)
    assert set(live(ledger)) == {key_of(name) for name in "bde"}


def test_news_that_come_between_the_pages_of_a_sweep_are_not_lost_and_bring_nothing_back(ledger: Ledger) -> None:
    class Busy(Bucket):
        def list_objects_v2(self, **request: Any) -> dict[str, Any]:
            answer = super().list_objects_v2(**request)
            if request["Prefix"].startswith("flights"):
                # Late news, told while the answer is on its way: of what is there, and of what came and went.
                ledger.record([event(name) for name in "abcdefgh"], TEXTS)
            return answer

    bucket = Busy(page_keys=2)
    for name in "bdfh":
        bucket.put(key_of(name))
    swept(bucket, ledger)
    assert live(ledger) == contents(bucket)


def test_a_sweep_of_everything_covers_the_sweeps_of_its_partitions(ledger: Ledger, empty_ledger_url: str) -> None:
    bucket = Bucket()
    swept(bucket, ledger, partitions=["2013-01-01", "2013-01-02"])
    bucket.now += dt.timedelta(minutes=1)
    swept(bucket, ledger)
    with transaction(engine(empty_ledger_url)) as connection:
        rows = connection.execute(text("SELECT prefix, is_complete FROM arrival_listing ORDER BY 1")).all()
    assert [tuple(row) for row in rows] == [("airlines/", True), ("flights/dt=", True)]


def test_an_older_sweep_that_ends_later_takes_nothing_back(ledger: Ledger) -> None:
    older, newer = Bucket(), Bucket()
    newer.now += dt.timedelta(minutes=5)
    swept(newer, ledger)
    swept(older, ledger)
    assert ledger.record([event("a", seconds=3600 + 60)], TEXTS) == Recorded(stale=1)


def test_a_prefix_that_lost_more_objects_than_a_transaction_holds_is_taken_over(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "BATCH_ROWS", 3)
    ledger.record([event(f"{n:02}") for n in range(20)])
    bucket = Bucket(page_keys=4)
    for n in (0, 3, 4, 7, 25):
        bucket.put(key_of(f"{n:02}"))
    assert swept(bucket, ledger) == SweepResult(listed=5, added=1, removed=16)
    assert live(ledger) == contents(bucket)
    assert swept(bucket, ledger) == SweepResult(listed=5)


def test_a_sweep_lists_at_a_bounded_rate(ledger: Ledger) -> None:
    bucket = Bucket(page_keys=1)
    for n in range(10):
        bucket.put(key_of(str(n)))
    now, waited = 100.0, []

    def pause(seconds: float) -> None:
        nonlocal now
        waited.append(seconds)
        now += seconds

    swept(bucket, ledger, requests_per_second=4, clock=lambda: now, pause=pause)
    assert bucket.calls == 11
    assert waited == [0.25] * 10
    swept(bucket, ledger, requests_per_second=None, clock=lambda: now, pause=pause)
    assert len(waited) == 10


def test_an_object_that_a_run_saw_and_a_later_sweep_did_not_is_not_there_and_leaves_its_partition_dirty(
    ledger: Ledger,
) -> None:
    begun = ledger.last_change()
    swept(Bucket(), ledger)
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a")], version="v1", begun_seq=begun)
    assert (found.is_dirty, found.objects, live(ledger)) == (True, 0, {})
    begun = ledger.last_change()
    assert not ledger.mark_published(SOURCE, DAY, objects=[], version="v2", begun_seq=begun).is_dirty


def test_an_object_that_a_run_did_not_see_and_a_later_sweep_did_is_there_and_leaves_its_partition_dirty(
    ledger: Ledger,
) -> None:
    ledger.record([event("a")])
    begun = ledger.last_change()
    bucket = Bucket()
    bucket.put(key_of("a"))  # deleted before the run listed, and put again
    swept(bucket, ledger)
    found = ledger.mark_published(SOURCE, DAY, objects=[], version="v1", begun_seq=begun)
    assert (found.is_dirty, live(ledger)) == (True, contents(bucket))


def test_a_run_that_began_after_a_sweep_knows_better(ledger: Ledger) -> None:
    swept(Bucket(), ledger)
    begun = ledger.last_change()
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a")], version="v1", begun_seq=begun)
    assert (found.is_dirty, found.objects) == (False, 1)


def test_what_was_put_after_the_listing_of_a_sweep_is_there_when_a_run_saw_it(ledger: Ledger) -> None:
    begun = ledger.last_change()
    bucket = Bucket()
    swept(bucket, ledger)
    after = (bucket.now - NOON).total_seconds()
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a", seconds=after)], version="v1", begun_seq=begun)
    assert (found.is_dirty, found.objects) == (False, 1)
