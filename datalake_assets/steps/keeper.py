"""Start a command, and see that nothing of it outlives the run that asked for it.

A program of its own, from the standard library alone: `python -I -S keeper.py FD SECONDS COMMAND…`. It ends everything
that the command has started as soon as the command itself has ended, when told to, and when whoever started it dies, be
it by SIGKILL: the file descriptor FD is the reading end of a pipe, and the end of that pipe is the word to stop. What
is still there SECONDS after SIGTERM gets SIGKILL. It ends as the command did, with the same status or signal.
"""

import contextlib
import os
import resource
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
NOT_STARTED = 127


def main() -> int:
    """Keep the command of `sys.argv` until it has ended."""
    told, grace, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    # The parent of what the command's processes leave behind.
    _ask_linux(PR_SET_CHILD_SUBREAPER, 1)
    wakes, woken = os.pipe()
    for end in (wakes, woken):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, _note)
    child = os.fork()
    if child == 0:
        _become(command, told)

    stop_at: float | None = None  # when SIGTERM becomes SIGKILL
    watched = [told, wakes]
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        patience = None if stop_at is None or stop_at == float("inf") else max(0.0, stop_at - time.monotonic())
        ready, _, _ = select.select(watched, [], [], patience)
        if wakes in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wakes, 4096)
        if stop_at is None and (told in ready or _was_told()):
            watched.remove(told)
            stop_at = time.monotonic() + grace
            for process in _descendants(child):
                _signal(process, signal.SIGTERM)
        elif stop_at is not None and time.monotonic() >= stop_at:
            _end_all(child)
            stop_at = float("inf")
    _end_all(child)
    return _end_like(status)


_stopping: list[int] = []


def _note(number: int, _: object) -> None:
    if number != signal.SIGCHLD:
        _stopping.append(number)


def _was_told() -> bool:
    return bool(_stopping)


def _ask_linux(option: int, value: int) -> None:
    """Set what becomes of processes when their parents end, where the system offers it."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _become(command: list[str], told: int) -> None:
    try:
        os.setpgid(0, 0)  # a group of its own: the keeper must not end itself with it
        signal.set_wakeup_fd(-1)
        for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(each, signal.SIG_DFL)
        os.close(told)
        _ask_linux(PR_SET_PDEATHSIG, signal.SIGKILL)  # a command that kills its keeper ends with it
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(NOT_STARTED)


def _end_all(child: int) -> None:
    """Kill the command and everything that it has started; nothing is left when this returns."""
    while found := _descendants(child):
        for process in found:
            _signal(process, signal.SIGKILL)
        time.sleep(0.005)
        _reap(found, child)


def _reap(processes: list[int], child: int) -> None:
    """Collect what has ended, but not the command itself: its status is still wanted."""
    for process in processes:
        if abs(process) != child:
            with contextlib.suppress(ChildProcessError):  # not ours yet: its own parent is being ended too
                os.waitpid(process, os.WNOHANG)


def _descendants(child: int) -> list[int]:
    """What lives below the keeper, processes that left the command's group and session included.

    Without /proc (macOS) it is the command's group, as one negative number.
    """
    if not os.path.isdir("/proc/self"):
        try:
            os.killpg(child, 0)
        except OSError:
            return []
        return [-child]
    parents: dict[int, tuple[int, str]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with (
                contextlib.suppress(OSError),  # it has ended meanwhile
                open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file,
            ):
                state, parent = file.read().rpartition(")")[2].split()[:2]
                parents[int(name)] = int(parent), state
    found, below = [], {os.getpid()}
    while below:
        below = {process for process, (parent, _) in parents.items() if parent in below}
        found += [process for process in below if parents[process][1] not in ("Z", "X")]
    return found


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)


def _end_like(status: int) -> int:
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command may have dumped its memory, the keeper need not
    with contextlib.suppress(OSError, ValueError):  # SIGKILL takes no handler
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


if __name__ == "__main__":
    sys.exit(main())
