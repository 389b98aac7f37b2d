"""Named places where a test stops, delays or kills a process, so that what follows a crash is tested, not hoped for.

    DATALAKE_FAILPOINTS="publish.before_switch=kill"          SIGKILL at the first hit
    DATALAKE_FAILPOINTS="load.staged=kill@3;drain.recorded=error"
    DATALAKE_FAILPOINTS="publish.before_switch=wait:GO"   hold until the file is there

Without the variable a failpoint is one comparison. It is read once for a process, and never set in production; a
process that has it says so in its log.
"""

import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from datalake_assets.errors import ConfigurationError, Unavailable

log = logging.getLogger(__name__)

VARIABLE = "DATALAKE_FAILPOINTS"
WAIT_SECONDS = 120.0  # a test that forgot its file ends all the same

# Every failpoint of the platform and what has just happened there.
FAILPOINTS: dict[str, str] = {
    "drain.received": "messages are read from the queue, nothing is recorded",
    "drain.recorded": "their objects are in the ledger, dead letters are not, and no message is deleted",
    "drain.lettered": "objects and dead letters are recorded, no message is deleted",
    "drain.deleted": "a round's messages are deleted",
    "ledger.written": "a batch of news is written, its transaction is not committed",
    "ledger.marked": "a partition is marked as published, the transaction is not committed",
    "sweep.page": "a page of a listing is compared and recorded",
    "sweep.listed": "a prefix is listed to its end, its time is not recorded",
    "sensor.decided": "runs are decided on, the ledger does not know it",
    "sensor.requested": "the ledger knows the requests, Dagster does not",
    "ingest.begun": "a run has its version id and has listed nothing",
    "ingest.prepared": "a batch of partitions is mapped on local disk",
    "ingest.quarantined": "rows set aside are published, good rows are not",
    "ingest.children": "child tables are published, the records that they belong to are not",
    "ingest.published": "a batch is published in the lake, the warehouse does not know it",
    "ingest.loaded": "a batch is published and loaded, the arrival ledger does not know it",
    "ingest.marked": "a partition is published, loaded and marked; Dagster does not know the end of the run",
    "upload.object": "one object of a version is uploaded",
    "upload.done": "all objects of a batch's versions are uploaded",
    "publish.audited": "a version is compared with its objects, its manifest is not written",
    "publish.manifest": "a version's manifest is written",
    "publish.before_switch": "the published version was compared, the location is not switched",
    "publish.switched": "locations are switched, later versions of others were not looked for",
    "publish.settled": "locations are switched, and no later version was found",
    "rollback.copied": "the old version's objects are copied under a new version",
    "rollback.published": "readers see the restored version, Dagster and the warehouse do not know it",
    "rollback.told": "Dagster knows the restored version, the warehouse does not",
    "vacuum.marked": "versions are marked for removal",
    "vacuum.forgotten": "a version's manifest is removed, its objects are not",
    "vacuum.deleted": "a version's objects are removed, its mark is not",
    "load.staged": "COPY and count are done, no transaction is open",
    "load.locked": "the load ledger is locked",
    "load.replaced": "rows are replaced within the transaction",
    "load.recorded": "the load ledger is written within the transaction",
    "load.committed": "the transaction is committed",
}


@dataclass
class _Armed:
    action: str
    argument: str
    hit: int
    hits: int = 0


def _parse(text: str) -> dict[str, _Armed]:
    armed: dict[str, _Armed] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, what = entry.partition("=")
        action, _, argument = what.partition(":")
        action, at, hit = action.partition("@")
        is_counted = not at or (hit.isdecimal() and int(hit) > 0)
        if name not in FAILPOINTS or action not in ("kill", "error", "wait") or not is_counted:
            raise ConfigurationError(
                f"{VARIABLE} has the entry {entry!r}",
                expected="NAME=kill, NAME=kill@3, NAME=error or NAME=wait:FILE, with a NAME of "
                + ", ".join(sorted(FAILPOINTS)),
            )
        if not equals or (action == "wait") != bool(argument):
            raise ConfigurationError(f"{VARIABLE} has the entry {entry!r}", expected="NAME=wait:FILE, or no FILE")
        armed[name] = _Armed(action, argument, int(hit or 1))
    return armed


_armed = _parse(os.environ.get(VARIABLE, ""))
_lock = threading.Lock()
if _armed:
    log.warning("failpoints are armed: %s", ", ".join(sorted(_armed)))


def failpoint(name: str) -> None:
    """Mark a place of `FAILPOINTS`; does nothing unless a test armed it for this process.

    Raises:
        Unavailable: the failpoint is armed with `error`.
    """
    if _armed and name in _armed:
        _hit(name, _armed[name])


def arm(text: str) -> None:
    """Replace what is armed in this process: for processes that are forked, not started."""
    global _armed
    _armed = _parse(text)


def _hit(name: str, armed: _Armed) -> None:
    with _lock:
        armed.hits += 1
        if armed.hits != armed.hit:
            return
    log.warning("failpoint %s: %s", name, armed.action)
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(WAIT_SECONDS)  # no line after a failpoint runs, also if the signal takes a moment
    elif armed.action == "error":
        raise Unavailable(f"the failpoint {name} is armed", where=VARIABLE)
    else:
        deadline = time.monotonic() + WAIT_SECONDS
        while not Path(armed.argument).exists() and time.monotonic() < deadline:
            time.sleep(0.005)
