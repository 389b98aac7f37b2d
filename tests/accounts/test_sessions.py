"""How a session takes its account's role, and takes it again before it ends."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datalake_assets.accounts import sessions
from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.sessions import AccountSession


class FakeSts:
    """Hands out sessions that last as long as the test says, and remembers what was asked for."""

    def __init__(self, *lasting: timedelta) -> None:
        self.asked: list[dict[str, Any]] = []
        self._lasting = iter(lasting)

    def assume_role(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        expires = datetime.now(UTC) + next(self._lasting)
        number = len(self.asked)
        return {
            "Credentials": {
                "AccessKeyId": f"key{number}",
                "SecretAccessKey": "secret",
                "SessionToken": "token",
                "Expiration": expires,
            }
        }


def keys(session: AccountSession, times: int) -> list[str]:
    credentials = session._session().get_credentials()
    return [credentials.get_frozen_credentials().access_key for _ in range(times)]


def test_a_role_is_taken_once_and_again_only_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    sts = FakeSts(timedelta(minutes=5), timedelta(hours=1))
    monkeypatch.setattr(sessions, "_platform_sts", lambda: sts)
    session = AccountSession(registry().account("flights"))
    session.client("s3")
    assert sts.asked == []  # nothing is asked before the first call
    assert keys(session, 3) == ["key1", "key2", "key2"]


@pytest.mark.parametrize(("location", "external_id"), [("core_data", "datalake-core-data"), ("flights", None)])
def test_the_external_id_is_said_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, location: str, external_id: str | None
) -> None:
    sts = FakeSts(timedelta(hours=1))
    monkeypatch.setattr(sessions, "_platform_sts", lambda: sts)
    account = registry().account(location)
    keys(AccountSession(account), 1)
    (asked,) = sts.asked
    assert asked["RoleArn"] == account.role
    assert asked.get("ExternalId") == external_id
