"""A run whose process died together with its code server fails, is retried, and holds no place for ever."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import dagster as dg
import grpc  # type: ignore[import-untyped]
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._daemon.monitoring.run_monitoring import monitor_started_run
from dagster._grpc.__generated__ import dagster_api_pb2
from dagster._grpc.__generated__.dagster_api_pb2_grpc import DagsterApiServicer, add_DagsterApiServicer_to_server
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value, serialize_value

from datalake_assets.eventlog.run_launcher import LOST_AFTER_SECONDS, WatchedRunLauncher


class CodeServer(DagsterApiServicer):
    """A code server that knows which runs it started, and nothing else."""

    def __init__(self) -> None:
        self.runs: set[str] = set()
        self._server = grpc.server(ThreadPoolExecutor(1))
        add_DagsterApiServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def CanCancelExecution(self, request: Any, context: grpc.ServicerContext) -> Any:
        asked = deserialize_value(request.serialized_can_cancel_execution_request, CanCancelExecutionRequest)
        answer = CanCancelExecutionResult(can_cancel=asked.run_id in self.runs)
        return dagster_api_pb2.CanCancelExecutionReply(serialized_can_cancel_execution_result=serialize_value(answer))

    def kill(self) -> None:
        self._server.stop(None).wait()


@pytest.fixture
def code_server() -> Iterator[CodeServer]:
    server = CodeServer()
    yield server
    server.kill()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def started_on(server: CodeServer, instance: dg.DagsterInstance) -> dg.DagsterRun:
    tags = {GRPC_INFO_TAG: json.dumps({"host": "127.0.0.1", "port": server.port})}
    job = dg.GraphDefinition(name="flights").to_job()
    run = instance.create_run_for_job(job, status=DagsterRunStatus.STARTED, tags=tags)
    server.runs.add(run.run_id)
    return run


def statuses(run: dg.DagsterRun, launcher: WatchedRunLauncher, clock: Clock) -> list[WorkerStatus]:
    """At once, a moment before the time is over, and after it."""
    found = []
    for clock.now in (0.0, LOST_AFTER_SECONDS - 1, LOST_AFTER_SECONDS):
        found.append(launcher.check_run_worker_health(run).status)
    return found


def test_a_run_that_its_code_server_knows_is_left_alone(code_server: CodeServer) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = started_on(code_server, instance)
        assert statuses(run, WatchedRunLauncher(clock=(clock := Clock())), clock) == [WorkerStatus.RUNNING] * 3


def test_a_run_is_lost_when_its_code_server_was_killed_or_restarted_for_a_while(code_server: CodeServer) -> None:
    expected = [WorkerStatus.RUNNING, WorkerStatus.RUNNING, WorkerStatus.NOT_FOUND]
    with dg.DagsterInstance.ephemeral() as instance:
        run = started_on(code_server, instance)
        code_server.runs.clear()
        assert statuses(run, WatchedRunLauncher(clock=(clock := Clock())), clock) == expected
        code_server.kill()
        assert statuses(run, WatchedRunLauncher(clock=(clock := Clock())), clock) == expected


def test_a_code_server_that_answers_again_in_time_has_lost_nothing(code_server: CodeServer) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = started_on(code_server, instance)
        launcher = WatchedRunLauncher(clock=(clock := Clock()))
        code_server.runs.clear()
        launcher.check_run_worker_health(run)
        code_server.runs.add(run.run_id)
        clock.now = LOST_AFTER_SECONDS
        assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
        code_server.runs.clear()
        assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING, "it counts from now on"


def test_the_deployed_instance_fails_a_run_that_died_with_its_code_server(
    instance: dg.DagsterInstance, code_server: CodeServer
) -> None:
    run = started_on(code_server, instance)
    code_server.kill()
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    launcher._clock = clock = Clock()
    for clock.now in (0.0, LOST_AFTER_SECONDS):
        record = instance.get_run_record_by_id(run.run_id)
        assert record is not None
        monitor_started_run(instance, cast("Any", None), record, logging.getLogger("monitoring"))
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is DagsterRunStatus.FAILURE
