"""The sandbox as a whole: start it, ask it, stop it.

    PostgreSQL ──▶ databases ──▶ platform migrations, warehouse functions ──▶ Redshift gateway ─┐
    moto ───────▶ what the registry says each account has ──────────────────────────────────────┴▶ ready

The two rows run at the same time. All processes are children of the one that holds the `Sandbox`, and end with it.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from datalake_assets.accounts.registry import registry
from datalake_assets.errors import Unavailable
from datalake_assets.sandbox.inbox import Inbox, hook_url, read_messages
from datalake_assets.sandbox.ports import (
    DEFAULT_PORT_BASE,
    LOCALHOST,
    SERVICES,
    any_free_ports,
    is_listening,
    ports_from,
    require_free,
)
from datalake_assets.sandbox.postgres import Postgres, start_postgres
from datalake_assets.sandbox.processes import birth, wait_for_leftovers
from datalake_assets.sandbox.redshift.bootstrap import install
from datalake_assets.sandbox.state import StateFolder, full_disk_explained
from datalake_assets.sandbox.supervisor import ChildProcess, Supervisor

__all__ = ["SERVICES", "Sandbox", "any_free_ports", "ports_from"]
# Made up, and good for nothing outside.
ACCESS_KEY_ID = "AKIASANDBOXPLATFORM0"
SECRET_ACCESS_KEY = "sandbox"


def _import_early() -> None:
    import sqlalchemy.dialects.postgresql.psycopg2  # noqa: F401


class Sandbox:
    """AWS, PostgreSQL, a warehouse and an alert inbox on 127.0.0.1, with their state in one folder.

    Args:
        state: the folder; made on first start.
        ports: one for each of `SERVICES`; by default those of the last start, or `DEFAULT_PORT_BASE` and up.
        echo: called with the text of each alert that arrives.
    """

    def __init__(
        self, state: Path, *, ports: Mapping[str, int] | None = None, echo: Callable[[str], None] | None = None
    ) -> None:
        self.state = StateFolder(state)
        self.supervisor = Supervisor()
        self._wanted_ports = ports
        self._ports: dict[str, int] = {}
        self._echo = echo
        self._inbox: Inbox | None = None
        self._children: dict[str, ChildProcess] = {}
        self._postgres: Postgres | None = None
        self._provisioning = ""
        self._is_imported = threading.Event()

    def __enter__(self) -> "Sandbox":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def ports(self) -> dict[str, int]:
        """Service name to port; empty before the start."""
        return dict(self._ports)

    def start(self) -> None:
        """Start everything and return when all of it is ready.

        Raises:
            ConfigurationError: the folder is foreign, half-written or of another version.
            Unavailable: a port is in use, the disk is full, another sandbox runs on the folder, or a server ended.
        """
        self.state.check()
        with full_disk_explained(self.state.path):
            self.state.create()
            self.state.lock()
            try:
                self._start()
            except BaseException:
                self.stop()
                raise

    def _start(self) -> None:
        wait_for_leftovers(self.state.running().get("children", []))
        self._ports = dict(self._wanted_ports or self.state.ports() or ports_from(DEFAULT_PORT_BASE))
        require_free((SERVICES[name], port) for name, port in self._ports.items())
        self._write_running(is_ready=False)
        import psycopg2  # noqa: F401 - before the threads, see below

        self._inbox = Inbox(self._ports["inbox"], self.state.inbox_file, self._echo)
        self._inbox.start()
        with ThreadPoolExecutor(2) as pool:
            started = [pool.submit(self._start_databases), pool.submit(self._start_aws)]
            # What they need later takes its time to import; they are waiting for other processes now. All of it in
            # this thread: two that import modules which import each other in a circle can meet half-made ones.
            try:
                import alembic.command  # noqa: F401
                import sqlalchemy.dialects.postgresql.psycopg2  # noqa: F401
            finally:
                self._is_imported.set()
            for each in started:
                each.result()
        self.state.write_environment(self.environment())
        self.state.complete(self._ports, self._provisioning)
        self._write_running(is_ready=True)

    def _start_databases(self) -> None:
        self._postgres, child = start_postgres(self.supervisor, self.state, self._ports["postgres"])
        self._children["postgres"] = child
        gateway = self._start_gateway()
        install(self._postgres.settings("warehouse"))
        self._is_imported.wait()
        from datalake_assets.database.engine import engine
        from datalake_assets.database.migrate import migrate

        url = self._postgres.url("platform")
        migrate(url)
        engine(url).dispose()  # this process has no more to do there, and would keep its connections for ever
        self.supervisor.wait_ready(gateway, lambda: is_listening(self._ports["redshift"]))

    def _start_gateway(self) -> ChildProcess:
        port = self._ports["redshift"]
        child = self.supervisor.start(
            "the Redshift gateway",
            [
                *(sys.executable, "-m", "datalake_assets.sandbox.redshift"),
                *("--listen-port", str(port)),
                *("--postgres-host", LOCALHOST, "--postgres-port", str(self._ports["postgres"])),
            ],
            log_file=self.state.logs / "redshift.log",
            env=self._child_environment(),
        )
        self._children["redshift"] = child
        return child

    def _start_aws(self) -> None:
        port = self._ports["aws"]
        child = self.supervisor.start(
            "AWS (moto)",
            [
                *(sys.executable, "-m", "datalake_assets.sandbox.aws"),
                *("--port", str(port), "--file", str(self.state.aws_file), "--account", registry().platform.id),
                *("--access-key", ACCESS_KEY_ID),
            ],
            log_file=self.state.logs / "aws.log",
            env=self._child_environment(),
        )
        self._children["aws"] = child
        from datalake_assets.sandbox.provision import fingerprint, provision, warm_session

        what = (self._warehouse_secret(), hook_url(self._ports["inbox"]))
        self._provisioning = fingerprint(registry(), *what)
        if self._provisioning == self.state.provisioned():
            self.supervisor.wait_ready(child, lambda: is_listening(port))
            return
        session = warm_session()  # while the server is still at its own imports
        self.supervisor.wait_ready(child, lambda: is_listening(port))
        provision(registry(), self._aws_environment(), *what, session)

    def stop(self) -> None:
        """Stop everything, the last started first; the state stays."""
        self.supervisor.stop()
        if self._inbox is not None:
            self._inbox.stop()
            self._inbox = None
        self._children.clear()
        if self.state.is_held:
            self.state.clear_running()
            self.state.unlock()

    def check(self) -> None:
        """Raise `Unavailable`, with its last words, if a server has ended by itself."""
        self.supervisor.check()

    def environment(self) -> dict[str, str]:
        """The variables with which every AWS SDK, the platform and Dagster find the sandbox."""
        if self._postgres is None:
            raise Unavailable("the sandbox is not started", where=str(self.state.path))
        return {
            **self._aws_environment(),
            "DATALAKE_DATABASE_URL": self._postgres.url("platform"),
            "DATALAKE_DAGSTER_DATABASE_URL": self._postgres.url("dagster"),
        }

    def _aws_environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://{LOCALHOST}:{self._ports['aws']}",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": registry().platform.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _child_environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
        return {**kept, **self._aws_environment(), "PYTHONUNBUFFERED": "1"}

    def _warehouse_secret(self) -> dict[str, object]:
        passwords = self.state.passwords("warehouse")
        return {
            "host": LOCALHOST,
            "port": self._ports["redshift"],
            "dbname": "warehouse",
            "username": "warehouse",
            "password": passwords["warehouse"],
            "ssl": False,
        }

    def messages(self, last: int | None = None) -> list[dict[str, Any]]:
        """The alerts that arrived, oldest first: `received_at`, `text`, `payload`."""
        return read_messages(self.state.inbox_file, last)

    def status(self) -> dict[str, Any]:
        """What runs where, for people and for `--json`; works from another process too."""
        from datalake_assets.sandbox.status import status

        return status(self.state)

    def _write_running(self, *, is_ready: bool) -> None:
        self.state.write_running(
            {
                **birth(os.getpid()),
                "ready": is_ready,
                "started_at": time.time(),
                "ports": self._ports,
                "children": [{"name": name, **birth(child.pid)} for name, child in self._children.items()],
            }
        )
