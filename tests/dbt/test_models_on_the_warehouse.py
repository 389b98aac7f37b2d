"""The models, built by the real dbt-redshift, against the same questions asked of the raw files."""

import time
from pathlib import Path

import dagster as dg
import pytest

from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.components.dbt_models import MODELS_JOB, build_dbt_definitions
from datalake_assets.warehouse.connection import connect

DAILY = dg.AssetKey(["analytics", "marts", "daily_delays"])


@pytest.fixture(scope="module")
def definitions(dbt_project: Path) -> dg.Definitions:
    return build_dbt_definitions("analytics", dbt_project)


@pytest.fixture(scope="module")
def built(lake: None, definitions: dg.Definitions) -> dg.ExecuteInProcessResult:
    started = time.time()
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def(MODELS_JOB).execute_in_process(instance=instance)
    print("built in", time.time() - started)
    return result


def ask(sql: str) -> list[tuple[object, ...]]:
    with connect(warehouse_secret("analytics")) as warehouse:
        return warehouse.execute(sql).rows


def test_every_model_is_built_and_every_test_passes(
    built: dg.ExecuteInProcessResult, definitions: dg.Definitions
) -> None:
    assert built.success
    keys = {event.asset_key for event in built.get_asset_materialization_events()}
    assert keys == set(definitions.resolve_asset_graph().executable_asset_keys)
    checks = built.get_asset_check_evaluations()
    assert {check.asset_check_key for check in checks} == set(definitions.resolve_asset_graph().asset_check_keys)
    assert [check.check_name for check in checks if not check.passed] == []
