"""The real dbt-redshift against the gateway, with and without its SHOW commands (`datasharing`)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import DATABASE, LOADER, LOADER_PASSWORD
from .dbt_project_files import write_project

pytestmark = pytest.mark.slow

_RUN_ALL = """
import sys
from dbt.cli.main import dbtRunner
runner = dbtRunner()
for command in sys.argv[1:]:
    outcome = runner.invoke(command.split())
    if not outcome.success:
        sys.exit(f"dbt {command} failed: {outcome.exception or ''}")
"""
_COMMANDS = ("seed", "run", "snapshot", "run", "snapshot", "test", "docs generate")


def run_dbt(folder: Path, *commands: str) -> str:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _RUN_ALL,
            *(f"{command} --no-use-colors --project-dir {folder} --profiles-dir {folder}" for command in commands),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("datasharing", [False, True], ids=["catalog queries", "SHOW commands"])
def test_a_project_is_built_twice_snapshotted_tested_and_documented(
    gateway, cursor, schema, tmp_path, datasharing, reader
):
    write_project(
        tmp_path,
        port=gateway.port,
        schema=schema,
        datasharing=datasharing,
        database=DATABASE,
        user=LOADER,
        password=LOADER_PASSWORD,
    )
    run_dbt(tmp_path, *_COMMANDS)
    cursor.execute(f"select names, birds, days from {schema}.birds_by_month order by month")
    assert [list(row) for row in cursor.fetchall()] == [['owl, "barn", wren', 2, 1], ["it's a kite", 1, 0]]
    cursor.execute(f"select name from {schema}.heaviest_bird")
    assert cursor.fetchone() == ['owl, "barn"']
    for table in ("birds_so_far", "birds_merged", "bird_history", "materialized_birds"):
        cursor.execute(f"select count(*) from {schema}.{table}")
        assert cursor.fetchone() == [3], table
    cursor.execute(f"select has_table_privilege('{reader}', '{schema}.birds_by_month', 'select')")
    assert cursor.fetchone() == [True]
    catalog = json.loads((tmp_path / "target" / "catalog.json").read_text())
    node = catalog["nodes"]["model.tiny.stg_birds"]
    assert node["metadata"]["comment"] == "One row per bird; it's 'quoted' -- and $dollars$"
    assert node["columns"]["id"]["comment"] == "Its number"
    assert catalog["nodes"]["model.tiny.birds_by_month"]["metadata"]["type"] == "BASE TABLE"
    assert catalog["nodes"]["model.tiny.late_birds"]["metadata"]["type"] == "VIEW"
