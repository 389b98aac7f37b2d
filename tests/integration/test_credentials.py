"""Credentials that are wrong, missing or malformed: the message names them and never shows a secret."""

import json
import os
from collections.abc import Iterator

import pytest

from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.secrets import warehouse_secret
from tests.integration.runs import Run
from tests.integration.user import Platform, asset, forget

SECRET = "secret datalake/warehouse of account flights: "


@pytest.fixture
def day(platform: Platform) -> str:
    found = platform.day()
    platform.put_day(found)
    return found


@pytest.fixture
def secret(platform: Platform) -> Iterator[dict[str, object]]:
    """The warehouse secret, put back afterwards."""
    before = platform.secret()
    yield before
    platform.put_secret(json.dumps(before))


def check_that_only_the_load_failed(platform: Platform, day: str, *words: str) -> Run:
    failed = platform.run("flights", day)
    assert not failed.success
    assert failed.restarts == 0, "a wrong credential does not mend itself"
    for word in words:
        assert word in failed.failure
    assert sorted(failed.materialized(asset("lake", "flights"))) == [day]
    assert failed.materialized(asset("warehouse", "flights")) == {}
    return failed


def check_that_the_next_run_succeeds(platform: Platform, day: str) -> None:
    assert platform.run("flights", day).success
    assert platform.numbers(day) == ([1, 2, 3], [1, 2, 3])


def test_a_wrong_warehouse_password(platform: Platform, day: str, secret: dict[str, object]) -> None:
    platform.put_secret(json.dumps(secret | {"password": "guessed-wrong"}))
    check_that_only_the_load_failed(platform, day, "refuses the login", "28P01", "Mend the warehouse's secret")
    platform.put_secret(json.dumps(secret))
    check_that_the_next_run_succeeds(platform, day)


def test_a_wrong_warehouse_database(platform: Platform, day: str, secret: dict[str, object]) -> None:
    platform.put_secret(json.dumps(secret | {"dbname": "nowhere"}))
    check_that_only_the_load_failed(platform, day, "nowhere", "Mend `dbname`")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("hunter2 is not JSON", ("is not as expected", "expected a JSON object with host, port, dbname")),
        ('["hunter2"]', ("is not as expected",)),
        ('{"host": "h", "username": "u", "password": "hunter2", "port": "x"}', ("wrong or missing: port, dbname",)),
    ],
)
def test_a_malformed_secret_is_told_without_its_value(
    platform: Platform, day: str, secret: dict[str, object], value: str, words: tuple[str, ...]
) -> None:
    platform.put_secret(value)
    failed = check_that_only_the_load_failed(platform, day, SECRET, *words)
    assert "hunter2" not in failed.traceback


def test_a_missing_secret(platform: Platform, day: str) -> None:
    account = registry().account("flights")
    moved = account.model_copy(update={"warehouse_secret": "datalake/nowhere"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry().accounts, "flights", moved)
        warehouse_secret.cache_clear()
        check_that_only_the_load_failed(
            platform, day, "secret datalake/nowhere of account flights: it does not exist", "Compare the registry"
        )
    warehouse_secret.cache_clear()
    check_that_the_next_run_succeeds(platform, day)


@pytest.fixture
def wrong_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Platform credentials that AWS does not know, so that no role can be assumed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODYSKEY000000")
    forget()
    yield
    monkeypatch.undo()
    forget()


def test_a_role_that_cannot_be_assumed(platform: Platform, wrong_key: None) -> None:
    failed = platform.run("flights", "2013-12-24")
    assert not failed.success
    assert failed.restarts == 0
    for word in ("account flights", "role arn:aws:iam::111111111111:role/datalake-location cannot be assumed",
                 "InvalidClientTokenId", "expected a trust policy", "Mend the role"):  # fmt: skip
        assert word in failed.failure


def test_no_aws_credentials_at_all(platform: Platform) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        patch.setenv("AWS_CONFIG_FILE", "/nowhere")
        forget()
        failed = platform.run("flights", "2013-12-24")
    forget()
    assert "the platform has no AWS credentials" in failed.failure
    assert "Set AWS_PROFILE" in failed.failure


def test_a_bucket_that_does_not_exist(platform: Platform) -> None:
    moved = registry().account("flights").model_copy(update={"raw_bucket": "datalake-nowhere-raw"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry().accounts, "flights", moved)
        forget()
        failed = platform.run("flights", "2013-12-24")
    forget()
    assert "s3://datalake-nowhere-raw/flights/dt=2013-12-24/: it does not exist (NoSuchBucket" in failed.failure
    assert failed.restarts == 0


def test_a_wrong_password_of_the_platform_database(platform: Platform) -> None:
    with pytest.MonkeyPatch.context() as patch:
        url = os.environ["DATALAKE_DATABASE_URL"]
        user, _, place = url.partition("://")[2].rpartition("@")
        patch.setenv("DATALAKE_DATABASE_URL", f"postgresql+psycopg2://{user.partition(':')[0]}:guessed-wrong@{place}")
        forget()
        failed = platform.run("flights", "2013-12-24")
    forget()
    assert "the database refuses the user" in failed.failure
    assert "guessed-wrong" not in failed.traceback
    assert failed.restarts == 0
