"""What happens to the platform while it works: kills, restarts, failpoints, and people with commands."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from datalake_assets.failpoints import FAILPOINTS
from datalake_assets.project import PROJECT_ROOT
from tests.soak.bucket import Partition
from tests.soak.services import Services
from tests.soak.tally import Tally, is_outage

VACUUM_GRACE_SECONDS = 20
COMMAND_SECONDS = 120
# What only runs pass, and what the code server itself passes in a tick of its sensor.
OF_RUNS = tuple(name for name in FAILPOINTS if name.startswith(("ingest.", "upload.", "publish.", "load.")))
OF_TICKS = tuple(name for name in FAILPOINTS if name.startswith(("drain.", "sensor.", "ledger.")))


class Troubles:
    """Makes one trouble after another until the soak ends; one thread."""

    def __init__(self, services: Services, partitions: list[Partition], tally: Tally, seed: int, *, logs: Path) -> None:
        self._services = services
        self._partitions = partitions
        self._tally = tally
        self._random = random.Random(seed)
        self._logs = logs
        self._command: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Make troubles."""
        troubles: list[tuple[int, Callable[[], None]]] = [
            (20, self.kill_worker),
            (16, self.arm),
            (6, self.disarm),
            (5, self.kill_daemon),
            (4, self.kill_operations),
            (8, self.kill_gateway),
            (4, self.restart_postgres),
            (5, self.kill_aws),
            (14, self.roll_back),
            (10, self.vacuum),
            (10, self.rematerialize),
        ]
        weights = [weight for weight, _ in troubles]
        while self._tally.sleep(self._random.uniform(2, 8)):
            (trouble,) = self._random.choices([each for _, each in troubles], weights)
            try:
                trouble()
            except Exception as error:
                if not is_outage(error):
                    raise
                self._tally.add("troubles that met an outage")
            for name in self._services.restart_dead():
                self._tally.add(f"kills of {name} by failpoints")
                self._tally.say(f"{name} ended by itself and was started again")

    def stop(self) -> None:
        """End a command that is under way."""
        if self._command is not None and self._command.poll() is None:
            self._command.kill()
            self._command.wait()

    # Kills

    def kill_worker(self) -> None:
        workers = self._services.run_workers()
        if not workers:
            return
        victim = self._random.choice(workers)
        try:
            os.kill(victim.pid, signal.SIGKILL)
        except (ProcessLookupError, psutil.Error):
            return
        self._told("kills of run workers")

    def arm(self) -> None:
        """Restart the code server with failpoints, each for some later hit, so that runs die on their way."""
        chosen = self._random.sample(OF_RUNS, 3)
        if self._random.random() < 0.3:
            chosen.append(self._random.choice(OF_TICKS))
        entries = [
            f"{name}={self._random.choice(('kill', 'kill', 'error'))}@{self._random.randint(1, 4)}" for name in chosen
        ]
        self._services.restart_code_server("flights", ";".join(entries))
        self._told("kills of the code server of flights", f"armed: {';'.join(entries)}")
        self._tally.add("failpoints armed", len(entries))

    def disarm(self) -> None:
        self._services.restart_code_server("flights")
        self._told("kills of the code server of flights", "disarmed")

    def kill_operations(self) -> None:
        self._services.restart_code_server("operations")
        self._told("kills of the code server of operations")

    def kill_daemon(self) -> None:
        self._services.restart_daemon()
        self._told("kills of the daemon")

    def kill_gateway(self) -> None:
        self._services.kill_gateway()
        self._tally.sleep(self._random.uniform(0, 3))
        self._services.start_gateway()
        self._told("kills of the warehouse gateway")

    def restart_postgres(self) -> None:
        self._services.stop_postgres()
        self._tally.sleep(self._random.uniform(0, 2))
        self._services.start_postgres()
        self._told("restarts of PostgreSQL")

    def kill_aws(self) -> None:
        self._services.kill_aws()
        self._tally.sleep(self._random.uniform(0, 3))
        self._services.start_aws()
        self._told("kills of AWS")

    # People

    def roll_back(self) -> None:
        partition = self._random.choice(self._partitions)
        key = [partition.key] if partition.key else []
        if self._datalake(
            "rollback", f"flights/{partition.table.name}", *key, "--yes", "--reason", "the soak wants it so"
        ):
            self._told("rollbacks", f"{partition.table.name} {partition.key}")

    def vacuum(self) -> None:
        if self._datalake("vacuum", "--keep", "2", "--grace", f"{VACUUM_GRACE_SECONDS}s"):
            self._told("vacuums")

    def rematerialize(self) -> None:
        partition = self._random.choice(self._partitions)
        self._services.launch(partition.table.name, range_tags(partition.key))
        self._told("manual materializations", f"{partition.table.name} {partition.key}")

    def _datalake(self, *arguments: str) -> bool:
        """Run a command of the platform; whether it succeeded. It may be refused, or meet an outage."""
        environment = {
            **self._services.platform.dagster.environment,
            "DAGSTER_HOME": str(self._services.platform.dagster.home),
        }
        log = self._logs / "commands.log"
        with log.open("ab") as output:
            output.write(f"\n$ datalake {' '.join(arguments)}\n".encode())
            output.flush()
            self._command = subprocess.Popen(
                [str(Path(sys.executable).parent / "datalake"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=PROJECT_ROOT,
            )
            try:
                status = self._command.wait(COMMAND_SECONDS)
            except subprocess.TimeoutExpired:
                self.stop()
                self._tally.accuse(f"`datalake {' '.join(arguments)}` did not end in {COMMAND_SECONDS} s")
                return False
        if status:
            self._tally.add("commands refused or failed")
        return status == 0

    def _told(self, what: str, more: str = "") -> None:
        self._tally.add(what)
        self._tally.say(f"{what}{f': {more}' if more else ''}")


def range_tags(partition: str) -> dict[str, str]:
    """How a run is asked for one partition."""
    if not partition:
        return {}
    return {"dagster/asset_partition_range_start": partition, "dagster/asset_partition_range_end": partition}
