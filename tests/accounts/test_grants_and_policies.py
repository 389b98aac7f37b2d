"""Grants and the policies made of them: what is not granted cannot be read, and nothing more is allowed."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from datalake_assets.accounts.grants import granted_to, is_granted, require_grant
from datalake_assets.accounts.policies import (
    catalog_policy,
    lake_bucket_policy,
    platform_policy,
    policies_of,
    queue_policy,
    role_policy,
    trust_policy,
)
from datalake_assets.accounts.registry import Account, Registry, load_registry
from datalake_assets.errors import AccessDenied, ConfigurationError


def entry(number: int, name: str, **more: Any) -> dict[str, Any]:
    identity = f"{number:012d}"
    return {
        "id": identity,
        "role": f"arn:aws:iam::{identity}:role/datalake-location",
        "regions": ["eu-central-1"],
        "raw_bucket": f"datalake-{name.replace('_', '-')}-raw",
        "lake_bucket": f"datalake-{name.replace('_', '-')}-lake",
        "arrivals_queue": f"datalake-{name.replace('_', '-')}-arrivals",
        "glue_database": f"{name}_lake",
        "warehouse_secret": "datalake/warehouse",
        **more,
    }


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(**accounts: dict[str, Any]) -> Registry:
        import yaml

        platform = {"id": "100000000000", "region": "eu-central-1", "alerts_secret": "datalake/alerts"}
        path = tmp_path / "registry.yaml"
        path.write_text(yaml.safe_dump({"platform": platform, "accounts": accounts}, sort_keys=False))
        return load_registry(path)

    return written


@pytest.fixture
def accounts(write: Any) -> Registry:
    registry: Registry = write(
        homes=entry(1, "homes", grants={"listings": ["journey"], "agents": ["journey", "money"]}),
        journey=entry(2, "journey", external_id="datalake-journey", regions=["eu-central-1", "us-east-1"]),
        money=entry(3, "money"),
    )
    return registry


def actions(policy: dict[str, Any]) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_own_tables_need_no_grant(accounts: Registry) -> None:
    require_grant("homes", "homes", "anything", accounts=accounts)
    require_grant("homes", "000000000001", "anything", accounts=accounts)


def test_a_granted_table_may_be_read_by_name_or_id(accounts: Registry) -> None:
    require_grant("journey", "homes", "listings", accounts=accounts)
    require_grant("000000000002", "000000000001", "listings", accounts=accounts)
    assert granted_to("journey", accounts=accounts) == [("homes", "agents"), ("homes", "listings")]
    assert granted_to("homes", accounts=accounts) == []


def test_a_missing_grant_names_the_asset_the_reader_and_the_line_to_add(accounts: Registry) -> None:
    with pytest.raises(AccessDenied) as caught:
        require_grant("money", "homes", "listings", accounts=accounts)
    told = str(caught.value)
    assert "the account money may not read homes/lake/listings" in told
    assert "registry.yaml: accounts.homes.grants" in told
    assert "`listings: [journey, money]`" in told


def test_a_grant_of_a_table_is_none_of_its_quarantine(accounts: Registry) -> None:
    assert not is_granted("journey", "homes", "listings_quarantine", accounts=accounts)


def test_an_account_can_be_a_member_of_a_set(accounts: Registry) -> None:
    assert len({*accounts, accounts.account("homes")}) == 3


def test_an_unknown_account_is_a_mistake_of_the_configuration(accounts: Registry) -> None:
    with pytest.raises(ConfigurationError, match="one of homes, journey, money"):
        require_grant("jurney", "homes", "listings", accounts=accounts)


@pytest.mark.parametrize(
    ("grants", "told"),
    [
        ({"listings": ["jurney"]}, "no account 'jurney'"),
        ({"listings": ["homes"]}, "names 'homes' itself"),
        ({"Listings": ["money"]}, "should match pattern"),
    ],
)
def test_a_wrong_grant_is_refused_with_what_was_found(write: Any, grants: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match="registry has mistakes") as caught:
        write(homes=entry(1, "homes", grants=grants), money=entry(3, "money"))
    assert told in str(caught.value)


def test_an_external_id_that_aws_would_refuse_is_refused(write: Any) -> None:
    with pytest.raises(ConfigurationError, match="external_id"):
        write(homes=entry(1, "homes", external_id="with blanks"))


def test_both_ends_of_a_grant_name_the_same_tables_and_nothing_else(accounts: Registry) -> None:
    homes, journey = accounts.account("homes"), accounts.account("journey")
    bucket, catalog = lake_bucket_policy(homes, accounts), catalog_policy(homes, accounts)
    role = role_policy(journey, accounts)
    assert bucket is not None
    assert catalog is not None
    objects = [f"arn:aws:s3:::datalake-homes-lake/{table}/*" for table in ("agents", "listings")]
    for policy in (bucket, role):
        (reading,) = [
            each for each in policy["Statement"] if objects[0] in each["Resource"] and len(each["Resource"]) == 2
        ]
        assert reading["Resource"] == objects
        assert reading["Action"] == ["s3:GetObject"]
    money = [each for each in bucket["Statement"] if each["Principal"]["AWS"].split(":")[4] == "000000000003"]
    assert {resource for each in money for resource in each["Resource"]} == {
        "arn:aws:s3:::datalake-homes-lake/agents/*",
        "arn:aws:s3:::datalake-homes-lake",
    }
    tables = {resource for each in catalog["Statement"] for resource in each["Resource"] if ":table/" in resource}
    assert tables == {f"arn:aws:glue:eu-central-1:000000000001:table/homes_lake/{t}" for t in ("agents", "listings")}


def test_listing_anothers_bucket_is_allowed_below_the_granted_prefixes_only(accounts: Registry) -> None:
    bucket = lake_bucket_policy(accounts.account("homes"), accounts)
    assert bucket is not None
    listing = [each for each in bucket["Statement"] if each["Action"] == ["s3:ListBucket"]]
    assert [each["Condition"]["StringLike"]["s3:prefix"] for each in listing] == [
        ["agents/*", "listings/*"],
        ["agents/*"],
    ]


def test_no_policy_allows_everything_or_writes_what_belongs_to_others(accounts: Registry) -> None:
    for account in accounts:
        for name, policy in policies_of(account, accounts).items():
            for statement in policy["Statement"]:
                assert all("*" not in action for action in _list(statement["Action"]))
                assert "*" not in statement.get("Resource", [])
                assert statement["Sid"].isalnum()
                foreign = [r for r in statement.get("Resource", []) if name == "role" and _is_foreign(r, account)]
                if foreign:
                    verbs = {action.split(":")[1] for action in statement["Action"]}
                    assert all(verb.startswith(("Get", "List", "BatchGet")) for verb in verbs)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _is_foreign(resource: str, account: Account) -> bool:
    return account.id not in resource and f"datalake-{account.name}-" not in resource


def test_an_account_reads_its_raw_bucket_and_never_writes_it(accounts: Registry) -> None:
    raw = "arn:aws:s3:::datalake-homes-raw/*"
    role = role_policy(accounts.account("homes"), accounts)
    allowed = {action for each in role["Statement"] if raw in each["Resource"] for action in each["Action"]}
    assert allowed == {"s3:GetObject", "s3:GetObjectVersion"}


def test_the_catalog_is_the_accounts_own_in_each_of_its_regions(accounts: Registry) -> None:
    role = role_policy(accounts.account("journey"), accounts)
    (own,) = [each for each in role["Statement"] if each["Sid"] == "OwnCatalog"]
    assert {arn.split(":")[3] for arn in own["Resource"]} == {"eu-central-1", "us-east-1"}


def test_only_an_account_with_an_external_id_asks_for_it(accounts: Registry) -> None:
    with_id, without = (trust_policy(accounts.account(name), accounts)["Statement"][0] for name in ("journey", "money"))
    assert with_id["Condition"] == {"StringEquals": {"sts:ExternalId": "datalake-journey"}}
    assert "Condition" not in without


def test_an_account_that_granted_nothing_lets_nobody_in(accounts: Registry) -> None:
    money = accounts.account("money")
    assert lake_bucket_policy(money, accounts) is None
    assert catalog_policy(money, accounts) is None
    assert set(policies_of(money, accounts)) == {"trust", "role", "queue"}


def test_the_platform_may_become_each_account_and_nothing_more(accounts: Registry) -> None:
    assert actions(platform_policy(accounts)) == {"sts:AssumeRole", "secretsmanager:GetSecretValue"}
    roles = platform_policy(accounts)["Statement"][0]["Resource"]
    assert roles == [account.role for account in accounts]


def test_s3_alone_may_fill_the_queue_and_for_the_raw_bucket_only(accounts: Registry) -> None:
    (statement,) = queue_policy(accounts.account("homes"))["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": "arn:aws:s3:::datalake-homes-raw"}


def test_grants_beyond_what_aws_takes_are_told_before_a_deployment_fails(write: Any) -> None:
    many = {f"table_{number:04d}": ["money"] for number in range(400)}
    accounts = write(homes=entry(1, "homes", grants=many), money=entry(3, "money"))
    with pytest.raises(ConfigurationError, match="the policy of the bucket datalake-homes-lake has"):
        lake_bucket_policy(accounts.account("homes"), accounts)


def test_the_command_prints_what_the_registry_comes_to() -> None:
    from datalake_assets.cli import main

    done = CliRunner().invoke(main, ["policy", "flights"])
    assert done.exit_code == 0, done.output
    flights = load_registry().account("flights")
    assert json.loads(done.output) == policies_of(flights, load_registry())
    by_id = CliRunner().invoke(main, ["policy", flights.id, "--only", "queue"])
    assert json.loads(by_id.output) == queue_policy(flights)
    assert json.loads(CliRunner().invoke(main, ["policy", "platform"]).output) == platform_policy(load_registry())


def test_the_command_tells_when_there_is_nothing_to_print() -> None:
    from datalake_assets.cli import main

    done = CliRunner().invoke(main, ["policy", "operations", "--only", "catalog"])
    assert done.exit_code == 1
    assert "granted nothing" in done.output
