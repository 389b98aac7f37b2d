"""What assets are made of, across accounts and down to columns, as it is declared."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import datalake_assets
from datalake_assets.cli import main
from datalake_assets.components.dbt.manifest import ensure_manifest, read_manifest
from datalake_assets.components.dbt.nodes import DBT_LOCATION, built_nodes, node_key, rendered
from datalake_assets.components.lineage.asset import lineage
from datalake_assets.components.lineage.graph import Column, read_graph
from datalake_assets.errors import ConfigurationError
from datalake_assets.project import DBT_PROJECT


def shown(*arguments: str) -> list[str]:
    result: Result = CliRunner().invoke(main, ["lineage", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_a_pipeline_stands_for_its_last_table_and_shows_what_it_is_made_of_and_who_uses_it() -> None:
    assert shown("flights/flights") == [
        "flights/warehouse/flights  warehouse table, lake.flights, pipeline flights/flights, team:flight-data",
        "",
        "made of",
        "└─ flights/lake/flights",
        "   └─ flights/raw/flights",
        "",
        "used by",
        "└─ analytics/staging/stg_flights  team:analytics",
        "   ├─ analytics/marts/daily_delays",
        "   └─ analytics/marts/weather_delays",
    ]


def test_one_direction_can_be_asked_for() -> None:
    upstream = shown("flights/lake/flights", "--upstream")
    assert "made of" in upstream
    assert not any(line.startswith("used by") for line in upstream)
    downstream = shown("flights/lake/flights", "--downstream")
    assert "used by" in downstream
    assert not any(line.startswith("made of") for line in downstream)
    assert shown("flights/raw/flights", "--upstream")[-1] == "made of nothing that is declared"
    assert shown("marts.daily_delays", "--downstream")[-1] == "used by nothing"


def test_a_column_is_followed_from_the_mart_to_the_raw_file() -> None:
    assert shown("marts.weather_delays", "--column", "share_departed_late", "--upstream") == [
        "analytics/marts/weather_delays share_departed_late",
        "",
        "made of",
        "└─ analytics/staging/stg_flights departure_delay_minutes",
        "   └─ flights/warehouse/flights departure_delay_minutes",
        "      └─ flights/lake/flights departure_delay_minutes",
        "         └─ flights/raw/flights dep_delay",
    ]


def test_a_raw_column_is_followed_to_every_mart_that_uses_it() -> None:
    found = lineage("flights/raw/flights", column="dep_delay")
    used = {(asset, name) for asset, columns in found.columns.items() for name in columns}
    assert ("analytics/marts/daily_delays", "avg_departure_delay_minutes") in used
    assert ("analytics/marts/weather_delays", "departure_delay_above_fair_minutes") in used
    assert ("analytics/marts/daily_delays", "carrier_name") not in used
    assert "flights/raw/airlines" not in found.assets


def test_columns_are_listed_with_what_they_come_from_directly_and_in_the_end() -> None:
    lines = shown("marts.daily_delays", "--columns", "--upstream")
    (line,) = [line for line in lines if line.startswith("origin_airport_name ")]
    assert line.split()[1:] == ["analytics/staging/stg_airports", "airport_name", "flights/raw/airports", "name"]
    used = shown("flights/airports", "--columns", "--downstream")
    (line,) = [line for line in used if line.startswith("name ")]
    assert line.split(maxsplit=1)[1] == "analytics/staging/stg_airports airport_name"


def test_every_model_of_the_project_has_its_columns() -> None:
    graph = read_graph()
    models = [asset for asset in graph.assets.values() if asset.kind == "dbt"]
    assert len(models) >= 7
    for model in models:
        assert graph.columns(model.name), model.name
    assert not graph.unknown_columns()


def test_the_graph_knows_the_assets_that_the_definitions_build() -> None:
    from datalake_assets import definitions

    graph = read_graph()
    for location in ("flights", "content", "core_data", "search", "rent_journey", DBT_LOCATION):
        defined = definitions.build_location(location).resolve_asset_graph()
        keys = [key for key in defined.get_all_asset_keys() if key.path[0] == location]
        built = {key.to_user_string(): defined.get(key) for key in keys}
        for name, node in built.items():
            assert {key.to_user_string() for key in node.parent_keys} == set(graph.assets[name].parents), name
        own = {asset.name for asset in graph.assets.values() if asset.account == location}
        assert own <= built.keys()


def test_child_tables_come_from_the_records_and_from_their_parents() -> None:
    found = lineage("content/lake/movie_posts_likes", columns=True, downstream=False)
    assert set(found.assets) == {
        "content/lake/movie_posts_likes",
        "content/lake/movie_posts_comments",
        "content/lake/movie_posts",
        "content/raw/movie_posts",
    }
    key = Column("content/lake/movie_posts_likes", "post_id")
    assert found.origins(key) == (Column("content/raw/movie_posts", "id"),)


def test_a_query_over_tables_of_other_accounts_is_followed_to_their_files() -> None:
    found = lineage("rent_journey/pipeline_x", columns=True, downstream=False)
    assert {"core_data/raw/listings", "search/raw/searches"} <= set(found.assets)
    city = Column("rent_journey/warehouse/pipeline_x", "city")
    assert Column("core_data/raw/listings", "city") in found.origins(city)
    lines = shown("rent_journey/lake/pipeline_x", "--upstream")
    assert "├─ core_data/lake/listings  team:core-data" in lines


STEPS = """
type: datalake_assets.components.StepsPipeline
attributes:
  name: steps
  owner: team:test
  trigger: {executions: {allOf: [{name: same, account: content}]}}
  steps: [{name: only, shell: "true"}]
