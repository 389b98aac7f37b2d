"""Start processes that end with this one, wait until they serve, notice when one dies, and stop them in order.

Used for the sandbox's own servers and for Dagster's processes of `datalake dev` and `datalake demo`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from datalake_assets.errors import Unavailable

READY_SECONDS = 60.0
POLL_SECONDS = 0.02
LOG_LINES = 15
STOP_SECONDS = 10.0
_CHILD_SCRIPT = Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class User:
    """The user a process runs as when it is not ours: PostgreSQL refuses to run as root."""

    uid: int
    gid: int


class ChildProcess:
    """One supervised process."""

    def __init__(
        self,
        name: str,
        process: "subprocess.Popen[bytes]",
        lifeline: int,
        log_file: Path,
        log_start: int,
        stop_s: float,
    ) -> None:
        self.name = name
        self.log_file = log_file
        self._process = process
        self._lifeline: int | None = lifeline
        self._log_start = log_start
        self._stop_seconds = stop_s

    @property
    def pid(self) -> int:
        """The process that stands for this child: the guard that runs the command, not the command itself."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; 128 + n when signal n ended it."""
        return self._process.poll()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines that it wrote since it was started."""
        try:
            with self.log_file.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_start, size - 16_384))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def death(self) -> Unavailable:
        """The error that says which process ended and what it said last."""
        said = self.log_tail()
        return Unavailable(
            f"{self.name} ended with status {self.exit_status}" + (f"; its last lines:\n{said}\n" if said else ""),
            where=str(self.log_file),
            todo="The log has the rest",
        )

    def ask_to_stop(self) -> None:
        """Send the signal that ends it and return at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it and everything it started; returns when all of that is gone."""
        self.ask_to_stop()
        try:
            # The guard itself goes from the polite signal to SIGKILL; its own end needs a little more time than that.
            self._process.wait(self._stop_seconds + 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


class Supervisor:
    """The processes of one command, as a context manager: what was started in it is gone after it."""

    def __init__(self) -> None:
        self._children: list[ChildProcess] = []
        self._lock = threading.Lock()

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def children(self) -> tuple[ChildProcess, ...]:
        return tuple(self._children)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], bool] | None = None,
        ready_seconds: float = READY_SECONDS,
        user: User | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = STOP_SECONDS,
    ) -> ChildProcess:
        """Start a process and, with `ready`, wait until that returns True.

        Args:
            name: what messages call it.
            argv: the command; its output goes to `log_file`, its standard input is empty.
            env: the whole environment; this process's own by default.
            ready: asked every 20 ms from this thread; may be slow, must not raise.
            user: run as this user (only root may).
            stop_signal: what asks the command to end; SIGKILL follows after `stop_seconds`.

        Raises:
            Unavailable: it ended before it was ready, or was not ready in time; the message has its last lines.
        """
        log_file.parent.mkdir(parents=True, exist_ok=True)
        options = ["--stop-signal", str(int(stop_signal)), "--grace-seconds", str(stop_seconds)]
        if user is not None:
            options += ["--uid", str(user.uid), "--gid", str(user.gid)]
        reader, lifeline = os.pipe()
        try:
            with log_file.open("ab") as log:
                log_start = log.tell()
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_CHILD_SCRIPT), *options, "--", *argv],
                    stdin=reader,
                    stdout=log,
                    stderr=log,
                    env=dict(env) if env is not None else None,
                    cwd=cwd,
                    # Ctrl-C in a terminal goes to the whole foreground group: only we may see it, to stop in order.
                    start_new_session=True,
                )
        except BaseException:
            os.close(lifeline)
            raise
        finally:
            os.close(reader)
        child = ChildProcess(name, process, lifeline, log_file, log_start, stop_seconds)
        with self._lock:
            self._children.append(child)
        if ready is not None:
            self.wait_ready(child, ready, ready_seconds)
        return child

    def wait_ready(self, child: ChildProcess, ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        """Wait until `ready` returns True; raise `Unavailable` when the child dies first or time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not child.is_alive():
                raise child.death()
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"{child.name} did not become ready within {seconds:.0f} s; its last lines:\n{child.log_tail()}\n",
                    where=str(child.log_file),
                )
            time.sleep(POLL_SECONDS)

    def dead(self) -> ChildProcess | None:
        """The first child that has ended by itself, if any."""
        return next((child for child in self._children if not child.is_alive()), None)

    def check(self) -> None:
        """Raise `Unavailable`, with the last lines of its log, if a child has ended by itself."""
        if (child := self.dead()) is not None:
            raise child.death()

    def stop_child(self, child: ChildProcess) -> None:
        """End one child and forget it."""
        child.stop()
        with self._lock:
            self._children = [other for other in self._children if other is not child]

    def stop(self) -> None:
        """End all children, the last started first."""
        while self._children:
            self.stop_child(self._children[-1])
