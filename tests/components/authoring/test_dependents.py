"""Before a pipeline is deleted everything that names it is told; what is deleted is its folder and nothing else."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from datalake_assets.components.authoring import removal
from datalake_assets.components.authoring.dependents import WrittenPipeline, dependents, find_written
from datalake_assets.components.authoring.pipeline import make_pipeline
from datalake_assets.components.authoring.removal import left_behind, remove
from datalake_assets.components.authoring.tree import Tree
from datalake_assets.errors import ConfigurationError
from tests.components.authoring.conftest import everything

NOTHING = Path("/nonexistent")


@pytest.fixture
def bookings(tree: Tree) -> WrittenPipeline:
    make_pipeline(tree, "flights/bookings")
    return find_written(tree, "flights/bookings")


def write(tree: Tree, name: str, attributes: dict[str, Any]) -> None:
    path = tree.locations / name / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump({"type": "datalake_assets.components.SqlPipeline", "attributes": attributes}))


def told(tree: Tree, pipeline: WrittenPipeline, dbt_project: Path = NOTHING) -> list[str]:
    return [each.what for each in dependents(tree, pipeline, dbt_project=dbt_project)]


def test_a_pipeline_that_nobody_names_has_no_dependents(tree: Tree, bookings: WrittenPipeline) -> None:
    write(tree, "content/other", {"reads": ["flights/others"], "trigger": {"schedule": {"hour": 3}}})
    assert told(tree, bookings) == []


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("content", {"name": "bookings", "account": "flights"}),
        ("content", {"name": "bookings", "account": "111111111111", "status": ["FAILED"]}),
        ("content", {"name": "bookings", "account": 111111111111}),
        ("flights", {"name": "bookings"}),
    ],
)
def test_whoever_waits_for_it_is_told_however_it_is_named(
    tree: Tree, bookings: WrittenPipeline, location: str, named: dict[str, Any]
) -> None:
    write(tree, f"{location}/child", {"trigger": {"executions": {"anyOf": [{"allOf": [named]}]}}})
    assert told(tree, bookings) == [f"the pipeline {location}/child waits for it"]


def test_the_same_name_of_another_account_is_another_pipeline(tree: Tree, bookings: WrittenPipeline) -> None:
    write(tree, "content/child", {"trigger": {"executions": {"allOf": [{"name": "bookings"}]}}})
    assert told(tree, bookings) == []


def test_whoever_reads_its_tables_is_told_although_its_own_file_is_broken(
    tree: Tree, bookings: WrittenPipeline
) -> None:
    write(tree, "content/a", {"reads": [{"table": "flights/bookings", "partitions": {"last": 7}}], "nonsense": 1})
    write(tree, "content/b", {"reads": ["flights/bookings_items"]})
    (bookings.folder / "defs.yaml").write_text(
        "attributes: {children: [{table: bookings_items, children: [{table: bookings_parts}]}]}"
    )
    found = find_written(tree, "flights/bookings")
    assert found.tables == ["bookings", "bookings_items", "bookings_parts"]
    assert told(tree, found) == [
        "the pipeline content/a reads flights/bookings",
        "the pipeline content/b reads flights/bookings_items",
    ]


def test_grants_are_told(tree: Tree, bookings: WrittenPipeline) -> None:
    text = tree.registry.read_text()
    line = "    glue_database: flights_lake\n"
    assert line in text
    tree.registry.write_text(text.replace(line, line + "    grants: {bookings: [content], others: [analytics]}\n"))
    assert told(tree, bookings) == ["flights grants its table bookings to content"]


@pytest.mark.parametrize(
    "text",
    [
        'AssetKey(["flights", "lake", "bookings"])',
        "AssetKey(['flights', 'warehouse', 'bookings'])",
        '"flights/raw/bookings"',
    ],
)
def test_python_that_names_one_of_its_assets_is_told(tree: Tree, bookings: WrittenPipeline, text: str) -> None:
    (tree.locations / "flights" / "report.py").write_text(f"KEY = {text}\n")
    (tree.locations / "flights" / "more.py").write_text('KEY = ["flights", "lake", "bookings_of_others"]\n')
    (found,) = dependents(tree, bookings, dbt_project=NOTHING)
    assert found.what == "Python names one of its assets"
    assert found.path.endswith("report.py")


def test_dbt_sources_are_told_with_the_models_that_read_them(
    tree: Tree, bookings: WrittenPipeline, tmp_path: Path
) -> None:
    models = tmp_path / "dbt" / "models"
    models.mkdir(parents=True)
    by_key = {"name": "booked", "config": {"meta": {"dagster": {"asset_key": ["flights", "warehouse", "bookings"]}}}}
    sources = [{"name": "lake", "tables": [by_key, {"name": "bookings"}, {"name": "others"}]}]
    (models / "sources.yml").write_text(yaml.safe_dump({"version": 2, "sources": sources}))
    (models / "stg_booked.sql").write_text("select * from {{ source('lake', 'booked') }}")
    assert told(tree, bookings, tmp_path / "dbt") == [
        "it is the dbt source lake.booked, read by stg_booked",
        "it is the dbt source lake.bookings",
    ]


def test_only_its_folder_goes(tree: Tree, bookings: WrittenPipeline) -> None:
    make_pipeline(tree, "flights/others")
    before = {name: text for name, text in everything(tree).items() if "bookings" not in name}
    remove(tree, bookings, known=[])
    assert everything(tree) == before


def test_what_came_to_depend_on_it_meanwhile_keeps_it(tree: Tree, bookings: WrittenPipeline) -> None:
    write(tree, "content/child", {"reads": ["flights/bookings"]})
    before = everything(tree)
    with pytest.raises(ConfigurationError, match="content/child reads flights/bookings"):
        remove(tree, bookings, known=[])
    assert everything(tree) == before
    remove(tree, bookings, known=dependents(tree, bookings))
    assert not bookings.folder.exists()


def test_a_crash_while_it_is_removed_leaves_no_half_of_it(
    tree: Tree, bookings: WrittenPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    before = everything(tree)
    monkeypatch.setattr(removal.os, "rename", crash)
    with pytest.raises(KeyboardInterrupt):
        remove(tree, bookings, known=[])
    assert everything(tree) == before


def test_one_that_another_has_deleted_is_gone(tree: Tree, bookings: WrittenPipeline) -> None:
    remove(tree, bookings, known=[])
    with pytest.raises(ConfigurationError, match="gone already"):
        remove(tree, bookings, known=[])


def test_the_commands_that_remove_its_data_name_every_table(tree: Tree, bookings: WrittenPipeline) -> None:
    commands = "\n".join(left_behind(tree, bookings))
    for part in (
        "s3://datalake-flights-lake/bookings/",
        "s3://datalake-flights-lake/bookings_quarantine/",
        "--database-name flights_lake --name bookings_quarantine",
        "DROP TABLE lake.bookings",
        "WHERE table_name = 'bookings'",
        "s3://datalake-flights-raw/bookings/dt=",
    ):
        assert part in commands


def test_a_name_that_is_almost_one_is_suggested(tree: Tree, bookings: WrittenPipeline) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean flights/bookings"):
        find_written(tree, "flights/booking")
    with pytest.raises(ConfigurationError, match="ACCOUNT/NAME"):
        find_written(tree, "../../etc")
