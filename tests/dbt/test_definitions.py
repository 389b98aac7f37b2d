"""What Dagster sees of the dbt project, without any warehouse."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from pydantic import SecretStr

from datalake_assets.accounts.secrets import WarehouseSecret
from datalake_assets.components.dbt.lineage import Relation, column_lineage
from datalake_assets.components.dbt.manifest import dbt_executable, ensure_manifest, manifest_path, read_manifest
from datalake_assets.components.dbt.models import ModelTranslator, build_dbt_definitions, model_targets
from datalake_assets.components.dbt.run import warehouse_environment
from datalake_assets.errors import ConfigurationError

SOURCES = {f"flights/warehouse/{name}" for name in ("flights", "weather", "airlines", "airports", "planes")}
SOURCES |= {"rent_journey/warehouse/pipeline_x"}


@pytest.fixture(scope="module")
def graph(dbt_project: Path) -> AssetGraph:
    return build_dbt_definitions("analytics", dbt_project).resolve_asset_graph()


def test_models_follow_the_warehouse_tables_of_other_locations(graph: AssetGraph) -> None:
    outside = {key.to_user_string() for key in graph.get_all_asset_keys() - graph.executable_asset_keys}

    assert outside == SOURCES


def test_keys_groups_kinds_and_owners(graph: AssetGraph) -> None:
    for key in graph.executable_asset_keys:
        node = graph.get(key)
        assert key.path[0] == "analytics"
        assert node.group_name == key.path[1]
        assert node.kinds == {"dbt", "redshift", "view" if key.path[1] == "staging" else "table"}
        assert node.owners == ["team:analytics"]
        assert node.description
        assert node.metadata["dagster/table_name"] == f"{key.path[1]}.{key.path[2]}"


def test_every_column_is_described_and_typed(dbt_project: Path) -> None:
    for node in read_manifest(dbt_project)["nodes"].values():
        if node["resource_type"] != "model":
            continue
        written = set(re.findall(r"\bas (\w+)\s*(?:,|\n)", node["raw_code"]))
        assert node["columns"], node["name"]
        for column in node["columns"].values():
            assert column["description"], (node["name"], column["name"])
            assert column["data_type"], (node["name"], column["name"])
        if node["schema"] == "staging":
            assert set(node["columns"]) == written, node["name"]


def test_schemas_are_named_exactly(dbt_project: Path) -> None:
    models = [node for node in read_manifest(dbt_project)["nodes"].values() if node["resource_type"] == "model"]

    assert {node["schema"] for node in models} == {"staging", "marts"}


def test_a_model_needs_what_its_tests_read(dbt_project: Path) -> None:
    targets = {each.key: each for each in model_targets(read_manifest(dbt_project), ModelTranslator("analytics"))}

    flights = targets["analytics/staging/stg_flights"]
    assert flights.parents == {"flights/warehouse/flights"}
    assert flights.needs == {"analytics/staging/stg_airlines", "analytics/staging/stg_airports"}


@pytest.mark.parametrize(
    ("built", "is_tested"),
    [("stg_airlines", False), ("stg_flights stg_airlines daily_delays", True)],
    ids=["airlines arrived before any flight", "flights came"],
)
def test_a_test_between_two_models_waits_for_both(dbt_project: Path, built: str, is_tested: bool) -> None:
    secret = WarehouseSecret(host="warehouse.invalid", dbname="w", username="u", password=SecretStr("quite-secret"))
    found = subprocess.run(
        [dbt_executable(), "--quiet", "ls", "--select", *built.split(), "--resource-types", "test"],
        cwd=dbt_project,
        env={**os.environ, **warehouse_environment(secret), "DBT_PROFILES_DIR": str(dbt_project)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert ("relationships_stg_flights_carrier_code" in found) is is_tested
    assert ("unique_stg_airlines_carrier_code" in found) is True


def test_lineage_goes_through_steps_stars_and_joins() -> None:
    sql = """
        with a as (select * from "w"."lake"."flights"), b as (select * from "w"."lake"."names"),
        c as (select carrier, count(*) as flights, avg(delay) as delay from a group by carrier)
        select c.carrier, b.name, c.flights, c.delay from c left join b on b.carrier = c.carrier"""
    flights, names = dg.AssetKey("flights"), dg.AssetKey("names")
    lineage = column_lineage(
        sql,
        ["carrier", "name", "flights", "delay"],
        [
            Relation("lake", "flights", flights, ["carrier", "delay"]),
            Relation("lake", "names", names, ["carrier", "name"]),
        ],
    ).deps_by_column

    assert lineage["carrier"] == [dg.TableColumnDep(flights, "carrier")]
    assert lineage["name"] == [dg.TableColumnDep(names, "name")]
    assert lineage["delay"] == [dg.TableColumnDep(flights, "delay")]
    assert lineage["flights"] == []


def test_the_manifest_is_built_again_only_when_a_file_changed(dbt_project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(dbt_project, copy, ignore=shutil.ignore_patterns("logs"))
    before = manifest_path(copy).stat().st_ino
    ensure_manifest(copy)
    assert manifest_path(copy).stat().st_ino == before

    (copy / "models" / "marts" / "one.sql").write_text("select 1 as one\n")
    ensure_manifest(copy)
    assert "model.datalake.one" in read_manifest(copy)["nodes"]


def test_a_missing_manifest_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="datalake dbt-manifest"):
        build_dbt_definitions("analytics", tmp_path)


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no dbt project"):
        ensure_manifest(tmp_path)


def test_loading_the_models_imports_neither_dbt_nor_a_driver(dbt_project: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from datalake_assets.components.dbt.models import build_dbt_definitions\n"
        f"build_dbt_definitions('analytics', Path({str(dbt_project)!r})).get_repository_def()\n"
        "heavy = {'dbt', 'redshift_connector', 'boto3', 'duckdb', 'pyarrow', 'psycopg2', 'httpx'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)

    assert done.stdout.strip() == "[]"
