"""The wire protocol: logins, both query protocols, large and pipelined traffic, clients that vanish."""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg2
import pyarrow as pa
import pytest
import redshift_connector

from datalake_assets.errors import ConfigurationError
from datalake_assets.sandbox.redshift import wire
from datalake_assets.sandbox.redshift.server import Gateway

from .conftest import DATABASE, LOADER, LOADER_PASSWORD, free_port

# The driver forgets the socket of a login that was refused.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

DEADLINE_SECONDS = 20


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def failure_of(call: Callable[[], object]) -> dict[str, str]:
    with pytest.raises(redshift_connector.Error) as caught:
        call()
    return caught.value.args[0]


class RawClient:
    """Speaks the protocol frame by frame, so that a test decides when to read."""

    def __init__(self, port: int, password: str = LOADER_PASSWORD) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(struct.pack("!ii", 8, wire.SSL_REQUEST))
        assert self.file.read(1) == b"N"
        self.socket.sendall(
            wire.startup({"user": LOADER, "database": DATABASE, "client_protocol_version": "2", "os_version": "x"})
        )
        assert self.read()[0] == b"R"
        self.socket.sendall(wire.frame(b"p", password.encode() + b"\0"))
        self.greeting = self.until(b"Z")

    def read(self) -> tuple[bytes, bytes]:
        kind, length = wire.HEADER.unpack(self.file.read(5))
        return kind, self.file.read(length - 4)

    def until(self, wanted: bytes) -> list[tuple[bytes, bytes]]:
        frames = []
        while not frames or frames[-1][0] != wanted:
            frames.append(self.read())
        return frames

    def cancel(self, port: int) -> None:
        (key,) = (body for kind, body in self.greeting if kind == b"K")
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS) as other:
            other.sendall(struct.pack("!ii", 8 + len(key), wire.CANCEL_REQUEST) + key)
            assert other.recv(1) == b""

    def query(self, sql: str) -> list[tuple[bytes, bytes]]:
        self.socket.sendall(wire.frame(b"Q", sql.encode() + b"\0"))
        return self.until(b"Z")

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def raw(gateway):
    client = RawClient(gateway.port)
    yield client
    client.close()


def kinds(frames: list[tuple[bytes, bytes]]) -> str:
    return b"".join(kind for kind, _ in frames).decode()


def backends(postgres, application: str) -> int:
    connection = postgres.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_stat_activity where application_name = %s", (application,))
            return cursor.fetchone()[0]
    finally:
        connection.close()


def active(postgres, application: str) -> int:
    connection = postgres.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "select count(*) from pg_stat_activity where application_name = %s and wait_event = 'PgSleep'",
                (application,),
            )
            return cursor.fetchone()[0]
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("change", "sqlstate"),
    [
        ({"password": "wrong"}, "28P01"),
        ({"password": ""}, "28P01"),
        ({"user": "nobody-here"}, "28P01"),
        ({"database": "elsewhere"}, "3D000"),
    ],
)
def test_a_wrong_login_is_refused_with_its_sqlstate(connect, change, sqlstate):
    assert failure_of(lambda: connect(**change))["C"] == sqlstate


def test_a_stopped_postgresql_is_said_at_login(connect):
    with Gateway(postgres_host="127.0.0.1", postgres_port=free_port()) as lonely:
        error = failure_of(lambda: connect(port=lonely.port))
    assert error["C"] == "57P03"
    assert "does not answer" in error["M"]


def test_the_server_calls_itself_redshift(raw, cursor):
    assert (b"S", b"server_version\x008.0.2\0") in raw.greeting
    cursor.execute("select version()")
    assert "Redshift" in cursor.fetchone()[0]


