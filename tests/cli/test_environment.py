"""Commands without what they need: one clear line, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from datalake_assets.cli.dagster_processes import make_home
from datalake_assets.sandbox.sandbox import Sandbox
from tests.integration.relay import Relay

DATALAKE = str(Path(sys.executable).parent / "datalake")
COMMANDS = [
    ["arrivals"],
    ["sweep"],
    ["status"],
    ["load", "flights/flights"],
    ["versions", "flights/flights", "2013-01-01"],
    ["rollback", "flights/flights", "2013-01-01", "--reason", "r", "--yes"],
    ["vacuum"],
]


def failing(command: list[str], environment: dict[str, str]) -> str:
    """The one line that a command of its own process ends with."""
    done = subprocess.run([DATALAKE, *command], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_without_an_environment_a_command_says_which_variable_is_missing(command: list[str], tmp_path: Path) -> None:
    line = failing(command, {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"})
    assert "datalake sandbox env" in line
    assert any(name in line for name in ("DATALAKE_DATABASE_URL", "DAGSTER_HOME", "AWS_*"))


@pytest.mark.parametrize("command", [COMMANDS[3], COMMANDS[5]], ids=lambda command: command[0])
def test_what_is_told_to_dagster_needs_a_dagster_home_before_anything_changes(
    command: list[str], sandbox: Sandbox, tmp_path: Path
) -> None:
    environment = {**os.environ}
    assert "DAGSTER_HOME is not set" in failing(command, environment)
    assert "has no dagster.yaml" in failing(command, {**environment, "DAGSTER_HOME": str(tmp_path)})
    home = make_home(tmp_path / "home")
    del environment["DATALAKE_DAGSTER_DATABASE_URL"]
    line = failing(command, {**environment, "DAGSTER_HOME": str(home)})
    assert "dagster.yaml cannot be used: DATALAKE_DAGSTER_DATABASE_URL not set" in line


def test_a_stopped_database_is_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    home = str(make_home(tmp_path / "home"))
    relay = Relay(sandbox.ports["postgres"])
    relay.close()  # a port that nobody listens on any more
    here, gone = f":{sandbox.ports['postgres']}/", f":{relay.port}/"
    environment = {name: value.replace(here, gone) for name, value in os.environ.items()} | {"DAGSTER_HOME": home}
    assert "does not answer" in failing(["sweep"], environment)
    assert "does not answer" in failing(["load", "flights/flights"], environment)


def test_help_is_there_without_any_environment_and_imports_no_library(tmp_path: Path) -> None:
    heavy = "import sys; from datalake_assets.cli import main; main(['--help'], standalone_mode=False)"
    check = "; print(sorted({'boto3', 'dagster', 'rich', 'sqlalchemy', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", heavy + check], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("arrivals", "status", "load", "versions", "rollback", "vacuum"):
        assert command in done.stdout


def test_the_sandbox_prints_a_dagster_home_that_commands_can_use(sandbox: Sandbox) -> None:
    done = subprocess.run(
        [DATALAKE, "sandbox", "env", "--state", str(sandbox.state.path)], capture_output=True, text=True, check=True
    )
    variables = dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines())
    assert (Path(variables["DAGSTER_HOME"]) / "dagster.yaml").is_file()
    assert Path(variables["DAGSTER_HOME"]).parent == sandbox.state.path
