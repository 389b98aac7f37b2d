"""The dbt models as assets, built by themselves when what they read has new partitions."""

import dagster as dg

from datalake_assets.components.dbt.models import build_dbt_definitions
from datalake_assets.project import DBT_PROJECT
from datalake_assets.triggers.decision import Timing


@dg.definitions
def models() -> dg.Definitions:
    """All models of dbt_project/ and the sensor that runs them."""
    return build_dbt_definitions("analytics", DBT_PROJECT, timing=Timing(settle_seconds=3.0))
