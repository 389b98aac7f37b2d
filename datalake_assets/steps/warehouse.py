"""Run a SQL step on the account's warehouse: all statements or none, and ended there when it is ended here."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from datalake_assets.accounts.secrets import WarehouseSecret
from datalake_assets.errors import PlatformError, StepFailed
from datalake_assets.warehouse.connection import WarehouseConnection, connect

POLL_SECONDS = 0.2
CANCEL_SECONDS = 10.0
SHOWN_CHARACTERS = 120


def run_statements(
    secret: WarehouseSecret,
    statements: Sequence[str],
    *,
    what: str,
    tell: Callable[[str], None],
    timeout_seconds: float | None = None,
    is_orphaned: Callable[[], bool] = lambda: False,
) -> int:
    """Run statements one after the other, several of them in one transaction; returns the rows that they touched.

    A single statement runs without a transaction, so that VACUUM and its like work.

    Args:
        what: what a person calls the step, for messages.
        tell: is told each statement that is done; called from this thread.

    Raises:
        StepFailed: it took longer than it may; the transaction is undone.
        PlatformError: what the warehouse refused, the transaction undone.
    """
    work = _Work(secret, statements, timeout_seconds)
    thread = threading.Thread(target=work.run, daemon=True)
    begun = time.monotonic()
    reason = None
    thread.start()
    try:
        while thread.is_alive() and reason is None:
            work.pass_on(tell, POLL_SECONDS)
            if timeout_seconds is not None and time.monotonic() - begun > timeout_seconds:
                reason = f"took longer than its timeout of {timeout_seconds:g} s"
            elif is_orphaned():
                reason = "belongs to a run that is gone"
    finally:
        # A return finds the thread at its end; a cancelled run comes by here as an exception.
        if thread.is_alive():
            work.cancel()
            thread.join(CANCEL_SECONDS)
            if thread.is_alive():
                work.drop()
    work.pass_on(tell, 0)
    if reason and not work.is_done:
        raise StepFailed(f"{what} was ended: it {reason}; nothing of its transaction stays")
    if work.error is not None:
        raise work.error
    return work.rows


@dataclass
class _Work:
    secret: WarehouseSecret
    statements: Sequence[str]
    timeout_seconds: float | None
    rows: int = 0
    error: BaseException | None = None
    is_done: bool = False
    is_cancelled: bool = False
    backend: int | None = None
    connection: WarehouseConnection | None = None
    told: "queue.SimpleQueue[str]" = field(default_factory=queue.SimpleQueue)

    def run(self) -> None:
        try:
            with connect(self.secret) as connection:
                self.connection = connection
                [(self.backend,)] = connection.execute("SELECT pg_backend_pid()").rows
                if self.timeout_seconds is not None:
                    # The warehouse keeps the time too: also when nobody is left to cancel.
                    milliseconds = round((self.timeout_seconds + CANCEL_SECONDS) * 1000)
                    connection.execute(f"SET statement_timeout TO {milliseconds:d}")
                if len(self.statements) > 1:
                    with connection.transaction():
                        self._execute(connection)
                else:
                    self._execute(connection)
            self.is_done = True
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits for this one
            self.error = error

    def _execute(self, connection: WarehouseConnection) -> None:
        for number, statement in enumerate(self.statements, start=1):
            if self.is_cancelled:
                raise StepFailed("the step was cancelled")
            begun = time.monotonic()
            shown = f"{number}/{len(self.statements)} {_shown(statement)}"
            try:
                count = connection.execute(statement).row_count
            except PlatformError as error:
                self.told.put(f"{shown}: {error.found}")
                raise
            self.rows += max(0, count)
            rows = f"{count} rows, " if count >= 0 else ""
            self.told.put(f"{shown}: {rows}{time.monotonic() - begun:.2f} s")

    def pass_on(self, tell: Callable[[str], None], seconds: float) -> None:
        """Tell what is done so far, waiting a moment for the first."""
        try:
            tell(self.told.get(timeout=seconds) if seconds else self.told.get_nowait())
            while True:
                tell(self.told.get_nowait())
        except queue.Empty:
            return

    def cancel(self) -> None:
        """End the running statement on the warehouse: a query goes on there when its client has gone."""
        self.is_cancelled = True
        if self.backend is None:
            return
        try:
            with connect(self.secret) as other:
                other.execute("SELECT pg_cancel_backend(%s)", (self.backend,))
        except PlatformError:
            self.drop()

    def drop(self) -> None:
        """Close the connection under the statement; the transaction cannot be committed any more."""
        if self.connection is not None:
            self.connection.close()


def _shown(statement: str) -> str:
    lines = [line.strip() for line in statement.splitlines() if not line.strip().startswith("--")]
    text = " ".join(" ".join(lines).split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} …"
