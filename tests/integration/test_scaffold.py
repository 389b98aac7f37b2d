"""Unknown files become a pipeline that runs as it is: crawled, scaffolded, materialized, equal to their content."""

import contextlib
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from datalake_assets.components.declarations import Declaration, read_declarations
from datalake_assets.components.lake_pipeline import build_pipeline_definitions
from datalake_assets.components.scaffold.pipeline import scaffold, upload_hint
from datalake_assets.discovery.crawl import crawl
from datalake_assets.sandbox.movie_posts import first_days, movie_posts
from tests.integration.runs import Run
from tests.integration.user import Platform

pytestmark = pytest.mark.slow


def scaffolded(platform: Platform, prefix: str, tmp_path: Path) -> Declaration:
    """Crawl a prefix of the raw bucket and write its only table as a pipeline of a location of its own."""
    (table,) = crawl([f"s3://{platform.account.raw_bucket}/{prefix}/"]).tables
    folder = tmp_path / "flights" / table.name
    scaffold(table, folder)
    assert upload_hint(table, folder) is None
    (declaration,) = read_declarations(tmp_path)
    return declaration


def materialize(platform: Platform, declaration: Declaration, partition: str | None = None) -> None:
    job = build_pipeline_definitions("flights", declaration.spec).resolve_job_def(declaration.spec.name)
    run = Run(job.execute_in_process(instance=platform.instance, partition_key=partition, raise_on_error=False))
    assert run.success, run.failure


