"""Put an older version of a partition back: in the lake under a new version id, then in the warehouse."""

from collections.abc import Iterator

from datalake_assets.accounts.sessions import session
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.manifest import Manifest, read_manifest
from datalake_assets.catalog.rollback import restorable_version, rollback
from datalake_assets.errors import ConcurrentChange, PlatformError
from datalake_assets.failpoints import failpoint
from datalake_assets.ingest.new_version import database_time, version_id_for
from datalake_assets.ingest.outcomes import Failed, Outcome, published_child, published_outcome
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.ingest.warehouse import load_versions


def restore(pipeline: Pipeline, partition: str, *, to: str | None, reason: str, run_id: str) -> Iterator[Outcome]:
    """Make readers see an older version's rows again and yield what became of it: `Published`, then `Loaded`.

    The caller tells Dagster of `Published` before it asks for more; the warehouse is loaded after that. Whoever is cut
    off in between repeats the call with the same `to`: what the lake shows already is told and loaded, not restored
    again. The rows set aside and the arrival ledger stay as they are: the next change of the partition's files computes
    it anew.

    Args:
        to: the version to restore; None takes the newest kept one before the published one.
        reason: why, for people who look at the table later.

    Yields:
        `Failed` in place of either; a failed load is made up for by `load_behind`.
    """
    account = session(pipeline.location)
    lake = GlueTable(account, pipeline.name)
    tables = {child.name: GlueTable(account, child.name) for child in pipeline.children}
    try:
        manifest = _restored_before(lake, partition, to)
        if manifest is None:
            version = None
            if tables:
                # Of all of them or of none, and all under one id: that is the version to go back to later.
                to = restorable_version(lake, partition, to=to)
                for child in tables.values():
                    restorable_version(child, partition, to=to)
                version = version_id_for(run_id, [partition], [lake, *tables.values()])
                for child in tables.values():
                    _restore(child, partition, reason=reason, run_id=run_id, to=to, version=version)
            manifest = _restore(lake, partition, reason=reason, run_id=run_id, to=to, version=version)
        children = tuple(
            published_child(child, _manifest(child, partition, shown.version_id))
            for child in tables.values()
            if (shown := child.current(partition))
        )
        failpoint("rollback.published")
    except PlatformError as error:
        yield Failed(partition, error)
        return
    yield published_outcome(lake, manifest, children=children)
    yield from load_versions(pipeline, {partition: manifest.version.id}, run_id)


def _restore(
    table: GlueTable, partition: str, *, reason: str, run_id: str, to: str | None, version: str | None
) -> Manifest:
    manifest, switch = rollback(
        table, partition, reason=reason, run_id=run_id, to=to, now=database_time(), version=version
    )
    if switch.error:
        raise switch.error
    if switch.after and switch.after.version_id != manifest.version.id:
        raise ConcurrentChange(
            f"a run published version {switch.after.version_id} at the same time, and that is what readers see",
            where=f"{table.where} {partition}".rstrip(),
            todo="Look at that version; roll back again if it has to go too",
        )
    return manifest


def _restored_before(lake: GlueTable, partition: str, to: str | None) -> Manifest | None:
    """What readers see, if an attempt before has restored just that."""
    shown = lake.current(partition) if to is not None else None
    if shown is None:
        return None
    manifest = _manifest(lake, partition, shown.version_id)
    return manifest if manifest.restored_from == to else None


def _manifest(lake: GlueTable, partition: str, version: str) -> Manifest:
    return read_manifest(lake.session.client("s3"), lake.bucket, lake.name, partition, version)
