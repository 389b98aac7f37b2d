import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from datalake_assets.arrivals.ledger import Ledger, Recorded
from datalake_assets.arrivals.order import Arrival
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.requests import PartitionsRun
from datalake_assets.database.engine import engine, transaction
from datalake_assets.errors import Unavailable
from tests.arrivals.builders import DAY, SOURCE, at, etag_of, event, listed


def only_state(ledger: Ledger) -> PartitionState:
    (found,) = ledger.partition_states([SOURCE], only_dirty=False)
    return found


def live(ledger: Ledger) -> dict[str, str]:
    return {o.key: o.etag for batch in ledger.live_objects("raw", "") for o in batch}


def test_a_new_object_makes_its_partition_dirty(ledger: Ledger) -> None:
    assert ledger.record([event("a", "12345")]) == Recorded(added=1)
    found = only_state(ledger)
    assert (found.partition, found.objects, found.bytes, found.is_dirty) == (DAY, 1, 5, True)


def test_the_same_event_again_changes_nothing(ledger: Ledger) -> None:
    ledger.record([event()])
    before = only_state(ledger)
    assert ledger.record([event(), event()]) == Recorded(unchanged=2)
    assert only_state(ledger).changed_seq == before.changed_seq


def test_an_older_event_never_replaces_a_newer_state(ledger: Ledger) -> None:
    ledger.record([event(content="new", seconds=10)])
    assert ledger.record([event(content="old", seconds=5)]) == Recorded(stale=1)
    assert list(live(ledger).values()) == [etag_of("new")]


def test_an_overwrite_is_a_change_and_the_old_state_goes_to_history(ledger: Ledger, empty_ledger_url: str) -> None:
    ledger.record([event(content="1")])
    first = only_state(ledger).changed_seq
    assert ledger.record([event(content="22", seconds=1)]) == Recorded(changed=1)
    found = only_state(ledger)
    assert (found.objects, found.bytes) == (1, 2)
    assert found.changed_seq > first
    with transaction(engine(empty_ledger_url)) as connection:
        rows = connection.execute(text("SELECT etag, changed_seq FROM arrival_history")).all()
    assert [tuple(row) for row in rows] == [(etag_of("1"), first)]


def test_uploading_the_same_content_again_is_no_change(ledger: Ledger) -> None:
    ledger.record([event(content="1")])
    before = only_state(ledger).changed_seq
    ledger.record([event(content="1", seconds=60)])
    assert only_state(ledger).changed_seq == before
    # … but it is remembered as the newer event.
    assert ledger.record([event(content="2", seconds=30)]) == Recorded(stale=1)


def test_a_deletion_is_a_change_and_its_late_creation_does_not_bring_the_object_back(ledger: Ledger) -> None:
    ledger.record([event(seconds=0)])
    assert ledger.record([event(seconds=5, deleted=True)]) == Recorded(removed=1)
    assert ledger.record([event(seconds=0)]) == Recorded(stale=1)
    assert live(ledger) == {}
    assert only_state(ledger).objects == 0


def test_a_deletion_that_comes_before_its_creation_leaves_no_object_and_no_work(ledger: Ledger) -> None:
    ledger.record([event(seconds=5, deleted=True)])
    ledger.record([event(seconds=0)])
    assert live(ledger) == {}
    assert ledger.partition_states([SOURCE]) == []


def test_the_sequencer_decides_when_the_event_times_are_wrong(ledger: Ledger) -> None:
    ledger.record([event(content="new", seconds=0, sequencer="0055AED6DCD90281E6")])
    ledger.record([event(content="old", seconds=9, sequencer="0055AED6DCD90281E51")])
    assert list(live(ledger).values()) == [etag_of("new")]


def test_a_key_that_moves_to_another_partition_makes_both_dirty(ledger: Ledger) -> None:
    ledger.record([event("a", "1"), event("b", "22")])
    ledger.record([event("a", "1", 5, partition="2013-02-02", key=event("a").key)])
    states = {s.partition: s for s in ledger.partition_states([SOURCE])}
    assert (states[DAY].objects, states[DAY].bytes) == (1, 2)
    assert (states["2013-02-02"].objects, states["2013-02-02"].bytes) == (1, 1)
    assert states[DAY].changed_seq == states["2013-02-02"].changed_seq


def test_publishing_exactly_what_is_recorded_leaves_the_partition_clean(ledger: Ledger) -> None:
    ledger.record([event("a"), event("b")])
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a"), listed("b")], version="v1")
    assert not found.is_dirty
    assert (found.published_version, found.objects) == ("v1", 2)
    assert ledger.partition_states([SOURCE]) == []