def test_errors_keep_sqlstate_and_fields(cursor, schema):
    cursor.execute(f"create table {schema}.t (a int primary key)")
    cursor.execute(f"insert into {schema}.t values (1)")
    assert failure_of(lambda: cursor.execute(f"insert into {schema}.t values (1)"))["C"] == "23505"
    assert failure_of(lambda: cursor.execute(f"select * from {schema}.nowhere"))["C"] == "42P01"
    assert failure_of(lambda: cursor.execute("select 1 / 0"))["C"] == "22012"
    syntax = failure_of(lambda: cursor.execute("selec 1"))
    assert (syntax["C"], syntax["P"]) == ("42601", "1")


def test_parameters_of_every_kind_find_their_column(cursor, schema):
    cursor.execute(
        f"create table {schema}.t (d date, n decimal(10, 2), s varchar(20), t timestamp, b boolean, i bigint)"
    )
    cursor.execute(
        f"insert into {schema}.t values (%s, %s, %s, %s, %s, %s)",
        ("2013-01-01", "1.5", 'it\'s "x"', datetime(2013, 1, 1, 2, 3), True, 2**40),
    )
    cursor.execute(
        f"select count(*) from {schema}.t where d = %s and s = %s and i > %s", ("2013-01-01", 'it\'s "x"', 5)
    )
    assert cursor.fetchone() == [1]


def test_a_large_result_arrives_whole(cursor):
    cursor.execute("select i, repeat('x', 200) from generate_series(1, 150000) i")
    rows = cursor.fetchall()
    assert len(rows) == 150_000
    assert rows[-1] == [150_000, "x" * 200]


def test_a_row_larger_than_any_buffer_arrives_whole(cursor):
    cursor.execute("select repeat('y', 20000000), 1")
    text, one = cursor.fetchone()
    assert (len(text), one) == (20_000_000, 1)


def test_a_large_set_of_parameters_arrives_whole(cursor, schema):
    cursor.execute(f"create table {schema}.t (a int, b varchar(1000))")
    values = [value for index in range(15_000) for value in (index, "ü" * 400)]
    cursor.execute(f"insert into {schema}.t values " + ", ".join(["(%s, %s)"] * 15_000), values)
    cursor.execute(f"select count(*), sum(a), min(length(b)) from {schema}.t")
    assert list(cursor.fetchone()) == [15_000, 112_492_500, 400]


def test_a_statement_beyond_redshifts_limit_is_refused_and_the_connection_lives(cursor):
    statement = "select '" + "x" * (20 * 1024 * 1024) + "'"
    assert "too large" in failure_of(lambda: cursor.execute(statement))["M"]
    cursor.execute("select 1")
    assert cursor.fetchone() == [1]


def test_pipelined_messages_are_answered_in_order_while_nobody_reads(raw):
    rounds = 300
    one_round = (
        wire.parse(b"", b"select nvl(null, repeat('x', 20000))")
        + wire.bind(b"", b"")
        + wire.describe_portal(b"")
        + wire.execute(b"")
        + wire.SYNC
    )
    writer = threading.Thread(target=lambda: raw.socket.sendall(one_round * rounds))
    writer.start()
    for _ in range(rounds):
        frames = raw.until(b"Z")
        assert kinds(frames) == "12TDCZ"
    writer.join()


def test_an_error_in_a_pipeline_skips_to_the_next_sync(raw, lake):
    copy = f"copy nowhere from '{lake.url('x')}' iam_role default parquet".encode()
    bad = wire.parse(b"", copy) + wire.bind(b"", b"") + wire.execute(b"")
    after = wire.parse(b"", b"select 1") + wire.bind(b"", b"") + wire.execute(b"") + wire.SYNC
    raw.socket.sendall(bad + after + after)
    assert kinds(raw.until(b"Z")) == "12EZ"
    assert kinds(raw.until(b"Z")) == "12DCZ"


