"""The id of a run's versions: later than everything that is there when the run begins.

The greater id wins, so a run that lists its files later must have the greater id, also if it runs on a host whose
clock is behind. The time is that of the platform database, one clock for all hosts. If something in the lake is later
all the same (a database restored on a host with another clock, a version that somebody published by hand), the new id
follows that one. Two runs that begin at once in that state may follow the same one; which of them wins is then not
the order in which they began. The arrival ledger keeps what the winner has not read as work.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.layout import manifests_prefix, place_of
from datalake_assets.catalog.versions import following_version_id, new_version_id
from datalake_assets.database.engine import engine, transaction

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THREADS = 8
KEYS_PER_PAGE = 1_000
MAX_PAGES = 3


def version_id_for(
    run_id: str, partitions: Sequence[str], tables: Iterable[GlueTable], *, now: datetime | None = None
) -> str:
    """Make an id for new versions of partitions of these tables: greater than any that is published or has a manifest.

    It asks Glue once for each table and a thousand partitions. S3 lists the manifests of neighbouring partitions at
    once, of others one by one, and then only what is later than `now`: the length of the history does not matter.

    Args:
        now: an aware time; the platform database's without it.

    Raises:
        TransientError: the database, Glue or S3 does not answer.
        ConfigurationError: a later version has an id that no run has made.
    """
    now = now or database_time()
    own = new_version_id(run_id, now)
    found = list(tables)
    later = [_latest_manifest(table, partitions, own) for table in found]
    published = [each.version_id for table in found for each in table.current_many(partitions).values() if each]
    return following_version_id(run_id, now, max([*later, *published], default=""))


def database_time() -> datetime:
    """The platform database's clock, which all hosts share."""
    from sqlalchemy import text

    with transaction(engine()) as connection:
        time: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return time


def _latest_manifest(table: GlueTable, partitions: Sequence[str], after: str) -> str:
    """The latest version of these partitions, after the one given, that left anything beside the data; '' if none."""
    s3: S3Client = table.session.client("s3", table.region)
    with aws_errors(f"{table.where} in s3://{table.bucket}"):
        # Partitions of one run are mostly neighbours: all their manifests are on a page or two.
        if len(partitions) > 1 and (latest := _latest_in_range(s3, table, partitions, after)) is not None:
            return latest

        def latest_of(partition: str) -> str:
            prefix = manifests_prefix(table.name, partition)
            pages = _pages(s3, table, prefix, start_after=f"{prefix}{after}")
            return max((_latest_of(table, page, {partition}, after) for page in pages), default="")

        with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="versions") as pool:
            return max(pool.map(latest_of, partitions))


def _latest_in_range(s3: "S3Client", table: GlueTable, partitions: Sequence[str], after: str) -> str | None:
    """The same from one listing that begins with the first partition; None if the last one is many pages away."""
    first, last = (manifests_prefix(table.name, each) for each in (min(partitions), max(partitions)))
    latest = ""
    pages = _pages(s3, table, manifests_prefix(table.name), start_after=first)
    for keys in islice(pages, MAX_PAGES):
        latest = max(latest, _latest_of(table, keys, set(partitions), after))
        if len(keys) < KEYS_PER_PAGE or (keys[-1] > last and not keys[-1].startswith(last)):
            return latest
    return None


def _pages(s3: "S3Client", table: GlueTable, prefix: str, *, start_after: str) -> Iterator[list[str]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=table.bucket, Prefix=prefix, StartAfter=start_after)
    return ([item["Key"] for item in page.get("Contents", [])] for page in pages)


def _latest_of(table: GlueTable, keys: Iterable[str], partitions: Set[str], after: str) -> str:
    places = (place_of(table.name, key) for key in keys)
    return max(
        (place.version_id for place in places if place and place.partition in partitions and place.version_id > after),
        default="",
    )
