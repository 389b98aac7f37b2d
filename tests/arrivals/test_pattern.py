import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.arrivals.partitions import AnyKey, Daily, PartitionKind, Unpartitioned
from datalake_assets.arrivals.pattern import KeyPattern, is_ignored
from datalake_assets.arrivals.sources import Match, Matcher, NoMatch, partition_of
from datalake_assets.errors import ConfigurationError
from datalake_assets.names import UNPARTITIONED
from tests.arrivals.builders import AIRLINES, FLIGHTS, SOURCES

DAILY = Daily(dt.date(2013, 1, 1))


@pytest.mark.parametrize(
    ("pattern", "key", "partition"),
    [
        ("flights/dt={partition}/*.csv.gz", "flights/dt=2013-01-31/a b.csv.gz", "2013-01-31"),
        ("flights/dt={partition}/*.csv.gz", "flights/dt=2013-01-31/x/a.csv.gz", None),
        ("flights/dt={partition}/*.csv.gz", "flights/dt=2013-01-31/a.csv", None),
        ("flights/dt={partition}/*.csv.gz", "flights/dt=2013-13-45/a.csv.gz", None),
        ("flights/dt={partition}/*.csv.gz", "flights/dt=2013-02-29/a.csv.gz", None),
        ("flights/dt={partition}/*.csv.gz", "flights/dt=2012-12-31/a.csv.gz", None),
        ("flights/dt={partition}/*.csv.gz", "flights/dt=20130131/a.csv.gz", None),
        ("flights/dt={partition}/*.csv.gz", "flights/dt=2013-W05-4/a.csv.gz", None),
        ("flights/dt={partition}/*.csv.gz", "flights/dt=２013-01-31/a.csv.gz", None),
        ("flights/dt={partition}/*.csv.gz", "prefix/flights/dt=2013-01-31/a.csv.gz", None),
        ("flights/**/*.csv", "flights/a/b/c.csv", UNPARTITIONED),
        ("flights/**/*.csv", "flights/c.csv", UNPARTITIONED),
        ("flights/**/*.csv", "flightsc.csv", None),
        ("x/{partition}_*.json", "x/2013-01-31_part_1.json", "2013-01-31"),
        ("logs/{%Y}/{%m}/{%d}/**", "logs/2013/01/31/10/a.log", "2013-01-31"),
        ("logs/{%Y}/{%m}/{%d}/**", "logs/2013/02/31/10/a.log", None),
        ("{%d}.{%m}.{%Y}/x_{%Y}.csv", "31.01.2013/x_2013.csv", "2013-01-31"),
        ("{%d}.{%m}.{%Y}/x_{%Y}.csv", "31.01.2013/x_2014.csv", None),
        ("x/{%Y%m%d}.csv", "x/20130131.csv", "2013-01-31"),
        ("x/{%Y%m%d}.csv", "x/20130231.csv", None),
        ("x/{%Y-%m-%d}_{%H%M}.csv", "x/2013-01-31_0915.csv", "2013-01-31"),
        ("x/{%Y-%m-%d}_{%H%M}.csv", "x/2013-01-31_9:15.csv", None),
        ("{%d/%m}/x-{%H}/{%Y}.csv", "31/01/x-09/2013.csv", "2013-01-31"),
        ("a{%H}_{partition}.csv", "a23_2013-01-31.csv", "2013-01-31"),
        ("a+b(c)[d]?.$/*.csv", "a+b(c)[d]?.$/x.csv", UNPARTITIONED),
        ("a+b(c)[d]?.$/*.csv", "aab(c)d.$/x.csv", None),
        ("日本/*.csv", "日本/ä\nö.csv", UNPARTITIONED),
    ],
)
def test_a_pattern_tells_the_partition_of_a_key(pattern: str, key: str, partition: str | None) -> None:
    kind: PartitionKind = DAILY if "{" in pattern else Unpartitioned()
    assert KeyPattern.parse(pattern, kind).match(key) == partition


@pytest.mark.parametrize(
    "name",
    ["_SUCCESS", "a/_SUCCESS", "a/.part-0.crc", "a/", "a/b.csv.tmp", "a/_temporary/0/b.csv", "a/b.csv._COPYING_"],
)
def test_markers_folders_and_temporary_names_are_ignored(name: str) -> None:
    assert is_ignored(name)
    assert KeyPattern.parse("**").match(name) is None
    assert Matcher(SOURCES).match(f"flights/{name}") is None


