"""The sandbox as a whole: accounts apart, and what was in it is there after a stop, a kill and a start."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import boto3
import psutil
import psycopg2
import pytest
import redshift_connector
from botocore.exceptions import ClientError

from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.secrets import alerts_secret, warehouse_secret
from datalake_assets.accounts.sessions import session
from datalake_assets.accounts.settings import settings
from datalake_assets.errors import Unavailable
from datalake_assets.sandbox import samples
from datalake_assets.sandbox.ports import free_ports
from datalake_assets.sandbox.sandbox import Sandbox


def test_every_account_has_what_the_registry_says_and_only_that(sandbox: Sandbox) -> None:
    for account in registry():
        own = session(account.name)
        assert own.client("sts").get_caller_identity()["Account"] == account.id
        buckets = [bucket["Name"] for bucket in own.client("s3").list_buckets()["Buckets"]]
        assert sorted(buckets) == sorted([account.raw_bucket, account.lake_bucket])
        queues = own.client("sqs").list_queues()["QueueUrls"]
        assert [url.rpartition("/")[2] for url in sorted(queues)] == [
            account.arrivals_queue,
            f"{account.arrivals_queue}-dead-letters",
        ]
        databases = own.client("glue").get_databases()["DatabaseList"]
        assert [database["Name"] for database in databases] == [account.glue_database]
        assert warehouse_secret(account.name).port == sandbox.ports["redshift"]


def test_an_account_does_not_get_into_anothers_bucket_without_a_policy(sandbox: Sandbox) -> None:
    owner, guest = registry().account("flights"), registry().account("analytics")
    mine, theirs = session("flights").client("s3"), session("analytics").client("s3")
    mine.put_object(Bucket=owner.lake_bucket, Key="private/x", Body=b"x")
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.get_object(Bucket=owner.lake_bucket, Key="private/x")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{guest.id}:root"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{owner.lake_bucket}/*",
    }
    mine.put_bucket_policy(Bucket=owner.lake_bucket, Policy=json.dumps({"Statement": [statement]}))
    assert theirs.get_object(Bucket=owner.lake_bucket, Key="private/x")["Body"].read() == b"x"
    mine.delete_bucket_policy(Bucket=owner.lake_bucket)
    mine.delete_object(Bucket=owner.lake_bucket, Key="private/x")


def test_an_unknown_access_key_is_refused(sandbox: Sandbox) -> None:
    for service, code in (
        ("s3", "InvalidAccessKeyId"),
        ("sts", "InvalidClientTokenId"),
        ("glue", "UnrecognizedClient"),
    ):
        client: Any = boto3.client(service, aws_access_key_id="AKIAWRONGWRONGWRONG0", aws_secret_access_key="x")  # type: ignore[call-overload]
        call = {"s3": "list_buckets", "sts": "get_caller_identity", "glue": "get_databases"}[service]
        with pytest.raises(ClientError, match=code):
            getattr(client, call)()


def test_what_lands_in_a_raw_bucket_is_announced_in_its_queue(sandbox: Sandbox) -> None:
    account = registry().account("flights")
    landed = samples.land(session("flights").client("s3"), account.raw_bucket, samples.first_days(2))
    assert landed.files == 3 + 2 + 2 + 1
    sqs = session("flights").client("sqs")
    url = sqs.get_queue_url(QueueName=account.arrivals_queue)["QueueUrl"]
    announced: dict[str, str] = {}
    while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in batch:
            for record in json.loads(message["Body"]).get("Records", []):
                announced[record["s3"]["object"]["key"]] = record["s3"]["object"]["sequencer"]
    # Other tests land files too; theirs may wait in the queue.
    ours = {key: sequencer for key, sequencer in announced.items() if unquote_plus(key) in landed.keys}
    assert len(ours) == landed.files
    assert "flights/dt%3D2013-01-02/flights.csv.gz" in ours
    assert len(set(ours.values())) == landed.files


def test_of_two_writers_of_one_table_version_the_second_is_told(sandbox: Sandbox) -> None:
    glue = session("flights").client("glue")
    database = registry().account("flights").glue_database
    glue.create_table(DatabaseName=database, TableInput={"Name": "locked"})
    version = glue.get_table(DatabaseName=database, Name="locked")["Table"]["VersionId"]
    glue.update_table(DatabaseName=database, TableInput={"Name": "locked"}, VersionId=version)
    with pytest.raises(ClientError, match="ConcurrentModificationException"):
        glue.update_table(DatabaseName=database, TableInput={"Name": "locked"}, VersionId=version)
    glue.delete_table(DatabaseName=database, Name="locked")


def test_an_alert_posted_to_the_secret_address_is_shown(sandbox: Sandbox) -> None:
    url = alerts_secret().webhook_url.get_secret_value()
    request = urllib.request.Request(url, b'{"text": "a run failed"}', {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.read() == b"ok"
    assert sandbox.messages(1)[0]["text"] == "a run failed"
    assert sandbox.status()["messages"][-1]["text"] == "a run failed"


def test_the_settings_are_complete_and_the_databases_answer(sandbox: Sandbox) -> None:
    urls = [settings().database_url, os.environ["DATALAKE_DAGSTER_DATABASE_URL"]]
    for url, name in zip(urls, ("platform", "dagster"), strict=True):
        with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_database(), current_user")
            assert cursor.fetchone() == (name, name)


def test_the_real_driver_reaches_the_warehouse_with_the_secret(sandbox: Sandbox) -> None:
    secret = warehouse_secret("analytics")
    connection = redshift_connector.connect(
        host=secret.host,
        port=secret.port,
        database=secret.dbname,
        user=secret.username,
        password=secret.password.get_secret_value(),
        ssl=secret.ssl,
    )
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT dateadd(day, 1, '2013-01-31'::date)")
        assert str(cursor.fetchone()[0])[:10] == "2013-02-01"


def test_a_second_sandbox_on_the_same_folder_is_refused_and_harms_nothing(sandbox: Sandbox) -> None:
    with pytest.raises(Unavailable, match="already runs on this folder"):
        Sandbox(sandbox.state.path).start()
    assert sandbox.status()["is_ready"]
    sandbox.check()


class Command:
    """`datalake sandbox …` on one state folder."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.base = free_ports(1)[0]

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(Path(sys.executable).with_name("datalake")), "sandbox", *arguments, "--state", str(self.state)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self) -> dict[str, str]:
        """Start it and return its environment."""
        done = self("start", "--port-base", str(self.base))
        assert done.returncode == 0, done.stderr
        lines = self("env").stdout.splitlines()
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)


