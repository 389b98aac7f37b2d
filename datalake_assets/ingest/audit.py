"""Whether readers may see a mapped partition: few enough bad rows, and no blocking check that failed."""

from collections.abc import Sequence

from datalake_assets.catalog.manifest import CheckResult
from datalake_assets.errors import AuditFailed, PlatformError, TooManyBadRows
from datalake_assets.ingest.prepare import Prepared
from datalake_assets.mapping.checks import CheckResult as Found
from datalake_assets.mapping.result import require_few_bad_rows
from datalake_assets.mapping.spec import BadRows


def failed_checks(each: Prepared, bad_rows: BadRows) -> list[str]:
    """Why a partition is rejected, as a person reads it; empty if it is published."""
    found = [str(check) for check in each.checks if check.is_blocking]
    if refusal := too_many_bad_rows(each, bad_rows):
        found.insert(0, refusal.found)
    return found


def too_many_bad_rows(each: Prepared, bad_rows: BadRows) -> TooManyBadRows | None:
    """The refusal of a partition of which more rows were set aside than `bad_rows` allows."""
    try:
        require_few_bad_rows(each.result, bad_rows)
    except TooManyBadRows as error:
        return error
    return None


def rejection(each: Prepared, bad_rows: BadRows, error: PlatformError, *, quarantine: str, kept: str) -> PlatformError:
    """The error of a partition that was not published: too many bad rows are told as such, and where to look.

    Args:
        error: what the publication said.
        quarantine: the table of the rows set aside.
        kept: the URI of the rejected version's objects.
    """
    refusal = too_many_bad_rows(each, bad_rows)
    if refusal is None or not isinstance(error, AuditFailed):
        return error
    checks = [str(check) for check in each.checks if check.is_blocking]
    return TooManyBadRows(
        "; ".join([refusal.found, *checks]),
        where=refusal.where,
        expected=refusal.expected,
        todo=f"Look at {quarantine}, then mend the files or the mapping; readers see the version before, "
        f"the rows that could be mapped are at {kept}",
    )


def as_manifest_results(found: Sequence[Found]) -> tuple[CheckResult, ...]:
    """What checks found, as the version's manifest keeps it."""
    return tuple(
        CheckResult(
            name=check.name,
            passed=check.passed,
            severity=check.severity,
            found=check.found,
            failed_rows=check.failed_rows,
        )
        for check in found
    )
