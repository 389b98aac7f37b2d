"""A table that is made of the tables of two other accounts, from the query to the warehouse."""

import pytest

from tests.integration import journeys
from tests.integration.journeys import LAKE, WAREHOUSE, cities, publish_week, run
from tests.integration.user import Platform


def test_a_day_is_made_of_a_day_of_one_account_and_a_week_of_another(platform: Platform) -> None:
    day = "2026-02-10"
    publish_week(platform, day, listings=["Berlin", "Berlin", "Bonn"], searches=["Berlin", "berlin", None])

    result = run(platform, day)

    assert result.success, result.failure
    assert cities(day) == {"Berlin": (2, 14, 7), "Bonn": (0, 0, 0)}
    print(journeys.lake(day).to_string(), result.materialized(LAKE)[day].metadata)
    rows = platform.warehouse("SELECT city, week, dt FROM lake.city_week ORDER BY 1")
    assert [(city, week, str(dt)) for city, week, dt in rows] == [("Berlin", 14, day), ("Bonn", 0, day)]
    assert set(result.materialized(WAREHOUSE)) == {day}
