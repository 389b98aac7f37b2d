"""Flats to rent, as a portal might export them each night: one CSV of all that are live, and what is wrong with it.

A listing is born on some day, stays for some weeks and changes its price now and then, so the exports of two days have
most listings in common. Everything is decided by the seed and the day: the same day is the same bytes anywhere.
"""

import csv
import gzip
import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from datalake_assets.sandbox.samples import Sample

FIRST_DAY = date(2026, 1, 1)
BORN_PER_DAY = 24
LONGEST_LIFE_DAYS = 56
HEADER = ("ListingID", "title", "city", "zip", "rooms", "area", "price", "published", "updated")
# city: (share of the listings, first zip code, rent for a square metre)
CITIES = {
    "Berlin": (0.26, 10115, 15.2),
    "Hamburg": (0.15, 20095, 14.1),
    "München": (0.13, 80331, 20.4),
    "Köln": (0.12, 50667, 13.2),
    "Leipzig": (0.12, 4103, 9.1),
    "Dresden": (0.11, 1067, 8.8),
    "Stuttgart": (0.06, 70173, 15.9),
    "Frankfurt am Main": (0.05, 60311, 16.8),
}
_KINDS = ("Altbau", "Neubau", "Dachgeschoss", "Maisonette", "Loft", "Souterrain")
_EXTRAS = ("mit Balkon", "ruhig, hell", 'nahe "Altstadt"', "mit Einbauküche", "frisch renoviert", "möbliert")


@dataclass(frozen=True)
class Mess:
    """How often a listing, or a day, has which fault, from 0 to 1."""

    price_on_request: float = 0.02
    """The price is words: still a listing, of which the price is not known."""
    wrong_date: float = 0.004
    """Published on a day that no month has."""
    missing_id: float = 0.002
    surplus_field: float = 0.002
    """One field more than the header has."""
    cut_line: float = 0.002
    """The line ends in the middle."""
    repeated: float = 0.03
    """Changed while the export ran, so it is there twice, in any order: the later `updated` counts."""
    late_day: float = 0.4
    """A day whose export missed some agencies; they are in a second file, hours later."""
    late: float = 0.06
    """A listing of such a day that is in the second file."""
    new_column_from: date | None = FIRST_DAY + timedelta(3)
    """From this day on there is a column `energy_class` that nobody announced, in the middle."""

    @classmethod
    def none(cls) -> "Mess":
        return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, new_column_from=None)


@dataclass(frozen=True)
class _Flat:
    number: int
    title: str
    city: str
    zip_code: int
    rooms: float
    area: int
    price: float
    published_at: datetime
    last_day: date


def first_days(count: int) -> list[date]:
    """The first days that have an export."""
    return [FIRST_DAY + timedelta(number) for number in range(count)]


def listings(
    days: Sequence[date], *, seed: int = 7, mess: Mess | None = None, born_per_day: int = BORN_PER_DAY
) -> Iterator[Sample]:
    """One gzip CSV a day of what is live, without what comes late; `rows` counts records, the header is none."""
    for day in days:
        on_time, _ = _split(day, seed, Mess() if mess is None else mess, born_per_day)
        yield _file(f"listings/dt={day}/listings.csv.gz", on_time, day, mess)


def late_listings(
    days: Sequence[date], *, seed: int = 7, mess: Mess | None = None, born_per_day: int = BORN_PER_DAY
) -> Iterator[Sample]:
    """The second file of each of these days that has one."""
    for day in days:
        _, late = _split(day, seed, Mess() if mess is None else mess, born_per_day)
        if late:
            yield _file(f"listings/dt={day}/listings-late.csv.gz", late, day, mess)


def _file(key: str, lines: list[str], day: date, mess: Mess | None) -> Sample:
    header = ",".join(_header(day, Mess() if mess is None else mess))
    body = gzip.compress("".join(f"{line}\n" for line in (header, *lines)).encode(), compresslevel=6, mtime=0)
    return Sample(key, body, len(lines))


