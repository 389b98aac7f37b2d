"""A code location with pipelines of steps, run as in production: code server, run workers, Dagster's own API."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext

LOCATION = "content"
DEADLINE_SECONDS = 60.0
SELECTOR = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}

LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  ... on LaunchRunSuccess { run { id } } ... on PythonError { message } ... on InvalidSubsetError { message } } }"""
RESUME = """mutation($params: ReexecutionParams) { launchPipelineReexecution(reexecutionParams: $params) {
  ... on LaunchRunSuccess { run { id } } ... on PythonError { message } } }"""
TERMINATE = """mutation($run: String!) { terminateRun(runId: $run) {
  ... on TerminateRunSuccess { run { id } } ... on TerminateRunFailure { message } ... on PythonError { message } } }"""


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something, and say what if it does not come."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)
    return found


def is_alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def write_pipeline(locations: Path, name: str, steps: str, *, more: str = "", **files: str) -> Path:
    """Write a pipeline's folder; `files` are named by their stems, all of them Python."""
    folder = locations / LOCATION / name
    folder.mkdir(parents=True, exist_ok=True)
    (locations / LOCATION / "__init__.py").touch()
    text = f"type: datalake_assets.components.StepsPipeline\nattributes:\n  name: {name}\n  owner: team:content\n"
    (folder / "defs.yaml").write_text(f"{text}{more}  steps:\n{steps}", encoding="utf-8")
    for stem, content in files.items():
        (folder / f"{stem}.py").write_text(content, encoding="utf-8")
    return folder


@dataclass
class World:
    """What a person sees of it who has the UI."""

    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext
    folder: Path

    def launch(self, job: str, **tags: str) -> str:
        listed = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        params = {
            "selector": {**SELECTOR, "pipelineName": job},
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": listed},
        }
        return self._started(self._ask(LAUNCH, {"params": params})["launchPipelineExecution"])

    def resume(self, run_id: str) -> str:
        params = {"parentRunId": run_id, "strategy": "FROM_FAILURE"}
        return self._started(self._ask(RESUME, {"params": params})["launchPipelineReexecution"])

    def terminate(self, run_id: str) -> None:
        self._started(self._ask(TERMINATE, {"run": run_id})["terminateRun"])

    def ended(self, run_id: str) -> str:
        run = until(lambda: (found := self._run(run_id)).is_finished and found, f"the end of run {run_id}")
        return str(run.status.value)

    def events(self, run_id: str, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        found = self.instance.all_logs(run_id, of_type=kind)
        return [entry.dagster_event for entry in found if entry.dagster_event is not None]

    def log(self, run_id: str) -> str:
        return "\n".join(entry.user_message for entry in self.instance.all_logs(run_id))

    def noted(self, name: str) -> list[str]:
        """The lines that steps have appended to a file of the world."""
        path = self.folder / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def _run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        from dagster_graphql.test.utils import execute_dagster_graphql

        with self.workspace.create_request_context() as context:
            answer = execute_dagster_graphql(context, query, variables)
        found: dict[str, Any] = answer.data
        return found

    @staticmethod
    def _started(answer: dict[str, Any]) -> str:
        assert "run" in answer, answer
        return str(answer["run"]["id"])


def environment(folder: Path) -> dict[str, str]:
    """The variables of the world's processes: no AWS, no databases but Dagster's own files."""
    return {
        "DATALAKE_LOCATIONS": str(folder / "locations"),
        "DAGSTER_HOME": str(folder / "home"),
        "WORLD": str(folder),
        "PYTHONWARNINGS": "ignore",
    } | {name: os.environ[name] for name in ("DATALAKE_REGISTRY",) if name in os.environ}
