"""End in time, also when what we wait for does not: a sensor's tick is ended by Dagster after a minute, and is lost."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from datalake_assets.database.engine import transaction
from datalake_assets.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Result = TypeVar("Result")


def within(seconds: float, work: Callable[[], Result], *, what: str) -> Result:
    """Return what `work` returns, or raise, if it takes longer.

    Work that takes longer goes on in a thread of its own, which keeps nobody from ending: it must be harmless if it
    ends late, or never.

    Raises:
        Unavailable: it did not end in time.
    """
    results: list[Result] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by the one who waits
            failures.append(error)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not results:
        raise Unavailable(
            f"it did not end within {seconds:.0f} seconds", where=what, todo="It is tried again by itself"
        )
    return results[0]


@contextmanager
def bounded_transaction(of: "Engine", seconds: float | None) -> "Iterator[Connection]":
    """A transaction whose statements take, and wait for locks, at most so long each; see `database.transaction`."""
    from sqlalchemy import text

    with transaction(of) as connection:
        if seconds is not None:
            connection.execute(
                text("SELECT set_config('lock_timeout', :wait, true), set_config('statement_timeout', :all, true)"),
                # Waiting ends first, so that it is told from a server that is too slow.
                {"wait": str(int(seconds * 800)), "all": str(int(seconds * 1000))},
            )
        yield connection
