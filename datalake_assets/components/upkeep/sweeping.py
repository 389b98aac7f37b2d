"""Sweep a location: list its raw bucket and add to the ledger what no message announced.

Lost notifications, files that were there before the deployment, and deletions all end up in the ledger this way; the
arrival sensor then starts the runs.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.arrivals.sweep import REQUESTS_PER_SECOND
from datalake_assets.components.pipelines import with_raw_files
from datalake_assets.project import LOCATIONS_FOLDER

if TYPE_CHECKING:
    from datalake_assets.arrivals.sweep import SweepResult

FEW_PARTITIONS = 30  # listed one by one, whatever it takes


def sweep_location(
    location: str,
    folder: Path = LOCATIONS_FOLDER,
    *,
    partitions: Sequence[str] | None = None,
    recent_days: int | None = None,
    requests_per_second: float | None = REQUESTS_PER_SECOND,
) -> "SweepResult":
    """Compare the location's raw bucket with the ledger and correct the ledger.

    Args:
        partitions: only these, and no tables without partitions; all by default.
        recent_days: what `arrivals.sweep.recent_partitions` names; everything where that takes fewer requests.
        requests_per_second: at most so many list requests, each of which shows up to a thousand objects; None for as
            many as S3 answers.

    Raises:
        Unavailable, Throttled, AccessDenied: the listing is not complete; the next sweep starts anew.
    """
    from datalake_assets.accounts.sessions import session
    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.sweep import is_whole_cheaper, recent_partitions, sweep

    account = session(location)
    sources = [each.source for each in with_raw_files(folder) if each.location == location]
    ledger = Ledger()
    if partitions is None and recent_days is not None:
        recent = recent_partitions(ledger, sources, dt.datetime.now(dt.UTC), recent_days)
        if len(recent) <= FEW_PARTITIONS or not is_whole_cheaper(ledger, sources, recent):
            partitions = recent
    return sweep(
        account.client("s3"),
        account.account.raw_bucket,
        sources,
        ledger,
        location=location,
        partitions=partitions,
        requests_per_second=requests_per_second,
    )


def told(result: "SweepResult") -> str:
    """A sweep's result as one sentence."""
    corrected = result.added + result.changed + result.removed
    return (
        f"{result.listed} objects listed, {corrected} corrections in the ledger "
        f"({result.added} added, {result.changed} changed, {result.removed} removed), "
        f"{result.unexpected} unexpected keys"
    )
