"""Posts about films as a web site might export them: nested JSON lines, and the mess that such exports come with.

Everything is decided by the seed and the day, so the same day is the same bytes anywhere. What is wrong with a post is
drawn for each post by itself; `Mess` says how often, and `Mess.none()` gives clean posts.
"""

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from datalake_assets.sandbox.samples import Sample

FIRST_DAY = date(2026, 1, 1)
POSTS_PER_DAY = 400
_FILMS = (
    ("The Glass Orchard", 1987, ("drama",), "Ilse Maren", 1941),
    ("Nine Rivers North", 2004, ("adventure", "western"), "Tomás Arrieta", 1966),
    ("A Quiet Arithmetic", 2019, ("drama", "mystery"), "Noor Haddad", 1982),
    ("Der lange Sommer", 1972, ("comedy", "romance"), "Gerd Löwenfels", 1930),
    ("Signal Lost", 2022, ("science fiction", "thriller"), "Wei-Lin Zhao", 1979),
    ("L'île aux miroirs", 1995, ("fantasy",), "Hélène Corbeau", 1958),
    ("Paper Lanterns", 2011, ("animation", "family"), "Keiko Aramaki", 1970),
    ("The 14th Witness", 1961, ("crime", "film noir"), "Walter Pryce", 1918),
)
_ACTORS = ("Ada Lorne", "Bela Novák", "Chidi Okafor", "Dana Whitlock", "Émile Sarrazin", "Freya Holm", "Goran Ilić")
_ROLES = ("the stranger", "Inspector Vale", "Marta", "the pilot", "Dr. Onwuachi", "the neighbour", "Leo")
_WORDS = (
    "slow", "luminous", "too long", "perfect ending", "saw it twice", "my grandmother's favourite", "overrated",
    "the score!", "bring a handkerchief", "10/10", "why is nobody talking about this?", "schön 🎬", "he said \"cut\"",
)  # fmt: skip
_USERS = tuple(f"user{number:03d}" for number in range(120))


@dataclass(frozen=True)
class Mess:
    """How often a post has which fault, from 0 to 1."""

    number_as_text: float = 0.04
    """`year` or a comment's `stars` as a text that holds the number: still readable."""
    wrong_type: float = 0.01
    """A comment's `stars` in words, or `views` as "n/a": cannot be cast."""
    genre_as_text: float = 0.03
    """`genres` is one text instead of an array of them."""
    missing: float = 0.08
    """No `director`, `comments` null instead of empty, a rating that is null."""
    repeated: float = 0.03
    """The same post again later in the file, with more views and a later `updated_at`."""
    broken_line: float = 0.003
    """A line cut off in the middle."""
    new_field_from: date | None = FIRST_DAY + timedelta(2)
    """From this day on posts have a field `platform` that nobody announced."""

    @classmethod
    def none(cls) -> "Mess":
        return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, new_field_from=None)


def first_days(count: int) -> list[date]:
    """The first days that have posts."""
    return [FIRST_DAY + timedelta(number) for number in range(count)]


def movie_posts(
    days: Sequence[date], *, seed: int = 7, mess: Mess | None = None, posts_per_day: int = POSTS_PER_DAY
) -> Iterator[Sample]:
    """One gzip file of JSON lines a day; `rows` counts its lines."""
    for day in days:
        lines = list(_lines(day, seed, Mess() if mess is None else mess, posts_per_day))
        body = gzip.compress("".join(line + "\n" for line in lines).encode(), compresslevel=6, mtime=0)
        yield Sample(f"movie_posts/dt={day}/posts.json.gz", body, len(lines))


def _lines(day: date, seed: int, mess: Mess, count: int) -> Iterator[str]:
    draw = random.Random(f"{seed}:{day}")
    repeated: list[dict[str, Any]] = []
    for number in range(count):
        post = _post(draw, day, number, mess)
        text = json.dumps(post, ensure_ascii=False)
        yield text[: draw.randrange(20, len(text) - 20)] if draw.random() < mess.broken_line else text
        if draw.random() < mess.repeated and isinstance(post["views"], int):
            later = datetime.fromisoformat(post["updated_at"]) + timedelta(minutes=draw.randrange(1, 90))
            repeated.append(post | {"views": post["views"] + draw.randrange(1, 500), "updated_at": _moment(later)})
    for post in repeated:
        yield json.dumps(post, ensure_ascii=False)


def _post(draw: random.Random, day: date, number: int, mess: Mess) -> dict[str, Any]:
    title, year, genres, director, born = draw.choice(_FILMS)
    posted_at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=draw.randrange(86_400))
    user = draw.choice(_USERS)
    post: dict[str, Any] = {
        "id": int(f"{day:%y%m%d}") * 10_000 + number,
        "film": {
            "title": title,
            "year": str(year) if draw.random() < mess.number_as_text else year,
            "director": {"name": director, "born": born},
        },
        "genres": genres[0] if draw.random() < mess.genre_as_text else list(genres),
        "author": {"name": user, "email": f"{user}@example.com"},
        "posted_at": _moment(posted_at),
        "updated_at": _moment(posted_at + timedelta(minutes=draw.randrange(600))),
        "views": "n/a" if draw.random() < mess.wrong_type else draw.randrange(20_000),
        "ratings": {"audience": round(draw.uniform(1, 10), 1), "critics": round(draw.uniform(1, 10), 1)},
        "cast": [{"name": name, "role": draw.choice(_ROLES)} for name in draw.sample(_ACTORS, k=draw.randrange(1, 4))],
        "comments": [_comment(draw, posted_at, mess) for _ in range(draw.choice((0, 0, 1, 2, 3, 5)))],
        "moderation_note": draw.choice((None, "ok", "checked by staff")),
    }
    if draw.random() < mess.missing:
        del post["film"]["director"]
    if draw.random() < mess.missing and not post["comments"]:
        post["comments"] = None
    if draw.random() < mess.missing:
        post["ratings"]["critics"] = None
    if mess.new_field_from and day >= mess.new_field_from:
        post["platform"] = draw.choice(("web", "app", {"name": "tv", "version": 2}))
    return post


def _comment(draw: random.Random, posted_at: datetime, mess: Mess) -> dict[str, Any]:
    stars: int | str = draw.randrange(1, 6)
    if draw.random() < mess.number_as_text:
        stars = str(stars)
    if draw.random() < mess.wrong_type:
        stars = ("one", "two", "three", "four", "five")[int(stars) - 1] + " stars"
    return {
        "user": draw.choice(_USERS),
        "at": _moment(posted_at + timedelta(minutes=draw.randrange(1, 900))),
        "stars": stars,
        "text": ", ".join(draw.sample(_WORDS, k=draw.randrange(1, 4))),
        "likes": [draw.choice(_USERS) for _ in range(draw.randrange(4))],
    }


def _moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
