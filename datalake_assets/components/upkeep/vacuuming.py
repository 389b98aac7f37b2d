"""Vacuum the lake tables of a pipeline: its rows, those of its children, and the rows set aside."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from datalake_assets.components.pipelines import DeclaredPipeline

if TYPE_CHECKING:
    from datalake_assets.catalog.vacuum import VacuumResult

GRACE = timedelta(hours=24)  # more than any query takes


def vacuum_pipeline(
    declared: DeclaredPipeline, *, keep_versions: int | None = None, grace: timedelta = GRACE, dry_run: bool = False
) -> "Iterator[VacuumResult]":
    """Remove what nobody can refer to from a pipeline's tables, one after the other, and yield what was done.

    A pipeline that never ran has no tables yet, and nothing is yielded.

    Args:
        keep_versions: versions of each partition to keep; those of `publish.keep_versions` by default.

    Raises as `catalog.vacuum.vacuum`; what was done until then stays done.
    """
    from datalake_assets.accounts.sessions import session
    from datalake_assets.catalog.glue import GlueTable
    from datalake_assets.catalog.vacuum import vacuum

    account = session(declared.location)
    keep = keep_versions or declared.pipeline.keep_versions
    children = [child.name for child in declared.pipeline.children]
    for name in (declared.pipeline.name, *children, declared.pipeline.quarantine):
        table = GlueTable(account, name)
        if table.exists():
            yield vacuum(table, keep_versions=keep, grace=grace, dry_run=dry_run)


def told(result: "VacuumResult") -> str:
    """A vacuum's result as one sentence."""
    words = [
        f"{result.table}: {len(result.removed)} versions removed ({result.objects} objects, {result.bytes} bytes)",
        f"{len(result.marked)} marked",
        f"{result.kept} kept",
    ]
    if result.repaired:
        words.append(f"switched on to a newer version: {', '.join(result.repaired)}")
    if result.damaged:
        words.append(f"objects are missing of {', '.join(result.damaged)}")
    return ", ".join(words)