"""


def test_steps_are_made_of_what_they_wait_for(tmp_path: Path) -> None:
    declare(tmp_path, "content/same")
    path = tmp_path / "flights" / "steps" / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(STEPS, encoding="utf-8")
    found = lineage("flights/steps", folder=tmp_path)
    assert found.asset == "flights/steps/steps"
    assert found.upstream["flights/steps/steps"] == ("content/lake/same",)


def test_the_diagram_has_a_box_for_each_account_and_an_arrow_for_each_step() -> None:
    lines = shown("flights/airlines", "--mermaid")
    assert lines[0] == "flowchart LR"
    assert {'  subgraph p0["analytics"]', '  subgraph p1["flights"]'} <= set(lines)
    places = {line.split('"')[1]: line.split("[")[0].strip() for line in lines if '["' in line}
    assert f"  {places['lake/airlines']} --> {places['warehouse/airlines']}" in lines
    assert f"  {places['warehouse/airlines']} --> {places['staging/stg_airlines']}" in lines
    columns = shown("flights/airlines", "--mermaid", "--columns")
    assert sum(line.count("-->") for line in columns) > sum(line.count("-->") for line in lines)


def test_programs_get_assets_edges_and_columns() -> None:
    found = json.loads("\n".join(shown("flights/airlines", "--json", "--columns")))
    assert found["asset"] == "flights/warehouse/airlines"
    assert ["flights/raw/airlines", "flights/lake/airlines"] in found["edges"]
    assert {"name": "flights/raw/airlines", "kind": "raw"}.items() <= found["assets"][-2].items()
    assert found["columns"]["analytics/staging/stg_airlines"]["carrier_name"] == [
        ["flights/warehouse/airlines", "name"]
    ]


def test_python_gets_the_same() -> None:
    found = datalake_assets.lineage("marts.daily_delays", downstream=False)
    assert ("flights/lake/airports", "flights/warehouse/airports") in found.edges()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["flights/lake/flihgts"], "there is no asset 'flights/lake/flihgts'. Did you mean flights/lake/flights?"),
        (["flights/flight"], "there is no asset 'flights/flight'. Did you mean flights/flights?"),
        (["xyzzy"], "expected location/layer/table, location/pipeline or schema.table"),
        (["flights/flights", "--column", "carier"], "no column 'carier'. Did you mean carrier?"),
        (["flights/flights", "--mermaid", "--json"], "--mermaid and --json are two forms of the same"),
    ],
)
def test_a_wrong_name_is_one_clear_line(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(main, ["lineage", *arguments])
    assert result.exit_code != 0
    assert told in result.output


WORDS = """
type: datalake_assets.components.LakePipeline
attributes:
  name: {name}
  owner: team:test
  source: {{s3: "{name}/*.csv", format: csv}}
  columns: [{{from: a, to: a, type: int}}]
