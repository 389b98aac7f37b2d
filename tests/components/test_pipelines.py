"""Pipelines by name, as a person types it."""

import pytest

from datalake_assets.components.pipelines import find_locations, find_pipeline, find_pipelines, require_partition
from datalake_assets.errors import ConfigurationError
from datalake_assets.names import UNPARTITIONED


def test_no_name_means_all_pipelines_in_order() -> None:
    names = [each.name for each in find_pipelines([])]
    assert names == sorted(names)
    assert {"flights/flights", "flights/airlines"} <= set(names)


def test_names_are_kept_in_the_order_in_which_they_were_typed_and_once() -> None:
    found = find_pipelines(["flights/weather", "flights/flights", "flights/weather"])
    assert [each.name for each in found] == ["flights/weather", "flights/flights"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("flights/wether", "flights/weather"), ("weather", "flights/weather"), ("flights", "flights/flights")],
)
def test_the_nearest_name_is_suggested(typed: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no pipeline '{typed}'.*Did you mean {meant}"):
        find_pipeline(typed)


def test_without_a_near_name_all_are_listed() -> None:
    with pytest.raises(ConfigurationError, match=r"one of .*flights/airlines, .*flights/weather"):
        find_pipeline("xyzzy")


def test_a_partition_is_checked_against_those_of_the_pipeline() -> None:
    flights = find_pipeline("flights/flights")
    assert flights.partition("2013-01-01") == "2013-01-01"
    for wrong in ("2013-13-01", "yesterday", "1999-01-01"):
        with pytest.raises(ConfigurationError, match=f"flights/flights has no such partition: .*{wrong}"):
            flights.partition(wrong)
    with pytest.raises(ConfigurationError, match="no partition is named; expected a day, for example 2013-01-01"):
        flights.partition(None)


def test_a_table_without_partitions_takes_none() -> None:
    airlines = find_pipeline("flights/airlines")
    assert airlines.partition(None) == UNPARTITIONED
    assert airlines.label(UNPARTITIONED) == "flights/airlines"
    with pytest.raises(ConfigurationError, match="has no partitions, so '2013-01-01' is none of them"):
        airlines.partition("2013-01-01")


def test_only_locations_with_pipelines_can_be_swept() -> None:
    found = find_locations([])
    assert found == sorted(found)
    assert {"content", "core_data", "flights", "search"} <= set(found)
    assert "operations" not in found
    with pytest.raises(ConfigurationError, match=r"no location 'flihgts'.*Did you mean flights"):
        find_locations(["flihgts"])


def test_a_partition_of_no_pipeline_of_a_location_is_refused() -> None:
    require_partition(["flights"], ["2013-01-01"])
    with pytest.raises(ConfigurationError, match="no pipeline of flights has such a partition: 'today' is not a date"):
        require_partition(["flights"], ["today"])
