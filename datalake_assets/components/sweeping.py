"""Sweep a location: list its raw bucket and add to the ledger what no message announced.

Lost notifications, files that were there before the deployment, and deletions all end up in the ledger this way; the
arrival sensor then starts the runs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.components.declarations import read_declarations
from datalake_assets.components.lake_pipeline import build_arrival_source

if TYPE_CHECKING:
    from datalake_assets.arrivals.sources import ArrivalSource
    from datalake_assets.arrivals.sweep import SweepResult


def swept_locations(locations_folder: Path) -> list[str]:
    """The locations with at least one pipeline that reads raw objects."""
    return sorted({declaration.path.parent.parent.name for declaration in read_declarations(locations_folder)})


def sources_of(location: str, locations_folder: Path) -> "list[ArrivalSource]":
    """The raw sources that a location's folder declares."""
    declared = read_declarations(locations_folder / location)
    return [build_arrival_source(location, declaration.spec) for declaration in declared]


def sweep_location(location: str, locations_folder: Path, *, partitions: Sequence[str] | None = None) -> "SweepResult":
    """Compare the location's raw bucket with the ledger and correct the ledger.

    Args:
        partitions: only these; all by default.

    Raises:
        Unavailable, Throttled, AccessDenied: the listing is not complete; the next sweep starts anew.
    """
    from datalake_assets.accounts.sessions import session
    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.sweep import sweep

    account = session(location)
    return sweep(
        account.client("s3"),
        account.account.raw_bucket,
        sources_of(location, locations_folder),
        Ledger(),
        location=location,
        partitions=partitions,
    )


def told(result: "SweepResult") -> str:
    """A sweep's result as one sentence."""
    corrected = result.added + result.changed + result.removed
    return (
        f"{result.listed} objects listed, {corrected} corrections in the ledger "
        f"({result.added} added, {result.changed} changed, {result.removed} removed), "
        f"{result.unexpected} unexpected keys"
    )
