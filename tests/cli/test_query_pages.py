"""Every command and program of docs/query.md and docs/quarantine.md is one that a person can copy and run."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from datalake_assets.project import PROJECT_ROOT
from tests.cli.conftest import Datalake
from tests.integration.user import Platform, flight, flights_file

PAGES = {name: (PROJECT_ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("query", "quarantine")}
DAYS = ("2013-01-01", "2013-01-02")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def _published(shared_platform: Platform) -> None:
    """Two days of flights, the first with a row set aside, and the airlines."""
    shared_platform.remove(f"flights/dt={DAYS[0]}/corrections.csv.gz")  # of the sample week, which others land
    bad = flight(DAYS[0], 999, dep_delay="late")
    shared_platform.put_day(DAYS[0], flights_file(DAYS[0], 250, lines=[bad]))
    shared_platform.put_day(DAYS[1])
    shared_platform.put("airlines/airlines.csv", "carrier,name\nB6,JetBlue Airways\n")
    for day in DAYS:
        assert shared_platform.run("flights", day).success
    assert shared_platform.run("airlines").success


@pytest.mark.usefixtures("_published", "platform")
@pytest.mark.parametrize("page", list(PAGES))
def test_the_commands_of_a_page_succeed_one_after_the_other(
    page: str, datalake: Datalake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [line for block in blocks(page, "sh") for line in block.splitlines()]
    assert len(commands) > 6
    for command in commands:
        piped, _, rest = command.rpartition(" | ")
        name, *arguments = shlex.split(rest)
        assert name == "datalake"
        answer = " ".join(shlex.split(piped)[1:]) if piped else None
        result = datalake(*arguments, answer=answer)
        assert result.exit_code == 0, f"{command}: {result.output}"
        assert result.output.strip(), command


@pytest.mark.usefixtures("_published", "platform")
def test_the_programs_of_the_page_run() -> None:
    (program,) = blocks("query", "python")
    names: dict[str, object] = {}
    exec(program, names)  # noqa: S102 - the page's own words
    frame: Any = names["frame"]
    assert "JetBlue Airways" in frame["name"].to_list()
    assert str(names["day"]) > DAYS[0]
