"""Which version of each partition the lake shows and the warehouse holds, and loading what the warehouse lacks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datalake_assets.accounts.sessions import session
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.ingest.outcomes import Failed, Loaded
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.ingest.warehouse import load_versions

if TYPE_CHECKING:
    from datalake_assets.warehouse.ledger import LoadedVersion


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one partition: None and no rows where a side has none.

    `rows_warehouse` is what the load ledger recorded with the load, in its transaction.
    """

    partition: str
    lake_version: str | None
    warehouse_version: str | None
    rows_lake: int | None
    rows_warehouse: int | None

    @property
    def is_behind(self) -> bool:
        """Whether the lake shows what the warehouse does not hold; ids sort by time."""
        return self.lake_version is not None and self.lake_version > (self.warehouse_version or "")


@dataclass(frozen=True, slots=True)
class ShownChild:
    """What the lake shows of a child table: its partitions, their rows, and the version of the newest partition."""

    table: str
    partitions: int
    rows_lake: int
    newest_partition: str | None
    lake_version: str | None


def shown_children(pipeline: Pipeline) -> list[ShownChild]:
    """The child tables of a pipeline, one Glue call for each thousand partitions; the warehouse has none of them.

    Raises:
        Unavailable, AccessDenied: Glue.
    """
    found = []
    for child in pipeline.children:
        shown = GlueTable(session(pipeline.location), child.name).published()
        newest = max(shown, default=None)
        rows = sum(each.row_count for each in shown.values())
        version = None if newest is None else shown[newest].version_id
        found.append(ShownChild(child.name, len(shown), rows, newest, version))
    return found


def side_by_side(pipeline: Pipeline) -> list[Versions]:
    """All partitions that the lake shows or the warehouse holds, in their order.

    One Glue call for each thousand partitions, one statement in the warehouse. A pipeline without a warehouse table
    has None on that side of every partition.

    Raises:
        Unavailable: Glue or the warehouse does not answer.
        AccessDenied, ConfigurationError: a grant, a secret or the database is missing.
    """
    lake = GlueTable(session(pipeline.location), pipeline.name).published()
    warehouse = _in_the_warehouse(pipeline)
    found = []
    for partition in sorted(lake.keys() | warehouse.keys()):
        shown, held = lake.get(partition), warehouse.get(partition)
        found.append(
            Versions(
                partition,
                lake_version=shown.version_id if shown else None,
                warehouse_version=held.version if held else None,
                rows_lake=shown.row_count if shown else None,
                rows_warehouse=held.rows if held else None,
            )
        )
    return found


def behind(pipeline: Pipeline) -> list[Versions]:
    """The partitions whose published version the warehouse does not hold; none for a pipeline without a warehouse.

    Raises as `side_by_side`.
    """
    if pipeline.warehouse is None:
        return []
    return [each for each in side_by_side(pipeline) if each.is_behind]


def load_behind(
    pipeline: Pipeline, partitions: Sequence[str] | None = None, *, run_id: str
) -> Iterator[Loaded | Failed]:
    """Load what the warehouse lacks, of these partitions or of all, each in a transaction of its own.

    What the warehouse holds already is not touched and not yielded. The arrival ledger is not told: a partition whose
    run failed at the load stays work there, and its next run finds the load done.

    Raises as `side_by_side`; the failure of a single load is yielded.
    """
    lacking = {each.partition: each.lake_version for each in behind(pipeline) if each.lake_version is not None}
    if partitions is not None:
        lacking = {partition: lacking[partition] for partition in partitions if partition in lacking}
    yield from load_versions(pipeline, lacking, run_id)


def _in_the_warehouse(pipeline: Pipeline) -> "dict[str, LoadedVersion]":
    from datalake_assets.accounts.secrets import warehouse_secret
    from datalake_assets.warehouse.connection import connect
    from datalake_assets.warehouse.ledger import status

    if pipeline.warehouse is None:
        return {}
    with connect(warehouse_secret(pipeline.location)) as connection:
        return status(connection, pipeline.warehouse)
