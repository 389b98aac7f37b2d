"""Repeat a transaction that lost against another one."""

from collections.abc import Callable
from typing import TypeVar

from datalake_assets.errors import ConcurrentChange

ATTEMPTS = 8
MAX_WAIT_SECONDS = 10

Result = TypeVar("Result")


def retrying(work: Callable[[], Result]) -> Result:
    """Run `work`, again after a random pause if it lost against a concurrent transaction.

    Raises:
        ConcurrentChange: it lost every time.
    """
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    attempts = Retrying(
        retry=retry_if_exception_type(ConcurrentChange),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.1, max=MAX_WAIT_SECONDS),
        reraise=True,
    )
    return attempts(work)