def test_a_simple_query_of_several_statements_loads_and_answers_each(raw, lake, schema):
    lake.put_parquet(f"{schema}/a.parquet", pa.table({"a": pa.array([1, 2], pa.int64())}))
    copy = f"copy {schema}.t from '{lake.url(schema)}/a' iam_role default parquet"
    frames = raw.query(f"begin; create table {schema}.t (a bigint); {copy}; select * from {schema}.t; {copy}; commit")
    tags = [body.rstrip(b"\0").decode() for kind, body in frames if kind == b"C"]
    assert tags == ["BEGIN", "CREATE TABLE", "COPY", "SELECT 2", "COPY", "COMMIT"]
    assert kinds(frames) == "CCCTDDCCCZ"
    assert kinds(raw.query(f"{copy}; select 1 / 0")) == "CEZ"
    # One implicit transaction: the division undid the copy before it.
    assert raw.query(f"select count(*) from {schema}.t")[1][1].endswith(b"4")


def test_psycopg2_connects_too(gateway):
    connection = psycopg2.connect(
        host="127.0.0.1", port=gateway.port, dbname=DATABASE, user=LOADER, password=LOADER_PASSWORD
    )
    cursor = connection.cursor()
    cursor.execute(r"select 'a\\b', %s", (r"c\d",))
    assert cursor.fetchone() == ("a\\b", r"c\d")
    connection.close()


def test_a_cancel_request_reaches_the_running_query(raw, gateway, postgres):
    raw.query("set application_name to 'sleeper'")
    raw.socket.sendall(wire.frame(b"Q", b"select pg_sleep(60)\0"))
    eventually(lambda: active(postgres, "sleeper") == 1)
    raw.cancel(gateway.port)
    frames = raw.until(b"Z")
    assert "57014" in [wire.error_fields(body)["C"] for kind, body in frames if kind == b"E"]
    assert kinds(raw.query("select 1")) == "TDCZ"


def test_truncate_commits_what_came_before_it(connect, cursor, schema):
    cursor.execute(f"create table {schema}.t (a int)")
    connection = connect()
    work = connection.cursor()
    work.execute(f"insert into {schema}.t values (1)")
    work.execute(f"create table {schema}.kept (a int)")
    work.execute(f"truncate table {schema}.t")
    connection.rollback()
    cursor.execute(f"select count(*) from {schema}.kept")
    assert cursor.fetchone() == [0]


def test_a_concurrent_change_is_a_serialization_failure(connect, cursor, schema):
    cursor.execute(f"create table {schema}.t (a int)")
    cursor.execute(f"insert into {schema}.t values (1)")
    slow = connect().cursor()
    slow.execute(f"select * from {schema}.t")
    cursor.execute(f"update {schema}.t set a = 2")
    assert failure_of(lambda: slow.execute(f"delete from {schema}.t"))["C"] == "40001"


def test_a_lock_can_be_taken_after_begin(connect, cursor, schema):
    cursor.execute(f"create table {schema}.t (a int)")
    work = connect(autocommit=True).cursor()
    for statement in ("begin", f"lock table {schema}.t", f"insert into {schema}.t values (1)", "end"):
        work.execute(statement)
    for statement in ("start transaction", f"lock {schema}.t", "abort"):
        work.execute(statement)
    cursor.execute(f"select count(*) from {schema}.t")
    assert cursor.fetchone() == [1]


def test_a_client_that_vanishes_takes_its_backend_and_its_query_with_it(gateway, postgres, connect):
    connection = connect(application_name="vanishing")
    cursor = connection.cursor()
    cursor.execute("select 1")
    assert backends(postgres, "vanishing") == 1
    statement = b"select pg_sleep(600)"
    connection._usock.sendall(wire.frame(b"Q", statement + b"\0"))
    connection._usock.shutdown(socket.SHUT_RDWR)
    eventually(lambda: backends(postgres, "vanishing") == 0)


class SlowS3:
    """Answers the first objects of a COPY and then waits until the test lets it go on."""

    def __init__(self, s3) -> None:
        self._s3 = s3
        self.is_waiting = threading.Event()
        self.go_on = threading.Event()

    def client(self, region):
        inner = self._s3.client(region)
        outer = self

        class Client:
            def __getattr__(self, name):
                return getattr(inner, name)

            def get_object(self, **arguments):
                if arguments["Key"].endswith("slow.parquet"):
                    outer.is_waiting.set()
                    assert outer.go_on.wait(DEADLINE_SECONDS)
                return inner.get_object(**arguments)

        return Client()


