"""The words of a SqlPipeline, its mistakes where they stand, and the assets that it becomes."""

import re
from pathlib import Path

import dagster as dg
import pytest

from datalake_assets.components.declarations import read_all
from datalake_assets.components.pipelines import DeclaredPipeline, find_locations, find_pipelines, with_raw_files
from datalake_assets.components.sql_pipeline import build_sql_definitions
from datalake_assets.components.validation.validate import validate
from datalake_assets.components.words.sql_spec import SqlSpec
from datalake_assets.errors import ConfigurationError
from datalake_assets.project import LOCATIONS_FOLDER, PROJECT_ROOT
from datalake_assets.triggers.model import Span

LISTINGS = """\
type: datalake_assets.components.LakePipeline
attributes:
  name: listings
  owner: team:core-data
  source: {s3: "listings/dt={partition}/*.csv", format: csv}
  partitions: {daily: "2026-01-01"}
  columns:
    - {from: Id, to: listing_id, type: bigint, required: true}
    - {from: City, to: city, type: varchar}
"""
METRIC = """\
type: datalake_assets.components.SqlPipeline
attributes:
  name: metric
  owner: team:rent-journey
  reads:
    - {table: core_data/listings, partitions: {last: 7}}
  sql: metric.sql
  partitions: {daily: "2026-01-01"}
  columns:
    - {name: city, type: varchar, required: true}
    - {name: listings, type: int}
  checks:
    - {expression: "city <> ''", name: some}
  warehouse: {table: lake.metric, sort: [dt]}
"""
SQL = "SELECT city, count(*) AS listings FROM core_data.listings WHERE dt = $partition GROUP BY city\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "core_data/listings", LISTINGS)
    write(tmp_path, "rent_journey/metric", METRIC)
    (tmp_path / "rent_journey/metric/metric.sql").write_text(SQL, encoding="utf-8")
    return tmp_path


def write(root: Path, name: str, text: str) -> Path:
    path = root / name / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def metric(root: Path) -> SqlSpec:
    (found,) = read_all(root / "rent_journey")
    assert isinstance(found.spec, SqlSpec)
    return found.spec


def mistakes(root: Path) -> list[str]:
    return [str(each).partition("rent_journey/metric/defs.yaml:")[2] for each in validate(root, folder=root).mistakes]


