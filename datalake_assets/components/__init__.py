"""The words of a `defs.yaml`: what a team can declare, turned into assets. No work is done here.

The types are imported when they are asked for: who only reads declarations needs no Dagster, and a location only the
types that its files name.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datalake_assets.components.crawl_asset import CrawlAsset
    from datalake_assets.components.lake_pipeline import LakePipeline
    from datalake_assets.components.sql_pipeline import SqlPipeline
    from datalake_assets.components.steps_pipeline import StepsPipeline

__all__ = ["CrawlAsset", "LakePipeline", "SqlPipeline", "StepsPipeline"]

_MODULES = {
    "CrawlAsset": "crawl_asset",
    "LakePipeline": "lake_pipeline",
    "SqlPipeline": "sql_pipeline",
    "StepsPipeline": "steps_pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found
