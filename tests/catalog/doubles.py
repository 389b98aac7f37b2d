"""Glue as AWS behaves where moto does not: the table lock, partial failures, and other runs in the middle of a call."""

import itertools
import threading
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
        self.busy_partitions: dict[str, int] = {}
        """Partition → how many times it is refused before it is taken."""
        self.throttled: Callable[[int], bool] = lambda number: False
        """Which calls that write partitions are refused as a whole, by their number."""
        self._number = itertools.count(1)
        self._lock = threading.Lock()

    def __getattr__(self, operation: str) -> Any:
        member = getattr(self._client, operation)
        if not callable(member) or operation == "exceptions":
            return member

        def call(**request: Any) -> Any:
            if operation in ("batch_create_partition", "batch_update_partition"):
                if self.throttled(next(self._number)):
                    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, operation)
                return self._write_some(operation, member, request)
            self.calls.append(operation)
            if meanwhile := self.before.pop(operation, None):
                meanwhile()
            if operation == "update_table":
                # One at a time, so that nobody comes between the comparison and the update.
                with self._lock:
                    self._check_lock(request)
                    return member(**request)
            return member(**request)

        return call

    def _check_lock(self, request: dict[str, Any]) -> None:
        expected = request.pop("VersionId", None)
        name = request["TableInput"]["Name"]
        found = self._client.get_table(DatabaseName=request["DatabaseName"], Name=name)["Table"]["VersionId"]
        if expected not in (None, found):
            told = f"version {found}, not {expected}"
            raise ClientError({"Error": {"Code": "ConcurrentModificationException", "Message": told}}, "UpdateTable")

    def _write_some(self, operation: str, member: Callable[..., Any], request: dict[str, Any]) -> Any:
        self.calls.append(operation)
        if meanwhile := self.before.pop(operation, None):
            meanwhile()
        is_create = operation == "batch_create_partition"
        entries, values = ("PartitionInputList", "Values") if is_create else ("Entries", "PartitionValueList")
        refused: dict[str, str] = {}
        for entry in request[entries]:
            key = str(entry[values][0])
            if self.busy_partitions.get(key, 0) > 0:
                self.busy_partitions[key] -= 1
                refused[key] = "InternalServiceException"
            elif key in self.failing_partitions and not is_create:
                refused[key] = self.failing_partitions[key]
        request[entries] = [entry for entry in request[entries] if str(entry[values][0]) not in refused]
        answer = member(**request) if request[entries] else {}
        errors = [
            {
                "PartitionValues" if is_create else "PartitionValueList": [key],
                "ErrorDetail": {"ErrorCode": code, "ErrorMessage": "refused by the test"},
            }
            for key, code in refused.items()
        ]
        return {**answer, "Errors": [*answer.get("Errors", []), *errors]}


class SessionWithLockingGlue(AccountSession):
    """A session whose Glue client locks; everything else is the account's own."""

    def __init__(self, account: Account, glue: LockingGlue | None = None) -> None:
        super().__init__(account)
        self.glue = glue or LockingGlue(super().client("glue"))

    def client(self, service: Any, region: str | None = None, **options: Any) -> Any:
        return self.glue if service == "glue" else super().client(service, region, **options)