"""


def declare(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name / "defs.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(WORDS.format(name=path.parent.name), encoding="utf-8")


def test_a_name_of_two_pipelines_is_not_guessed(tmp_path: Path) -> None:
    declare(tmp_path, "flights/same", "content/same")
    with pytest.raises(ConfigurationError, match="several assets; expected one of content/raw/same"):
        lineage("same", folder=tmp_path)
    assert lineage("flights/same", folder=tmp_path).asset == "flights/lake/same"


def test_a_model_whose_sql_needs_dbt_itself_says_so_and_the_rest_is_told(tmp_path: Path) -> None:
    project = dbt_project(tmp_path / "dbt", "select {{ dbt.type_string() }} as a")
    (tmp_path / "locations").mkdir()
    found = lineage("marts.one", folder=tmp_path / "locations", dbt_project=project, columns=True)
    assert list(found.unknown_columns) == ["analytics/marts/one"]
    assert "needs dbt itself" in found.unknown_columns["analytics/marts/one"]
    assert found.assets["flights/warehouse/nowhere"].kind == "unknown"


def dbt_project(folder: Path, sql: str) -> Path:
    """A project as a manifest that was built already: one model that reads one source."""
    target = folder / "target"
    target.mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: test\n", encoding="utf-8")
    source = {
        "resource_type": "source", "source_name": "lake", "name": "nowhere", "schema": "lake", "columns": {},
        "meta": {"dagster": {"asset_key": ["flights", "warehouse", "nowhere"]}}, "package_name": "test",
    }  # fmt: skip
    model = {
        "resource_type": "model", "name": "one", "alias": "one", "schema": "marts", "columns": {"a": {}},
        "raw_code": sql, "package_name": "test", "original_file_path": "models/one.sql",
        "depends_on": {"nodes": ["source.lake.nowhere"]}, "config": {},
    }  # fmt: skip
    manifest = {"sources": {"source.lake.nowhere": source}, "nodes": {"model.one": model}, "macros": {}}
    (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    from datalake_assets.components.dbt.manifest import _digest

    (target / "manifest.digest").write_text(_digest(folder), encoding="ascii")
    return folder


def test_models_are_rendered_with_the_macros_of_the_project() -> None:
    ensure_manifest(DBT_PROJECT)
    manifest = read_manifest(DBT_PROJECT)
    sql = {node["name"]: rendered(node, manifest) for node in built_nodes(manifest)}
    assert "count(*) as flights" in sql["daily_delays"]
    assert '"staging"."stg_flights"' in sql["daily_delays"]
    assert not any("{{" in text or "{%" in text for text in sql.values())


def test_keys_of_models_are_those_of_their_assets() -> None:
    manifest = read_manifest(DBT_PROJECT)
    (node,) = [node for node in built_nodes(manifest) if node["name"] == "daily_delays"]
    assert node_key(DBT_LOCATION, node) == ["analytics", "marts", "daily_delays"]


def test_the_command_needs_no_environment(tmp_path: Path) -> None:
    datalake = Path(sys.executable).parent / "datalake"
    done = subprocess.run(
        [datalake, "lineage", "flights/raw/airlines", "--upstream"],
        env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
