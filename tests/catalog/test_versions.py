from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.catalog.versions import following_version_id, new_version_id
from datalake_assets.errors import ConfigurationError
from datalake_assets.names import version_id

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)), st.integers(1, 10**12))
def test_a_later_version_has_a_greater_id(now: datetime, microseconds: int) -> None:
    later = now
    try:
        later = now + timedelta(microseconds=microseconds)
    except OverflowError:
        return
    assert new_version_id("zz", now) < new_version_id("aa", later)


def test_two_runs_of_one_moment_have_two_ids() -> None:
    assert new_version_id("aaaa-1", NOON) != new_version_id("bbbb-1", NOON)


def test_an_id_is_a_valid_name_whatever_the_run_is_called() -> None:
    made = new_version_id("F3A1/..%-é" * 20, NOON)
    assert version_id(made) == made


def test_ids_of_hosts_in_other_time_zones_sort_by_the_moment() -> None:
    tokyo = datetime(2026, 1, 2, 20, 59, tzinfo=timezone(timedelta(hours=9)))
    assert new_version_id("run", tokyo) < new_version_id("run", NOON)


def test_a_time_without_zone_and_a_run_without_name_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        new_version_id("run", datetime(2026, 1, 2))
    with pytest.raises(ValueError, match="no letter"):
        new_version_id("--", NOON)


def test_a_following_id_is_greater_than_the_latest_whoever_made_that_by_what_clock() -> None:
    assert following_version_id("aa", NOON, "") == new_version_id("aa", NOON)
    for ahead in (timedelta(0), timedelta(microseconds=1), timedelta(days=400)):
        latest = new_version_id("zz", NOON + ahead)
        assert (
            latest < following_version_id("aa", NOON, latest) < new_version_id("aa", NOON + ahead + timedelta(days=1))
        )
    with pytest.raises(ConfigurationError, match="'zebra' is later than any that a run can make"):
        following_version_id("aa", NOON, "zebra")
