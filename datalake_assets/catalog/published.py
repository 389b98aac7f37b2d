"""The version of a partition that readers see, as the catalog's parameters tell it."""

from dataclasses import dataclass
from typing import Any

from datalake_assets.catalog.manifest import Manifest
from datalake_assets.errors import PlatformError

VERSION_PARAMETER = "datalake_version"
MANIFEST_PARAMETER = "datalake_manifest"
RUN_PARAMETER = "datalake_run_id"
ROWS_PARAMETER = "numRows"  # Hive's own name: query planners read it
SIZE_PARAMETER = "totalSize"


@dataclass(frozen=True, slots=True)
class Published:
    """The version of a partition that readers see."""

    version_id: str
    location: str
    manifest_uri: str
    run_id: str
    row_count: int

    @classmethod
    def of(cls, manifest: Manifest, bucket: str) -> "Published":
        """What readers see once a manifest's version is published."""
        return cls(
            version_id=manifest.version.id,
            location=f"s3://{bucket}/{manifest.version.prefix}",
            manifest_uri=f"s3://{bucket}/{manifest.key}",
            run_id=manifest.run_id,
            row_count=manifest.version.row_count,
        )


@dataclass(frozen=True, slots=True)
class Switch:
    """What became of one partition: `before` is what readers saw, `after` what they see now.

    With an `error`, they still see what they saw; `before` and `after` are None if the catalog was not asked. Without
    one, `after` differs from the version asked for only if a newer one is published. `is_created` if nothing was
    registered before, which no other publisher can have overlooked: Glue creates a partition once.
    """

    before: Published | None
    after: Published | None
    error: PlatformError | None = None
    is_created: bool = False

    @property
    def is_switched(self) -> bool:
        return self.error is None and self.before != self.after


def parameters_of(manifest: Manifest, published: Published) -> dict[str, str]:
    """What the catalog keeps beside the location of a published version."""
    return {
        VERSION_PARAMETER: published.version_id,
        MANIFEST_PARAMETER: published.manifest_uri,
        RUN_PARAMETER: published.run_id,
        ROWS_PARAMETER: str(published.row_count),
        SIZE_PARAMETER: str(manifest.version.size),
    }


def published_in(entry: Any) -> Published | None:
    """Read the published version off a Glue table or partition; None if we published nothing there."""
    parameters = entry.get("Parameters") or {}
    if VERSION_PARAMETER not in parameters:
        return None
    return Published(
        version_id=parameters[VERSION_PARAMETER],
        location=entry["StorageDescriptor"]["Location"],
        manifest_uri=parameters.get(MANIFEST_PARAMETER, ""),
        run_id=parameters.get(RUN_PARAMETER, ""),
        row_count=int(parameters.get(ROWS_PARAMETER, 0)),
    )
