"""What becomes of a partition in a run: published, loaded, or failed with its reason."""

from dataclasses import dataclass

from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.manifest import CheckResult, Manifest, RawInput, RowCounts


@dataclass(frozen=True)
class PublishedChild:
    """The rows of one child table that are published with a partition, under the same version id."""

    table: str
    rows: int
    bytes: int
    uri: str
    manifest_uri: str


@dataclass(frozen=True)
class Published:
    """One partition that readers of the lake see now.

    `reused` if it was published before, `is_done` if an earlier attempt of the run has loaded it too.
    """

    partition: str
    version: str
    run_id: str
    """The run that published it."""
    uri: str
    manifest_uri: str
    inputs: tuple[RawInput, ...]
    counts: RowCounts
    bytes: int
    seconds: float
    reasons: tuple[tuple[str, int], ...] = ()
    """Why rows were set aside, most frequent first, with their number."""
    checks: tuple[CheckResult, ...] = ()
    """What the declared checks found when the version was made."""
    restored_from: str | None = None
    """The older version whose rows it has, if it was rolled back to."""
    notes: tuple[str, ...] = ()
    reused: bool = False
    is_done: bool = False
    children: tuple[PublishedChild, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """One partition that the warehouse shows now; `skipped` if it showed this version already."""

    partition: str
    version: str
    rows: int
    skipped: bool
    seconds: float


@dataclass(frozen=True)
class Failed:
    """One partition whose lake or warehouse readers see it as before, and why; `counts` if it failed after mapping.

    An error that is no `PlatformError` is a mistake in the code.
    """

    partition: str
    error: Exception
    counts: RowCounts | None = None
    reasons: tuple[tuple[str, int], ...] = ()
    checks: tuple[CheckResult, ...] = ()


Outcome = Published | Loaded | Failed


def published_outcome(
    lake: GlueTable,
    manifest: Manifest,
    *,
    seconds: float = 0.0,
    notes: tuple[str, ...] = (),
    reused: bool = False,
    is_done: bool = False,
    children: tuple[PublishedChild, ...] = (),
) -> Published:
    """What a manifest says, as an outcome."""
    version = manifest.version
    return Published(
        partition=version.partition,
        version=version.id,
        run_id=manifest.run_id,
        uri=lake.location(version.prefix),
        manifest_uri=lake.location(manifest.key),
        inputs=manifest.inputs,
        counts=manifest.counts,
        bytes=version.size,
        seconds=seconds,
        reasons=manifest.reasons,
        checks=manifest.checks,
        restored_from=manifest.restored_from,
        notes=notes,
        reused=reused,
        is_done=is_done,
        children=children,
    )


def published_child(table: GlueTable, manifest: Manifest) -> PublishedChild:
    """What the manifest of a child table says."""
    version = manifest.version
    return PublishedChild(
        table=table.name,
        rows=version.row_count,
        bytes=version.size,
        uri=table.location(version.prefix),
        manifest_uri=table.location(manifest.key),
    )
