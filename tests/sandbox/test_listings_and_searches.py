"""The generators of listings and searches: the same bytes every time, and the mess that they promise."""

import csv
import gzip
import io
import json
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from datalake_assets.sandbox import listings, searches
from datalake_assets.sandbox.samples import Sample

DAYS = listings.first_days(14)


def rows(sample: Sample) -> list[list[str]]:
    return list(csv.reader(io.StringIO(gzip.decompress(sample.body).decode())))


def ids(sample: Sample) -> list[str]:
    return [row[0] for row in rows(sample)[1:]]


def lines(samples: list[Sample]) -> list[str]:
    return [line for sample in samples for line in gzip.decompress(sample.body).decode().splitlines()]


def events(samples: list[Sample]) -> list[dict[str, Any]]:
    found = []
    for line in lines(samples):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


@pytest.mark.parametrize("make", [listings.listings, searches.searches, listings.late_listings, searches.late_searches])
def test_the_same_days_are_the_same_bytes_and_another_seed_is_not(make: Any) -> None:
    first, again, other = (list(make(DAYS[:3], seed=seed)) for seed in (7, 7, 8))
    assert first == again
    assert [sample.body for sample in first] != [sample.body for sample in other]


@pytest.mark.parametrize("make", [listings.listings, searches.searches])
def test_a_day_does_not_depend_on_the_days_landed_with_it(make: Any) -> None:
    alone = list(make([DAYS[2]]))
    assert alone == [sample for sample in make(DAYS[:4]) if f"dt={DAYS[2]}/" in sample.key]


def test_two_days_have_most_listings_in_common_and_not_all() -> None:
    first, second = (set(ids(sample)) for sample in listings.listings(DAYS[:2], mess=listings.Mess.none()))
    assert len(first & second) > 0.8 * len(first)
    assert second - first
    assert first - second


def test_clean_listings_have_one_row_each_and_nothing_that_cannot_be_read() -> None:
    (sample,) = listings.listings([DAYS[5]], mess=listings.Mess.none())
    header, *found = rows(sample)
    assert tuple(header) == listings.HEADER
    assert len(found) == sample.rows == len(set(ids(sample)))
    assert {len(row) for row in found} == {len(header)}
    assert not [row for row in found if row[6] == "auf Anfrage" or not row[0]]
    assert list(listings.late_listings(DAYS, mess=listings.Mess.none())) == []


def test_messy_listings_have_every_fault() -> None:
    samples = list(listings.listings(DAYS))
    found = [row for sample in samples for row in rows(sample)[1:]]
    headers = {tuple(rows(sample)[0]) for sample in samples}
    width = {len(header) for header in headers}
    assert len(headers) == 2
    assert any("energy_class" in header for header in headers)
    assert any("auf Anfrage" in row for row in found)
    assert any(value.startswith("31.02.") for row in found for value in row)
    assert any(row[0] == "" for row in found)
    assert any(len(row) > max(width) for row in found)
    assert any(len(row) < min(width) for row in found)
    assert any(count > 1 for sample in samples for count in Counter(ids(sample)).values())


def test_what_comes_late_is_not_in_the_first_file() -> None:
    late = {sample.key.split("/")[1]: sample for sample in listings.late_listings(DAYS)}
    assert 0 < len(late) < len(DAYS)
    for sample in listings.listings(DAYS):
        if second := late.get(sample.key.split("/")[1]):
            assert second.key.endswith("listings-late.csv.gz")
            assert not set(filter(None, ids(second))) & set(ids(sample))


def test_people_search_most_on_sundays_and_in_the_evening() -> None:
    clean = searches.Mess.none()
    by_day = {day: sum(s.rows for s in searches.searches([day], mess=clean)) for day in DAYS}
    sundays = [count for day, count in by_day.items() if day.weekday() == 6]
    assert min(sundays) > max(count for day, count in by_day.items() if day.weekday() != 6)
    assert by_day[date(2026, 1, 4)] == pytest.approx(searches.expected_searches(date(2026, 1, 4)), rel=0.05)
    night, _, _, evening = (sample.rows for sample in searches.searches([DAYS[0]], mess=clean))
    assert evening > 3 * night


def test_clean_searches_have_one_type_a_field_and_ids_once() -> None:
    found = events(list(searches.searches([DAYS[3]], mess=searches.Mess.none())))
    assert len(found) == len({event["search_id"] for event in found})
    assert {type(event["filters"]["max_price"]) for event in found} == {int}
    assert {type(event["results"]) for event in found} == {int}
    assert {event["at"][:10] for event in found} == {str(DAYS[3])}
    assert not any("app_version" in event for event in found)


def test_messy_searches_have_every_fault() -> None:
    samples = list(searches.searches(DAYS[:4]))
    found = events(samples)
    assert len(found) < len(lines(samples))
    assert max(Counter(event.get("search_id") for event in found if "search_id" in event).values()) > 1
    assert any("search_id" not in event for event in found)
    assert any("city" not in event for event in found)
    assert any("filters" not in event for event in found)
    assert {type(event["results"]) for event in found} == {int, str}
    assert {type(event["filters"]["max_price"]) for event in found if "filters" in event} == {int, str}
    assert any(event["at"].startswith("1970") for event in found)
    announced = {event["search_id"][:6]: "app_version" in event for event in found if "search_id" in event}
    assert announced == {"260101": False, "260102": False, "260103": True, "260104": True}


def test_late_searches_are_in_no_other_file_unless_they_came_twice() -> None:
    late = list(searches.late_searches(DAYS))
    assert 0 < len(late) < len(DAYS)
    day = date.fromisoformat(late[0].key.split("dt=")[1][:10])
    no_repeats = searches.Mess(repeated=0.0)
    on_time = set(lines(list(searches.searches([day], mess=no_repeats))))
    assert not on_time & set(lines(list(searches.late_searches([day], mess=no_repeats))))


def test_the_first_day_is_where_the_pipelines_begin() -> None:
    from datalake_assets.components.declarations import read_declarations
    from datalake_assets.project import LOCATIONS_FOLDER

    for location in ("core_data", "search"):
        (declared,) = read_declarations(LOCATIONS_FOLDER / location)
        assert declared.spec.partitions
        assert declared.spec.partitions.daily == listings.FIRST_DAY == DAYS[0]
        assert DAYS[13] == listings.FIRST_DAY + timedelta(13)
