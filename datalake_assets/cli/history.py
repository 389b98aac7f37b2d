"""What Dagster's history says about the pipelines: partitions published, loaded, models built, runs that failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datalake_assets.names import UNPARTITIONED

if TYPE_CHECKING:
    import dagster as dg


@dataclass(frozen=True)
class Built:
    """The newest materialization of one partition of one asset."""

    rows: int
    at: float
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FailedRun:
    """A run that ended without success, and the root of its error."""

    run_id: str
    job: str
    message: str


class History:
    """Reads the instance of `DAGSTER_HOME`; every call asks anew."""

    def __init__(self, instance: "dg.DagsterInstance") -> None:
        self._instance = instance

    def built(self, asset_key: Sequence[str]) -> dict[str, Built]:
        """The newest materialization of each partition (`UNPARTITIONED` for a table without)."""
        import dagster as dg

        found: dict[str, Built] = {}
        cursor = None
        while True:
            page = self._instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=dg.AssetKey(list(asset_key))), limit=1000, cursor=cursor
            )
            for record in page.records:  # newest first
                event = record.asset_materialization
                if event is None:
                    continue
                values = {name: value.value for name, value in event.metadata.items()}
                rows = values.get("dagster/row_count")
                built = Built(rows if isinstance(rows, int) else 0, record.timestamp, values)
                found.setdefault(event.partition or UNPARTITIONED, built)
            if not page.has_more:
                return found
            cursor = page.cursor

    def built_counts(self, asset_keys: Sequence[Sequence[str]]) -> dict[str, tuple[int, float]]:
        """Number of materialized partitions and time of the newest one, by asset key joined with `/`; few queries."""
        import dagster as dg

        keys = [dg.AssetKey(list(key)) for key in asset_keys]
        records = {record.asset_entry.asset_key: record for record in self._instance.get_asset_records(keys)}
        counts: dict[str, tuple[int, float]] = {}
        for key in keys:
            record = records.get(key)
            event = record.asset_entry.last_materialization_record if record else None
            if event is None:
                counts["/".join(key.path)] = (0, 0.0)
                continue
            materialization = event.asset_materialization
            is_partitioned = materialization is not None and materialization.partition is not None
            number = len(self._instance.get_materialized_partitions(key)) if is_partitioned else 1
            counts["/".join(key.path)] = (number, event.timestamp)
        return counts

    def runs(self) -> "list[dg.RunRecord]":
        """All runs, newest first."""
        return list(self._instance.get_run_records())

    def failed_runs(self) -> list[FailedRun]:
        """Runs that failed or were canceled, with the message of the error at the root."""
        import dagster as dg

        ended = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
        return [self.failed_run(run) for run in self._instance.get_runs(dg.RunsFilter(statuses=list(ended)))]

    def failed_run(self, run: "dg.DagsterRun") -> FailedRun:
        """A run that ended without success, with the message of the error at the root."""
        return FailedRun(run.run_id, run.job_name, self._message(run.run_id))

    def _message(self, run_id: str) -> str:
        import dagster as dg

        text = "the run ended without a message"
        for entry in self._instance.all_logs(
            run_id, {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
        ):
            event = entry.dagster_event
            if event is None:
                continue
            if event.event_type == dg.DagsterEventType.STEP_FAILURE:
                data = event.step_failure_data
                if data.user_failure_data and data.user_failure_data.description:
                    return data.user_failure_data.description
                error = data.error
                while error and error.cause:
                    error = error.cause
                return error.message.strip() if error else text
            text = event.message or text
        return text
