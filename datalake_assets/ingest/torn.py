"""Partitions whose child tables are newer than the records they belong to, and mending them.

A run publishes children first, so one that dies in between leaves them so. If files had changed, the arrival ledger has
the partition as work and its next run makes all of it anew. If a person had asked for the run, nobody does.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from datalake_assets.accounts.sessions import session
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.versions import made_at
from datalake_assets.ingest.new_version import database_time
from datalake_assets.ingest.outcomes import Outcome
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.ingest.run import ingest

# A run that is at work, or a rollback, gets so long to publish the rest; computing it anew beside one does no harm.
REST_FOLLOWS_WITHIN = timedelta(hours=1)


def torn(pipeline: Pipeline, *, now: datetime | None = None) -> list[str]:
    """The partitions of which a child table shows a later version than the pipeline's own, and has for a while.

    One Glue call for each table and a thousand partitions; none for a pipeline without children.

    Args:
        now: an aware time; the platform database's without it.

    Raises:
        Unavailable, AccessDenied: Glue or the database.
    """
    if not pipeline.children:
        return []
    account = session(pipeline.location)
    shown = {partition: each.version_id for partition, each in GlueTable(account, pipeline.name).published().items()}
    newer: dict[str, str] = {}
    for child in pipeline.children:
        for partition, found in GlueTable(account, child.name).published().items():
            if found.version_id > max(shown.get(partition, ""), newer.get(partition, "")):
                newer[partition] = found.version_id
    if not newer:
        return []
    before = (now or database_time()) - REST_FOLLOWS_WITHIN
    return sorted(partition for partition, version in newer.items() if (made := made_at(version)) and made < before)


def mend(pipeline: Pipeline, partitions: list[str], *, run_id: str) -> Iterator[Outcome]:
    """Compute torn partitions anew from the files that there are now; what became of each is yielded as by a run."""
    yield from ingest(pipeline, partitions, run_id=run_id)