def test_a_new_object_during_the_run_leaves_the_partition_dirty(ledger: Ledger) -> None:
    ledger.record([event("a")])
    begun = ledger.last_change()
    ledger.record([event("b", seconds=3)])
    assert ledger.mark_published(SOURCE, DAY, objects=[listed("a")], version="v1", begun_seq=begun).is_dirty
    begun = ledger.last_change()
    found = ledger.mark_published(
        SOURCE, DAY, objects=[listed("a"), listed("b", seconds=3)], version="v2", begun_seq=begun
    )
    assert not found.is_dirty


def test_an_overwrite_during_the_run_leaves_the_partition_dirty(ledger: Ledger) -> None:
    ledger.record([event("a", "1")])
    begun = ledger.last_change()
    ledger.record([event("a", "2", seconds=9)])
    assert ledger.mark_published(SOURCE, DAY, objects=[listed("a", "1")], version="v1", begun_seq=begun).is_dirty


def test_a_deletion_during_the_run_leaves_the_partition_dirty(ledger: Ledger) -> None:
    ledger.record([event("a"), event("b")])
    begun = ledger.last_change()
    ledger.record([event("b", seconds=9, deleted=True)])
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a"), listed("b")], version="v1", begun_seq=begun)
    assert found.is_dirty
    assert live(ledger) == {listed("a").key: etag_of("1")}


def test_an_object_that_the_run_saw_before_its_event_came_is_not_run_again(ledger: Ledger) -> None:
    ledger.record([event("a")])
    ledger.mark_published(SOURCE, DAY, objects=[listed("a"), listed("b", seconds=2)], version="v1")
    assert ledger.record([event("b", seconds=2.5)]) == Recorded(unchanged=1)
    found = only_state(ledger)
    assert (found.objects, found.is_dirty) == (2, False)


def test_an_overwrite_that_the_run_saw_before_its_event_came_is_not_run_again(ledger: Ledger) -> None:
    ledger.record([event("a", "1", seconds=0)])
    ledger.mark_published(SOURCE, DAY, objects=[listed("a", "22", seconds=5)], version="v1")
    assert ledger.record([event("a", "22", seconds=5.5)]) == Recorded(unchanged=1)
    found = only_state(ledger)
    assert (found.bytes, found.is_dirty) == (2, False)


def test_an_object_whose_deletion_was_never_told_does_not_run_its_partition_for_ever(ledger: Ledger) -> None:
    ledger.record([event("a"), event("b")])
    begun = ledger.last_change()
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a")], version="v1", begun_seq=begun)
    assert (found.objects, found.is_dirty) == (1, False)
    assert live(ledger) == {listed("a").key: etag_of("1")}


def test_a_file_that_was_away_while_a_run_listed_and_came_back_before_it_published_is_not_forgotten(
    ledger: Ledger,
) -> None:
    ledger.record([event("a", "1")])
    begun = ledger.last_change()
    ledger.record([event("a", "1", seconds=9)])
    found = ledger.mark_published(SOURCE, DAY, objects=[], version="v1", begun_seq=begun)
    assert (found.is_dirty, live(ledger)) == (True, {listed("a").key: etag_of("1")})


def test_a_file_that_a_run_read_and_whose_deletion_was_told_before_its_creation_leaves_the_partition_dirty(
    ledger: Ledger,
) -> None:
    begun = ledger.last_change()
    ledger.record([event("a", seconds=9, deleted=True)])
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a")], version="v1", begun_seq=begun)
    assert (found.is_dirty, live(ledger)) == (True, {})


def test_a_partition_that_no_event_told_of_can_be_published(ledger: Ledger) -> None:
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a")], version="v1")
    assert (found.objects, found.is_dirty) == (1, False)
    empty = ledger.mark_published(SOURCE, "2013-01-02", objects=[], version="v1")
    assert (empty.objects, empty.is_dirty) == (0, False)


def test_a_change_after_publishing_makes_the_partition_dirty_from_then_on(ledger: Ledger) -> None:
    ledger.record([event("a")])
    first = only_state(ledger).first_changed_at
    ledger.record([event("b", seconds=1)])
    assert only_state(ledger).first_changed_at == first
    ledger.mark_published(SOURCE, DAY, objects=[listed("a"), listed("b", seconds=1)], version="v1")
    ledger.record([event("c", seconds=2)])
    found = only_state(ledger)
    assert found.is_dirty
    assert found.first_changed_at > first


