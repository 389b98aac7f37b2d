"""The metric over the tables of two other accounts, beside a count over the raw files that knows nothing of SQL."""

import csv
import gzip
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Any

import dagster as dg
import pytest

from datalake_assets import definitions
from datalake_assets.accounts.policies import catalog_policy, lake_bucket_policy, role_policy
from datalake_assets.accounts.registry import Account, Registry, registry
from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.accounts.sessions import session
from datalake_assets.sandbox import listings, searches
from datalake_assets.sandbox.aws.policy import allows
from datalake_assets.sandbox.samples import upload
from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.warehouse.connection import connect
from tests.conftest import forget_accounts
from tests.integration.runs import Run

pytestmark = pytest.mark.xdist_group("accounts")  # other buckets than those of the flights account

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


class Calls:
    """What the sessions of some accounts asked AWS for: account, action, resource, condition keys."""

    def __init__(self, *locations: str) -> None:
        self.made: list[tuple[str, str, str, dict[str, str]]] = []
        forget_accounts()  # clients that are there already would not tell
        for location in locations:
            events = session(location)._session().events
            events.register("provide-client-params.*.*", partial(self._record, session(location).account))

    def _record(self, account: Account, params: dict[str, Any], model: Any, **_: Any) -> None:
        service, operation = model.service_model.service_name, model.name
        if service == "s3":
            self._object(account, operation, params)
        elif service == "glue":
            owner = registry().account(params.get("CatalogId") or account.id)
            table = params.get("TableName") or params.get("Name") or params["TableInput"]["Name"]
            prefix = f"arn:aws:glue:{owner.region}:{owner.id}"
            for part in ("catalog", f"database/{params['DatabaseName']}", f"table/{params['DatabaseName']}/{table}"):
                self.made.append((account.name, f"glue:{operation}", f"{prefix}:{part}", {}))
        elif service == "secretsmanager":
            arn = f"arn:aws:secretsmanager:{account.region}:{account.id}:secret:{params['SecretId']}-abcdef"
            self.made.append((account.name, f"secretsmanager:{operation}", arn, {}))
        else:
            raise AssertionError(f"a run called {service}:{operation}, and no policy of this test knows of it")

    def _object(self, account: Account, operation: str, params: dict[str, Any]) -> None:
        bucket = f"arn:aws:s3:::{params['Bucket']}"
        if operation == "ListObjectsV2":
            self.made.append((account.name, "s3:ListBucket", bucket, {"s3:prefix": params.get("Prefix", "")}))
            return
        action = {"HeadObject": "GetObject", "CreateMultipartUpload": "PutObject"}.get(operation, operation)
        if "VersionId" in params and action == "GetObject":
            action = "GetObjectVersion"
        self.made.append((account.name, f"s3:{action}", f"{bucket}/{params['Key']}", {}))


@pytest.fixture(scope="module")
def calls(sandbox: Sandbox) -> Iterator[Calls]:
    for location, files in (("core_data", listings.listings(DAYS)), ("search", searches.searches(DAYS))):
        account = session(location)
        upload(account.client("s3"), account.account.raw_bucket, files)
    yield Calls("core_data", "search", "rent_journey")
    forget_accounts()  # clients that go on telling


@pytest.fixture(scope="module")
def metric(calls: Calls) -> Run:
    """The run of the last of three days, whose listings and searches are published."""
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
    from datalake_assets.accounts import grants

    known = registry()
    owner = known.account("core_data").model_copy(update={"grants": {}})
    without = Registry(known.platform, {**known.accounts, "core_data": owner})
    monkeypatch.setattr(grants, "registry", lambda: without)
    with dg.DagsterInstance.ephemeral() as instance:
        refused = run("rent_journey", "pipeline_x", DAYS[0], instance)
    assert not refused.success
    assert "the account rent_journey may not read core_data/lake/listings" in refused.failure
    assert "`listings: [rent_journey]`" in refused.failure


def test_the_policies_allow_all_that_the_runs_did(metric: Run, calls: Calls) -> None:
    made = list(calls.made)
    assert {account for account, *_ in made} == {"core_data", "search", "rent_journey"}
    assert ("rent_journey", "glue:GetTable") in {(account, action) for account, action, *_ in made}
    refused = set()
    for name, action, resource, context in made:
        account = registry().account(name)
        policies = [anybodys(role_policy(account, registry()))]
        for owner in (registry().account(each) for each in ("core_data", "search") if each != name):
            if owner.id in resource or owner.lake_bucket in resource:  # then both ends have to agree
                is_catalog = action.startswith("glue:")
                found = catalog_policy(owner, registry()) if is_catalog else lake_bucket_policy(owner, registry())
                policies.append(json.dumps(found))
        for document in policies:
            if not allows(
                document, account=account.id, role=account.role, action=action, resource=resource, context=context
            ):
                refused.add((name, action, resource, json.loads(document)["Statement"][0]["Sid"]))
    assert refused == set()


def anybodys(policy: dict[str, Any]) -> str:
    """The policy of a role, which names no principal, as one of a resource."""
    return json.dumps({"Statement": [each | {"Principal": "*"} for each in policy["Statement"]]})


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
