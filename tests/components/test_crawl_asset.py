"""A declared crawl: its words, its mistakes, its asset and schedule, and its report as metadata."""

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from datalake_assets.column_types import TargetType
from datalake_assets.components.crawl_asset import build_crawl_definitions, crawl_key
from datalake_assets.components.crawling import report_metadata
from datalake_assets.components.declarations import CrawlDeclaration, read_declarations, read_everything, refuse_all
from datalake_assets.discovery.report import Change, Conflict, CrawlReport, DiscoveredColumn, DiscoveredTable, Skipped
from datalake_assets.errors import ConfigurationError
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.project import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "crawls.md"
EXAMPLE = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0]


def declared(root: Path, text: str = EXAMPLE, *, name: str = "partner_drops") -> CrawlDeclaration:
    path = root / "flights" / name / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    everything = read_everything(root)
    refuse_all(everything.mistakes)
    (found,) = everything.crawls
    return found


def test_the_example_of_the_documentation_becomes_an_asset_with_a_schedule(tmp_path: Path) -> None:
    found = declared(tmp_path)
    definitions = build_crawl_definitions("flights", found.spec, folder=found.path.parent)
    graph = definitions.resolve_asset_graph()
    assert graph.get_all_asset_keys() == {crawl_key("flights", "partner_drops")}
    (schedule,) = definitions.schedules or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 5 * * *", "Europe/Berlin")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_crawl_is_no_pipeline(tmp_path: Path) -> None:
    declared(tmp_path)
    assert read_declarations(tmp_path) == []


def test_without_a_schedule_there_is_none(tmp_path: Path) -> None:
    text = "\n".join(line for line in EXAMPLE.splitlines() if "schedule" not in line)
    definitions = build_crawl_definitions("flights", declared(tmp_path, text).spec, folder=tmp_path)
    assert list(definitions.schedules or []) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('cron: "0 5 * * *"', 'cron: "0 25 * * *"', "not a cron schedule"),
        ("Europe/Berlin", "Europe/Berlinn", "did you mean 'Europe/Berlin'?"),
        ("policy: add_columns", "policy: add_column", "did you mean 'add_columns'?"),
        ("deleted: deprecate", "deleted: forget", "allowed: keep, deprecate, remove"),
        ("team:partners", "partners", "team:NAME"),
        ("register: true", "register: maybe", "expected true or false"),
        ("register: true", "regster: true", "did you mean 'register'?"),
        ('["s3://datalake-flights-raw/partners/"]', "[]", "expected at least 1 of them"),
        ('["s3://datalake-flights-raw/partners/"]', "postgresql://u:secret@h/d", "a URI holds a password"),
        ("name: partner_drops", "name: other", "the name of its folder"),
        ("register: true", "classifiers: no.yaml", "there is no file 'no.yaml' beside the defs.yaml"),
        ("register: true", "classifiers: ../../x.yaml", "a file beside the defs.yaml"),
    ],
)
def test_a_mistake_is_reported_where_it_was_typed(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in EXAMPLE
    with pytest.raises(ConfigurationError) as caught:
        declared(tmp_path, EXAMPLE.replace(old, new))
    assert expected in str(caught.value)
    line = next(n for n, text in enumerate(EXAMPLE.splitlines(), start=1) if old in text)
    assert f"defs.yaml:{line}:" in str(caught.value)


def test_a_password_is_not_repeated_in_the_message(tmp_path: Path) -> None:
    uris = '["s3://datalake-flights-raw/partners/"]'
    with pytest.raises(ConfigurationError) as caught:
        declared(tmp_path, EXAMPLE.replace(uris, '["postgresql://user:hunter2@host/db"]'))
    assert "hunter2" not in str(caught.value)


LOAD_ALONE = """
import socket, sys, warnings
from pathlib import Path
def refuse(*_, **__): raise AssertionError("a socket was opened while a crawl was loaded")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
import team.defs
from dagster.components.core.component_tree import ComponentTree
folder = Path(sys.argv[1])
defs = ComponentTree.from_module(defs_module=team.defs, project_root=folder.parents[2]).build_defs(folder)
keys = [key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()]
heavy = {"boto3", "duckdb", "pyarrow", "pandas", "psycopg2", "sqlalchemy"} & set(sys.modules)
print(keys, sorted(heavy))
"""


def test_dagster_loads_it_without_network_and_heavy_libraries(tmp_path: Path) -> None:
    project = tmp_path / "project"
    defs = project / "team" / "defs" / "flights"
    (defs / "partner_drops").mkdir(parents=True)
    (defs / "partner_drops" / "defs.yaml").write_text(EXAMPLE, encoding="utf-8")
    for package in (project / "team", project / "team" / "defs"):
        (package / "__init__.py").touch()
    (project / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "team"\n', encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD_ALONE, str(defs)],
        cwd=project,
        env={"PATH": "/usr/bin", "HOME": str(tmp_path), "PYTHONPATH": f"{PROJECT_ROOT}:{project}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "['flights/crawl/partner_drops'] []"


def report(changes: tuple[Change, ...] | None) -> CrawlReport:
    column = DiscoveredColumn(
        "price", "Pr|ce `x`", TargetType.parse("int"), 3, 10, conflicts=(Conflict("varchar", 2, ("n/a",)),)
    )
    table = DiscoveredTable("orders", "s3://b/orders/", SourceFormat(), None, (column,), files=4)
    skipped = (Skipped("s3://b/orders/x.bin", "UNKNOWN", "no classifier *knows* it"),)
    return CrawlReport(("s3://b/",), (table,), skipped, 1, listed_files=5, listed_bytes=100, changes=changes)


def test_the_report_becomes_numbers_and_pages() -> None:
    changes = (Change("column", "changed", "orders.price", "int", "bigint", "applied"),)
    found = report_metadata(report(changes))
    assert (found["tables"], found["columns"], found["listed_files"], found["changes"]) == (1, 1, 5, 1)
    assert "| price | `int` | `Pr\\|ce 'x'` | 3 of 10 | 1.00 | 2 look like varchar |" in found["found"].value
    assert found["changed"].value == "- column `orders.price` is changed: `int` → `bigint` (applied)"
    assert found["skipped"].value == "- `s3://b/orders/x.bin`: no classifier \\*knows\\* it"


def test_a_first_crawl_and_one_without_changes_say_so() -> None:
    assert "first crawl" in report_metadata(report(None))["changed"].value
    assert "Nothing changed" in report_metadata(report(()))["changed"].value
