"""A data platform of Dagster assets for AWS: from the first S3 object to the last dbt model."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datalake_assets.components.lineage.asset import lineage
    from datalake_assets.components.overview.status import status
    from datalake_assets.components.overview.why import why
    from datalake_assets.explore.query import query

__all__ = ["lineage", "query", "status", "why"]

_MODULES = {
    "lineage": "datalake_assets.components.lineage.asset",
    "query": "datalake_assets.explore.query",
    "status": "datalake_assets.components.overview.status",
    "why": "datalake_assets.components.overview.why",
}


def __getattr__(name: str) -> Any:
    # The package costs nothing to import: what is behind its public functions is loaded when one is asked for.
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
