"""The example of the documentation is what it says: it validates, it runs, and it can be repeated."""

import re
from pathlib import Path

import dagster as dg

from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.components.declarations import read_all
from datalake_assets.components.steps_pipeline import build_executor, build_steps_definitions
from datalake_assets.components.words.step import StepWords
from datalake_assets.components.words.steps_spec import StepsSpec
from datalake_assets.project import PROJECT_ROOT
from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.warehouse.connection import connect

PAGE = (PROJECT_ROOT / "docs" / "steps.md").read_text(encoding="utf-8")
FILES = re.findall(r"`([\w.]+)`[^\n`]*:\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def written(folder: Path) -> tuple[Path, StepsSpec]:
    place = folder / "content" / "daily_counts"
    place.mkdir(parents=True)
    for name, text in FILES:
        (place / name).write_text(text, encoding="utf-8")
        (place / name).chmod(0o755)
    (found,) = read_all(place)
    assert isinstance(found.spec, StepsSpec)
    return place, found.spec


def test_the_example_has_the_files_that_it_talks_of() -> None:
    assert [name for name, _ in FILES] == ["defs.yaml", "fetch.py", "load.sql", "tell.sh"]


def test_the_example_runs_and_can_be_repeated(sandbox: Sandbox, tmp_path: Path) -> None:
    folder, spec = written(tmp_path)
    with connect(warehouse_secret("content")) as connection:
        connection.execute("DROP SCHEMA IF EXISTS counts CASCADE")
    definitions = dg.Definitions.merge(
        build_steps_definitions("content", spec, folder=folder), dg.Definitions(executor=dg.in_process_executor)
    )
    job = definitions.resolve_job_def("daily_counts")
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            result = job.execute_in_process(instance=instance, partition_key="2026-01-05")
            assert result.success
        said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert "good morning, the counts of 2026-01-05 are there" in said
    with connect(warehouse_secret("content")) as connection:
        found = connection.execute("SELECT dt::VARCHAR, shop, sold FROM counts.sold ORDER BY shop").rows
    assert found == [("2026-01-05", "berlin", 3), ("2026-01-05", "hamburg", 4)]


def test_the_page_names_every_word_of_a_step() -> None:
    table = PAGE.split("## The words of a step")[1].split("##")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(StepWords.model_fields)


def test_the_example_runs_two_steps_side_by_side(tmp_path: Path) -> None:
    _, spec = written(tmp_path)
    assert build_executor(spec.plan()).name == "steps_side_by_side"
