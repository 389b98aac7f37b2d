"""Glue's batch calls for the partitions of one table, with the failures of single partitions told apart."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.errors import Throttled

# AWS limits of one call.
WRITE_BATCH = 100
READ_BATCH = 1_000

Item = TypeVar("Item")
Result = TypeVar("Result")
Refusals = dict[str, tuple[str, str]]
"""Partition key → Glue's error code and message."""


class GluePartitions:
    """The partitions of one table, by the value of their one partition key.

    Args:
        client: makes the Glue client; asked at each call, so that nothing is made before it is needed.
    """

    def __init__(self, client: Callable[[], Any], database: str, table: str) -> None:
        self._client = client
        self._names: dict[str, str] = {"DatabaseName": database, "TableName": table}
        self._where = f"{database}.{table}"

    def get(self, keys: Sequence[str]) -> list[Any]:
        """Return those of up to a thousand partitions that exist."""
        found: list[Any] = []
        rest: list[Any] = [{"Values": [key]} for key in keys]
        while rest:
            with aws_errors(self._where):
                answer = self._client().batch_get_partition(**self._names, PartitionsToGet=rest)
            found += answer.get("Partitions", [])
            unprocessed = answer.get("UnprocessedKeys", [])
            if len(unprocessed) == len(rest):
                raise Throttled("Glue returned none of the partitions asked for", where=self._where)
            rest = unprocessed
        return found

    def create(self, inputs: Sequence[dict[str, Any]]) -> Refusals:
        """Create up to a hundred partitions; return those that Glue refused."""
        if not inputs:
            return {}
        with aws_errors(self._where):
            answer = self._client().batch_create_partition(**self._names, PartitionInputList=inputs)
        return {error["PartitionValues"][0]: _reason(error) for error in answer.get("Errors", [])}

    def update(self, inputs: Sequence[dict[str, Any]]) -> Refusals:
        """Update up to a hundred partitions; return those that Glue refused."""
        if not inputs:
            return {}
        entries = [{"PartitionValueList": entry["Values"], "PartitionInput": entry} for entry in inputs]
        with aws_errors(self._where):
            answer = self._client().batch_update_partition(**self._names, Entries=entries)
        return {error["PartitionValueList"][0]: _reason(error) for error in answer.get("Errors", [])}


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


def _reason(error: Any) -> tuple[str, str]:
    detail = error.get("ErrorDetail", {})
    return detail.get("ErrorCode", "unknown error"), detail.get("ErrorMessage", "")
