"""A finished run, and what it left in Dagster's event log."""

from dataclasses import dataclass
from typing import Any

import dagster as dg


@dataclass(frozen=True)
class Run:
    """A finished run and what it left in Dagster's event log."""

    result: dg.ExecuteInProcessResult

    @property
    def success(self) -> bool:
        return self.result.success

    @property
    def id(self) -> str:
        return self.result.run_id

    @property
    def failure(self) -> str:
        """What a person reads of the failed step: its error with all causes."""
        (failed,) = [event for event in self.result.all_events if event.is_step_failure]
        data = failed.step_failure_data
        return str(data.user_failure_data.description) if data.user_failure_data else str(data.error)

    @property
    def traceback(self) -> str:
        """The failed step's error as the UI shows it, stack and causes included."""
        (failed,) = [event for event in self.result.all_events if event.is_step_failure]
        return failed.step_failure_data.error.to_string() if failed.step_failure_data.error else ""

    @property
    def failure_metadata(self) -> dict[str, Any]:
        (failed,) = [event for event in self.result.all_events if event.is_step_failure]
        data = failed.step_failure_data.user_failure_data
        return {key: value.value for key, value in data.metadata.items()} if data else {}

    def materialized(self, key: dg.AssetKey) -> dict[str, dg.AssetMaterialization]:
        """What this run materialized, by partition ('' without)."""
        found: dict[str, dg.AssetMaterialization] = {}
        for event in self.result.all_events:
            if event.is_step_materialization and event.asset_key == key:
                found[event.partition or ""] = event.step_materialization_data.materialization
        return found

    def materialized_partitions(self, key: dg.AssetKey) -> list[str]:
        """The partition of each materialization event, repeated ones too."""
        return [
            event.partition or ""
            for event in self.result.all_events
            if event.is_step_materialization and event.asset_key == key
        ]

    @property
    def checks(self) -> list[dg.AssetCheckEvaluation]:
        return list(self.result.get_asset_check_evaluations())

    @property
    def restarts(self) -> int:
        return sum(event.is_step_restarted for event in self.result.all_events)
