"""An AWS server of the sandbox by itself, which a test can kill and start again."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config

from datalake_assets.sandbox.ports import LOCALHOST, free_ports, is_listening
from datalake_assets.sandbox.supervisor import ChildProcess, Supervisor

PLATFORM = "100000000000"
ACCESS_KEY = "AKIASANDBOXPLATFORM0"
REGION = "eu-central-1"


class Aws:
    """The server process and clients for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._supervisor = Supervisor()
        (self.port,) = free_ports(1)
        self._child: ChildProcess | None = None
        self._session = boto3.Session()
        self._clients: dict[tuple[str, ...], Any] = {}
        self._roles: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        self.start()

    def start(self) -> None:
        argv = [sys.executable, "-m", "datalake_assets.sandbox.aws", "--port", str(self.port)]
        argv += ["--file", str(self._folder / "aws.sqlite"), "--account", PLATFORM, "--access-key", ACCESS_KEY]
        log = self._folder / "aws.log"
        self._child = self._supervisor.start("aws", argv, log_file=log, ready=lambda: is_listening(self.port))

    def stop(self) -> None:
        self._supervisor.stop()

    def restart(self) -> None:
        """A polite stop and a start."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL to the server itself and a start."""
        assert self._child is not None
        for process in psutil.Process(self._child.pid).children():
            os.kill(process.pid, signal.SIGKILL)
        self._supervisor.stop()
        self.start()

    def client(self, service: str, account: str = PLATFORM, region: str = REGION) -> Any:
        """A client of the platform, or of an account's assumed role."""
        with self._lock:
            if (service, account, region) not in self._clients:
                self._clients[service, account, region] = self._make(service, region, self._credentials(account))
            return self._clients[service, account, region]

    def _credentials(self, account: str) -> dict[str, str]:
        if account == PLATFORM:
            return {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": "sandbox"}
        if account not in self._roles:
            sts = self._make("sts", REGION, self._credentials(PLATFORM))
            role = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/tests", RoleSessionName="tests")
            found = role["Credentials"]
            self._roles[account] = {
                "aws_access_key_id": found["AccessKeyId"],
                "aws_secret_access_key": found["SecretAccessKey"],
                "aws_session_token": found["SessionToken"],
            }
        return self._roles[account]

    def _make(self, service: str, region: str, credentials: dict[str, str]) -> Any:
        return self._session.client(
            service,
            region_name=region,
            endpoint_url=f"http://{LOCALHOST}:{self.port}",
            # Retries, because a test that kills the server leaves dead connections in the pool.
            config=Config(retries={"max_attempts": 4, "mode": "standard"}, max_pool_connections=16),
            **credentials,
        )


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    server = Aws(tmp_path_factory.mktemp("aws"))
    yield server
    server.stop()
