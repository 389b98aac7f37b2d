"""Two patterns that share keys are found out by an example, before a file arrives that belongs to neither source."""

import datetime as dt
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.arrivals.overlap import common_key
from datalake_assets.arrivals.partitions import Daily
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.errors import ConfigurationError


def daily(text: str, start: str = "2026-01-01", end: str | None = None) -> KeyPattern:
    return KeyPattern.parse(text, Daily(dt.date.fromisoformat(start), dt.date.fromisoformat(end) if end else None))


@pytest.mark.parametrize(
    ("one", "other", "key"),
    [
        ("a/dt={partition}/*.csv", "a/dt={partition}/*.csv", "a/dt=2026-01-01/x.csv"),
        ("a/dt={partition}/**", "a/dt={partition}/b/*.csv", "a/dt=2026-01-01/b/x.csv"),
        ("a/{%Y}/{%m}/{%d}/*", "a/**/{%m}/{%d}/b*-{%Y}", "a/2026/01/01/b-2026"),
        ("a/{%Y%m%d}_{%H%M}.csv", "a/{%Y%m%d}_*.csv", "a/20260101_0000.csv"),
        ("**/{partition}.csv", "in/**/{partition}.csv", "in/2026-01-01.csv"),
        ("**/dt={partition}/*.csv", "x/dt={partition}/**/y.csv", "x/dt=2026-01-01/y.csv"),
    ],
)
def test_a_key_of_both_is_an_example(one: str, other: str, key: str) -> None:
    found = common_key(daily(one), daily(other))
    assert found is not None
    assert daily(one).match(found) == daily(other).match(found) == "2026-01-01"
    assert len(found) <= len(key) + 1
    assert common_key(daily(other), daily(one)) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/dt={partition}/*.csv", "b/dt={partition}/*.csv"),
        ("a/dt={partition}/*.csv", "a/dt={partition}/*.json"),
        ("a/dt={partition}/*.csv", "a/dt={partition}/b/*.csv"),
        ("a/{%Y%m%d}_{%H%M}.csv", "a/{%Y%m%d}_x*.csv"),
        ("a/{partition}/x-*.csv", "a/{partition}/y-*.csv"),
    ],
)
def test_patterns_that_share_nothing_are_left_alone(one: str, other: str) -> None:
    assert common_key(daily(one), daily(other)) is None


def test_a_pipeline_may_go_on_where_another_one_ended() -> None:
    old, new = daily("a/{partition}.csv", "2020-01-01", "2026-01-01"), daily("a/{partition}.csv", "2026-01-01")
    assert common_key(old, new) is None
    assert common_key(daily("a/{partition}.csv", "2020-01-01", "2026-01-02"), new) == "a/2026-01-01.csv"


def test_a_table_without_partitions_can_take_the_files_of_one_with() -> None:
    assert common_key(KeyPattern.parse("a/**"), daily("a/dt={partition}/*.csv")) is not None
    assert common_key(KeyPattern.parse("a/*"), daily("a/dt={partition}/*.csv")) is None


KEYS = ["".join(letters) for n in range(1, 5) for letters in product("ab/", repeat=n)]
PIECES = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/"]), min_size=1, max_size=5).map("".join)


def parsed(text: str) -> KeyPattern | None:
    try:
        return KeyPattern.parse(text)
    except ConfigurationError:
        return None


@given(PIECES, PIECES)
def test_what_is_found_agrees_with_trying_all_short_keys(one: str, other: str) -> None:
    first, second = parsed(one), parsed(other)
    if first is None or second is None:
        return
    found = common_key(first, second)
    tried = [key for key in KEYS if first.match(key) is not None and second.match(key) is not None]
    assert (found is not None) >= bool(tried)
    if found is not None:
        assert first.match(found) is not None
        assert second.match(found) is not None
