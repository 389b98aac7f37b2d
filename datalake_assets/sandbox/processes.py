"""Processes by number and time of birth: a number alone may be somebody else's by now."""

import contextlib
import time
from collections.abc import Iterable
from typing import Any

from datalake_assets.errors import Unavailable

BIRTH_TOLERANCE_SECONDS = 2.0  # the system counts from its own start, and its clock may be set meanwhile
LEFTOVER_SECONDS = 20.0


def birth(pid: int) -> dict[str, Any]:
    """What identifies a living process, to be written down."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return {"pid": pid, "born_at": psutil.Process(pid).create_time()}
    return {"pid": pid, "born_at": 0.0}


def is_same(written: dict[str, Any]) -> bool:
    """True if the process that was written down is still alive, and not another one with its number."""
    import psutil

    try:
        process = psutil.Process(int(written["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(process.create_time() - float(written["born_at"])) < BIRTH_TOLERANCE_SECONDS
    except (psutil.Error, KeyError, ValueError, TypeError):
        return False


def wait_until_gone(written: dict[str, Any], seconds: float) -> bool:
    """Wait for the end of a process that need not be our child; False if it is still there."""
    deadline = time.monotonic() + seconds
    while is_same(written):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def wait_for_leftovers(children: Iterable[dict[str, Any]]) -> None:
    """Wait for what a killed run left behind: its guards are ending it right now.

    Raises:
        Unavailable: one of them does not end.
    """
    for child in children:
        if not wait_until_gone(child, LEFTOVER_SECONDS):
            raise Unavailable(
                f"{child.get('name', 'a process')} of an earlier run is still there (process {child['pid']})",
                todo=f"End it with `kill {child['pid']}`",
            )
