"""The address that hands out an account's credentials answers to its own step only."""

import urllib.error
import urllib.request
from collections.abc import Mapping

import pytest

from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.steps.credentials import served_credentials
from datalake_assets.steps.environment import inherited


def ask(variables: Mapping[str, str], token: str) -> int:
    request = urllib.request.Request(variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": token})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_only_who_knows_the_token_gets_credentials(sandbox: Sandbox) -> None:
    with served_credentials("content") as variables:
        assert ask(variables, variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]) == 200
        assert ask(variables, "") == 403
        assert ask(variables, variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"][:-1]) == 403
    with pytest.raises(urllib.error.URLError):
        ask(variables, variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"])


def test_a_role_that_cannot_be_assumed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setattr("datalake_assets.accounts.sessions.client_config", _hasty)
    with served_credentials("content") as variables:
        assert ask(variables, variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]) == 500


def _hasty() -> object:
    from botocore.config import Config

    return Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=1)


def test_variables_of_the_platform_are_not_inherited() -> None:
    environment = {
        "PATH": "/bin",
        "AWS_PROFILE": "admin",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "DATALAKE_DATABASE_URL": "postgresql+psycopg2://me:pass@host/db",
        "DATALAKE_LOCATIONS": "/locations",
        "DAGSTER_HOME": "/home",
        "github_token": "ghp_1",
        "PGPASSWORD": "pg_1",
        "MY_API_KEY": "key_1",
    }
    passed, hidden = inherited(environment)
    assert set(passed) == {"PATH", "AWS_ENDPOINT_URL_S3", "DATALAKE_LOCATIONS"}
    assert {"ghp_1", "pg_1", "key_1", environment["DATALAKE_DATABASE_URL"]} <= set(hidden)
    assert "/home" not in hidden
