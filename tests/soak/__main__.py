"""`make soak`: random faults for SOAK_SECONDS (600), then quiet, then everything compared row by row.

    SOAK_SECONDS=60 SOAK_SEED=7 python -m tests.soak

Exits with 1 on any difference and keeps the state folder for inspection.
"""

import os
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from datalake_assets.cli.platform import Platform, interruptible, running_platform
from datalake_assets.components.declarations import read_declarations
from datalake_assets.components.upkeep.sweeping import sweep_location
from datalake_assets.project import LOCATIONS_FOLDER
from datalake_assets.sandbox.state import StateFolder
from tests.conftest import forget_accounts
from tests.faults.compare import Outsider, differences
from tests.faults.expected import Table
from tests.soak.bucket import Bucket
from tests.soak.courier import Courier
from tests.soak.readers import Reader
from tests.soak.services import Services
from tests.soak.tally import Stopped, Tally
from tests.soak.troubles import VACUUM_GRACE_SECONDS, Troubles, range_tags

TABLES = ("flights", "weather", "airlines")
QUIET_SECONDS = 420.0
STUCK_SECONDS = 15.0


class Soak:
    """One soak on a running platform."""

    def __init__(self, platform: Platform, seed: int) -> None:
        pick = random.Random(seed)
        specs = {each.spec.name: each.spec for each in read_declarations(LOCATIONS_FOLDER / "flights")}
        self.tables = {name: Table.of("flights", specs[name]) for name in TABLES}
        self.trouble, self.work, self.reading = Tally(), Tally(), Tally()
        self.reading.counts = self.work.counts = self.trouble.counts  # one table at the end
        self.reading.wrong = self.work.wrong = self.trouble.wrong
        self.services = Services(platform)
        self.outsider = Outsider()
        self.bucket = Bucket(self.tables, self.trouble, pick.randrange(2**32))
        self.courier = Courier(self.work, pick.randrange(2**32))
        self.troubles = Troubles(
            self.services, self.bucket.partitions, self.trouble, pick.randrange(2**32), logs=platform.dagster.logs
        )
        grace = VACUUM_GRACE_SECONDS * 0.8
        self.readers = [
            Reader(layer, self.bucket.partitions, self.reading, grace=grace) for layer in ("lake", "warehouse")
        ]
        self._threads: list[tuple[Tally, threading.Thread]] = []

    def run(self, seconds: float) -> list[str]:
        """Everything; returns the differences at the end."""
        self._start(self.work, self.courier.run)
        self._start(self.trouble, self.bucket.run)
        self._start(self.trouble, self.troubles.run)
        for reader in self.readers:
            self._start(self.reading, reader.run)
        self._wait(seconds)
        self._end(self.trouble)
        self._calm()
        self._end(self.work)
        self._end(self.reading)
        return [
            each
            for name, table in self.tables.items()
            for each in differences(
                self.outsider, table, [p.key for p in self.bucket.partitions if p.table.name == name]
            )
        ]

    def stop(self) -> None:
        """End all threads, whatever they do."""
        for tally in (self.trouble, self.work, self.reading):
            tally.ends.set()
        self.troubles.stop()
        for _, thread in self._threads:
            thread.join(30)

    # Threads

    def _start(self, tally: Tally, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Stopped:
                return
            except BaseException:  # noqa: BLE001 - a thread that dies makes the soak worthless, so it is told
                tally.accuse(f"a thread of the soak ended:\n{traceback.format_exc()}")

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        self._threads.append((tally, thread))

    def _end(self, tally: Tally) -> None:
        tally.ends.set()
        for of, thread in self._threads:
            if of is tally:
                thread.join(150)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.trouble.wrong:
            time.sleep(0.5)

    # The end

    def _calm(self) -> None:
        """Restore quiet, and wait until the platform has nothing left to do."""
        say = self.work.say
        say("quiet: mending what is broken")
        self.services.restart_dead()
        if self.services.armed:
            self.services.restart_code_server("flights")
        self.bucket._tally = self.work
        self.bucket.settle()
        self.courier.calm()
        self._until(lambda: self.courier.is_idle, "the courier")
        swept = self.work.patiently(lambda: sweep_location("flights", LOCATIONS_FOLDER))
        say(f"swept: {swept}")
        last = time.monotonic()

        def is_done() -> bool:
            nonlocal last
            self.services.restart_dead()
            wanted = self._unfinished()
            if not wanted:
                return True
            if self.services.in_progress():
                last = time.monotonic()
            elif time.monotonic() - last > STUCK_SECONDS:
                # What failed three times, or was rolled back, waits for a person: here he is.
                for name, partition in wanted:
                    self.services.launch(name, range_tags(partition))
                    self.work.add("runs by hand at the end")
                    say(f"materialized by hand: {name} {partition}")
                last = time.monotonic()
            return False

        self._until(is_done, "a platform without work", lambda: f"{self._unfinished()}")
        self._until(lambda: not self.services.in_progress(), "the end of all runs")

    def _unfinished(self) -> list[tuple[str, str]]:
        """Partitions that are dirty, or show what was restored by hand."""
        found = []
        for name, table in self.tables.items():
            _, states = self.outsider.ledger(table)
            for partition in (p.key for p in self.bucket.partitions if p.table.name == name):
                entry = self.outsider.published(name, partition)
                version = entry["Parameters"]["datalake_version"] if entry else ""
                is_dirty, marked = states.get(partition, (True, None))
                if is_dirty or "-rollback" in version or marked != version:
                    found.append((name, partition))
        return found

    def _until(self, condition: Callable[[], bool], what: str, more: Callable[[], str] = lambda: "") -> None:
        deadline = time.monotonic() + QUIET_SECONDS
        while not self.work.patiently(condition):
            if time.monotonic() > deadline:
                self.work.accuse(f"waited {QUIET_SECONDS:.0f} s for {what} {more()}")
                return
            time.sleep(1)


def summary(soak: Soak, found: list[str], seconds: float, seed: int) -> str:
    """The table of what happened."""
    counts = dict(soak.work.counts)
    with_runs = soak.work.patiently(lambda: _history(soak))
    lines = [(what, counts[what]) for what in sorted(counts)] + with_runs
    width = max(len(what) for what, _ in lines)
    text = [f"  {what:{width}}  {number:>8,}" for what, number in lines]
    head = f"soak of {seconds:.0f} s, seed {seed}"
    wrong = len(found) + len(soak.work.wrong)
    return "\n".join([head, *text, f"  {'differences':{width}}  {wrong:>8,}"])


def _history(soak: Soak) -> list[tuple[str, int]]:
    """Runs by status and versions, from Dagster and the lake."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(soak.services.platform.dagster.home)) as instance:
        rows: dict[str, int] = {}
        for run in instance.get_runs():
            if run.job_name in TABLES:
                rows[f"runs: {run.status.value.lower()}"] = rows.get(f"runs: {run.status.value.lower()}", 0) + 1
    versions: set[str] = set()
    manifests = 0
    pages = soak.outsider.s3.get_paginator("list_objects_v2").paginate(Bucket=soak.outsider.account.lake_bucket)
    for page in pages:
        for item in page.get("Contents", []):
            prefix, mark, rest = item["Key"].partition("/v=")
            if mark:
                versions.add(f"{prefix}/{rest.split('/')[0]}")
            manifests += "/_manifests/" in item["Key"] and not item["Key"].endswith(".redshift.json")
    return [
        *sorted(rows.items()),
        ("versions in the lake at the end", len(versions)),
        ("manifests at the end", manifests),
    ]


def main() -> int:
    """Run a soak; the exit status."""
    from rich.console import Console

    seconds = float(os.environ.get("SOAK_SECONDS", "600"))
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(2**32))
    state = Path(tempfile.mkdtemp(prefix="datalake-soak-")) / "state"
    print(f"SOAK_SEED={seed} SOAK_SECONDS={seconds:.0f}, state in {state}", flush=True)
    console = Console(highlight=False)
    is_clean = False
    try:
        with interruptible(), running_platform(state, console, free_ports=True) as platform:
            os.environ["DAGSTER_HOME"] = str(platform.dagster.home)
            forget_accounts()
            soak = Soak(platform, seed)
            try:
                found = soak.run(seconds)
                print("\n".join(["", *found, *soak.work.wrong, summary(soak, found, seconds, seed)]), flush=True)
                is_clean = not found and not soak.work.wrong
            finally:
                soak.stop()
    except KeyboardInterrupt:
        print("interrupted; every process of the soak has ended", flush=True)
    if is_clean:
        StateFolder(state).delete()
        shutil.rmtree(state.parent, ignore_errors=True)
        return 0
    print(f"the state is in {state}; repeat with SOAK_SEED={seed}", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
