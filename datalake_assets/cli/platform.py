"""The whole platform on this machine: sandbox, migrations, code servers, webserver and daemon, with progress shown."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from datalake_assets.cli.dagster_processes import HOME_FOLDER, DagsterProcesses
from datalake_assets.project import DBT_PROJECT
from datalake_assets.sandbox.sandbox import Sandbox, any_free_ports
from datalake_assets.sandbox.supervisor import Supervisor

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class Platform:
    """A running platform; `seconds` says how long each step of its start took."""

    sandbox: Sandbox
    dagster: DagsterProcesses
    supervisor: Supervisor
    seconds: dict[str, float] = field(default_factory=dict)


@contextmanager
def running_platform(
    state: Path,
    console: "Console",
    *,
    ui_port: int = 0,
    free_ports: bool = False,
    echo: Callable[[str], None] | None = None,
) -> Iterator[Platform]:
    """Start everything, hand it over, and end every process that was started, whatever happens.

    Args:
        ui_port: of the Dagster UI; a free one by default.
        free_ports: take any free ports for the sandbox instead of its usual ones.
        echo: called with the text of each alert that arrives.

    Raises:
        Unavailable: a process did not start; the message has the last lines of its log.
    """
    from datalake_assets.components.dbt.manifest import ensure_manifest

    seconds: dict[str, float] = {}
    # The manifest is needed by the code servers alone: it is made while PostgreSQL and moto start.
    manifest = _InBackground(lambda: ensure_manifest(DBT_PROJECT))
    state = state.absolute()  # Dagster takes no other home
    sandbox = Sandbox(state, ports=any_free_ports() if free_ports else None, echo=echo)
    with ExitStack() as stack:
        with _step(console, "sandbox (PostgreSQL, AWS, Redshift gateway)", seconds, "sandbox"):
            stack.enter_context(sandbox)
            os.environ.update(sandbox.environment())
            manifest.result()
        supervisor = stack.enter_context(Supervisor())
        dagster = DagsterProcesses(supervisor, state / HOME_FOLDER, sandbox.environment(), port=ui_port)
        with _step(console, "Dagster (code servers, daemon, webserver)", seconds, "dagster"):
            dagster.start_code_servers()
            dagster.start_services()
        yield Platform(sandbox, dagster, supervisor, seconds)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the signals that end a command into KeyboardInterrupt, so that what was started is stopped in order."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT too: a shell that starts a command in the background lets it be ignored, and Python then leaves it so.
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(each, interrupt) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


@contextmanager
def _step(console: "Console", title: str, seconds: dict[str, float], name: str) -> Iterator[None]:
    begin = time.monotonic()
    with console.status(f"Starting {title} …"):
        yield
    seconds[name] = time.monotonic() - begin
    console.print(f"[green]✓[/] {title} [dim]{seconds[name]:.1f} s[/]")


class _InBackground:
    """Run a function in a thread; `result` waits for it and raises what it raised."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = error

    def result(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error
