"""Commands without what they need: one clear line, never a traceback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datalake_assets.cli.dagster_processes import make_home
from datalake_assets.sandbox.sandbox import Sandbox
from tests.cli.conftest import Datalake
from tests.conftest import forget_accounts
from tests.integration.relay import Relay

DATALAKE = str(Path(sys.executable).parent / "datalake")
COMMANDS = [
    ["arrivals"],
    ["sweep"],
    ["tables"],
    ["load", "flights/flights"],
    ["versions", "flights/flights", "2013-01-01"],
    ["rollback", "flights/flights", "2013-01-01", "--reason", "r", "--yes"],
    ["vacuum"],
]


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Let no later test see what was read from an environment of these."""
    yield
    forget_accounts()


def failing(datalake: Datalake, command: list[str]) -> str:
    """The line that a command ends with; one for each location where it asks all."""
    result = datalake(*command)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert all(line.startswith("Error: ") for line in lines)
    assert len(lines) <= 2
    return lines[-1]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_without_an_environment_a_command_says_which_variable_is_missing(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, datalake: Datalake
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.aws
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget_accounts()
    line = failing(datalake, command)
    assert "datalake sandbox env" in line
    assert any(name in line for name in ("DATALAKE_DATABASE_URL", "DAGSTER_HOME", "AWS_*"))


@pytest.mark.parametrize("command", [COMMANDS[3], COMMANDS[5]], ids=lambda command: command[0])
def test_what_is_told_to_dagster_needs_a_dagster_home_before_anything_changes(
    command: list[str], sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, datalake: Datalake
) -> None:
    assert "DAGSTER_HOME is not set" in failing(datalake, command)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert "has no dagster.yaml" in failing(datalake, command)
    monkeypatch.setenv("DAGSTER_HOME", str(make_home(tmp_path / "home")))
    monkeypatch.delenv("DATALAKE_DAGSTER_DATABASE_URL")
    told = "dagster.yaml cannot be used: DATALAKE_DAGSTER_DATABASE_URL not set"
    assert told in failing(datalake, command)


def test_a_stopped_database_is_one_line(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, datalake: Datalake
) -> None:
    relay = Relay(sandbox.ports["postgres"])
    relay.close()  # a port that nobody listens on any more
    for name in ("DATALAKE_DATABASE_URL", "DATALAKE_DAGSTER_DATABASE_URL"):
        monkeypatch.setenv(name, os.environ[name].replace(f":{sandbox.ports['postgres']}/", f":{relay.port}/"))
    monkeypatch.setenv("DAGSTER_HOME", str(make_home(tmp_path / "home")))
    forget_accounts()
    for command in (["sweep"], ["arrivals"], ["load", "flights/flights"]):
        assert "does not answer" in failing(datalake, command)


def test_a_command_of_its_own_process_ends_with_one_line_and_no_traceback(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run([DATALAKE, "sweep"], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "DATALAKE_DATABASE_URL" in line


def test_help_is_there_without_any_environment_and_imports_no_library(tmp_path: Path) -> None:
    heavy = "import sys; from datalake_assets.cli import main; main(['--help'], standalone_mode=False)"
    check = "; print(sorted({'boto3', 'dagster', 'rich', 'sqlalchemy', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", heavy + check], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("arrivals", "status", "tables", "load", "versions", "rollback", "vacuum"):
        assert command in done.stdout


def test_the_sandbox_prints_a_dagster_home_that_commands_can_use(sandbox: Sandbox) -> None:
    done = subprocess.run(
        [DATALAKE, "sandbox", "env", "--state", str(sandbox.state.path)], capture_output=True, text=True, check=True
    )
    variables = dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines())
    assert (Path(variables["DAGSTER_HOME"]) / "dagster.yaml").is_file()
    assert Path(variables["DAGSTER_HOME"]).parent == sandbox.state.path
