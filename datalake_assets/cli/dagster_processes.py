"""Dagster's own processes on this machine: a code server for each location of workspace.yaml, webserver and daemon.

`dagster dev` would start a code server of every location for the webserver and another for the daemon; here both share
one, which halves the time and memory of a start.
"""

import os
import shutil
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datalake_assets.errors import ConfigurationError, Unavailable
from datalake_assets.project import INSTANCE_CONFIG, PROJECT_ROOT, WORKSPACE
from datalake_assets.sandbox.supervisor import ChildProcess, Supervisor

HOST = "127.0.0.1"
HOME_FOLDER = "dagster"  # within a sandbox's state folder
READY_SECONDS = 120.0  # a laptop that compiles all modules for the first time


@dataclass(frozen=True)
class CodeLocation:
    """One entry of workspace.yaml."""

    name: str
    module: str
    attribute: str


def read_workspace(path: Path = WORKSPACE) -> list[CodeLocation]:
    """The code locations of a workspace file.

    Raises:
        ConfigurationError: the file is missing or an entry is not a `python_module`.
    """
    import yaml

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["load_from"]
        modules = [entry["python_module"] for entry in entries]
        return [CodeLocation(m["location_name"], m["module_name"], m["attribute"]) for m in modules]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"the workspace cannot be read: {error!r}",
            where=path.name,
            expected="load_from with python_module entries: module_name, attribute, location_name",
        ) from error


class DagsterProcesses:
    """Webserver, daemon and code servers under one supervisor.

    Args:
        supervisor: owns the processes; they end with it.
        home: Dagster's folder, made here; history is in the database that the environment names.
        environment: the variables of the sandbox (or of real AWS).
        port: of the UI; a free one by default.
    """

    def __init__(self, supervisor: Supervisor, home: Path, environment: Mapping[str, str], *, port: int = 0) -> None:
        self._supervisor = supervisor
        self.home = home
        self.port = port or free_port()
        self._environment = {
            **os.environ,
            **environment,
            "DAGSTER_HOME": str(home),
            "DATALAKE_UI_URL": self.url,
            "PYTHONUNBUFFERED": "1",
        }
        self._code_servers: list[tuple[CodeLocation, int, ChildProcess]] = []

    @property
    def logs(self) -> Path:
        """Where the processes write: beside Dagster's home, whose own `logs` folder is its telemetry's."""
        return self.home.parent / "logs"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        return self._environment

    def start_code_servers(self) -> None:
        """Start one code server a location; they load while the caller does other things."""
        make_home(self.home)
        for location in read_workspace():
            port = free_port()
            command = [
                *_dagster("dagster", "api", "grpc"),
                *("--module-name", location.module, "--attribute", location.attribute),
                *("--location-name", location.name, "--host", HOST, "--port", str(port)),
                *("--log-level", "warning", "--use-python-environment-entry-point"),
            ]
            child = self._start(f"code server {location.name}", command)
            self._code_servers.append((location, port, child))

    def start_services(self) -> None:
        """Start webserver and daemon once all code servers answer; returns when the UI does.

        Raises:
            Unavailable: a process ended or does not answer; the message has the last lines of its log.
        """
        import yaml

        for _, port, child in self._code_servers:
            self._supervisor.wait_ready(child, lambda port=port: _listens(port), READY_SECONDS)  # type: ignore[misc]
        servers = [
            {"grpc_server": {"host": HOST, "port": port, "location_name": location.name}}
            for location, port, _ in self._code_servers
        ]
        workspace = self.home / "workspace.yaml"
        workspace.write_text(yaml.safe_dump({"load_from": servers}), encoding="utf-8")
        self._start("daemon", [*_dagster("dagster-daemon", "run"), "-w", str(workspace), "--log-level", "warning"])
        webserver = self._start(
            "webserver",
            [
                *_dagster("dagster-webserver"),
                *("-w", str(workspace), "--host", HOST, "--port", str(self.port)),
                *("--dagster-log-level", "warning", "--suppress-warnings"),
            ],
        )
        self._supervisor.wait_ready(webserver, self._answers, READY_SECONDS)

    def _start(self, name: str, command: list[str]) -> ChildProcess:
        log_file = self.logs / f"{name.replace(' ', '-')}.log"
        return self._supervisor.start(
            name, command, log_file=log_file, env=self._environment, cwd=PROJECT_ROOT, stop_seconds=8.0
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def query(self, text: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask Dagster's GraphQL API, as the UI does."""
        import httpx

        try:
            answer = httpx.post(
                f"{self.url}/graphql", json={"query": text, "variables": dict(variables or {})}, timeout=30
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(f"the webserver does not answer: {error}", where=self.url) from error
        body = answer.json()
        if body.get("errors"):
            raise Unavailable(f"the webserver refused a query: {body['errors'][0].get('message')}", where=self.url)
        data: dict[str, Any] = body["data"]
        return data


def make_home(home: Path) -> Path:
    """Make Dagster's folder with the project's settings in it, or bring these up to date; return it."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(INSTANCE_CONFIG, home / "dagster.yaml")
    return home


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _dagster(command: str, *arguments: str) -> list[str]:
    # The scripts beside this interpreter: the caller's PATH may have another Dagster.
    return [str(Path(sys.executable).parent / command), *arguments]
