"""Run one command to its end: its output streamed, its time limited, its processes ended with it."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datalake_assets.errors import ConfigurationError, StepFailed
from datalake_assets.steps.output import StepOutput

GRACE_SECONDS = 10.0  # between SIGTERM and SIGKILL; run monitoring waits 60 s for a cancelled run
KILL_SECONDS = 10.0  # what SIGKILL may take until we stop waiting for it: a process can hang in the kernel
POLL_SECONDS = 0.2
READ_BYTES = 256 * 1024
_KEEPER = str(Path(__file__).with_name("keeper.py"))


@dataclass(frozen=True)
class Command:
    """What is started.

    Args:
        what: what a person calls it, for messages.
        arguments: the program and its arguments.
        folder: where it starts.
        environment: all variables that it sees.
        timeout_seconds: None for as long as it takes.
        grace_seconds: between the request to end and the end by force.
    """

    what: str
    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    timeout_seconds: float | None = None
    grace_seconds: float = GRACE_SECONDS


def run_command(command: Command, output: StepOutput, *, is_orphaned: Callable[[], bool] = lambda: False) -> None:
    """Run a command to its end; whatever ends this function, return or error, ends all that the command has started.

    Args:
        is_orphaned: tells that whoever asked for the step is gone, so that nobody waits for it any more.

    Raises:
        StepFailed: it ended with another status than 0, by a signal, or took longer than it may; the message has its
            last lines.
        ConfigurationError: it cannot be started.
    """
    begun = time.monotonic()

    def why_to_stop() -> str | None:
        limit = command.timeout_seconds
        if limit is not None and time.monotonic() - begun > limit:
            return f"was ended: it took longer than its timeout of {limit:g} s"
        return "was ended: the run that it belongs to is gone" if is_orphaned() else None

    try:
        with _started(command) as kept:
            told = kept.follow(output, why_to_stop)
    finally:
        output.close()
    status = kept.process.returncode
    if told or status:
        raise StepFailed(f"{command.what} {told or describe_status(status)}{_end_of(output)}")


def describe_status(status: int) -> str:
    """How a program ended, in words: its status, or the signal (a negative number) that ended it."""
    if status >= 0:
        hint = {126: " (it may not be executed)", 127: " (a command was not found)"}.get(status, "")
        return f"ended with status {status}{hint}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    hint = "; the system does so when memory runs out" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


class _Kept:
    """A command below its keeper, which ends it when the pipe between us and it is closed."""

    def __init__(self, process: "subprocess.Popen[bytes]", tell: int, command: Command) -> None:
        assert process.stdout is not None
        self.process = process
        self._stream = process.stdout.fileno()
        self._is_open = True
        self._tell = tell
        self._command = command
        os.set_blocking(self._stream, False)

    def follow(self, output: StepOutput, why_to_stop: Callable[[], str | None]) -> str | None:
        """Stream until the end; returns why we ended it, None if it ended by itself."""
        told = None
        try:
            while told is None and not self._has_ended(output):
                told = why_to_stop()
        finally:
            self._stop(output)
        return told

    def _stop(self, output: StepOutput) -> None:
        self.tell()
        # Read on: a program whose output nobody takes cannot tidy up.
        deadline = time.monotonic() + self._command.grace_seconds + KILL_SECONDS
        while not self._has_ended(output):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
        while self._read(output):
            pass

    def tell(self) -> None:
        """Let the keeper end everything that is left."""
        if self._tell >= 0:
            os.close(self._tell)
            self._tell = -1

    def _has_ended(self, output: StepOutput) -> bool:
        if self._is_open:
            ready, _, _ = select.select([self._stream], [], [], POLL_SECONDS)
            if ready:
                self._read(output)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(POLL_SECONDS)
        output.tick()
        return self.process.poll() is not None

    def _read(self, output: StepOutput) -> bool:
        try:
            data = os.read(self._stream, READ_BYTES) if self._is_open else b""
        except BlockingIOError:  # somebody who escaped still holds it open: no more is to be expected
            return False
        if not data:
            self._is_open = False
            return False
        output.write(data)
        return True


@contextmanager
def _started(command: Command) -> Iterator[_Kept]:
    told, tell = os.pipe()
    kept = None
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", _KEEPER, str(told), str(command.grace_seconds), *command.arguments],
            cwd=command.folder,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # one stream, or nobody can tell what was printed before what
            pass_fds=(told,),
            # What signals reach the run's process must not reach the command past its keeper.
            start_new_session=True,
            bufsize=0,
        )
        kept = _Kept(process, tell, command)
        with process.stdout or contextlib.nullcontext():
            yield kept
    except (OSError, ValueError) as error:
        if kept is not None:
            raise
        raise ConfigurationError(
            f"{command.what} cannot be started: {error}",
            where=str(command.folder),
            todo="Is the folder there, and is the text of the step shorter than 128 kB?",
        ) from error
    finally:
        os.close(told)
        if kept is None:
            os.close(tell)
        else:
            kept.tell()


def _end_of(output: StepOutput) -> str:
    lines = output.last_lines
    return ". Its last lines:\n" + "\n".join(lines) if lines else ", without a word"
