"""What docs/writing-pipelines.md shows is what the commands and the helper for tests take."""

import re
import shlex

import click
import dagster as dg
import pytest

from datalake_assets import testing
from datalake_assets.cli import main
from datalake_assets.project import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "writing-pipelines.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    datalake (.*?)(?:\s+#.*)?$", PAGE, re.MULTILINE)
ORIGINS = re.findall(r"^\| `… (--from [^`]*)`", PAGE, re.MULTILINE)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def parse(arguments: list[str]) -> None:
    """Let click take a command line apart, down to the last command, without running it."""
    command: click.Command = main
    context: click.Context | None = None
    while isinstance(command, click.Group):
        context = command.make_context("datalake", arguments, parent=context, resilient_parsing=False)
        name, *arguments = [*context._protected_args, *context.args]
        found = command.get_command(context, name)
        assert found, name
        command = found
    command.make_context(command.name, arguments, parent=context)


@pytest.mark.parametrize("text", COMMANDS)
def test_each_command_of_the_page_is_one(text: str) -> None:
    parse(shlex.split(text))


@pytest.mark.parametrize("options", ORIGINS)
def test_each_origin_of_the_page_is_one(options: str) -> None:
    parse(["new", "pipeline", "shop/orders", *shlex.split(options)])


def test_the_page_shows_commands_origins_and_python() -> None:
    assert (len(COMMANDS) >= 8, len(ORIGINS), len(PYTHON)) == (True, 3, 2)


def test_the_helper_for_tests_has_what_the_page_names() -> None:
    used = set(re.findall(r"\b(?:mapped|made)\.(\w+)", PYTHON[0]))
    assert used == {"rows", "set_aside", "failed_checks", "children", "rescued"}
    assert used <= set(testing.Mapped.__dataclass_fields__)
    assert {"map_files", "run_sql"} <= set(dir(testing))


def test_the_python_beside_the_yaml_is_an_asset() -> None:
    found: dict[str, object] = {}
    exec(compile(PYTHON[1], "report.py", "exec"), found)  # noqa: S102 - it is our own page
    asset = found["weekly"]
    assert isinstance(asset, dg.AssetsDefinition)
    assert dg.AssetKey(["shop", "lake", "orders"]) in asset.dependency_keys
