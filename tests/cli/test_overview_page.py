"""The overview's commands on a running platform, and every example of docs/overview.md as a person copies it."""

import json
import re
import shlex

import pytest

import datalake_assets
from datalake_assets.project import PROJECT_ROOT
from datalake_assets.sandbox.samples import first_days, land
from tests.cli.conftest import Datalake
from tests.integration.user import Platform

PAGE = (PROJECT_ROOT / "docs" / "overview.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def one_day(shared_platform: Platform) -> None:
    """The day that the page's examples are about."""
    assert land(shared_platform.s3, shared_platform.account.raw_bucket, first_days(1)).files
    assert shared_platform.run("flights", "2013-01-01").success


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("one_day", "platform")
def test_a_command_of_the_page_succeeds(command: str, datalake: Datalake) -> None:
    name, *arguments = shlex.split(command)
    assert name == "datalake"
    result = datalake(*arguments)
    assert result.exit_code == 0, result.output
    assert result.output.strip()


@pytest.mark.usefixtures("one_day", "platform")
def test_the_page_s_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks("python")
    exec(compile(example, "docs/overview.md", "exec"), {})  # noqa: S102 - the page is ours
    assert "flights/flights team:flight-data SUCCESS" in capsys.readouterr().out


@pytest.mark.usefixtures("one_day", "platform")
def test_programs_and_python_get_what_the_commands_tell(datalake: Datalake) -> None:
    told = {each["pipeline"]: each for each in json.loads(datalake("status", "--json").output)}
    assert {each.pipeline for each in datalake_assets.status()} == told.keys()
    assert told["flights/flights"]["outcome"] == "SUCCESS"
    why = json.loads(datalake("why", "flights/flights", "2013-01-01", "--json").output)
    assert why["runs"][0]["outcome"] == "SUCCESS"
    assert why["made_at"]


@pytest.mark.usefixtures("platform")
def test_a_partition_of_which_nothing_arrived_waits_for_its_files(datalake: Datalake) -> None:
    lines = datalake("why", "flights/weather", "2013-12-24").output.splitlines()
    assert lines[0] == "flights/weather 2013-12-24: nothing of it has arrived"
    assert "  data   not there yet" in lines


@pytest.mark.usefixtures("platform")
def test_trouble_leaves_out_what_is_in_order(datalake: Datalake) -> None:
    shown = json.loads(datalake("status", "flights", "--trouble", "--json").output)
    everything = json.loads(datalake("status", "flights", "--json").output)
    assert len(shown) < len(everything)


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["status", "flihgts"], "there is no account or pipeline 'flihgts'. Did you mean flights?"),
        (
            ["why", "flights/wether", "2013-01-01"],
            "there is no pipeline 'flights/wether'. Did you mean flights/weather",
        ),
        (["why", "flights/airlines", "2013-01-01"], "flights/airlines has no partitions"),
    ],
)
def test_a_wrong_name_is_one_clear_line(arguments: list[str], told: str, datalake: Datalake) -> None:
    result = datalake(*arguments)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert told in line