def test_a_run_that_was_overtaken_and_ends_last_changes_nothing(ledger: Ledger) -> None:
    ledger.record([event("a")])
    begun = ledger.last_change()
    ledger.record([event("a", "2", seconds=10)])
    ledger.mark_published(
        SOURCE, DAY, objects=[listed("a", "2", seconds=10)], version="v2", begun_seq=ledger.last_change()
    )
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a")], version="v1", begun_seq=begun)
    assert (found.published_version, found.is_dirty) == ("v2", False)


def test_a_request_is_remembered_with_the_change_it_was_made_for(ledger: Ledger) -> None:
    ledger.record([event(day="2013-01-01"), event(day="2013-01-02")])
    states = tuple(ledger.partition_states([SOURCE]))
    ledger.mark_requested([PartitionsRun(SOURCE, states, "the key", 2, "new files")])
    for found in ledger.partition_states([SOURCE]):
        assert (found.requested_seq, found.run_key, found.attempts) == (found.changed_seq, "the key", 2)
        assert found.requested_at is not None
        assert found.requested_at <= found.read_at


def test_work_shows_what_is_dirty_and_what_changed_since(ledger: Ledger) -> None:
    ledger.record([event(day="2013-01-01")])
    ledger.record([event(day="2013-01-02")])
    ledger.mark_published(SOURCE, "2013-01-01", objects=[listed(day="2013-01-01")], version="v1")
    ledger.mark_published(SOURCE, "2013-01-02", objects=[listed(day="2013-01-02")], version="v1")
    first, second = ledger.partition_states([SOURCE], only_dirty=False)
    assert ledger.work([SOURCE], second.changed_seq) == []
    assert [s.partition for s in ledger.work([SOURCE], first.changed_seq)] == ["2013-01-02"]
    assert ledger.work(["flights/other"], 0) == []


def test_the_summary_counts_objects_bytes_and_dirty_partitions(ledger: Ledger) -> None:
    ledger.record([event("a", "1"), event("b", "22"), event("c", day="2013-01-02")])
    ledger.mark_published(SOURCE, "2013-01-02", objects=[listed("c", day="2013-01-02")], version="v1")
    empty, flights = ledger.summary(["flights/airlines", SOURCE])
    assert (flights.partitions, flights.objects, flights.bytes, flights.dirty_partitions) == (2, 3, 4, 1)
    assert flights.last_arrival_at is not None
    assert (empty.partitions, empty.objects, empty.dirty_partitions, empty.last_arrival_at) == (0, 0, 0, None)


def marker(seconds: float = 0, *, deleted: bool = False, content: str = "") -> Arrival:
    key = f"flights/dt={DAY}/_SUCCESS"
    return event("marker", content, seconds, deleted=deleted, key=key, is_marker=True)


def test_a_marker_is_counted_beside_the_objects_and_is_no_change_of_them(ledger: Ledger) -> None:
    ledger.record([marker()])
    found = only_state(ledger)
    assert (found.markers, found.objects, found.bytes, found.is_dirty) == (1, 0, 0, False)
    ledger.record([event("a", seconds=1)])
    ledger.record([marker(2, content="again")])
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a", seconds=1)], version="v1")
    assert (found.markers, found.objects, found.is_dirty) == (1, 1, False)
    assert found.newest_event_at == at(1)
    ledger.record([marker(3, deleted=True)])
    found = only_state(ledger)
    assert (found.markers, found.objects, found.is_dirty) == (0, 1, False)


def test_a_marker_that_becomes_data_is_a_change(ledger: Ledger) -> None:
    ledger.record([marker(content="12")])
    ledger.record([event("marker", "12", 1, key=marker().key)])
    found = only_state(ledger)
    assert (found.markers, found.objects, found.bytes, found.is_dirty) == (0, 1, 2, True)


def test_a_run_that_did_not_list_a_marker_leaves_it_alone(ledger: Ledger) -> None:
    ledger.record([event("a"), marker()])
    found = ledger.mark_published(SOURCE, DAY, objects=[listed("a")], version="v1", begun_seq=ledger.last_change())
    assert (found.markers, found.is_dirty) == (1, False)


def test_the_names_of_a_partition_are_those_of_its_objects(ledger: Ledger) -> None:
    ledger.record([event("b"), event("a b"), event("gone"), event("gone", seconds=1, deleted=True), marker()])
    names = ledger.names_of(SOURCE, [DAY, "2013-01-02"])
    assert names == {DAY: ["a b.csv.gz", "b.csv.gz"], "2013-01-02": []}