def _warehouse(environment: dict[str, str], state: Path, statement: str) -> Any:
    port = environment["DATALAKE_DATABASE_URL"].rpartition(":")[2].partition("/")[0]
    password = json.loads((state / "passwords.json").read_text())["warehouse"]
    arguments = {"host": "127.0.0.1", "user": "warehouse", "password": password, "dbname": "warehouse"}
    with closing(psycopg2.connect(port=port, **arguments)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None


def _s3(environment: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )


def test_the_command_keeps_everything_over_a_kill_of_all_processes(tmp_path: Path) -> None:
    command = Command(tmp_path)
    environment = command.start()
    try:
        bucket = registry().account("flights").raw_bucket
        _s3(environment).put_object(Bucket=bucket, Key="k", Body=b"kept")
        _warehouse(environment, command.state, "CREATE TABLE public.kept AS SELECT 42 AS answer")
        assert "already runs" in command("start").stdout
        found = json.loads(command("status", "--json").stdout)
        assert found["is_ready"]
        assert all(service["is_listening"] for service in found["services"].values())

        holder = psutil.Process(found["pid"])
        everything = [holder, *holder.children(recursive=True)]
        assert len(everything) >= 7  # the holder, three guards, three servers
        for process in everything:
            with contextlib.suppress(ProcessLookupError):  # some end as soon as those above them do
                os.kill(process.pid, signal.SIGKILL)
        assert command("status").returncode == 1

        environment = command.start()  # at once, on the ports of the killed
        assert _s3(environment).get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"
        assert _warehouse(environment, command.state, "SELECT answer FROM public.kept") == [(42,)]
        assert command("stop").stdout == "Stopped.\n"
    finally:
        command("stop")
        holder = psutil.Process()
        assert not [
            each for each in psutil.process_iter(["cmdline"]) if str(command.state) in (each.info["cmdline"] or [])
        ]
        assert command("reset", "--yes").returncode == 0
    assert not command.state.exists()


def test_a_port_in_use_is_named_by_the_command(tmp_path: Path) -> None:
    command = Command(tmp_path)
    with socket.create_server(("127.0.0.1", command.base + 1)):
        done = command("start", "--port-base", str(command.base))
    assert done.returncode == 1
    assert f"port {command.base + 1}, which is for AWS, is in use by process {os.getpid()}" in done.stderr
    # Nothing was begun, so nothing has to be reset.
    assert not (command.state / "postgres").exists()
