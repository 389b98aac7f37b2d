"""Start a sandbox that outlives the command, and stop one that another process holds."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from datalake_assets.errors import Unavailable
from datalake_assets.sandbox.processes import is_same, wait_for_leftovers, wait_until_gone
from datalake_assets.sandbox.state import StateFolder, full_disk_explained

STOP_SECONDS = 30.0


def start_in_background(state: StateFolder, port_base: int | None = None) -> int:
    """Start a sandbox in a process of its own and return its id once the sandbox is ready.

    Raises:
        ConfigurationError, Unavailable: as `Sandbox.start`; or it ended without a word, then its log is quoted.
    """
    state.check()
    with full_disk_explained(state.path):
        state.create()
        log_file = state.logs / "sandbox.log"
        log = log_file.open("ab")
    reader, writer = os.pipe()
    argv = [sys.executable, "-m", "datalake_assets.sandbox", "--state", str(state.path), "--report-fd", str(writer)]
    if port_base is not None:
        argv += ["--port-base", str(port_base)]
    with log, os.fdopen(reader) as report:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[writer], start_new_session=True
        )
        os.close(writer)
        text = report.read()
    answer = json.loads(text) if text else {}
    if answer.get("ready"):
        # It stays; nobody waits for it, and that is meant.
        process.returncode = 0
        return process.pid
    process.wait()
    if not answer:
        said = "\n".join(log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise Unavailable(f"the sandbox ended while it started; its last lines:\n{said}\n", where=str(log_file))
    raise Unavailable(answer["error"])


def stop_from_outside(state: StateFolder) -> bool:
    """Stop the sandbox of a state folder, whoever holds it; False if none runs.

    Raises:
        Unavailable: it does not end.
    """
    running = state.running()
    was_running = state.is_locked() and is_same(running)
    if was_running:
        os.kill(running["pid"], signal.SIGTERM)
        if not wait_until_gone(running, STOP_SECONDS):
            os.kill(running["pid"], signal.SIGKILL)
    # Also of a run that was killed: its guards are ending what it started.
    wait_for_leftovers(running.get("children", []))
    deadline = time.monotonic() + STOP_SECONDS
    while state.is_locked():
        if time.monotonic() >= deadline:
            raise Unavailable("the sandbox does not end", where=str(state.path))
        time.sleep(0.05)
    if state.path.is_dir():
        state.clear_running()
    return was_running


def default_state(environment: dict[str, str] | None = None, start: Path | None = None) -> Path:
    """`DATALAKE_STATE`, or `.state/dev` in the project that the current folder is part of."""
    from datalake_assets.sandbox.state import DEFAULT_FOLDER

    variables = os.environ if environment is None else environment
    if named := variables.get("DATALAKE_STATE"):
        return Path(named)
    here = start or Path.cwd()
    project = next((folder for folder in (here, *here.parents) if (folder / "workspace.yaml").exists()), here)
    return project / DEFAULT_FOLDER