def test_a_client_killed_during_copy_leaves_no_rows_no_backend_and_no_thread(postgres, lake, cursor, schema):
    cursor.execute(f"create table {schema}.t (a bigint)")
    data = pa.table({"a": pa.array(range(1000), pa.int64())})
    entries = [lake.put_parquet(f"{schema}/{name}.parquet", data) for name in ("a", "slow", "z")]
    manifest = lake.put_manifest(f"{schema}/m.json", *entries)
    threads_before = set(threading.enumerate())
    with Gateway(postgres_host="127.0.0.1", postgres_port=postgres.port) as own:
        own._s3 = slow = SlowS3(own._s3)
        client = RawClient(own.port)
        client.query("set application_name to 'killed'")
        copy = f"copy {schema}.t from '{manifest}' iam_role default parquet manifest"
        client.socket.sendall(wire.frame(b"Q", copy.encode() + b"\0"))
        assert slow.is_waiting.wait(DEADLINE_SECONDS)
        client.close()
        eventually(lambda: backends(postgres, "killed") == 0)
        slow.go_on.set()
    eventually(lambda: set(threading.enumerate()) <= threads_before)
    cursor.execute(f"select count(*) from {schema}.t")
    assert cursor.fetchone() == [0]


def test_a_cancelled_copy_ends_and_the_connection_stays_usable(postgres, lake, cursor, schema):
    cursor.execute(f"create table {schema}.t (a bigint)")
    entry = lake.put_parquet(f"{schema}/slow.parquet", pa.table({"a": pa.array([1], pa.int64())}))
    manifest = lake.put_manifest(f"{schema}/m.json", entry)
    with Gateway(postgres_host="127.0.0.1", postgres_port=postgres.port) as own:
        own._s3 = slow = SlowS3(own._s3)
        client = RawClient(own.port)
        copy = f"copy {schema}.t from '{manifest}' iam_role default parquet manifest"
        client.socket.sendall(wire.frame(b"Q", copy.encode() + b"\0"))
        assert slow.is_waiting.wait(DEADLINE_SECONDS)
        client.cancel(own.port)
        slow.go_on.set()  # PostgreSQL looks at the request when more rows arrive
        frames = client.until(b"Z")
        assert [wire.error_fields(body)["C"] for kind, body in frames if kind == b"E"] == ["57014"]
        assert client.query(f"select count(*) from {schema}.t")[1][1].endswith(b"0")
        client.close()


def test_a_port_in_use_is_said(gateway):
    with pytest.raises(ConfigurationError, match=f"127.0.0.1:{gateway.port}"):
        Gateway(postgres_host="127.0.0.1", postgres_port=1, listen_port=gateway.port).__enter__()


def test_the_command_serves_until_sigterm_and_says_when_its_port_is_taken(postgres, tmp_path):
    port = free_port()
    command = [
        sys.executable, "-m", "datalake_assets.sandbox.redshift", "--listen-port", str(port),
        "--postgres-host", "127.0.0.1", "--postgres-port", str(postgres.port), "--log", str(tmp_path / "log"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"redshift gateway ready on 127.0.0.1:{port}\n"
            client = RawClient(port)
            assert kinds(client.query("select getdate()")) == "TDCZ"
            second = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            assert second.returncode == 1
            assert f"127.0.0.1:{port}" in second.stderr
            client.close()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 0
    assert '"in": "select getdate()"' in (tmp_path / "log").read_text()


def test_the_clock_is_utc(cursor):
    cursor.execute("select getdate(), sysdate")
    for moment in cursor.fetchone():
        assert abs((datetime.now(UTC).replace(tzinfo=None) - moment).total_seconds()) < 60
