"""Glue's batch calls for the partitions of one table, with the failures of single partitions told apart."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.deadline import Deadline
from datalake_assets.errors import Throttled, Unavailable

# AWS limits of one call.
WRITE_BATCH = 100
READ_BATCH = 1_000

# For what Glue asks to try later, a whole call or single entries of one: half a minute in all, beside botocore's own.
ATTEMPTS = 8
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 8.0
_LATER = frozenset(
    {"ThrottlingException", "InternalServiceException", "OperationTimeoutException", "ServiceUnavailable"}
)

Item = TypeVar("Item")
Result = TypeVar("Result")
Refusals = dict[str, tuple[str, str]]
"""Partition key → Glue's error code and message."""


class GluePartitions:
    """The partitions of one table, by the value of their one partition key.

    Args:
        client: makes the Glue client; asked at each call, so that nothing is made before it is needed.
        catalog: id of the account whose catalog it is, if not the client's own.
    """

    def __init__(self, client: Callable[[], Any], database: str, table: str, *, catalog: str | None = None) -> None:
        self._client = client
        self._names: dict[str, str] = {"DatabaseName": database, "TableName": table}
        if catalog is not None:
            self._names["CatalogId"] = catalog
        self._where = f"{database}.{table}"

    def get(self, keys: Sequence[str]) -> list[Any]:
        """Return those of up to a thousand partitions that exist."""
        found: list[Any] = []
        rest: list[Any] = [{"Values": [key]} for key in keys]

        def once() -> None:
            nonlocal rest
            while rest:
                with aws_errors(self._where):
                    answer = self._client().batch_get_partition(**self._names, PartitionsToGet=rest)
                found.extend(answer.get("Partitions", []))
                unprocessed = answer.get("UnprocessedKeys", [])
                if len(unprocessed) == len(rest):
                    raise Throttled("Glue returned none of the partitions asked for", where=self._where)
                rest = unprocessed

        patiently(once)
        return found

    def all(self) -> Iterator[Any]:
        """Yield every partition, without its columns."""
        with aws_errors(self._where):
            pages = self._client().get_paginator("get_partitions").paginate(**self._names, ExcludeColumnSchema=True)
            for page in pages:
                yield from page["Partitions"]

    def create(self, inputs: Sequence[dict[str, Any]], deadline: Deadline) -> Refusals:
        """Create up to a hundred partitions; return those that Glue refused for good."""

        def call(inputs: Sequence[dict[str, Any]]) -> Refusals:
            client = self._client()
            with aws_errors(self._where), deadline.on(client, self._where):
                answer = client.batch_create_partition(**self._names, PartitionInputList=inputs)
            return {error["PartitionValues"][0]: _reason(error) for error in answer.get("Errors", [])}

        return _write(call, inputs)

    def update(self, inputs: Sequence[dict[str, Any]], deadline: Deadline) -> Refusals:
        """Update up to a hundred partitions; return those that Glue refused for good."""

        def call(inputs: Sequence[dict[str, Any]]) -> Refusals:
            client = self._client()
            entries = [{"PartitionValueList": entry["Values"], "PartitionInput": entry} for entry in inputs]
            with aws_errors(self._where), deadline.on(client, self._where):
                answer = client.batch_update_partition(**self._names, Entries=entries)
            return {error["PartitionValueList"][0]: _reason(error) for error in answer.get("Errors", [])}

        return _write(call, inputs)


def _write(call: Callable[[Sequence[dict[str, Any]]], Refusals], inputs: Sequence[dict[str, Any]]) -> Refusals:
    """Make a call, and make it again for the entries that Glue asks to try later."""
    refused: Refusals = {}
    waiting = inputs

    def once() -> bool:
        nonlocal waiting
        if not waiting:
            return False
        found = call(waiting)
        for entry in waiting:
            refused.pop(entry["Values"][0], None)
        refused.update(found)
        later = {key for key, (code, _) in found.items() if code in _LATER}
        waiting = [entry for entry in waiting if entry["Values"][0] in later]
        return bool(later)

    patiently(once)
    return refused


def patiently(once: Callable[[], object]) -> None:
    """Repeat `once`, after growing pauses, while it returns something true or fails as a busy service does."""
    from tenacity import Retrying, retry_if_exception, retry_if_result, stop_after_attempt, wait_random_exponential

    retrying = Retrying(
        retry=retry_if_result(bool) | retry_if_exception(_is_busy),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS),
        # The last answer stands, with the entries that it refused, or the last error is raised.
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    retrying(once)


def _is_busy(error: BaseException) -> bool:
    """Whether Glue answered, and asks to come back; a service that cannot be reached was waited for by botocore."""
    from botocore.exceptions import ClientError

    if isinstance(error, Throttled):
        return True
    return isinstance(error, Unavailable) and isinstance(error.__cause__, ClientError)


def in_batches(
    work: Callable[[Sequence[Item]], Result], items: Sequence[Item], *, size: int, threads: int
) -> Iterator[Result]:
    """Do the work on batches of `size` items, up to `threads` of them at once; yield the results in order."""
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    if len(batches) <= 1:
        yield from map(work, batches)
        return
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="glue") as pool:
        yield from pool.map(work, batches)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], *, threads: int) -> list[Result]:
    """Do the work on each item, up to `threads` of them at once; return the results in order."""
    if len(items) <= 1 or threads == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="catalog") as pool:
        return list(pool.map(work, items))


def _reason(error: Any) -> tuple[str, str]:
    detail = error.get("ErrorDetail", {})
    return detail.get("ErrorCode", "unknown error"), detail.get("ErrorMessage", "")
