"""Replay rows that were set aside, and tell Dagster of it as a run would, with what the checks found."""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from datalake_assets.components.checks import check_results, check_specs
from datalake_assets.components.pipelines import DeclaredPipeline
from datalake_assets.components.reporting import report_loaded, report_published
from datalake_assets.ingest.outcomes import Failed, Loaded, Outcome, Published
from datalake_assets.ingest.replay import Quarantined, Replayed, compared, replay

Report = Callable[[dg.AssetMaterialization | dg.AssetCheckEvaluation], None]


def replay_quarantine(
    declared: DeclaredPipeline, found: Sequence[Quarantined], *, requested_by: str, run_id: str, report: Report
) -> Iterator[Replayed | Loaded | Failed]:
    """Recompute partitions that have rows set aside, and say of each what came back.

    Args:
        requested_by: the person who asked.
        run_id: part of the new versions' id.
        report: told of what a run would have told, `report_runless_asset_event` of the instance.

    Yields:
        `Replayed` for each partition of the lake; then `Loaded`, or `Failed`, for each of the warehouse.
    """
    pipeline = declared.pipeline
    before = {each.partition: each for each in found}
    outcomes: list[Outcome] = []
    seen: set[str] = set()
    for outcome in replay(pipeline, found, run_id=run_id):
        outcomes.append(outcome)
        if isinstance(outcome, Loaded):
            report_loaded(pipeline, outcome, report)
            yield outcome
        elif outcome.partition in seen:  # published, and failed after that
            assert isinstance(outcome, Failed)
            yield outcome
        else:
            seen.add(outcome.partition)
            told = compared(before[outcome.partition], outcome)
            if isinstance(outcome, Published) and not outcome.reused:  # another run has told of its own
                report_published(
                    pipeline,
                    outcome,
                    report,
                    description=f"replayed: {told.came_back} of {told.before} rows came back from quarantine",
                    further={"rows_came_back": told.came_back, "requested_by": requested_by},
                )
            yield told
    _report_checks(declared, outcomes, report)


def _report_checks(declared: DeclaredPipeline, outcomes: Sequence[Outcome], report: Report) -> None:
    pipeline = declared.pipeline
    lake = dg.AssetKey(pipeline.lake_key)
    for result in check_results(pipeline, outcomes, {spec.key for spec in check_specs(pipeline)}):
        assert result.check_name is not None
        report(
            dg.AssetCheckEvaluation(
                asset_key=lake,
                check_name=result.check_name,
                passed=result.passed,
                metadata=result.metadata,
                severity=result.severity,
                description=result.description,
            )
        )
