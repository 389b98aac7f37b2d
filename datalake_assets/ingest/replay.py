"""Rows that were set aside: where there are some, and recomputing their partitions once the mapping is mended.

A replay is a run like any other: it lists the partition's raw files anew, maps all of them, checks and publishes the
result under a new version, and tells the arrival ledger. So it may go on beside a run of the same partition: the one
that began later wins, as between two runs.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from datalake_assets.accounts.sessions import session
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.manifest import RowCounts, read_manifest
from datalake_assets.catalog.published import Published as Shown
from datalake_assets.ingest.audit import failed_checks
from datalake_assets.ingest.outcomes import Failed, Outcome, Published
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.ingest.prepare import prepare
from datalake_assets.ingest.run import ingest

MANIFEST_THREADS = 8

Reasons = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One partition with rows set aside.

    Attributes:
        rows: set aside.
        rows_published: what readers of the lake see of the partition; 0 before its first publication.
        reasons: most frequent first, with their number; a row with two reasons counts in both.
        since: when the run that set them aside wrote them.
        is_refused: the lake shows an older version, or none: too many rows were bad, or a check failed.
        restored_from: the version that somebody rolled the partition back to, which a replay would undo.
    """

    partition: str
    rows: int
    rows_published: int
    reasons: Reasons
    since: datetime
    version: str
    is_refused: bool
    restored_from: str | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one partition.

    Attributes:
        before, after: rows set aside; `after` is None if the partition failed before its rows were mapped.
        rows_before, rows_after: rows in the lake; of a dry run, what would be there.
        reasons: why rows are still set aside.
        error: why nothing changed for readers of the lake.
        refusals: of a dry run, why the partition would not be published.
    """

    partition: str
    before: int
    after: int | None
    rows_before: int
    rows_after: int | None
    reasons: Reasons = ()
    error: Exception | None = None
    refusals: tuple[str, ...] = ()

    @property
    def came_back(self) -> int:
        """Rows that were set aside before and are not now; negative if there are more."""
        return 0 if self.after is None else self.before - self.after


def quarantined(pipeline: Pipeline, partitions: Sequence[str] | None = None) -> list[Quarantined]:
    """The partitions that have rows set aside now, of these or of all, in their order.

    One Glue call for each thousand partitions, and two small objects for each that has such rows.

    Raises:
        Unavailable, AccessDenied: Glue or S3.
    """
    aws = session(pipeline.location)
    lake, aside = GlueTable(aws, pipeline.name), GlueTable(aws, pipeline.quarantine)
    wanted = None if partitions is None else set(partitions)
    with_rows = {
        partition: shown
        for partition, shown in sorted(aside.published().items())
        if shown.row_count and (wanted is None or partition in wanted)
    }
    if not with_rows:
        return []
    in_lake = lake.published()
    s3 = aws.client("s3")

    def look(found: tuple[str, Shown]) -> Quarantined:
        partition, shown = found
        manifest = read_manifest(s3, aside.bucket, aside.name, partition, shown.version_id)
        seen = in_lake.get(partition)
        restored = None
        if seen is not None and seen.version_id > shown.version_id:
            restored = read_manifest(s3, lake.bucket, lake.name, partition, seen.version_id).restored_from
        return Quarantined(
            partition=partition,
            rows=shown.row_count,
            rows_published=seen.row_count if seen else 0,
            reasons=manifest.reasons,
            since=manifest.created_at,
            version=shown.version_id,
            is_refused=seen is None or seen.version_id < shown.version_id,
            restored_from=restored,
        )

    with ThreadPoolExecutor(max_workers=MANIFEST_THREADS, thread_name_prefix="quarantined") as pool:
        return list(pool.map(look, with_rows.items()))


def replay(pipeline: Pipeline, found: Sequence[Quarantined], *, run_id: str) -> Iterator[Outcome]:
    """Recompute partitions that have rows set aside; what became of each is yielded as a run yields it.

    Args:
        run_id: part of the new versions' id.
    """
    yield from ingest(pipeline, [each.partition for each in found], run_id=run_id)


def rehearse(pipeline: Pipeline, found: Sequence[Quarantined]) -> Iterator[Replayed]:
    """Map the partitions as a replay would, on local disk, and publish nothing; one after another."""
    account = session(pipeline.location)
    scratch = Path(tempfile.mkdtemp(prefix=f"datalake-{pipeline.name}-"))
    try:
        for number, each in enumerate(found):
            folder = scratch / str(number)
            try:
                prepared = prepare(pipeline, account, each.partition, folder, 1)
            except Exception as error:  # noqa: BLE001 - one partition that cannot be mapped does not stop the others
                yield Replayed(each.partition, each.rows, None, each.rows_published, None, error=error)
            else:
                counts = prepared.counts
                yield Replayed(
                    each.partition,
                    before=each.rows,
                    after=counts.rows_quarantined,
                    rows_before=each.rows_published,
                    rows_after=counts.rows_published,
                    reasons=prepared.reasons,
                    refusals=tuple(failed_checks(prepared, pipeline.mapping.bad_rows)),
                )
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def compared(before: Quarantined, outcome: Published | Failed) -> Replayed:
    """What a partition's outcome means for the rows that were set aside before."""
    counts: RowCounts | None = outcome.counts
    return Replayed(
        before.partition,
        before=before.rows,
        after=counts.rows_quarantined if counts else None,
        rows_before=before.rows_published,
        rows_after=counts.rows_published if counts and isinstance(outcome, Published) else before.rows_published,
        reasons=outcome.reasons,
        error=outcome.error if isinstance(outcome, Failed) else None,
    )