@pytest.mark.parametrize(
    ("pattern", "kind", "said"),
    [
        ("", None, "does not start like a key"),
        ("/flights/*.csv", None, "does not start like a key"),
        ("s3://raw/flights/*.csv", None, "does not start like a key"),
        ("flights/{day}/*.csv", DAILY, "unknown field {day}"),
        ("flights/{partition}/{partition}/*.csv", DAILY, "has the fields"),
        ("flights/{%Y}/{%m}/*.csv", DAILY, "has the fields"),
        ("flights/{%Y%m}/*.csv", DAILY, "has the fields"),
        ("flights/{%Y%m%d%j}/*.csv", DAILY, "unknown field {%j}"),
        ("flights/{%H}/*.csv", DAILY, "does not fit the pipeline's partitions"),
        ("flights/{partition/*.csv", DAILY, "single {"),
        ("flights/*.csv", DAILY, "does not fit the pipeline's partitions"),
        ("flights/{partition}/*.csv", Unpartitioned(), "does not fit the pipeline's partitions"),
        ("flights/_*.csv", None, "only names that are ignored"),
        ("flights/", None, "only names that are ignored"),
        ("ä" * 513, None, "longer than a key"),
    ],
)
def test_a_pattern_that_can_never_work_is_refused(pattern: str, kind: PartitionKind | None, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        KeyPattern.parse(pattern, kind)


def test_the_prefix_is_the_longest_that_all_keys_share() -> None:
    flights = KeyPattern.parse("flights/dt={partition}/part-*.csv", DAILY)
    assert flights.prefix() == "flights/dt="
    assert flights.prefix("2013-01-31") == "flights/dt=2013-01-31/part-"
    logs = KeyPattern.parse("logs/{%Y}/{%m}/{%d}/x*.log", DAILY)
    assert (logs.prefix(), logs.prefix("2013-01-31")) == ("logs/", "logs/2013/01/31/x")
    assert KeyPattern.parse("airlines/*.csv").prefix(UNPARTITIONED) == "airlines/"


@given(
    day=st.dates(dt.date(2013, 1, 1), dt.date(9899, 12, 31)),
    name=st.text(st.characters(exclude_characters="/"), min_size=1, max_size=20),
)
def test_every_key_that_matches_starts_with_the_prefix_of_its_partition(day: dt.date, name: str) -> None:
    for text in ("a/{partition}/*", "{%Y}-{%m}/{%d}/*", "**/dt={partition}/*"):
        pattern = KeyPattern.parse(text, DAILY)
        key = f"a/{day}/{name}" if "a/" in text else f"{day:%Y-%m/%d}/{name}" if "%Y" in text else f"dt={day}/{name}"
        found = pattern.match(key)
        assert found == (None if is_ignored(key) else day.isoformat())
        assert key.startswith(pattern.prefix(day.isoformat()))


def test_a_day_exists_once_it_is_over_in_its_time_zone() -> None:
    now = dt.datetime(2026, 1, 5, 23, 30, tzinfo=dt.UTC)
    assert Daily().is_open("2026-01-04", now)
    assert not Daily().is_open("2026-01-05", now)
    assert Daily(timezone="Europe/Berlin").is_open("2026-01-05", now)
    assert Daily(end_offset=1).is_open("2026-01-05", now)


def test_the_day_after_the_last_of_february_and_of_the_calendar() -> None:
    assert Daily().successor("2012-02-28") == "2012-02-29"
    assert Daily().successor("9999-12-31") is None


def test_any_key_is_one_that_names_allow() -> None:
    assert AnyKey().refusal("eu-west") is None
    assert AnyKey().refusal("") == "it is empty"
    assert AnyKey().refusal("a/b") is not None


def test_a_key_of_one_source_matches_it() -> None:
    matcher = Matcher(SOURCES)
    assert matcher.match("flights/dt=2013-01-01/a.csv.gz") == Match("flights/flights", "2013-01-01")
    assert matcher.match("airlines/a.csv") == Match("flights/airlines", UNPARTITIONED)


def test_an_unexpected_key_says_why_and_whose_it_probably_is() -> None:
    matcher = Matcher(SOURCES)
    assert matcher.match("flights/dt=2013-13-45/a.csv.gz") == NoMatch(
        "'2013-13-45' is no day of the calendar", "flights/flights"
    )
    assert matcher.match("flights/dt=9999-12-31/a.csv.gz") == NoMatch(
        "9999-12-31 is after the last day that a partition can have, 9899-12-31", "flights/flights"
    )
    assert matcher.match("airlines/a.txt") == NoMatch("it does not look like airlines/*.csv", "flights/airlines")
    assert matcher.match("elsewhere/a.csv") == NoMatch("it is below no source's prefix")


def test_a_key_of_two_sources_belongs_to_none() -> None:
    class Other:
        source_id = "flights/all"
        patterns = (KeyPattern.parse("airlines/**"),)
        marker = None

    found = Matcher([AIRLINES, Other()]).match("airlines/a.csv")
    assert found == NoMatch("it belongs to several sources: flights/airlines, flights/all")


def test_keys_that_no_database_can_hold_are_unexpected() -> None:
    matcher = Matcher(SOURCES)
    for key in ("airlines/a\x00.csv", "airlines/\ud800.csv", "airlines/" + "x" * 1024 + ".csv"):
        assert isinstance(matcher.match(key), NoMatch)


def test_prefixes_within_others_are_listed_once() -> None:
    class Everything:
        source_id = "flights/all"
        patterns = (KeyPattern.parse("flights/**/x.json"),)
        marker = None

    assert Matcher([FLIGHTS, AIRLINES, Everything()]).prefixes() == ["airlines/", "flights/"]


MARKER = KeyPattern.parse("flights/dt={partition}/_SUCCESS", DAILY, is_marker=True)


def test_a_marker_may_have_a_name_that_is_ignored_elsewhere() -> None:
    assert MARKER.match("flights/dt=2013-01-31/_SUCCESS") == "2013-01-31"
    assert MARKER.match("flights/dt=2013-01-31/a/_SUCCESS") is None
    matcher = Matcher([replace(FLIGHTS, marker=MARKER), AIRLINES])
    assert matcher.match("flights/dt=2013-01-31/_SUCCESS") == Match("flights/flights", "2013-01-31", is_marker=True)
    assert matcher.match("flights/dt=2013-01-31/_started") is None
    with pytest.raises(ConfigurationError, match="only folders or temporary names"):
        KeyPattern.parse("flights/dt={partition}/x.tmp", DAILY, is_marker=True)


def test_a_marker_that_a_pattern_takes_is_no_data() -> None:
    everything = KeyPattern.parse("flights/dt={partition}/*", DAILY)
    done = KeyPattern.parse("flights/dt={partition}/done", DAILY, is_marker=True)
    matcher = Matcher([replace(FLIGHTS, patterns=(everything,), marker=done)])
    assert matcher.match("flights/dt=2013-01-31/done") == Match("flights/flights", "2013-01-31", is_marker=True)
    assert partition_of("flights/dt=2013-01-31/done", (everything,), done) is None
    assert partition_of("flights/dt=2013-01-31/more", (everything,), done) == "2013-01-31"


def test_a_key_of_two_patterns_of_one_source_counts_once() -> None:
    patterns = tuple(
        KeyPattern.parse(text, DAILY) for text in ("a/{partition}/*", "a/{%Y-%m-%d}/x*", "b/{partition}/*")
    )
    matcher = Matcher([replace(FLIGHTS, patterns=patterns)])
    assert matcher.match("a/2013-01-31/xyz") == Match("flights/flights", "2013-01-31")
    assert matcher.match("b/2013-01-31/xyz") == Match("flights/flights", "2013-01-31")
    assert matcher.match("a/2013-13-31/y") == NoMatch("'2013-13-31' is no day of the calendar", "flights/flights")


def test_the_prefixes_of_some_partitions_are_those_of_the_sources_that_have_them() -> None:
    logs = KeyPattern.parse("logs/{%Y}/{%m}/{%d}/**", DAILY)
    sources = [replace(FLIGHTS, patterns=(*FLIGHTS.patterns, logs), marker=MARKER), AIRLINES]
    found = Matcher(sources).prefixes(["2013-01-31", "2012-12-31", "north"])
    assert found == ["flights/dt=2013-01-31/", "logs/2013/01/31/"]
    assert Matcher(sources).prefixes([UNPARTITIONED]) == ["airlines/"]
