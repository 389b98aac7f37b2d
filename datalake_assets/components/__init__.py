"""The words of a `defs.yaml`: what a team can declare, turned into assets. No work is done here."""

from datalake_assets.components.crawl_asset import CrawlAsset
from datalake_assets.components.lake_pipeline import LakePipeline

__all__ = ["CrawlAsset", "LakePipeline"]