def rows(platform: Platform, table: str, days: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows of a lake table without what the platform adds, in the order of their files."""
    found: list[dict[str, Any]] = platform.lake(table, days).to_dict("records")
    found.sort(key=lambda row: (row["_source_file"], row["_source_row"]))
    return [{key: value for key, value in row.items() if key[0] != "_"} for row in found]


def test_messy_csv_by_day_becomes_a_typed_partitioned_table(platform: Platform, tmp_path: Path) -> None:
    def line(day: int, n: int) -> str:
        return (
            f"{day * 100 + n};1.{n:03},5{n % 10};{day:02}.02.2026 10:{n % 60:02};Näme {n};{n:05};{'' if n % 9 else 'x'}"
        )

    for number in (1, 2):
        text = "Bestellungen\r\n\r\nOrder ID;Preis;bestellt am;Name;code;note\r\n"
        text += "".join(line(number, n) + "\r\n" for n in range(1, 61))
        platform.put(f"scaffold_orders/dt=2026-02-{number:02}/a.csv.gz", gzip.compress(text.encode("cp1252")))
    declaration = scaffolded(platform, "scaffold_orders", tmp_path)
    days = ["2026-02-01", "2026-02-02"]
    for day in days:
        materialize(platform, declaration, day)
    found = rows(platform, declaration.spec.name, days)
    assert len(found) == 120
    first = found[0]
    assert first["order_id"] == 101
    assert first["preis"] == Decimal("1001.51")
    assert str(first["bestellt_am"]) == "2026-02-01 10:01:00"
    assert (first["name"], first["code"]) == ("Näme 1", "00001")
    assert str(first["dt"]) == "2026-02-01"


def test_nested_posts_become_a_table_and_its_children(platform: Platform, tmp_path: Path) -> None:
    posts: list[Mapping[str, Any]] = [
        {
            "post_id": n,
            "author": {"name": f"user {n}", "since": "2020-01-02"},
            "tags": ["a", f"t{n}"],
            "score": n / 4,
            "comments": [{"text": f"c{n}.{k}", "stars": k} for k in range(n % 3)],
        }
        for n in range(1, 31)
    ]
    platform.put("scaffold_posts/posts.json", json.dumps(posts))
    declaration = scaffolded(platform, "scaffold_posts", tmp_path)
    materialize(platform, declaration)
    found = rows(platform, declaration.spec.name)
    assert [(row["post_id"], row["author_name"], list(row["tags"])) for row in found] == [
        (post["post_id"], post["author"]["name"], post["tags"]) for post in posts
    ]
    (child,) = declaration.spec.children
    comments = rows(platform, child.table)
    assert sorted((row["post_id"], row["text"], row["stars"]) for row in comments) == [
        (post["post_id"], comment["text"], comment["stars"]) for post in posts for comment in post["comments"]
    ]


def test_a_real_export_with_its_mess_runs_as_it_was_scaffolded(platform: Platform, tmp_path: Path) -> None:
    samples = list(movie_posts(first_days(3), posts_per_day=120))
    for sample in samples:
        platform.put(f"scaffold_{sample.key}", sample.body)
    declaration = scaffolded(platform, "scaffold_movie_posts", tmp_path)
    days = [day.isoformat() for day in first_days(3)]
    for day in days:
        materialize(platform, declaration, day)
    read = [json.loads(line) for sample in samples for line in whole_lines(sample.body)]
    found = rows(platform, declaration.spec.name, days)
    good = {row["id"] for row in found}
    assert len(found) > 0.95 * len(read)  # a few are set aside, with the stars that are words
    read = [post for post in read if post["id"] in good]
    assert [row["id"] for row in found] == [post["id"] for post in read]
    assert [row["film_title"] for row in found] == [post["film"]["title"] for post in read]
    assert [row["film_year"] for row in found] == [int(post["film"]["year"]) for post in read]
    comments = next(child for child in declaration.spec.children if child.from_ == "comments")
    given = sorted((post["id"], comment["text"]) for post in read for comment in post["comments"] or ())
    assert sorted((row["id"], row["text"]) for row in rows(platform, comments.table, days)) == given


def whole_lines(body: bytes) -> Iterator[str]:
    """The lines of a file that hold a record."""
    for line in gzip.decompress(body).decode().splitlines():
        with contextlib.suppress(ValueError):
            json.loads(line)
            yield line


def test_repeated_and_empty_names_are_columns_by_their_place(platform: Platform, tmp_path: Path) -> None:
    text = "id,ID,id,,name\n" + "".join(f"{n},{n + 1},{n + 2},e{n},n{n}\n" for n in range(20))
    platform.put("scaffold_repeated/a.csv", text)
    declaration = scaffolded(platform, "scaffold_repeated", tmp_path)
    materialize(platform, declaration)
    found = rows(platform, declaration.spec.name)
    assert [tuple(row.values())[:5] for row in found] == [(n, n + 1, n + 2, f"e{n}", f"n{n}") for n in range(20)]


XML = (
    "<?xml version='1.0'?><planes>"
    + "".join(f"<plane tail='N{n}'><seats>{n * 10}</seats><model>M &amp; {n}</model></plane>" for n in range(1, 21))
    + "</planes>"
)
LOG = "".join(
    f'10.0.0.{n} - - [20/Nov/2026:10:{n:02}:00 +0000] "GET /p{n} HTTP/1.1" 200 {n * 100} "-" "curl/8"\n'
    for n in range(1, 21)
)


@pytest.mark.parametrize(
    ("name", "body", "columns"),
    [("planes.xml", XML, {"seats": 10, "model": "M & 1"}), ("access.log", LOG, {})],
)
def test_xml_and_logs_become_tables(
    platform: Platform, tmp_path: Path, name: str, body: str, columns: dict[str, Any]
) -> None:
    prefix = f"scaffold_{name.partition('.')[0]}"
    platform.put(f"{prefix}/{name}", body)
    declaration = scaffolded(platform, prefix, tmp_path)
    materialize(platform, declaration)
    found = rows(platform, declaration.spec.name)
    assert len(found) == 20
    assert found[0] | columns == found[0]


def test_parquet_files_keep_their_types(platform: Platform, tmp_path: Path) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    made = pa.table(
        {"id": pa.array(range(20), pa.int64()), "Price": [n / 8 for n in range(20)], "ok": [True, None] * 10}
    )
    target = io.BytesIO()
    pq.write_table(made, target)
    platform.put("scaffold_prices/2026/03/01/p.parquet", target.getvalue())
    platform.put("scaffold_prices/2026/03/02/p.parquet", target.getvalue())
    declaration = scaffolded(platform, "scaffold_prices", tmp_path)
    materialize(platform, declaration, "2026-03-02")
    found = rows(platform, declaration.spec.name, ["2026-03-02"])
    assert [(row["id"], row["price"]) for row in found] == [(n, n / 8) for n in range(20)]
    assert found[0]["ok"] is True


def test_a_scaffolded_pipeline_shows_as_assets_like_any_other(platform: Platform, tmp_path: Path) -> None:
    platform.put("scaffold_cities/c.csv", "id,city\n" + "".join(f"{n},City {n}\n" for n in range(20)))
    declaration = scaffolded(platform, "scaffold_cities", tmp_path)
    graph = build_pipeline_definitions("flights", declaration.spec).resolve_asset_graph()
    assert dg.AssetKey(["flights", "lake", declaration.spec.name]) in graph.get_all_asset_keys()
