"""Runs as children of the code servers, and a look at whether they still are.

A code server tells when a run's process dies. When it dies itself, with its runs, nobody does: to Dagster the run works
for ever, holds a place in the queue, and its partitions wait for it. So run monitoring asks the code server.
"""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

if TYPE_CHECKING:
    import dagster as dg
    from dagster._serdes import ConfigurableClassData

# A code server that restarts elsewhere, or is too busy for an answer, is no reason to start a run anew.
LOST_AFTER_SECONDS = 60.0
ANSWER_SECONDS = 5


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, whose runs fail when their code server no longer knows them.

    A process that outlived its code server may go on beside its retry: of the two, the one that began later wins.
    """

    supports_check_run_worker_health = True

    def __init__(
        self, inst_data: "ConfigurableClassData | None" = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(inst_data)
        self._clock = clock
        self._lost_since: dict[str, float] = {}

    def check_run_worker_health(self, run: "dg.DagsterRun") -> CheckRunHealthResult:
        """Whether the run's process is there; one that was lost a moment ago still counts as running."""
        if (lost := _loss(run)) is None:
            self._lost_since.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        since = self._lost_since.setdefault(run.run_id, self._clock())
        if self._clock() - since < LOST_AFTER_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING, lost, transient=True)
        del self._lost_since[run.run_id]
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, lost)


def _loss(run: "dg.DagsterRun") -> str | None:
    """Why the run's process is not there, None if it is."""
    from dagster._core.errors import DagsterUserCodeUnreachableError
    from dagster._grpc.client import DagsterGrpcClient
    from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
    from dagster._serdes import deserialize_value

    if GRPC_INFO_TAG not in run.tags:
        return None  # started in another way: this launcher knows nothing of it
    server = json.loads(run.tags[GRPC_INFO_TAG])
    client = DagsterGrpcClient(
        host=server.get("host"),
        port=server.get("port"),
        socket=server.get("socket"),
        use_ssl=bool(server.get("use_ssl")),
    )
    try:
        answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=ANSWER_SECONDS)
    except DagsterUserCodeUnreachableError:
        return "the code server that the run was started on does not answer"
    if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
        return None
    return "the code server does not know the run: it was restarted since"
