"""A pipeline's checks as asset checks of its lake table: their specs, and what a run found, partition by partition.

Of a run with many partitions the worst one decides, and a table in the metadata tells of each that did not pass.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import dagster as dg

from datalake_assets.catalog.manifest import CheckResult
from datalake_assets.ingest.outcomes import Failed, Outcome, Published
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.mapping.check_spec import Check
from datalake_assets.names import QUARANTINE_CHECK

MAX_SHOWN_PARTITIONS = 200
SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}


def check_specs(pipeline: Pipeline) -> list[dg.AssetCheckSpec]:
    """The check of rows set aside, then the declared ones in their order."""
    lake = dg.AssetKey(pipeline.lake_key)
    limit = pipeline.mapping.bad_rows.fail_above
    quarantine = dg.AssetCheckSpec(
        QUARANTINE_CHECK,
        asset=lake,
        description=f"At most {limit * 100:.4g} % of a partition's rows may be set aside.",
    )
    declared = [
        dg.AssetCheckSpec(
            check.check_name,
            asset=lake,
            description=check.description or _described(check),
            metadata={"kind": check.kind, "severity": check.severity},
        )
        for check in pipeline.checks
    ]
    return [quarantine, *declared]


def check_results(
    pipeline: Pipeline, outcomes: Sequence[Outcome], wanted: Collection[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckResult]:
    """What a run found for each of the wanted checks; nothing for a check that no partition was read for."""
    lake = dg.AssetKey(pipeline.lake_key)
    if dg.AssetCheckKey(lake, QUARANTINE_CHECK) in wanted and (result := _quarantine(pipeline, outcomes)):
        yield result
    for check in pipeline.checks:
        if dg.AssetCheckKey(lake, check.check_name) in wanted and (result := _declared(pipeline, check, outcomes)):
            yield result


def _described(check: Check) -> str:
    sentence = check.sentence[0].upper() + check.sentence[1:]
    return f"{sentence}; otherwise readers keep the version before." if check.is_blocking else f"{sentence}."


def _declared(pipeline: Pipeline, check: Check, outcomes: Sequence[Outcome]) -> dg.AssetCheckResult | None:
    found = [
        (each.partition, result)
        for each in outcomes
        if isinstance(each, Published | Failed)
        for result in each.checks
        if result.name == check.check_name
    ]
    if not found:
        return None
    failed = [(partition, result) for partition, result in found if not result.passed]
    failed.sort(key=lambda pair: -(pair[1].failed_rows or 0))
    not_checked = {each.partition for each in outcomes} - {partition for partition, _ in found}
    metadata: dict[str, Any] = {
        "partitions_checked": len(found),
        "partitions_failed": len(failed),
        "partitions_not_checked": len(not_checked),
        "failed_rows": sum(result.failed_rows or 0 for _, result in failed),
        "is_blocking": check.is_blocking,
        "partitions": dg.MetadataValue.table(
            [_record(partition or pipeline.name, result) for partition, result in (failed or found)][
                :MAX_SHOWN_PARTITIONS
            ],
            dg.TableSchema(
                [
                    dg.TableColumn("partition"),
                    dg.TableColumn("passed", "bool"),
                    dg.TableColumn("failed_rows", "int"),
                    dg.TableColumn("found"),
                ]
            ),
        ),
    }
    if check.expression:
        metadata["expression"] = check.expression
    described = f"passed in {_partitions(len(found))}"
    if failed:
        partition, worst = failed[0]
        described = f"{partition or pipeline.name}: {worst.found}"
        if len(failed) > 1:
            described = f"failed in {len(failed)} of {_partitions(len(found))}, the worst {described}"
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(pipeline.lake_key),
        check_name=check.check_name,
        passed=not failed,
        severity=SEVERITIES[check.severity],
        description=described,
        metadata=metadata,
    )


def _record(partition: str, result: CheckResult) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "partition": partition,
            "passed": result.passed,
            "failed_rows": result.failed_rows or 0,
            "found": result.found,
        }
    )


def _partitions(number: int) -> str:
    return f"{number} partition" + ("" if number == 1 else "s")


def _quarantine(pipeline: Pipeline, outcomes: Sequence[Outcome]) -> dg.AssetCheckResult | None:
    """Passed if every partition's share of bad rows is within its limit."""
    limit = pipeline.mapping.bad_rows.fail_above
    read = [
        (each.partition, each.counts, each.reasons)
        for each in outcomes
        if isinstance(each, Published | Failed) and each.counts is not None
    ]
    if not read:
        return None
    not_read = {each.partition for each in outcomes} - {partition for partition, _, _ in read}
    rows_in = sum(counts.rows_in for _, counts, _ in read)
    bad = sum(counts.rows_quarantined for _, counts, _ in read)
    worst = max((counts.rows_quarantined / counts.rows_in for _, counts, _ in read if counts.rows_in), default=0.0)
    table = [
        dg.TableRecord(
            {
                "partition": partition or pipeline.name,
                "rows_in": counts.rows_in,
                "quarantined": counts.rows_quarantined,
                "reasons": "; ".join(f"{count} × {reason}" for reason, count in reasons),
            }
        )
        for partition, counts, reasons in read
        if counts.rows_quarantined
    ]
    metadata: dict[str, Any] = {
        "rows_in": rows_in,
        "rows_quarantined": bad,
        "highest_share": worst,
        "fail_above": limit,
        "partitions_read": len(read),
        "partitions_not_read": len(not_read),
        "quarantine_table": f"{pipeline.account.glue_database}.{pipeline.quarantine}",
    }
    if table:
        metadata["partitions"] = dg.MetadataValue.table(
            table,
            dg.TableSchema(
                [
                    dg.TableColumn("partition"),
                    dg.TableColumn("rows_in", "int"),
                    dg.TableColumn("quarantined", "int"),
                    dg.TableColumn("reasons"),
                ]
            ),
        )
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(pipeline.lake_key),
        check_name=QUARANTINE_CHECK,
        passed=worst <= limit,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{bad} of {rows_in} rows set aside" if bad else f"all {rows_in} rows published",
        metadata=metadata,
    )
