"""PostgreSQL, code servers and daemon around a tree of pipelines, and what they cost."""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from datalake_assets.project import INSTANCE_CONFIG, PROJECT_ROOT
from datalake_assets.sandbox.ports import LOCALHOST, free_ports, is_listening
from datalake_assets.sandbox.postgres import Postgres, start_postgres
from datalake_assets.sandbox.state import StateFolder
from datalake_assets.sandbox.supervisor import ChildProcess, Supervisor

READY_SECONDS = 180.0
HISTORY_BATCH = 50_000


@dataclass
class Platform:
    """Running processes; `environment` is what leads to them."""

    folder: Path
    postgres: Postgres
    environment: Mapping[str, str]
    supervisor: Supervisor
    code_servers: dict[str, ChildProcess] = field(default_factory=dict)
    daemon: ChildProcess | None = None
    database: ChildProcess | None = None
    definitions: str = "datalake_assets.definitions"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def start_code_servers(self, locations: Sequence[str]) -> float:
        """Start one for each location; seconds until all of them answer."""
        ports = dict(zip(locations, free_ports(len(locations)), strict=True))
        begin = time.monotonic()
        for name, port in ports.items():
            command = [
                *(str(Path(sys.executable).parent / "dagster"), "api", "grpc"),
                *("--module-name", self.definitions, "--attribute", name, "--location-name", name),
                *("--host", LOCALHOST, "--port", str(port), "--log-level", "warning"),
                "--use-python-environment-entry-point",
            ]
            self.code_servers[name] = self._start(f"code-server-{name}", command)
        for name, port in ports.items():
            self.supervisor.wait_ready(self.code_servers[name], partial(is_listening, port), READY_SECONDS)
        servers = [
            {"grpc_server": {"host": LOCALHOST, "port": port, "location_name": name}} for name, port in ports.items()
        ]
        (self.home / "workspace.yaml").write_text(yaml.safe_dump({"load_from": servers}), encoding="utf-8")
        return time.monotonic() - begin

    def start_daemon(self) -> None:
        """Start the daemon; it takes some seconds until its sensors tick."""
        command = [str(Path(sys.executable).parent / "dagster-daemon"), "run", "--log-level", "warning"]
        self.daemon = self._start("daemon", [*command, "-w", str(self.home / "workspace.yaml")])

    def stop_daemon(self) -> None:
        """End the daemon."""
        assert self.daemon is not None
        self.supervisor.stop_child(self.daemon)
        self.daemon = None

    def query(self, text: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Ask Dagster's database."""
        import psycopg2

        with psycopg2.connect(**self.postgres.settings("dagster")) as connection, connection.cursor() as cursor:
            cursor.execute(text, arguments)
            return list(cursor.fetchall()) if cursor.description else []

    def fill_history(self, events: int) -> None:
        """Copy one materialization until the log has so many events, as after weeks of operation."""
        [(template,)] = self.query("SELECT max(id) FROM event_logs")
        for _ in range(0, events, HISTORY_BATCH):
            rest = "event, dagster_event_type, step_key, asset_key, partition"
            self.query(
                f"INSERT INTO event_logs (run_id, timestamp, {rest}) "
                f"SELECT run_id, timestamp - interval '3 days', {rest} "
                "FROM event_logs, generate_series(1, %s) WHERE id = %s",
                HISTORY_BATCH,
                template,
            )
        self.query("ANALYZE event_logs")

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds spent so far by daemon, code servers and database."""
        return {name: sum(map(_cpu, processes)) for name, processes in self._processes().items()}

    def memory_mb(self) -> dict[str, float]:
        """Memory that ending the processes would free, in MB."""
        return {name: round(sum(map(_memory, found)) / 1e6) for name, found in self._processes().items()}

    def _processes(self) -> dict[str, list[Any]]:
        roots: dict[str, list[ChildProcess | None]] = {
            "daemon": [self.daemon],
            "code servers": [*self.code_servers.values()],
            "database": [self.database],
        }
        return {
            name: [process for child in children if child is not None for process in _family(child.pid)]
            for name, children in roots.items()
        }

    def _start(self, name: str, command: list[str]) -> ChildProcess:
        return self.supervisor.start(
            name, command, log_file=self.folder / f"{name}.log", env=self.environment, cwd=PROJECT_ROOT
        )


@contextmanager
def running_platform(folder: Path, variables: Mapping[str, str]) -> Iterator[Platform]:
    """A database with the platform's and Dagster's tables, and a Dagster home whose runs take no time."""
    from datalake_assets.database.migrate import migrate

    home = folder / "home"
    home.mkdir(parents=True)
    config = yaml.safe_load(INSTANCE_CONFIG.read_text(encoding="utf-8"))
    config["run_launcher"] = {"module": "benchmarks._triggers.launcher", "class": "InstantRunLauncher"}
    config["run_monitoring"]["enabled"] = False
    # Runs take no time here: what holds them back is not what is measured.
    config["run_coordinator"]["config"]["max_concurrent_runs"] = 100
    (home / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    state = StateFolder(folder / "state")
    state.create()
    state.lock()
    with Supervisor() as supervisor:
        postgres, database = start_postgres(supervisor, state, free_ports(1)[0])
        migrate(postgres.url("platform"))
        own = {
            **variables,
            "DAGSTER_HOME": str(home),
            "DATALAKE_DATABASE_URL": postgres.url("platform"),
            "DATALAKE_DAGSTER_DATABASE_URL": postgres.url("dagster"),
        }
        os.environ.update(own)
        environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "PYTHONWARNINGS": "ignore"}
        try:
            yield Platform(folder, postgres, environment, supervisor, database=database)
        finally:
            supervisor.stop()
            state.unlock()
            state.delete()  # root's PostgreSQL keeps its data elsewhere


def _family(pid: int) -> list[Any]:
    import psutil

    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu(process: Any) -> float:
    import psutil

    # Backends of the database come and go.
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _memory(process: Any) -> int:
    import psutil

    with suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().uss)
    return 0
