import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.arrivals.partitions import Daily
from datalake_assets.arrivals.run_tags import (
    PARTITIONS_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    partition_tags,
    requested_partitions,
)
from datalake_assets.errors import ConfigurationError

DAYS = [(dt.date(2013, 1, 1) + dt.timedelta(days=n)).isoformat() for n in range(60)]


def test_a_stretch_of_days_needs_no_more_than_its_range() -> None:
    assert partition_tags(DAYS[:3], Daily()) == {RANGE_START_TAG: "2013-01-01", RANGE_END_TAG: "2013-01-03"}
    assert partition_tags(DAYS[:1], Daily()) == {RANGE_START_TAG: "2013-01-01", RANGE_END_TAG: "2013-01-01"}


def test_days_with_gaps_are_named_beside_their_range() -> None:
    tags = partition_tags([DAYS[0], *DAYS[2:5], DAYS[7]], Daily())
    assert (tags[RANGE_START_TAG], tags[RANGE_END_TAG]) == ("2013-01-01", "2013-01-08")
    assert tags[PARTITIONS_TAG] == '["2013-01-01","2013-01-03..2013-01-05","2013-01-08"]'


def test_a_run_without_the_tag_takes_all_that_dagster_gave_it() -> None:
    assert requested_partitions({}, DAYS) == DAYS
    assert requested_partitions({"other": "tag"}, []) == []


@given(st.sets(st.sampled_from(DAYS), min_size=1).map(sorted))
def test_a_run_takes_exactly_the_partitions_that_were_requested(partitions: list[str]) -> None:
    tags = partition_tags(partitions, Daily())
    planned = DAYS[DAYS.index(tags[RANGE_START_TAG]) : DAYS.index(tags[RANGE_END_TAG]) + 1]
    assert requested_partitions(tags, planned) == partitions


@pytest.mark.parametrize(
    "text",
    ['["2012-12-31"]', "[", "7", '["2013-01-02..2014-01-01"]', '["2013-01-03..2013-01-02"]', "[7]", "[null]", "[]"],
)
def test_a_tag_that_does_not_fit_the_range_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="2013-01-01 to 2013-03-01"):
        requested_partitions({PARTITIONS_TAG: text}, DAYS)
