"""The code locations: one list of them everywhere, and each loads with nothing but this project."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from datalake_assets.accounts.registry import load_registry
from datalake_assets.project import DBT_PROJECT, LOCATIONS_FOLDER, WORKSPACE

LOAD_ALONE = """
import json, socket, sys
def refuse(*_, **__): raise AssertionError("a location opened a socket while it was loaded")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
from datalake_assets import definitions
repository = getattr(definitions, sys.argv[1]).get_repository_def()
repository.load_all_definitions()
heavy = {"boto3", "duckdb", "pyarrow", "pandas", "redshift_connector", "psycopg2", "sqlalchemy", "sqlglot", "dbt"}
heavy = sorted(heavy & set(sys.modules))
print(json.dumps({"assets": sorted(k.to_user_string() for k in repository.asset_graph.get_all_asset_keys()),
                  "jobs": sorted(repository.job_names), "sensors": sorted(s.name for s in repository.sensor_defs),
                  "heavy": heavy}))
"""


def names_in_workspace() -> list[str]:
    entries = yaml.safe_load(WORKSPACE.read_text(encoding="utf-8"))["load_from"]
    return [entry["python_module"]["location_name"] for entry in entries]


def load_alone(name: str, tmp_path: Path) -> dict[str, list[str]]:
    """Load a location in a process without network, credentials, home directory or settings."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD_ALONE, name], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_workspace_registry_and_folders_name_the_same_locations() -> None:
    folders = sorted(path.name for path in LOCATIONS_FOLDER.iterdir() if (path / "__init__.py").exists())
    assert sorted(names_in_workspace()) == sorted(load_registry().accounts) == folders


def test_each_workspace_entry_has_its_own_name_as_attribute() -> None:
    for entry in yaml.safe_load(WORKSPACE.read_text(encoding="utf-8"))["load_from"]:
        module = entry["python_module"]
        assert module["module_name"] == "datalake_assets.definitions"
        assert module["attribute"] == module["location_name"]


@pytest.mark.parametrize("name", names_in_workspace())
def test_a_location_loads_without_network_credentials_or_settings(name: str, tmp_path: Path) -> None:
    from datalake_assets.components.dbt.manifest import ensure_manifest

    ensure_manifest(DBT_PROJECT)
    found = load_alone(name, tmp_path)
    # dagster_dbt imports it; elsewhere the expressions of columns are parsed before they can fail in a run.
    needed = ["sqlglot"] if name in ("analytics", "content", "operations") else []
    assert found["heavy"] == needed, "importing a location should leave these to the runs"


def test_each_pipeline_has_raw_lake_and_warehouse_assets_and_a_job(tmp_path: Path) -> None:
    found = load_alone("flights", tmp_path)
    for table in ("flights", "weather", "airlines", "airports", "planes"):
        assert {f"flights/{layer}/{table}" for layer in ("raw", "lake", "warehouse")} <= set(found["assets"])
        assert table in found["jobs"]
    assert found["sensors"] == ["flights_arrivals"]
