"""Put an older version of a partition back and tell Dagster of it, so that its history says who did it and why."""

from collections.abc import Iterator

from datalake_assets.components.pipelines import DeclaredPipeline
from datalake_assets.components.reporting import Report, report_loaded, report_published
from datalake_assets.failpoints import failpoint
from datalake_assets.ingest.outcomes import Loaded, Outcome, Published
from datalake_assets.ingest.restore import restore


def roll_back(
    declared: DeclaredPipeline,
    partition: str,
    *,
    to: str,
    reason: str,
    requested_by: str,
    run_id: str,
    report: Report,
) -> Iterator[Outcome]:
    """Make readers see the rows of version `to` again: in the lake, in Dagster's history, then in the warehouse.

    A rollback that is cut off after the lake's switch is finished by the hourly job that lets the warehouse follow.

    Args:
        requested_by: the person who asked.
        run_id: part of the restored version's id.

    Yields:
        `Published`, then `Loaded` if the pipeline has a warehouse table; `Failed` in place of either.
    """
    for outcome in restore(declared.pipeline, partition, to=to, reason=reason, run_id=run_id):
        if isinstance(outcome, Published):
            report_published(
                declared.pipeline,
                outcome,
                report,
                description=f"restored from {to}: {reason}",
                further={"restored_from": to, "reason": reason, "requested_by": requested_by},
            )
            failpoint("rollback.told")
        elif isinstance(outcome, Loaded):
            report_loaded(declared.pipeline, outcome, report)
        yield outcome