def _header(day: date, mess: Mess) -> tuple[str, ...]:
    if mess.new_column_from and day >= mess.new_column_from:
        return (*HEADER[:4], "energy_class", *HEADER[4:])
    return HEADER


def _split(day: date, seed: int, mess: Mess, born_per_day: int) -> tuple[list[str], list[str]]:
    """The lines of a day's first file, and those that come late."""
    draw = random.Random(f"{seed}:listings:{day}")
    has_late = draw.random() < mess.late_day
    on_time: list[str] = []
    late: list[str] = []
    for flat in _live(day, seed, born_per_day):
        lines = _lines(draw, flat, day, mess)
        (late if has_late and draw.random() < mess.late else on_time).extend(lines)
    draw.shuffle(on_time)
    return on_time, late


def _live(day: date, seed: int, born_per_day: int) -> Iterator[_Flat]:
    for age in range(LONGEST_LIFE_DAYS, -1, -1):
        yield from (flat for flat in _born(day - timedelta(age), seed, born_per_day) if flat.last_day >= day)


@lru_cache(maxsize=2 * LONGEST_LIFE_DAYS)  # of two days that follow each other, most are the same
def _born(day: date, seed: int, count: int) -> tuple[_Flat, ...]:
    draw = random.Random(f"{seed}:born:{day}")
    return tuple(_flat(draw, day, number) for number in range(count))


def _flat(draw: random.Random, born: date, number: int) -> _Flat:
    city = draw.choices(list(CITIES), [share for share, _, _ in CITIES.values()])[0]
    _, first_zip, rent = CITIES[city]
    rooms = draw.choice((1.0, 1.5, 2.0, 2.0, 2.5, 3.0, 3.0, 4.0, 5.0))
    area = round(18 + rooms * draw.uniform(16, 26))
    life = min(LONGEST_LIFE_DAYS, 1 + int(draw.expovariate(1 / 18)))
    return _Flat(
        number=int(f"{born:%y%m%d}") * 1_000 + number,
        title=f"{draw.choice(_KINDS)}, {rooms:g} Zimmer, {draw.choice(_EXTRAS)}",
        city=city,
        zip_code=first_zip + draw.randrange(0, 60, 2),
        rooms=rooms,
        area=area,
        price=round(area * rent * draw.uniform(0.8, 1.35), 2),
        published_at=datetime.combine(born, time(draw.randrange(6, 23), draw.randrange(60))),
        last_day=born + timedelta(life),
    )


def _lines(draw: random.Random, flat: _Flat, day: date, mess: Mess) -> list[str]:
    updated_at = max(flat.published_at, datetime.combine(day, time(draw.randrange(0, 3), draw.randrange(60))))
    price = flat.price * (0.95 if draw.random() < 0.02 else 1.0)
    row = {
        "ListingID": "" if draw.random() < mess.missing_id else str(flat.number),
        "title": flat.title,
        "city": flat.city,
        "zip": f"{flat.zip_code:05d}",
        "rooms": f"{flat.rooms:.1f}".replace(".", ","),
        "area": str(flat.area),
        "price": "auf Anfrage" if draw.random() < mess.price_on_request else _german(price),
        "published": _moment(flat.published_at),
        "updated": _moment(updated_at),
        "energy_class": draw.choice("ABCDEFG"),
    }
    if draw.random() < mess.wrong_date:
        row["published"] = f"31.02.{day:%Y} 08:00"
    header = _header(day, mess)
    line = _line([row[name] for name in header])
    found = [line]
    if draw.random() < mess.surplus_field:
        found = [f"{line},x"]
    elif draw.random() < mess.cut_line:
        found = [line[: line.index(flat.city)]]
    elif draw.random() < mess.repeated:
        later = row | {"price": _german(price * 0.97), "updated": _moment(updated_at + timedelta(minutes=7))}
        found.insert(draw.randrange(2), _line([later[name] for name in header]))
    return found


def _line(values: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def _german(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


def _moment(moment: datetime) -> str:
    return moment.strftime("%d.%m.%Y %H:%M")
