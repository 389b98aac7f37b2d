from dataclasses import replace

import pytest

from datalake_assets.arrivals.order import Arrival, Outcome, judge
from tests.arrivals.builders import at, event

KNOWN = event(content="1", seconds=10)


@pytest.mark.parametrize(
    ("known", "told", "outcome"),
    [
        (None, event(), Outcome.ADDED),
        (None, event(deleted=True), Outcome.BURIED),
        (KNOWN, event(content="2", seconds=11), Outcome.CHANGED),
        (KNOWN, event(content="2", seconds=9), Outcome.STALE),
        (KNOWN, event(content="1", seconds=9), Outcome.UNCHANGED),
        (KNOWN, event(content="1", seconds=10), Outcome.UNCHANGED),
        (KNOWN, event(content="1", seconds=11), Outcome.REFRESHED),
        (KNOWN, event(seconds=11, deleted=True), Outcome.REMOVED),
        (replace(KNOWN, is_deleted=True), event(content="1", seconds=11), Outcome.ADDED),
        (replace(KNOWN, is_deleted=True), event(content="1", seconds=9), Outcome.STALE),
        # In the same millisecond, without a sequencer, the last word counts: a needless run mends it, a lost file not.
        (KNOWN, event(content="2", seconds=10), Outcome.CHANGED),
    ],
)
def test_an_event_is_judged_by_its_time(known: Arrival | None, told: Arrival, outcome: Outcome) -> None:
    assert judge(known, told) is outcome


@pytest.mark.parametrize(
    ("known", "told", "is_newer"),
    [("0A", "0B", True), ("0B", "0A", False), ("0A", "0A1", True), ("0A1", "0A", False), ("09", "0A", True)],
)
def test_sequencers_of_different_length_are_compared_as_aws_says(known: str, told: str, is_newer: bool) -> None:
    found = judge(replace(KNOWN, sequencer=known), event(content="2", seconds=0, sequencer=told))
    assert found is (Outcome.CHANGED if is_newer else Outcome.STALE)


def test_sequencers_that_differ_in_zeros_at_the_end_are_equal_and_change_nothing() -> None:
    assert judge(replace(KNOWN, sequencer="0A"), event(content="2", seconds=99, sequencer="0A00")) is Outcome.STALE


def test_deleting_an_old_version_leaves_the_current_one() -> None:
    known = replace(KNOWN, version_id="current")
    assert judge(known, event(seconds=99, deleted=True, version_id="old")) is Outcome.STALE
    assert judge(known, event(seconds=99, deleted=True, version_id="current")) is Outcome.REMOVED
    assert judge(known, event(seconds=99, deleted=True)) is Outcome.REMOVED


def test_a_listing_wins_against_what_was_before_it_and_loses_against_what_came_after() -> None:
    told = event(content="2", seconds=5, listed_at=at(20))
    assert judge(KNOWN, told) is Outcome.CHANGED
    assert judge(event(content="1", seconds=25), told) is Outcome.STALE
    # An object modified after the known event is newer, whenever the listing began.
    assert judge(event(content="1", seconds=25), replace(told, event_at=at(26))) is Outcome.CHANGED


def test_what_a_listing_did_not_show_is_gone_unless_it_came_afterwards() -> None:
    told = replace(KNOWN, is_deleted=True, listed_at=at(20))
    assert judge(KNOWN, told) is Outcome.REMOVED
    assert judge(event(seconds=20), told) is Outcome.STALE


def test_events_of_before_a_listing_lose_against_it_with_or_without_a_sequencer() -> None:
    known = event(content="2", seconds=5, listed_at=at(20))
    assert judge(known, event(content="1", seconds=19, sequencer="FF")) is Outcome.STALE
    assert judge(known, event(content="1", seconds=21)) is Outcome.CHANGED
