"""Posts about films from raw lines to tables, beside a reading of the same lines that knows nothing of the platform."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from datalake_assets import definitions
from datalake_assets.accounts.sessions import session
from datalake_assets.sandbox.movie_posts import first_days, movie_posts
from datalake_assets.sandbox.sandbox import Sandbox
from tests.integration.runs import Run
from tests.integration.user import Platform

DAY = str(first_days(3)[2])
TABLES = ("movie_posts", "movie_posts_cast", "movie_posts_comments", "movie_posts_likes")


def lake(table: str) -> dg.AssetKey:
    return dg.AssetKey(["content", "lake", table])


def expected(body: bytes) -> dict[str, int]:
    """Rows of each table: the good posts, each as it was last updated."""
    good: dict[int, dict[str, Any]] = {}
    bad = repeated = 0
    for line in gzip.decompress(body).decode().splitlines():
        try:
            post = json.loads(line)
        except json.JSONDecodeError:
            bad += 1
            continue
        if any("stars" in str(comment["stars"]) for comment in post["comments"] or ()):
            bad += 1
            continue
        if post["id"] in good:
            repeated += 1
            if post["updated_at"] < good[post["id"]]["updated_at"]:
                continue
        good[post["id"]] = post
    comments = [comment for post in good.values() for comment in post["comments"] or ()]
    return {
        "movie_posts": len(good),
        "movie_posts_cast": sum(len(post["cast"]) for post in good.values()),
        "movie_posts_comments": len(comments),
        "movie_posts_likes": sum(len(comment["likes"]) for comment in comments),
        "bad": bad,
        "repeated": repeated,
    }


@pytest.fixture(scope="module")
def landed(sandbox: Sandbox) -> Iterator[tuple[Run, dict[str, int]]]:
    """The run of one messy day, and what it should have made."""
    (sample,) = movie_posts([first_days(3)[2]])
    account = session("content")
    account.client("s3").put_object(Bucket=account.account.raw_bucket, Key=sample.key, Body=sample.body)
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.content.resolve_job_def("movie_posts")
        result = job.execute_in_process(instance=instance, partition_key=DAY, raise_on_error=False)
        yield Run(result), expected(sample.body)


def test_posts_become_four_tables_with_the_rows_of_the_good_posts(
    landed: tuple[Run, dict[str, int]], platform: Platform
) -> None:
    run, wanted = landed
    assert run.success, run.traceback
    counts = {name: run.materialized(lake(name))[DAY].metadata["dagster/row_count"].value for name in TABLES}
    assert counts == {name: wanted[name] for name in TABLES}
    assert wanted["bad"] > 0
    metadata = run.materialized(lake("movie_posts"))[DAY].metadata
    assert metadata["rows_quarantined"].value == wanted["bad"]
    assert metadata["rows_in"].value == wanted["movie_posts"] + wanted["bad"] + wanted["repeated"]


def test_the_tables_answer_queries_and_join_by_their_keys(
    landed: tuple[Run, dict[str, int]], platform: Platform
) -> None:
    import datalake_assets

    _, wanted = landed
    answer = datalake_assets.query(
        f"""
        SELECT count(DISTINCT p.post_id) AS posts, count(*) AS comments, count(c.stars) AS stars
        FROM content_lake.movie_posts p JOIN content_lake.movie_posts_comments c USING (dt, post_id)
        WHERE dt = DATE '{DAY}'"""
    )
    ((posts, comments, stars),) = answer.rows()
    assert comments == stars == wanted["movie_posts_comments"]
    assert 0 < posts < wanted["movie_posts"]
    ((rows, hashes, notes),) = datalake_assets.query(
        "SELECT count(*), count(DISTINCT author_email_hash), count(*) FILTER (_rescued_data LIKE '%moderation%') "
        "FROM content_lake.movie_posts"
    ).rows()
    assert rows == wanted["movie_posts"]
    assert hashes > 50
    assert notes == 0


def test_what_nobody_announced_is_rescued(landed: tuple[Run, dict[str, int]], platform: Platform) -> None:
    import datalake_assets

    ((rescued,),) = datalake_assets.query(
        "SELECT count(*) FROM content_lake.movie_posts WHERE _rescued_data LIKE '%platform%'"
    ).rows()
    assert rescued == landed[1]["movie_posts"]
