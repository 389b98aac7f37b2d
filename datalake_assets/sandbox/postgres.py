"""One PostgreSQL server on 127.0.0.1 for the platform database, Dagster's storage and the sandbox's warehouse.

Durability: `fsync` is off. What PostgreSQL has written is with the operating system, so killing any process loses
nothing; `synchronous_commit` stays on, so a commit is written before it is acknowledged. Only a crash of the whole
machine can damage the cluster, and then `datalake sandbox reset` makes a new one.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from datalake_assets.errors import Unavailable
from datalake_assets.sandbox.ports import LOCALHOST
from datalake_assets.sandbox.postgres_place import Place, find_place
from datalake_assets.sandbox.state import StateFolder
from datalake_assets.sandbox.supervisor import ChildProcess, Supervisor

if TYPE_CHECKING:
    from psycopg2.extensions import connection

SUPERUSER = "postgres"
DATABASES = ("platform", "dagster", "warehouse")  # each with an owner of the same name
LEFTOVER_SECONDS = 15.0
LOCK_MESSAGES = ("lock file", "pre-existing shared memory block", "could not bind")
SETTINGS = {
    "listen_addresses": LOCALHOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "96MB",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "full_page_writes": "off",
    "huge_pages": "off",
    # One machine with few cores and many connections: no helper processes.
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}


@dataclass(frozen=True)
class Postgres:
    """How to reach the running server."""

    port: int
    passwords: dict[str, str]

    def url(self, database: str) -> str:
        """SQLAlchemy URL of one of `DATABASES` as its owner."""
        return f"postgresql+psycopg2://{database}:{quote(self.passwords[database])}@{LOCALHOST}:{self.port}/{database}"

    def settings(self, database: str = SUPERUSER) -> dict[str, Any]:
        """What `psycopg2.connect` needs to enter a database as the superuser."""
        return {
            "host": LOCALHOST,
            "port": self.port,
            "user": SUPERUSER,
            "password": self.passwords[SUPERUSER],
            "dbname": database,
            "connect_timeout": 5,
        }

    def connect(self) -> "connection":
        """A connection as the superuser, in autocommit."""
        import psycopg2

        opened: connection = psycopg2.connect(**self.settings())
        opened.autocommit = True
        return opened


def start_postgres(supervisor: Supervisor, state: StateFolder, port: int) -> tuple[Postgres, ChildProcess]:
    """Start the server, made on first use, with its databases and users; returns once it answers.

    Raises:
        Unavailable: it does not start; the message has what it said last.
    """
    server = Postgres(port, state.passwords(SUPERUSER, *DATABASES))
    place = find_place(state.path)
    if not (place.data / "PG_VERSION").exists():
        _create_cluster(place, server.passwords[SUPERUSER])
    _wait_for_leftover(place.data)
    child = _start(supervisor, state, place, server)
    _create_databases(server)
    return server, child


def _start(supervisor: Supervisor, state: StateFolder, place: Place, server: Postgres) -> ChildProcess:
    argv = [str(place.install / "bin" / "postgres"), "-D", str(place.data), "-p", str(server.port)]
    for name, value in SETTINGS.items():
        argv += ["-c", f"{name}={value}"]
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while True:
        try:
            child = supervisor.start(
                "PostgreSQL",
                argv,
                log_file=state.logs / "postgres.log",
                env={"LANG": "C", "LC_ALL": "C", "PATH": os.defpath},
                user=place.user,
                stop_signal=signal.SIGINT,  # its fast shutdown: roll back what is open and end
            )
            supervisor.wait_ready(child, lambda: _answers(server))
        except Unavailable as error:
            # Parts of a killed server need a moment to go, and hold the lock file or its memory until then.
            if time.monotonic() > deadline or not any(text in str(error) for text in LOCK_MESSAGES):
                raise
            supervisor.stop_child(child)
            time.sleep(0.2)
        else:
            return child


def _answers(server: Postgres) -> bool:
    import psycopg2

    try:
        server.connect().close()
    except psycopg2.OperationalError:
        return False
    return True


def _create_cluster(place: Place, password: str) -> None:
    place.data.mkdir(mode=0o700, exist_ok=True)
    arguments: dict[str, Any] = {}
    handle, name = tempfile.mkstemp(prefix="datalake-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(password)
        if place.user is not None:
            arguments = {"user": place.user.uid, "group": place.user.gid, "extra_groups": []}
            os.chown(place.data, place.user.uid, place.user.gid)
            os.chown(name, place.user.uid, place.user.gid)
        done = subprocess.run(
            [
                str(place.install / "bin" / "initdb"),
                f"--pgdata={place.data}",
                f"--username={SUPERUSER}",
                f"--pwfile={name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
            capture_output=True,
            text=True,
            errors="replace",
            env={"LANG": "C", "LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"},
            cwd="/",  # ours may be closed to the other user
            check=False,
            **arguments,
        )
    finally:
        os.unlink(name)
    if done.returncode:
        raise Unavailable(f"PostgreSQL's initdb failed:\n{done.stderr.strip()}\n", where=str(place.data))


def _create_databases(server: Postgres) -> None:
    from psycopg2 import sql

    opened = server.connect()
    with contextlib.closing(opened), opened.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        roles = {row[0] for row in cursor.fetchall()}
        cursor.execute("SELECT datname FROM pg_database")
        databases = {row[0] for row in cursor.fetchall()}
        for name in DATABASES:
            if name not in roles:
                cursor.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        sql.Identifier(name), sql.Literal(server.passwords[name])
                    )
                )
            if name not in databases:
                cursor.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(name))
                )


def _wait_for_leftover(data: Path) -> None:
    """See the end of a killed run's server, and clear its lock file when the number in it is somebody else's now."""
    import psutil

    lock_file = data / "postmaster.pid"
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while lock_file.exists():
        try:
            pid = int(lock_file.read_text(encoding="utf-8").splitlines()[0])
            command = psutil.Process(pid).cmdline()
        except (psutil.Error, ValueError, IndexError, OSError):
            return  # PostgreSQL itself sees that its owner is gone
        if not any(str(data) in part for part in command):
            # PostgreSQL takes any living process of that number for its own kin and would refuse for ever.
            lock_file.unlink(missing_ok=True)
            return
        if time.monotonic() > deadline:
            raise Unavailable(
                f"a PostgreSQL server of an earlier run still runs on this folder (process {pid})",
                where=str(data),
                todo=f"End it with `kill -INT {pid}`",
            )
        time.sleep(0.1)
