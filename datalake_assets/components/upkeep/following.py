"""What belongs to a table follows it: the warehouse is loaded, child tables and their records are made whole.

Dagster is told of each as a run would tell it.
"""

from collections.abc import Iterator, Sequence

from datalake_assets.components.pipelines import DeclaredPipeline
from datalake_assets.components.reporting import Report, report_loaded, report_published
from datalake_assets.errors import PlatformError, TransientError
from datalake_assets.ingest.behind import load_behind
from datalake_assets.ingest.outcomes import Failed, Loaded, Outcome, Published
from datalake_assets.ingest.torn import mend, torn


def follow(
    declared: DeclaredPipeline, partitions: Sequence[str] | None = None, *, run_id: str, report: Report
) -> Iterator[Loaded | Failed]:
    """Load what the warehouse lacks of a pipeline, of these partitions or of all, and yield what became of each.

    Raises as `side_by_side`; the failure of a single load is yielded.
    """
    for outcome in load_behind(declared.pipeline, partitions, run_id=run_id):
        if isinstance(outcome, Loaded):
            report_loaded(declared.pipeline, outcome, report)
        yield outcome


def follow_all(declared: DeclaredPipeline, *, run_id: str, report: Report) -> str:
    """Load all that the warehouse lacks of a pipeline and tell in a sentence how much that was.

    Raises:
        PlatformError: the failure of the first partition that failed, after all others were tried.
    """
    outcomes = list(follow(declared, run_id=run_id, report=report))
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    loaded = [outcome for outcome in outcomes if isinstance(outcome, Loaded)]
    if failed:
        raise one_error(declared, failed, tried=len(outcomes))
    if not loaded:
        return "nothing to load"
    return f"{sum(each.rows for each in loaded)} rows loaded of {', '.join(each.partition or 'all' for each in loaded)}"


def mend_all(declared: DeclaredPipeline, *, run_id: str, report: Report) -> str:
    """Compute partitions anew whose child tables are newer than their records, and tell in a sentence which.

    Raises:
        PlatformError: the failure of the first partition that failed, after all others were tried.
    """
    pipeline = declared.pipeline
    partitions = torn(pipeline)
    outcomes: list[Outcome] = []
    for outcome in mend(pipeline, partitions, run_id=run_id) if partitions else ():
        outcomes.append(outcome)
        if isinstance(outcome, Published) and not outcome.reused:
            report_published(pipeline, outcome, report, description="its child tables were newer: a run was cut off")
        elif isinstance(outcome, Loaded):
            report_loaded(pipeline, outcome, report)
    if failed := [outcome for outcome in outcomes if isinstance(outcome, Failed)]:
        raise one_error(declared, failed, tried=len(partitions))
    return f"made whole: {', '.join(each or 'all' for each in partitions)}" if partitions else ""


def one_error(declared: DeclaredPipeline, failed: Sequence[Failed], *, tried: int) -> Exception:
    """One error for several partitions: the first one's, or a mistake in the code before all others."""
    ordered = sorted(failed, key=lambda each: isinstance(each.error, TransientError))
    first = next((each for each in ordered if not isinstance(each.error, PlatformError)), ordered[0])
    if not isinstance(first.error, PlatformError):
        return first.error
    told = type(first.error)(
        f"{len(failed)} of {tried} partitions failed, the first with: {first.error.found}",
        where=first.error.where or declared.label(first.partition),
        expected=first.error.expected,
        todo=first.error.todo,
    )
    told.__cause__ = first.error
    return told
