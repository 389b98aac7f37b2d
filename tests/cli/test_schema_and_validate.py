"""`datalake schema` agrees with what is declared, and `datalake validate` tells all mistakes of a tree at once."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from datalake_assets.cli import main
from datalake_assets.components.json_schema import json_schema
from datalake_assets.components.validation import validate as validation
from datalake_assets.project import LOCATIONS_FOLDER, PROJECT_ROOT

FILES = sorted(LOCATIONS_FOLDER.rglob("defs.yaml"))


def complaints(text: str) -> list[str]:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return [
        f"{each.json_path}: {each.message}" for each in Draft202012Validator(schema).iter_errors(yaml.safe_load(text))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}")
def test_every_file_of_the_repository_fits_the_schema(path: Path) -> None:
    assert complaints(path.read_text(encoding="utf-8")) == []


TRIGGERED = """\
type: datalake_assets.components.StepsPipeline
attributes:
  name: x
  owner: team:a
  partitions: {hourly: "2026-01-01", time_zone: Europe/Berlin}
  trigger:
    operator: OR
    schedule: {hour: [3, 15], days: [mon]}
    executions:
      allOf:
        - {name: listings, account: 555555555555, status: SUCCESS}
        - anyOf: [{name: searches, account: search, partitions: {last: 7}}]
    not_before: "06:00"
    at_latest: {time: "09:00", timezone: Europe/Berlin}
  retries: 2
  max_runtime: 2h
  steps: [{name: a, shell: "true"}]
"""


def test_the_schema_takes_all_words_of_triggers() -> None:
    assert complaints(TRIGGERED) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("StepsPipeline", "StepPipeline", "$.type: "),
        ("status: SUCCESS", "status: SUCCEEDED", "$.attributes.trigger"),
        ("hour: [3, 15]", "hour: 24", "$.attributes.trigger"),
        ("retries: 2", "retrys: 2", "$.attributes: "),
        ("days: [mon]", "days: [monday]", "$.attributes.trigger"),
        ("  owner: team:a\n", "", "$.attributes: 'owner' is a required property"),
    ],
)
def test_the_schema_refuses_what_validation_refuses(old: str, new: str, expected: str) -> None:
    assert old in TRIGGERED
    told = complaints(TRIGGERED.replace(old, new, 1))
    assert any(each.startswith(expected) for each in told), told


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    printed = CliRunner().invoke(main, ["schema"])
    assert json.loads(printed.output) == json_schema()
    written = CliRunner().invoke(main, ["schema", "--output", str(tmp_path / "defs.schema.json")])
    assert written.exit_code == 0
    assert json.loads((tmp_path / "defs.schema.json").read_text()) == json_schema()


def command(*arguments: str, **environment: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from datalake_assets.cli import main; main()", "validate", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=PROJECT_ROOT,
        check=False,
    )


REGISTRY = """\
platform: {id: "100000000000", region: eu-central-1, alerts_secret: datalake/alerts}
accounts:
  shop:
    id: "100000000001"
    role: arn:aws:iam::100000000001:role/datalake-location
    regions: [eu-central-1]
    raw_bucket: shop-raw
    lake_bucket: shop-lake
    arrivals_queue: shop-arrivals
    glue_database: shop_lake
    warehouse_secret: datalake/warehouse
"""
SQL = """\
type: datalake_assets.components.SqlPipeline
attributes:
  name: NAME
  owner: team:shop
  reads: [shop/orders]
  partitions: {daily: "2026-01-01"}
  sql: SELECT count(*) AS orders FROM orders WHERE dt = $partition
  columns: [{name: orders, type: bigint}]
"""
LAKE = """\
type: datalake_assets.components.LakePipeline
attributes:
  name: NAME
  owner: team:shop
  source: {s3: "NAME/dt={partition}/*.csv", format: csv}
  partitions: {daily: "2026-01-01"}
  columns: [{from: Id, to: order_id, type: bigint}]
"""


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, str]:
    """An organisation's own locations and registry."""
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    for name, text in (("orders", LAKE), ("counted", SQL)):
        path = tmp_path / "locations" / "shop" / name / "defs.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text.replace("NAME", name))
    return {
        "DATALAKE_LOCATIONS": str(tmp_path / "locations"),
        "DATALAKE_REGISTRY": str(tmp_path / "registry.yaml"),
    }


def edit(tree: dict[str, str], name: str, old: str, new: str) -> None:
    path = Path(tree["DATALAKE_LOCATIONS"]) / "shop" / name / "defs.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_a_tree_without_mistakes_is_valid(tree: dict[str, str]) -> None:
    done = command(**tree)
    assert (done.returncode, done.stdout) == (0, "2 pipelines are valid.\n"), done.stderr


def test_all_kinds_of_mistakes_are_told_at_once(tree: dict[str, str]) -> None:
    edit(tree, "orders", "columns:", "trigger: {executions: {allOf: [{name: countd}]}}\n  columns:")
    edit(tree, "counted", "SELECT count(*)", "SELECT frobnicate(order_id)")
    done = command(**tree)
    assert done.returncode == 1
    assert "2 mistakes in the declared pipelines" in done.stderr
    assert re.search(r"counted/defs\.yaml:7:8: attributes\.sql: .*frobnicate", done.stderr)
    assert re.search(r"orders/defs\.yaml:7:41: .*shop has no pipeline 'countd'; did you mean 'counted'\?", done.stderr)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("AS orders FROM", "AS n FROM", "the query makes no column 'orders'; it makes n"),
        ("FROM orders", "FROM weather", "weather is not among those of `reads`"),
        ("FROM orders WHERE dt = $partition", "", "the query does not read flights/orders"),
        ("$partition", "$day", "$day has no value"),
        ("$partition", "current_date", "current_date hangs on when the query runs"),
        ("SELECT count(*)", "SELECT sum(price)", "price"),
    ],
)
def test_a_query_is_bound_to_the_declared_columns(tree: dict[str, str], old: str, new: str, expected: str) -> None:
    edit(tree, "counted", old, new)
    locations = Path(tree["DATALAKE_LOCATIONS"])
    (locations / "shop").rename(locations / "flights")  # which the registry of this process knows
    counted = locations / "flights" / "counted" / "defs.yaml"
    counted.write_text(counted.read_text().replace("shop/orders", "flights/orders"))
    told = [str(each) for each in validation.validate(folder=locations).mistakes]
    assert told
    assert all(f"{counted}:7:" in each for each in told)
    assert expected in told[0]


def test_a_registry_with_mistakes_hides_none_of_the_pipelines(tree: dict[str, str]) -> None:
    Path(tree["DATALAKE_REGISTRY"]).write_text(REGISTRY.replace("lake_bucket: shop-lake", "lake_bucket: A_B"))
    edit(tree, "orders", "owner: team:shop", "owner: nobody")
    done = command(**tree)
    assert done.returncode == 1
    assert "the account registry has mistakes" in done.stderr
    assert "attributes.owner: not an owner" in done.stderr


@pytest.mark.parametrize(("name", "expected"), [("orders", 1), ("counted", 0)])
def test_one_file_is_checked_beside_all_others(tree: dict[str, str], name: str, expected: int) -> None:
    edit(tree, "orders", "columns:", "trigger: {executions: {allOf: [{name: countd}]}}\n  columns:")
    path = Path(tree["DATALAKE_LOCATIONS"]) / "shop" / name / "defs.yaml"
    assert command(str(path), **tree).returncode == expected
