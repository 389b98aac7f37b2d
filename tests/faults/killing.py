"""Attempts: work in a process of its own that a failpoint, or the test, kills.

A forkserver has imported everything once, so an attempt costs a fork and its own connections. Whatever must not be
shared between processes (clients, engines, connections) is made after the fork.
"""

import ctypes
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

ENDED_SECONDS = 60.0
POLL_SECONDS = 0.005
PR_SET_PDEATHSIG = 1

Work = Callable[..., Any]


def forkserver() -> ForkServerContext:
    """The context that attempts are started with; starts the server."""
    from multiprocessing.forkserver import ensure_running

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "tests.faults.preload"])
    ensure_running()
    return context


class Attempt:
    """One piece of work in its own process."""

    def __init__(
        self,
        context: ForkServerContext,
        folder: Path,
        environment: Mapping[str, str],
        work: Work,
        arguments: tuple[Any, ...],
        failpoints: str,
    ) -> None:
        self.log = folder / "log"
        self._result = folder / "result"
        self._process = context.Process(
            target=_child, args=(folder, dict(environment), work, arguments, failpoints), daemon=True
        )
        self._process.start()

    @property
    def is_over(self) -> bool:
        return self._process.exitcode is not None

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def result(self) -> Any:
        """Wait for its end and return what the work returned; fails if it did not end well."""
        status = self._join()
        assert status == 0, f"the attempt ended with {status}:\n{self.output}"
        return pickle.loads(self._result.read_bytes())

    def must_be_killed(self) -> None:
        """Wait until its failpoint has killed it."""
        status = self._join()
        if status == 0:
            result = pickle.loads(self._result.read_bytes())
            raise AssertionError(f"the attempt passed no armed failpoint and returned {result}:\n{self.output}")
        assert status == -signal.SIGKILL, f"the attempt ended with {status}:\n{self.output}"

    def must_reach(self, failpoint: str) -> None:
        """Wait until it is held at a failpoint."""
        wait_for(lambda: f"failpoint {failpoint}: wait" in self.output or self.is_over, f"an attempt at {failpoint}")
        assert not self.is_over, f"the attempt ended before {failpoint}:\n{self.output}"

    def kill(self) -> None:
        os.kill(self._process.pid or 0, signal.SIGKILL)
        self._join()

    def _join(self) -> int:
        self._process.join(ENDED_SECONDS)
        if self._process.exitcode is None:
            os.kill(self._process.pid or 0, signal.SIGKILL)
            self._process.join()
            raise AssertionError(f"the attempt did not end in {ENDED_SECONDS:.0f} s:\n{self.output}")
        return self._process.exitcode


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(POLL_SECONDS)


def _child(folder: Path, environment: dict[str, str], work: Work, arguments: tuple[Any, ...], failpoints: str) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # nothing outlives the tests
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(log, number)
    os.environ.update(environment)
    tempfile.tempdir = str(folder)  # what a killed run leaves behind goes with the test
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, force=True)
    from datalake_assets import failpoints as module

    try:
        module.arm(failpoints)
        result = work(*arguments)
        (folder / "result").write_bytes(pickle.dumps(result))
    except BaseException:  # noqa: BLE001 - the log tells it, and the status
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stderr.flush()
    os._exit(0)  # no clean-up of libraries, and none of their warnings
