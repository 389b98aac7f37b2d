"""A data platform of Dagster assets for AWS: from the first S3 object to the last dbt model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datalake_assets.explore.query import query

__all__ = ["query"]


def __getattr__(name: str) -> Any:
    # The package costs nothing to import: everything behind its one public function is loaded when that is asked for.
    if name == "query":
        from datalake_assets.explore.query import query

        return query
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
