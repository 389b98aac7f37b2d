"""Children end with their parent, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from datalake_assets.errors import Unavailable
from datalake_assets.sandbox.supervisor import Supervisor

# A parent whose child has a grandchild in a session of its own, which ignores SIGTERM: the worst that can be left over.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("stubborn", flush=True)
time.sleep(600)
"""
CHILD = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], start_new_session=True)
print("child", flush=True)
time.sleep(600)
"""
PARENT = f"""
import sys, threading, time
from pathlib import Path
from datalake_assets.sandbox.supervisor import Supervisor
supervisor = Supervisor()
log = Path(sys.argv[1])
# From a thread that ends at once: that must not end the child.
arguments = ("child", [sys.executable, "-c", {CHILD!r}])
starting = threading.Thread(target=supervisor.start, args=arguments, kwargs={{"log_file": log}})
starting.start()
starting.join()
print("started", flush=True)
time.sleep(600)
"""


def _wait(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _says(log: Path, *words: str) -> bool:
    return log.exists() and all(word in log.read_text() for word in words)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_all_descendants_end_when_the_parent_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(log)], stdout=subprocess.PIPE) as parent:
        assert _wait(lambda: _says(log, "child", "stubborn"))
        descendants = psutil.Process(parent.pid).children(recursive=True)
        assert len(descendants) == 3  # the guard, the child, the grandchild
        parent.send_signal(number)
        parent.wait()
        _, alive = psutil.wait_procs(descendants, timeout=20)
    assert not alive


def test_stopping_ends_a_grandchild_that_ignores_signals(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Supervisor() as supervisor:
        child = supervisor.start("child", [sys.executable, "-c", CHILD], log_file=log)
        assert _wait(lambda: _says(log, "child", "stubborn"))
        descendants = psutil.Process(child.pid).children(recursive=True)
    assert len(descendants) == 2
    assert not [process for process in descendants if process.is_running()]


def test_a_child_whose_guard_is_killed_ends_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Supervisor() as supervisor:
        child = supervisor.start(
            "child",
            [sys.executable, "-c", "print('up', flush=True); input_ = __import__('time').sleep(600)"],
            log_file=log,
        )
        assert _wait(lambda: _says(log, "up"))
        command = psutil.Process(child.pid).children()
        os.kill(child.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(command, timeout=20)
        assert not alive
        assert supervisor.dead() is child


def test_a_child_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        supervisor.start(
            "the oracle", [sys.executable, "-c", "print('so long'); raise SystemExit(7)"], log_file=tmp_path / "log"
        )
        assert _wait(lambda: supervisor.dead() is not None)
        with pytest.raises(Unavailable, match=r"the oracle ended with status 7[\s\S]*so long"):
            supervisor.check()


def test_a_command_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with Supervisor() as supervisor, pytest.raises(Unavailable, match="no-such-command: No such file"):
        supervisor.start("it", ["no-such-command"], log_file=tmp_path / "log", ready=lambda: False)


def test_a_child_that_is_not_ready_in_time_is_reported(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    with Supervisor() as supervisor, pytest.raises(Unavailable, match="did not become ready"):
        supervisor.start("it", argv, log_file=tmp_path / "log", ready=lambda: False, ready_seconds=0.1)


def test_children_are_stopped_in_reverse_order_and_may_say_goodbye(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = (
        "import signal, sys, time\n"
        "def end(*_):\n    print('bye', sys.argv[1], flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\nprint('up', sys.argv[1], flush=True)\ntime.sleep(600)"
    )
    with Supervisor() as supervisor:
        for name in ("first", "second"):
            supervisor.start(
                name, [sys.executable, "-c", script, name], log_file=log, ready=lambda n=name: _says(log, f"up {n}")
            )
    assert log.read_text().split("\n")[2:4] == ["bye second", "bye first"]


def test_the_log_of_an_earlier_run_is_not_quoted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("an old failure\n")
    with Supervisor() as supervisor:
        child = supervisor.start("it", [sys.executable, "-c", "print('new')"], log_file=log)
        assert _wait(lambda: not child.is_alive())
        assert child.log_tail() == "new"
