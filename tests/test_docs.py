"""What the documentation shows is what the platform takes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from datalake_assets.components.declarations import read_declarations
from datalake_assets.project import PROJECT_ROOT

PAGES = [PROJECT_ROOT / "README.md", PROJECT_ROOT / "CONTRIBUTING.md", *sorted((PROJECT_ROOT / "docs").rglob("*.md"))]
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def pipeline_examples() -> list[tuple[str, str]]:
    return [
        (f"{page.name}-{number}", block)
        for page in PAGES
        for number, block in enumerate(YAML_BLOCK.findall(page.read_text(encoding="utf-8")))
        if block.startswith("type: datalake_assets.components.LakePipeline")
    ]


@pytest.mark.parametrize(("label", "text"), pipeline_examples(), ids=[label for label, _ in pipeline_examples()])
def test_a_pipeline_of_the_documentation_is_valid_and_becomes_assets(label: str, text: str, tmp_path: Path) -> None:
    from datalake_assets.components.lake_pipeline import build_pipeline_definitions

    name = re.search(r"^  name: (\w+)$", text, re.MULTILINE)
    assert name
    path = tmp_path / "flights" / name[1] / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    (declaration,) = read_declarations(path)
    definitions = build_pipeline_definitions("flights", declaration.spec)
    assert len(definitions.resolve_asset_graph().get_all_asset_keys()) == 3


def test_the_documentation_shows_at_least_one_pipeline() -> None:
    assert pipeline_examples()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


TEST_NAME = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_promise_names_a_test_that_is_there() -> None:
    named = TEST_NAME.findall((PROJECT_ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8"))
    assert len(named) >= 20
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (PROJECT_ROOT / file).exists() or f"def {name}(" not in (PROJECT_ROOT / file).read_text(encoding="utf-8")
    ]
    assert not missing


@pytest.mark.parametrize(
    "command",
    [
        "arrivals",
        "crawl",
        "delete",
        "demo",
        "dev",
        "land",
        "lineage",
        "load",
        "new",
        "policy",
        "preview",
        "quarantine",
        "query",
        "rerun",
        "rollback",
        "sandbox",
        "schema",
        "script",
        "status",
        "sweep",
        "tables",
        "vacuum",
        "validate",
        "versions",
        "why",
    ],
)
def test_each_command_explains_itself(command: str) -> None:
    datalake = Path(sys.executable).parent / "datalake"
    shown = subprocess.run([datalake, command, "--help"], capture_output=True, text=True, check=True).stdout
    listed = subprocess.run([datalake, "--help"], capture_output=True, text=True, check=True).stdout
    assert "Usage: datalake" in shown
    assert command in listed
