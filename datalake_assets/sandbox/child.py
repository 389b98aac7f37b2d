"""Run one command that ends with its parent, also when the parent is killed: a script of the standard library alone.

`supervisor.py` starts it as `python -I -S child.py [options] -- command …` with the read end of a pipe as standard
input. The kernel closes the other end when the parent is gone, however that happened, and the end of the file is the
signal to stop. (A parent-death signal alone would not do: it fires when the *thread* that forked ends, is dropped
when the process changes its user, and reaches no grandchildren.)

On Linux the script also adopts orphans (`PR_SET_CHILD_SUBREAPER`), so a grandchild that outlives its own parent is
found and ended too, and the command itself carries a parent-death signal in case this script is killed.
"""

import argparse
import contextlib
import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ORPHAN_SECONDS = 2.0  # what grandchildren get between SIGTERM and SIGKILL once the command itself has ended
EXEC_FAILED = 127


def main(argv: list[str]) -> int:
    """Run the command after `--`; return its exit status (128 + n when signal n ended it)."""
    split = argv.index("--")
    parser = argparse.ArgumentParser()
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--stop-signal", type=int, default=signal.SIGTERM)
    parser.add_argument("--grace-seconds", type=float, default=10.0)
    options = parser.parse_args(argv[:split])

    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    # The wake-up pipe turns signals into bytes: no race between testing a condition and going to sleep.
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)

    child = _spawn(argv[split + 1 :], options.uid, options.gid)
    status = _watch(child, woken, options.stop_signal, options.grace_seconds)
    _end_orphans(child)
    return status


def _spawn(command: list[str], uid: int | None, gid: int | None) -> int:
    script = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        if gid is not None:
            os.setgroups([])
            os.setgid(gid)
        if uid is not None:
            os.setuid(uid)
        # After the change of user, which would clear it.
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != script:
            os._exit(EXEC_FAILED)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    finally:
        os._exit(EXEC_FAILED)


def _watch(child: int, woken: int, stop_signal: int, grace_seconds: float) -> int:
    """Wait for the end of the command, or make it end when standard input closes or a signal arrives."""
    deadline: float | None = None
    watched = [sys.stdin.fileno(), woken]
    while True:
        pid, status = _reap(child)
        if pid == child:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        wait = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select(watched, [], [], wait)
        stop = False
        if woken in ready:
            stop = any(number != signal.SIGCHLD for number in os.read(woken, 4096))
        if watched[0] in ready and watched[0] != woken and not os.read(watched[0], 4096):
            watched.remove(sys.stdin.fileno())
            stop = True
        if stop and deadline is None:
            deadline = time.monotonic() + grace_seconds
            _send(child, stop_signal)
        elif deadline is not None and time.monotonic() >= deadline:
            _send(child, signal.SIGKILL)
            deadline = time.monotonic() + grace_seconds


def _reap(child: int) -> tuple[int, int]:
    """Collect what has ended, adopted orphans included, until it is the command itself or nothing."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return child, 0
        if pid in (0, child):
            return pid, status


def _end_orphans(child: int) -> None:
    """End what the command left behind: politely, then surely."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    number = signal.SIGTERM
    asked: set[int] = set()
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = _descendants(os.getpid())
        if not left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)  # where /proc is missing, the group is what can be known
            return
        if time.monotonic() >= deadline:
            number = signal.SIGKILL
        for pid in left:
            if number == signal.SIGKILL or pid not in asked:
                _send(pid, number)
                asked.add(pid)
        select.select([], [], [], 0.02)


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for pid in numbers:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                # The command's name stands in parentheses and may hold anything; the parent is the second field after.
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(pid)
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
