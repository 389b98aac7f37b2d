"""Glue as AWS behaves where moto does not: the table lock, partial failures, and other runs in the middle of a call."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from datalake_assets.accounts.registry import Account
from datalake_assets.accounts.sessions import AccountSession


class LockingGlue:
    """A Glue client that refuses an update of a table that changed since it was read, as the real one does."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[str] = []
        self.before: dict[str, Callable[[], object]] = {}
        self.failing_partitions: dict[str, str] = {}

    def __getattr__(self, operation: str) -> Any:
        member = getattr(self._client, operation)
        if not callable(member) or operation == "exceptions":
            return member

        def call(**request: Any) -> Any:
            self.calls.append(operation)
            if meanwhile := self.before.pop(operation, None):
                meanwhile()
            if operation == "update_table":
                self._check_lock(request)
            if operation == "batch_update_partition":
                return self._update_some(member, request)
            return member(**request)

        return call

    def _check_lock(self, request: dict[str, Any]) -> None:
        expected = request.pop("VersionId", None)
        name = request["TableInput"]["Name"]
        found = self._client.get_table(DatabaseName=request["DatabaseName"], Name=name)["Table"]["VersionId"]
        if expected not in (None, found):
            told = f"version {found}, not {expected}"
            raise ClientError({"Error": {"Code": "ConcurrentModificationException", "Message": told}}, "UpdateTable")

    def _update_some(self, member: Callable[..., Any], request: dict[str, Any]) -> Any:
        def key(entry: Any) -> str:
            return str(entry["PartitionValueList"][0])

        refused = [entry for entry in request["Entries"] if key(entry) in self.failing_partitions]
        request["Entries"] = [entry for entry in request["Entries"] if entry not in refused]
        answer = member(**request) if request["Entries"] else {}
        errors = [
            {
                "PartitionValueList": entry["PartitionValueList"],
                "ErrorDetail": {
                    "ErrorCode": self.failing_partitions[key(entry)],
                    "ErrorMessage": "refused by the test",
                },
            }
            for entry in refused
        ]
        return {**answer, "Errors": [*answer.get("Errors", []), *errors]}


class SessionWithLockingGlue(AccountSession):
    """A session whose Glue client locks; everything else is the account's own."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.glue = LockingGlue(super().client("glue"))

    def client(self, service: Any, region: str | None = None) -> Any:
        return self.glue if service == "glue" else super().client(service, region)
