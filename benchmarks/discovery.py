"""A crawl of many objects beside listing them, and how fast one unknown file is previewed.

    python -m benchmarks.discovery [--quick] [--objects 10000]

S3 is a real boto3 client whose requests are answered in this process, without a network: what is measured is the
client's work and ours, the least that a listing can cost. The bare listing keeps a key and a size of each object. (The
sandbox's S3 sorts its whole bucket for each page, which would hide any reading.)
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks._report import goal, print_report

BUCKET = "datalake-flights-raw"
FIRST_DAY = date(2026, 1, 5)
PAGE = 1_000
FILE_ROWS = 2_000
GOAL_LISTING_RATIO = 2.0
GOAL_READ_SHARE = 0.01
GOAL_MEMORY_RATIO = 1.5
GOAL_PREVIEW_SECONDS = 1.0
GOAL_CRAWL_SECONDS = 2.0


class FreeBucket:
    """What S3 answers for objects that are made when they are asked for: a table of daily CSV files.

    `client()` is a real boto3 client whose requests end here instead of on the wire: reading the answers costs what it
    always costs.
    """

    def __init__(self, objects: int, body: bytes) -> None:
        self._objects = objects
        self._body = body
        self.reads = 0
        self.bytes_read = 0

    def client(self) -> Any:
        """A client for this bucket and no other."""
        import boto3

        client = boto3.client("s3", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="s")
        client.meta.events.register("before-send.s3.ListObjectsV2", self._list)
        client.meta.events.register("before-send.s3.GetObject", self._get)
        return client

    def _list(self, request: Any, **more: Any) -> Any:
        query = parse_qs(urlsplit(request.url).query)
        first = int(query.get("continuation-token", ["0"])[0])
        last = min(first + PAGE, self._objects)
        following = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < self._objects else ""
        page = "".join(
            f"<Contents><Key>orders/dt={FIRST_DAY + timedelta(n // 10)}/part-{n % 10:02d}.csv</Key>"
            f"<LastModified>2026-01-05T12:00:00.000Z</LastModified><ETag>&quot;{n:032x}&quot;</ETag>"
            f"<Size>{len(self._body)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for n in range(first, last)
        )
        return answer(
            f"<ListBucketResult><Name>{BUCKET}</Name><KeyCount>{last - first}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
            f"<IsTruncated>{str(bool(following)).lower()}</IsTruncated>{following}{page}</ListBucketResult>".encode(),
            {"content-type": "application/xml"},
        )

    def _get(self, request: Any, **more: Any) -> Any:
        body = self._body
        wanted = request.headers.get("Range")
        if wanted:
            asked = wanted.decode() if isinstance(wanted, bytes) else str(wanted)
            begin, _, end = asked.removeprefix("bytes=").partition("-")
            body = body[int(begin) : int(end) + 1 if end else None]
        self.reads += 1
        self.bytes_read += len(body)
        headers: dict[str, str] = {
            "content-length": str(len(body)),
            "content-range": f"bytes 0-{len(body) - 1}/{len(self._body)}",
            "etag": '"e"',
        }
        return answer(body, headers, status=206 if wanted else 200)


class Raw(io.BytesIO):
    """The body of an answer, as the HTTP library hands it over."""

    def stream(self, amount: int = 1024, **_: Any) -> Iterator[bytes]:
        """The body in pieces."""
        while piece := self.read(amount):
            yield piece


def answer(body: bytes, headers: dict[str, str], status: int = 200) -> Any:
    """An HTTP answer as botocore takes it."""
    from botocore.awsrequest import AWSResponse
    from botocore.compat import HTTPHeaders

    return AWSResponse("https://s3", status, HTTPHeaders.from_dict(headers), Raw(body))


def csv_body(rows: int) -> bytes:
    """A file with the usual types."""
    lines = ["order_id,ordered_at,city,quantity,price,is_gift"]
    lines += [f"{n},2026-01-01 10:{n % 60:02d}:00,Berlin,{n % 40},{n % 997}.50,{n % 2 == 0}" for n in range(rows)]
    return ("\n".join(lines) + "\n").encode()


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the objects")
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(crawl_in_this_process(options.worker)))
        return
    objects = options.objects // 10 if options.quick else options.objects
    many, few = (in_a_process(each) for each in (objects, objects // 10))
    with tempfile.TemporaryDirectory(prefix="datalake-benchmark-") as folder:
        commands = measure_commands(Path(folder))
    slope = (many["crawl_seconds"] - few["crawl_seconds"]) / (many["listing_seconds"] - few["listing_seconds"])
    goals = {
        f"crawl of {objects:,} objects beyond those of {objects // 10:,}, share of listing them": goal(
            slope, GOAL_LISTING_RATIO
        ),
        "share of the bytes that is read": goal(many["bytes_read"] / many["bytes"], GOAL_READ_SHARE),
        "memory of ten times the objects": goal(many["peak_mb"] / few["peak_mb"], GOAL_MEMORY_RATIO),
        "datalake preview of a small file, s": goal(commands["preview_small_seconds"], GOAL_PREVIEW_SECONDS),
        "datalake preview --all of a messy file, s": goal(commands["preview_messy_seconds"], GOAL_PREVIEW_SECONDS),
        "datalake crawl of a small folder, s": goal(commands["crawl_folder_seconds"], GOAL_CRAWL_SECONDS),
    }
    print_report("discovery", {"objects": objects, "many": many, "few": few, "commands": commands}, goals)


def in_a_process(objects: int) -> dict[str, Any]:
    """A crawl in a fresh process, whose memory is its own."""
    command = [sys.executable, "-m", "benchmarks.discovery", "--worker", str(objects)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(result, file=sys.stderr)
    return result


def crawl_in_this_process(objects: int) -> dict[str, Any]:
    """List, then crawl, each twice; the faster counts."""
    import resource

    from datalake_assets.discovery.crawl import crawl

    bucket = FreeBucket(objects, csv_body(FILE_ROWS))
    client = bucket.client()
    uri = f"s3://{BUCKET}/orders/"

    def list_all() -> list[tuple[str, int]]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="orders/")
        return [(each["Key"], each["Size"]) for page in pages for each in page["Contents"]]

    listing = min(seconds(list_all) for _ in range(3))
    bucket.reads = bucket.bytes_read = 0
    crawling = seconds(lambda: crawl([uri], s3=client))
    reads, bytes_read = bucket.reads, bucket.bytes_read
    crawling = min(crawling, seconds(lambda: crawl([uri], s3=client)))
    report = crawl([uri], s3=client)
    (table,) = report.tables
    assert len(table.columns) == 6, table
    assert table.files == objects, table
    return {
        "objects": objects,
        "bytes": report.listed_bytes,
        "listing_seconds": round(listing, 4),
        "crawl_seconds": round(crawling, 4),
        "reads": reads,
        "bytes_read": bytes_read,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure_commands(folder: Path) -> dict[str, float]:
    """Whole commands, process start included; the fastest of five."""
    (tables := folder / "tables").mkdir()
    small, messy = tables / "small.csv", folder / "messy.csv"
    small.write_bytes(csv_body(100))
    lines = csv_body(2_000).decode().replace(",", ";").splitlines()
    messy.write_text("Export of orders;;;;;\n\n" + "\r\n".join([*lines, "Total;;;;;"]) + "\r\n", encoding="latin-1")
    (tables / "posts").mkdir()
    posts = "".join(f'{{"id": {n}, "tags": ["a", "b"], "user": {{"name": "u{n}"}}}}\n' for n in range(200))
    (tables / "posts" / "posts.json").write_text(posts)
    datalake = str(Path(sys.executable).parent / "datalake")
    commands = {
        "preview_small_seconds": [datalake, "preview", str(small)],
        "preview_messy_seconds": [datalake, "preview", str(messy), "--all", "--format", "csv"],
        "crawl_folder_seconds": [datalake, "crawl", str(tables), "--no-state"],
    }

    def run(command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"HOME": str(folder)})

    return {
        name: round(min(seconds(lambda command=command: run(command)) for _ in range(5)), 3)  # type: ignore[misc]
        for name, command in commands.items()
    }


if __name__ == "__main__":
    main()
