"""Listings and searches from raw files to tables, beside a reading of the files that knows nothing of the platform."""

import csv
import gzip
import io
import json
from datetime import datetime
from typing import Any

import dagster as dg
import pytest

from datalake_assets import definitions
from datalake_assets.accounts.sessions import session
from datalake_assets.sandbox import listings, searches
from datalake_assets.sandbox.samples import Sample, upload
from datalake_assets.sandbox.sandbox import Sandbox
from tests.integration.runs import Run

pytestmark = pytest.mark.xdist_group("accounts")  # other buckets than those of the flights account

DAY = str(listings.first_days(4)[3])  # with columns and fields that nobody announced


def expected_listings(samples: list[Sample]) -> tuple[set[int], int]:
    """The listings of these files, and how many lines cannot become one."""
    good: set[int] = set()
    bad = 0
    for sample in samples:
        header, *rows = csv.reader(io.StringIO(gzip.decompress(sample.body).decode()))
        for row in rows:
            named = dict(zip(header, row, strict=False))
            is_good = len(row) == len(header) and named["ListingID"] and not named["published"].startswith("31.02")
            if is_good:
                good.add(int(named["ListingID"]))
            else:
                bad += 1
    return good, bad


def expected_searches(samples: list[Sample]) -> tuple[set[str], int]:
    good: set[str] = set()
    bad = 0
    for sample in samples:
        for line in gzip.decompress(sample.body).decode().splitlines():
            try:
                event: dict[str, Any] = json.loads(line)
            except json.JSONDecodeError:
                bad += 1
                continue
            if "search_id" in event:
                good.add(event["search_id"])
            else:
                bad += 1
    return good, bad


class Landed:
    """What was landed of a sample, and the runs that took it: of the first files, and of the late one."""

    def __init__(self, location: str, name: str, first: list[Sample], late: list[Sample]) -> None:
        self.first, self.late = first, late
        self.location, self.name = location, name

    def run(self, files: list[Sample]) -> Run:
        account = session(self.location)
        upload(account.client("s3"), account.account.raw_bucket, files)
        job = getattr(definitions, self.location).resolve_job_def(self.name)
        with dg.DagsterInstance.ephemeral() as instance:
            return Run(job.execute_in_process(instance=instance, partition_key=DAY, raise_on_error=False))

    @property
    def lake(self) -> dg.AssetKey:
        return dg.AssetKey([self.location, "lake", self.name])


def query(sql: str) -> list[tuple[Any, ...]]:
    import datalake_assets

    return list(datalake_assets.query(sql).rows())


@pytest.fixture(scope="module")
def offers(sandbox: Sandbox) -> Landed:
    days = [datetime.fromisoformat(DAY).date()]
    return Landed("core_data", "listings", list(listings.listings(days)), list(listings.late_listings(days)))


@pytest.fixture(scope="module")
def demand(sandbox: Sandbox) -> Landed:
    days = [datetime.fromisoformat(DAY).date()]
    return Landed("search", "searches", list(searches.searches(days)), list(searches.late_searches(days)))


def test_listings_are_there_once_and_late_ones_join_them(offers: Landed) -> None:
    assert offers.late
    for files in (offers.first, [*offers.first, *offers.late]):
        run = offers.run(files)
        assert run.success, run.traceback
        good, bad = expected_listings(files)
        metadata = run.materialized(offers.lake)[DAY].metadata
        assert metadata["dagster/row_count"].value == len(good)
        assert metadata["rows_quarantined"].value == bad > 0
    found = query(f"SELECT listing_id FROM core_data_lake.listings WHERE dt = DATE '{DAY}'")
    assert {row[0] for row in found} == good


def test_what_agencies_write_is_read_as_they_mean_it(offers: Landed) -> None:
    assert offers.run([*offers.first, *offers.late]).success
    ((prices, unknown, cheapest, rooms, zips, rescued),) = query(
        "SELECT count(price_eur), count(*) - count(price_eur), min(price_eur), max(rooms % 1), min(length(zip_code)), "
        "count(*) FILTER (_rescued_data LIKE '%energy_class%') FROM core_data_lake.listings "
        f"WHERE dt = DATE '{DAY}'"
    )
    assert unknown > 0
    assert cheapest > 100  # 1.234,50 is no euro and a bit
    assert float(rooms) == 0.5
    assert zips == 5
    assert rescued == prices + unknown
    # Berlin's clocks are an hour ahead of UTC in January.
    sample = next(iter(csv.DictReader(io.StringIO(gzip.decompress(offers.first[0].body).decode()))))
    ((published,),) = query(
        f"SELECT published_at FROM core_data_lake.listings WHERE listing_id = {sample['ListingID']} "
        f"AND dt = DATE '{DAY}'"
    )
    local = datetime.strptime(sample["published"], "%d.%m.%Y %H:%M")
    assert (local - published).total_seconds() == 3600


def test_searches_are_there_once_however_often_they_came(demand: Landed) -> None:
    assert demand.late
    files = [*demand.first, *demand.late]
    run = demand.run(files)
    assert run.success, run.traceback
    good, bad = expected_searches(files)
    metadata = run.materialized(demand.lake)[DAY].metadata
    assert metadata["dagster/row_count"].value == len(good)
    assert metadata["rows_quarantined"].value == bad > 0
    assert metadata["rows_in"].value > len(good) + bad  # some came twice
    ((mails, national, words, versions),) = query(
        "SELECT count(*) FILTER (user_email_hash LIKE '%@%'), count(*) - count(city), count(*) - count(results), "
        f"count(*) FILTER (_rescued_data LIKE '%app_version%') FROM search_lake.searches WHERE dt = DATE '{DAY}'"
    )
    assert mails == 0
    assert national > 0
    assert words > 0
    assert versions == len(good)
