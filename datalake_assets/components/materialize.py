"""Run a pipeline's step: ingest its partitions and report each to Dagster as it happens.

Imported by runs only. A partition that failed is named in the step's failure; those that succeeded are materialized
all the same.
"""

import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from datalake_assets.arrivals.run_tags import requested_partitions
from datalake_assets.components.checks import check_results
from datalake_assets.components.metadata import loaded_metadata
from datalake_assets.components.reporting import report_published
from datalake_assets.errors import PlatformError, TransientError
from datalake_assets.ingest.outcomes import Failed, Loaded, Outcome, Published
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.ingest.run import ingest
from datalake_assets.names import UNPARTITIONED

MAX_RETRIES = 3
RETRY_SECONDS = (5, 20, 60)  # a warehouse that restarts needs a minute or so
MAX_NAMED_FAILURES = 20
RETRY_FAILURES_TAG = "dagster/retry_on_asset_or_op_failure"


def materialize(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Iterator[Any]:
    """Ingest the run's partitions; yield the checks' results and raise if any partition failed.

    Raises:
        RetryRequested: all that failed may succeed by itself, and there are attempts left.
        Failure: with the message of every partition that failed.
    """
    planned = list(context.partition_keys) if context.has_partition_key_range or context.has_partition_key else []
    partitions = requested_partitions(context.run.tags, planned)
    lake = dg.AssetKey(pipeline.lake_key)
    # An attempt may have published a partition and have ended before it could say so.
    told = _told_before(context, lake) if context.retry_number else frozenset()
    outcomes: list[Outcome] = []
    for outcome in ingest(
        pipeline,
        partitions or [UNPARTITIONED],
        run_id=context.run.run_id,
        to_lake=bool({lake, *(dg.AssetKey(child.key) for child in pipeline.children)} & context.selected_asset_keys),
        to_warehouse=dg.AssetKey(pipeline.warehouse_asset_key) in context.selected_asset_keys,
        is_retry=context.retry_number > 0,
    ):
        outcomes.append(outcome)
        _report(context, pipeline, outcome, told)
    yield from check_results(pipeline, outcomes, context.selected_asset_check_keys)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    if failed:
        raise _failure(context, failed)


def _told_before(context: dg.AssetExecutionContext, asset: dg.AssetKey) -> frozenset[str]:
    """The partitions of an asset that earlier attempts of this run have materialized."""
    events = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    found = [entry.dagster_event for entry in events if entry.dagster_event is not None]
    return frozenset(event.partition or UNPARTITIONED for event in found if event.asset_key == asset)


def _report(
    context: dg.AssetExecutionContext, pipeline: Pipeline, outcome: Outcome, told_before: frozenset[str]
) -> None:
    partition = outcome.partition or None
    shown = outcome.partition or pipeline.name
    if isinstance(outcome, Published):
        if outcome.reused and (outcome.run_id != context.run.run_id or outcome.partition in told_before):
            context.log.info(f"{shown}: version {outcome.version} is published already")
            return
        counts = outcome.counts
        context.log.info(
            f"{shown}: {counts.rows_in} rows in, {counts.rows_published} published, {counts.rows_quarantined} set aside"
            + (f", {counts.rows_duplicate} duplicates dropped" if counts.rows_duplicate else "")
        )
        report_published(pipeline, outcome, context.log_event)
        for check in outcome.checks:
            if not check.passed:
                context.log.warning(f"{shown}: {check.name}: {check.found}")
    elif isinstance(outcome, Loaded):
        note = " already" if outcome.skipped else ""
        context.log.info(f"{shown}: {outcome.rows} rows are{note} in the warehouse")
        metadata = loaded_metadata(pipeline, outcome)
        context.log_event(dg.AssetMaterialization(pipeline.warehouse_asset_key, partition=partition, metadata=metadata))
    elif isinstance(outcome.error, PlatformError):
        context.log.error(f"{shown}: {outcome.error}")
    else:
        context.log.error(f"{shown}: a mistake in the code:\n{''.join(traceback.format_exception(outcome.error))}")


def _failure(context: dg.AssetExecutionContext, failed: Sequence[Failed]) -> Exception:
    # A mistake in the code first: it is the cause whose traceback the failure shows.
    failed = sorted(failed, key=lambda each: isinstance(each.error, PlatformError))
    lines = [f"{each.partition}: {_told(each.error)}" if each.partition else _told(each.error) for each in failed]
    more = f"\nand {len(lines) - MAX_NAMED_FAILURES} more" if len(lines) > MAX_NAMED_FAILURES else ""
    text = "\n".join(lines[:MAX_NAMED_FAILURES]) + more
    attempt = context.retry_number
    if all(isinstance(each.error, TransientError) for each in failed) and attempt < MAX_RETRIES:
        context.log.warning(f"Another try in {RETRY_SECONDS[attempt]} s: {text}")
        return dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=RETRY_SECONDS[attempt])
    if not all(isinstance(each.error, TransientError) for each in failed):
        _leave_to_people(context.instance, context.run)
    failure = dg.Failure(
        description=text,
        metadata={
            "failed_partitions": dg.MetadataValue.json(sorted({each.partition for each in failed if each.partition})),
            "kinds": ", ".join(sorted({type(each.error).__name__ for each in failed})),
        },
        allow_retries=False,
    )
    failure.__cause__ = failed[0].error
    return failure


def _leave_to_people(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Keep `retries` from a failure that the same input brings again."""
    if run.tags.get(RETRY_FAILURES_TAG) == "true":
        instance.add_run_tags(run.run_id, {RETRY_FAILURES_TAG: "false"})


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, PlatformError) else f"a mistake in the code: {type(error).__name__}: {error}"
