"""The metric over the tables of two other accounts, beside a count over the raw files that knows nothing of SQL."""

import csv
import gzip
import io
import json
from collections import Counter, defaultdict
from datetime import date
from typing import Any

import dagster as dg
import pytest

from datalake_assets import definitions
from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.accounts.sessions import session
from datalake_assets.sandbox import listings, searches
from datalake_assets.sandbox.samples import upload
from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.warehouse.connection import connect
from tests.integration.runs import Run

DAYS = [date(2026, 2, day) for day in (1, 2, 3)]  # of no other test
LAKE, WAREHOUSE = (dg.AssetKey(["rent_journey", layer, "pipeline_x"]) for layer in ("lake", "warehouse"))


def live_by_city(day: date) -> Counter[str]:
    """Good listings of a day's file, each once."""
    (sample,) = listings.listings([day])
    header, *rows = csv.reader(io.StringIO(gzip.decompress(sample.body).decode()))
    good: dict[str, str] = {}
    for row in rows:
        named = dict(zip(header, row, strict=False))
        if len(row) == len(header) and named["ListingID"] and not named["published"].startswith("31.02"):
            good[named["ListingID"]] = named["city"]
    return Counter(good.values())


def searched_by_city(day: date) -> dict[str, dict[str, str]]:
    """Search id → who searched, by city."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for sample in searches.searches([day]):
        for line in gzip.decompress(sample.body).decode().splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if "search_id" in event and "city" in event:
                found[event["city"]][event["search_id"]] = event["user"]["id"]
    return found


def run(location: str, job: str, day: date, instance: dg.DagsterInstance) -> Run:
    made = getattr(definitions, location).resolve_job_def(job)
    return Run(made.execute_in_process(instance=instance, partition_key=str(day), raise_on_error=False))


@pytest.fixture(scope="module")
def metric(sandbox: Sandbox) -> Run:
    """The run of the last of three days, whose listings and searches are published."""
    for location, files in (("core_data", listings.listings(DAYS)), ("search", searches.searches(DAYS))):
        account = session(location)
        upload(account.client("s3"), account.account.raw_bucket, files)
    with dg.DagsterInstance.ephemeral() as instance:
        for day in DAYS:
            assert run("core_data", "listings", day, instance).success
            assert run("search", "searches", day, instance).success
        return run("rent_journey", "pipeline_x", DAYS[-1], instance)


def query(sql: str) -> list[tuple[Any, ...]]:
    import datalake_assets

    return list(datalake_assets.query(sql).rows())


def test_searches_per_listing_agree_with_the_raw_files(metric: Run) -> None:
    assert metric.success, metric.traceback
    found = {
        city: (live, count, people, float(ratio), float(week), float(trend), days)
        for city, live, count, people, ratio, week, trend, days in query(
            "SELECT city, live_listings, searches, searchers, searches_per_listing, searches_per_listing_7_days, "
            f"trend_percent, days_in_trend FROM rent_journey_lake.pipeline_x WHERE dt = DATE '{DAYS[-1]}'"
        )
    }
    live = {day: live_by_city(day) for day in DAYS}
    searched = {day: searched_by_city(day) for day in DAYS}
    assert set(found) == set(live[DAYS[-1]])
    for city, (offers, count, people, ratio, week, trend, days) in found.items():
        ratios = [len(searched[day][city]) / live[day][city] for day in DAYS]
        assert offers == live[DAYS[-1]][city]
        assert count == len(searched[DAYS[-1]][city])
        assert people == len(set(searched[DAYS[-1]][city].values()))
        assert ratio == pytest.approx(ratios[-1], abs=0.0006)
        assert week == pytest.approx(sum(ratios) / 3, abs=0.0006)
        assert trend == pytest.approx(100 * (ratios[-1] / (sum(ratios) / 3) - 1), abs=0.06)
        assert days == 3


def test_lake_and_warehouse_have_the_same_rows(metric: Run) -> None:
    rows = metric.materialized(LAKE)[str(DAYS[-1])].metadata["dagster/row_count"].value
    assert rows == len(listings.CITIES)
    assert metric.materialized(WAREHOUSE)[str(DAYS[-1])]
    with connect(warehouse_secret("rent_journey")) as connection:
        counted = connection.execute("SELECT count(*) FROM lake.pipeline_x WHERE dt = %s", [str(DAYS[-1])]).rows
    assert counted[0][0] == rows


def test_its_columns_come_from_the_tables_of_both_accounts(metric: Run) -> None:
    lineage = metric.materialized(LAKE)[str(DAYS[-1])].metadata["dagster/column_lineage"].value
    upstream = {tuple(dep.asset_key.path) for deps in lineage.deps_by_column.values() for dep in deps}
    assert upstream == {("core_data", "lake", "listings"), ("search", "lake", "searches")}


def test_the_graph_shows_the_tables_of_both_accounts_as_its_parents() -> None:
    graph = definitions.rent_journey.resolve_asset_graph()
    parents = {key.to_user_string() for key in graph.get(LAKE).parent_keys}
    assert parents == {"core_data/lake/listings", "search/lake/searches"}


def test_without_the_grant_a_run_says_which_line_is_missing(
    metric: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datalake_assets.accounts import grants, registry

    known = registry.registry()
    owner = known.account("core_data").model_copy(update={"grants": {}})
    without = registry.Registry(known.platform, {**known.accounts, "core_data": owner})
    monkeypatch.setattr(grants, "registry", lambda: without)
    with dg.DagsterInstance.ephemeral() as instance:
        refused = run("rent_journey", "pipeline_x", DAYS[0], instance)
    assert not refused.success
    assert "the account rent_journey may not read core_data/lake/listings" in refused.failure
    assert "`listings: [rent_journey]`" in refused.failure


def test_an_estimate_is_made_of_the_days_before(metric: Run) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        made = run("rent_journey", "pipeline_x_estimate", date(2026, 2, 4), instance)
    assert made.success, made.traceback
    found = query(
        "SELECT city, searches_per_listing, days_known, last_known_date FROM rent_journey_lake.pipeline_x_estimate"
    )
    known = dict(query(f"SELECT city, searches_per_listing FROM rent_journey_lake.pipeline_x WHERE dt = '{DAYS[-1]}'"))
    assert {city: ratio for city, ratio, _, _ in found} == known
    assert {(days, last) for _, _, days, last in found} == {(1, DAYS[-1])}
