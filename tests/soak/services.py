"""The platform's processes, as `datalake dev` starts them, and ways to kill and restart each, as systemd would."""

import os
import signal
from typing import Any

import psutil

from datalake_assets.cli.platform import Platform
from datalake_assets.failpoints import VARIABLE
from datalake_assets.sandbox.ports import is_listening
from datalake_assets.sandbox.postgres import start_postgres
from datalake_assets.sandbox.supervisor import ChildProcess

Tags = dict[str, str]

LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
IN_PROGRESS = """
{ runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {
    ... on Runs { results { runId pipelineName status tags { key value } } } } }
"""


class Services:
    """What a soak does to the processes of a running platform; one thread."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self._sandbox = platform.sandbox
        self._dagster = platform.dagster
        self._supervisor = platform.supervisor
        self.armed = ""

    # Dagster

    def _child(self, name: str) -> ChildProcess:
        return next(child for child in self._supervisor.children if child.name == name)

    def _kill(self, child: ChildProcess) -> None:
        """SIGKILL the command that a guard runs; the guard then ends what it left behind."""
        for process in psutil.Process(child.pid).children():
            os.kill(process.pid, signal.SIGKILL)

    def _restart(self, name: str, failpoints: str = "") -> None:
        """Kill a process of Dagster's and start it again with the same arguments."""
        child = self._child(name)
        arguments = list(child._process.args)  # type: ignore[arg-type]
        command = arguments[arguments.index("--") + 1 :]
        self._kill(child)
        self._supervisor.stop_child(child)
        environment = dict(self._dagster._environment)
        self._dagster._environment = {**environment, VARIABLE: failpoints}
        try:
            self._dagster._start(name, [str(part) for part in command])
        finally:
            self._dagster._environment = environment

    def restart_daemon(self) -> None:
        self._restart("daemon")

    def restart_code_server(self, location: str, failpoints: str = "") -> None:
        """Runs are started by the code server and see its environment: failpoints are armed in them, too."""
        name = f"code server {location}"
        self._restart(name, failpoints)
        port = next(port for each, port, _ in self._dagster._code_servers if each.name == location)
        self._supervisor.wait_ready(self._child(name), lambda: is_listening(port), 120.0)
        if location == "flights":
            self.armed = failpoints

    def restart_dead(self) -> list[str]:
        """Start again what ended by itself, as a failpoint makes a code server do."""
        dead = [child.name for child in self._supervisor.children if not child.is_alive()]
        for name in dead:
            if name.startswith("code server "):
                self.restart_code_server(name.removeprefix("code server "))
            else:
                self._restart(name)
        return dead

    def run_workers(self) -> list[psutil.Process]:
        """The processes of runs; each is a child of a code server."""
        found = []
        for child in self._supervisor.children:
            if child.name.startswith("code server") and child.is_alive():
                for process in psutil.Process(child.pid).children(recursive=True):
                    try:
                        if any("spawn_main" in part for part in process.cmdline()):
                            found.append(process)
                    except psutil.Error:
                        continue
        return found

    def in_progress(self) -> list[dict[str, Any]]:
        answer = self._dagster.query(IN_PROGRESS)["runsOrError"]
        return list(answer.get("results", []))

    def launch(self, job: str, tags: Tags) -> str:
        """Launch a run as a person does in the UI; return its id."""
        params = {
            "selector": {
                "repositoryLocationName": "flights",
                "repositoryName": "__repository__",
                "pipelineName": job,
            },
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        answer = self._dagster.query(LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise RuntimeError(f"{job}: {answer}")
        return str(answer["run"]["runId"])

    # The sandbox

    def kill_gateway(self) -> None:
        child = self._sandbox._children["redshift"]
        self._kill(child)
        self._sandbox.supervisor.stop_child(child)

    def start_gateway(self) -> None:
        child = self._sandbox._start_gateway()
        self._sandbox.supervisor.wait_ready(child, lambda: is_listening(self._sandbox.ports["redshift"]))

    def kill_aws(self) -> None:
        child = self._sandbox._children["aws"]
        self._kill(child)
        self._sandbox.supervisor.stop_child(child)

    def start_aws(self) -> None:
        self._sandbox._start_aws()

    def stop_postgres(self) -> None:
        self._sandbox.supervisor.stop_child(self._sandbox._children["postgres"])

    def start_postgres(self) -> None:
        server, child = start_postgres(self._sandbox.supervisor, self._sandbox.state, self._sandbox.ports["postgres"])
        self._sandbox._postgres = server
        self._sandbox._children["postgres"] = child