def test_a_pipeline_and_its_file_are_valid(root: Path) -> None:
    assert mistakes(root) == []
    spec = metric(root)
    assert spec.parents_read() == (("core_data/listings", Span(last=7)),)
    assert spec.assets("rent_journey")[-1] == ("rent_journey", "warehouse", "metric")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (("name: listings, type: int", "name: number, type: int"),
         "7:8: attributes.sql: metric.sql: the query makes no column 'number'; it makes city, listings"),
        (("    - {name: listings, type: int}\n", ""),
         "7:8: attributes.sql: metric.sql: the query makes the column 'listings', which `columns` does not name"),
        (("sql: metric.sql", "sql: metrics.sql"), "7:8: attributes.sql: there is no file 'metrics.sql' beside"),
        (("sql: metric.sql", "sql: metric"), "7:8: attributes.sql: expected a query that begins with SELECT"),
        (("core_data/listings,", "core_data.listings,"), "did you mean 'core_data/listings'?"),
        (("name: listings, type: int", "name: dt, type: date"), "11:14: attributes.columns[1].name: column 'dt' is"),
        (("name: listings, type: int", "name: city, type: int"), "11:14: attributes.columns[1].name: the column"),
        (("type: int}", 'type: "array<int>"}'), "11:30: attributes.columns[1].type: the warehouse takes no array<int>"),
        (("type: int}", "type: number}"), "type 'number' is unknown"),
        (('  partitions: {daily: "2026-01-01"}\n', ""), "a table without partitions reads all of the other's"),
        (("sort: [dt]", "sort: [day]"), "attributes.warehouse.sort: 'day' is no column of the table"),
        (("city <> ''", "length(city)"), "13:20: attributes.checks[0].expression: "),
        (("daily:", "hourly:"), "attributes.partitions"),
        (("last: 7", "last: 0"), "attributes.reads[0].partitions.last: expected at least 1"),
        (("table: core_data/listings", "tables: core_data/listings"), "attributes.reads[0]"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_stands(root: Path, changed: tuple[str, str], expected: str) -> None:
    write(root, "rent_journey/metric", METRIC.replace(*changed))
    found = mistakes(root)
    assert any(expected in each for each in found), found


def test_the_query_stands_in_the_file_or_in_the_yaml(root: Path) -> None:
    write(root, "rent_journey/metric", METRIC.replace("sql: metric.sql", f"sql: |\n    {SQL}"))
    assert mistakes(root) == []
    assert metric(root).query(root).strip() == SQL.strip()


def test_a_table_that_is_derived_can_be_read_by_the_next(root: Path) -> None:
    text = METRIC.replace("metric", "trend").replace("core_data/listings", "rent_journey/metric")
    write(root, "rent_journey/trend", text.replace("sql: trend.sql", "sql: SELECT city, listings FROM metric"))
    assert mistakes(root) == []


def test_assets_depend_on_the_tables_that_are_read_with_their_window(root: Path) -> None:
    definitions = build_sql_definitions("rent_journey", metric(root), root)
    graph = definitions.get_repository_def().asset_graph
    lake, read = dg.AssetKey(["rent_journey", "lake", "metric"]), dg.AssetKey(["core_data", "lake", "listings"])
    assert graph.get(lake).parent_keys == {read}
    mapping = graph.get_partition_mapping(lake, read)
    assert isinstance(mapping, dg.TimeWindowPartitionMapping)
    assert (mapping.start_offset, mapping.end_offset) == (-6, 0)
    job = definitions.resolve_job_def("metric")
    assert job.tags["datalake/pipeline"] == "rent_journey/metric"


def test_commands_on_tables_know_both_kinds_and_those_on_files_one(root: Path) -> None:
    assert [each.name for each in find_pipelines([], root)] == ["core_data/listings", "rent_journey/metric"]
    assert [each.name for each in with_raw_files(root)] == ["core_data/listings"]
    assert find_locations([], root) == ["core_data", "rent_journey"]
    assert find_locations([], root, raw=True) == ["core_data"]
    with pytest.raises(ConfigurationError, match="has no raw files: it is made of core_data/listings"):
        find_pipelines(["rent_journey/metric"], root, raw=True)


def test_a_declared_table_of_others_is_a_pipeline_to_everything_else(root: Path) -> None:
    declared = DeclaredPipeline("rent_journey", metric(root), root)
    assert declared.partition("2026-01-05") == "2026-01-05"
    with pytest.raises(ConfigurationError, match="no such partition"):
        declared.partition("2025-12-31")
    pipeline = declared.pipeline
    assert pipeline.warehouse is not None
    assert pipeline.is_partitioned
    assert [column.name for column in pipeline.lake_schema.columns[:2]] == ["city", "listings"]
    assert pipeline.derivation is not None
    assert pipeline.derivation.column_lineage()["city"] == [(("core_data", "lake", "listings"), "city")]


def test_a_table_that_is_read_must_be_declared(root: Path) -> None:
    write(root, "rent_journey/metric", METRIC.replace("core_data/listings", "core_data/listing"))
    with pytest.raises(ConfigurationError, match="reads core_data/listing, and there is no such pipeline"):
        build_sql_definitions("rent_journey", metric(root), root)


def test_the_example_of_the_documentation_is_valid(tmp_path: Path) -> None:
    page = (PROJECT_ROOT / "docs" / "sql-pipelines.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"^```(yaml|sql)\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    for name in ("core_data/listings", "search/searches"):
        write(tmp_path, name, (LOCATIONS_FOLDER / name / "defs.yaml").read_text(encoding="utf-8"))
    path = write(tmp_path, "rent_journey/city_week", blocks["yaml"])
    path.with_name("city_week.sql").write_text(blocks["sql"], encoding="utf-8")
    assert [str(each) for each in validate(tmp_path, folder=tmp_path).mistakes] == []
    (found,) = read_all(path)
    assert isinstance(found.spec, SqlSpec)
    assert len(build_sql_definitions("rent_journey", found.spec, tmp_path).resolve_asset_graph().get_all_asset_keys())