def test_requests_of_the_last_hour_are_kept_each_run_once(ledger: Ledger, empty_ledger_url: str) -> None:
    ledger.record([event()])
    for key in ("first", "second", "second", "third"):
        ledger.mark_requested([PartitionsRun(SOURCE, (only_state(ledger),), key, 1, "new files")])
    recent = only_state(ledger).recent_requests
    assert len(recent) == 3
    assert recent[-1] == only_state(ledger).requested_at
    with transaction(engine(empty_ledger_url)) as connection:
        connection.execute(
            text(
                "UPDATE arrival_partition SET recent_requests = "
                "ARRAY(SELECT r - interval '61 min' FROM unnest(recent_requests) r)"
            )
        )
    ledger.mark_requested([PartitionsRun(SOURCE, (only_state(ledger),), "fourth", 1, "new files")])
    assert len(only_state(ledger).recent_requests) == 1


def test_keys_of_1024_bytes_unicode_spaces_and_quotes_come_back_as_they_were(ledger: Ledger) -> None:
    names = [
        "日本 語",
        'it\'s 100% "odd"; DROP TABLE x --',
        "a:b\\c{d}",
        "x" * (1024 - len("flights/dt=2013-01-01/.csv.gz")),
    ]
    ledger.record([event(name) for name in names])
    assert set(live(ledger)) == {event(name).key for name in names}


def test_two_writers_with_the_same_keys_in_opposite_order_do_not_deadlock(ledger: Ledger) -> None:
    arrivals = [event(str(n), day=f"2013-01-{n % 28 + 1:02}") for n in range(600)]
    ready = threading.Barrier(4)

    def write(offset: int) -> Recorded:
        ready.wait(20)
        total = Recorded()
        for at_ in range(0, 600, 100):
            batch = arrivals[at_ : at_ + 100]
            total += ledger.record(batch if offset % 2 else list(reversed(batch)))
        return total

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(write, range(4)))
    assert sum(r.added for r in results) == 600
    assert sum(s.objects for s in ledger.partition_states([SOURCE])) == 600


def test_recording_and_publishing_at_once_do_not_deadlock(ledger: Ledger) -> None:
    days = [f"2013-01-{n:02}" for n in range(1, 11)]

    def record(round_: int) -> None:
        ledger.record([event(day=day, content=str(round_), seconds=round_) for day in reversed(days)])

    def publish(round_: int) -> None:
        for day in days:
            ledger.mark_published(
                SOURCE, day, objects=[listed(day=day, content=str(round_), seconds=round_)], version="v"
            )

    with ThreadPoolExecutor(2) as pool:
        for round_ in range(10):
            for future in [pool.submit(record, round_), pool.submit(publish, round_)]:
                future.result(30)
    assert all(s.objects == 1 for s in ledger.partition_states([SOURCE], only_dirty=False))


def test_a_stopped_database_is_unavailable() -> None:
    ledger = Ledger(engine("postgresql+psycopg2://a:b@127.0.0.1:1/none"))
    with pytest.raises(Unavailable):
        ledger.record([event()])


# The bucket is the model: a sequence of real changes of a few keys, and any way in which S3 may tell of them.
changes = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "22", "333", None])), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=changes, data=st.data(), with_sequencer=st.booleans())
def test_the_ledger_ends_equal_to_the_bucket_whatever_the_order_of_the_events(
    ledger: Ledger, history: list[tuple[str, str | None]], data: st.DataObject, with_sequencer: bool
) -> None:
    with transaction(ledger.database) as connection:  # type: ignore[arg-type]
        connection.execute(text("TRUNCATE arrival_object, arrival_history, arrival_partition"))
    bucket: dict[str, str] = {}
    events: list[Arrival] = []
    for number, (name, content) in enumerate(history):
        more: dict[str, Any] = {"sequencer": f"{number:08X}"} if with_sequencer else {}
        if content is None:
            bucket.pop(event(name).key, None)
            events.append(event(name, "", number, deleted=True, **more))
        else:
            bucket[event(name).key] = etag_of(content)
            events.append(event(name, content, number, **more))
    told = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=6))))
    while told:
        size = data.draw(st.integers(1, len(told)))
        ledger.record(told[:size])
        told = told[size:]
    assert live(ledger) == bucket
    sizes = {etag_of(c): len(c) for c in ("1", "22", "333")}
    states = ledger.partition_states([SOURCE], only_dirty=False)
    assert sum(s.objects for s in states) == len(bucket)
    assert sum(s.bytes for s in states) == sum(sizes[etag] for etag in bucket.values())


def test_reading_times_are_those_of_the_database(ledger: Ledger) -> None:
    ledger.record([event(seconds=-86_400 * 365)])
    found = only_state(ledger)
    assert found.newest_event_at == at(-86_400 * 365)
    assert found.read_at - found.last_changed_at < dt.timedelta(minutes=5)
