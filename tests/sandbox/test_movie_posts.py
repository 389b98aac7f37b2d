"""The generator of posts: the same bytes every time, and the mess that it promises."""

import gzip
import json
from datetime import date
from typing import Any

from datalake_assets.sandbox.movie_posts import Mess, first_days, movie_posts

DAYS = first_days(4)


def _posts(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(body).decode().splitlines()]


def test_the_same_day_is_the_same_bytes_and_another_seed_is_not() -> None:
    first, again, other = (list(movie_posts(DAYS[:1], seed=seed)) for seed in (7, 7, 8))
    assert first == again
    assert first[0].key == other[0].key == "movie_posts/dt=2026-01-01/posts.json.gz"
    assert first[0].body != other[0].body


def test_a_day_does_not_depend_on_the_days_landed_with_it() -> None:
    assert list(movie_posts(DAYS))[2] == next(iter(movie_posts([DAYS[2]])))


def test_clean_posts_have_one_type_a_field_and_ids_once() -> None:
    (sample,) = movie_posts([DAYS[3]], mess=Mess.none())
    posts = _posts(sample.body)
    assert len(posts) == sample.rows == len({post["id"] for post in posts}) == 400
    assert {type(post["views"]) for post in posts} == {int}
    assert {type(post["genres"]) for post in posts} == {list}
    assert not any("platform" in post for post in posts)
    assert {type(comment["stars"]) for post in posts for comment in post["comments"]} == {int}


def test_messy_posts_have_every_fault() -> None:
    lines = [line for sample in movie_posts(DAYS) for line in gzip.decompress(sample.body).decode().splitlines()]
    posts, broken = [], 0
    for line in lines:
        try:
            posts.append(json.loads(line))
        except json.JSONDecodeError:
            broken += 1
    ids = [post["id"] for post in posts]
    assert broken
    assert len(set(ids)) < len(ids)
    assert {type(post["film"]["year"]) for post in posts} == {int, str}
    assert {type(post["genres"]) for post in posts} == {list, str}
    assert {type(post["views"]) for post in posts} == {int, str}
    assert any("director" not in post["film"] for post in posts)
    assert any(post["comments"] is None for post in posts)
    stars = {comment["stars"] for post in posts for comment in post["comments"] or ()}
    assert any(isinstance(each, str) and each.endswith("stars") for each in stars)
    assert {"platform" in post for post in posts if post["posted_at"] < "2026-01-03"} == {False}
    assert {type(post["platform"]) for post in posts if "platform" in post} == {str, dict}


def test_the_first_day_is_where_the_pipeline_begins() -> None:
    assert DAYS[0] == date(2026, 1, 1)
