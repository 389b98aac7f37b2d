"""The sample files: real rows, cut by day, the same bytes every time."""

import csv
import gzip
from datetime import date

from datalake_assets.sandbox import samples


def _rows(sample: samples.Sample) -> list[list[str]]:
    return list(csv.reader(gzip.decompress(sample.body).decode().splitlines()))


def test_a_day_of_flights_has_exactly_the_rows_of_that_local_day() -> None:
    (sample,) = samples.flights([date(2013, 1, 1)])
    header, *rows = _rows(sample)
    assert sample.key == "flights/dt=2013-01-01/flights.csv.gz"
    assert sample.rows == len(rows) == 842
    assert header[:3] == ["year", "month", "day"]
    assert {tuple(row[:3]) for row in rows} == {("2013", "1", "1")}


def test_the_whole_year_has_every_row_once() -> None:
    found = list(samples.flights(samples.first_days(365)))
    assert len(found) == len({sample.key for sample in found}) == 365
    assert sum(sample.rows for sample in found) == 336_776


def test_weather_of_a_day_comes_from_all_three_airports() -> None:
    (sample,) = samples.weather([date(2013, 1, 2)])
    header, *rows = _rows(sample)
    assert sample.key == "weather/dt=2013-01-02/weather.csv.gz"
    assert {row[0] for row in rows} == {"EWR", "JFK", "LGA"}
    assert {tuple(row[1:4]) for row in rows} == {("2013", "1", "2")}
    assert len(header) == 15


def test_cutting_twice_gives_the_same_bytes() -> None:
    days = samples.first_days(3)
    assert list(samples.samples(days)) == list(samples.samples(days))


def test_the_corrections_are_mostly_broken_but_a_small_share_of_their_day() -> None:
    days = samples.first_days(7)
    found = {sample.key: sample for sample in samples.samples(days)}
    extra = found["flights/dt=2013-01-03/corrections.csv.gz"]
    regular = found["flights/dt=2013-01-03/flights.csv.gz"]
    header, *rows = _rows(extra)
    numbers = {row[10] for row in _rows(regular)[1:]}
    assert header == _rows(regular)[0]
    assert {len(row) for row in rows} == {17, 19, 20}
    assert not numbers & {row[10] for row in rows}
    assert 6 / (extra.rows + regular.rows) < 0.01


def test_a_single_day_has_its_corrections_too() -> None:
    keys = [sample.key for sample in samples.samples([date(2013, 7, 4)])]
    assert keys[-1] == "flights/dt=2013-07-04/corrections.csv.gz"
