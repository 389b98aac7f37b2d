"""What docs/discovery.md shows is what `datalake crawl` says."""

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from datalake_assets.cli import main
from datalake_assets.project import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "discovery.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_says_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands, shown = re.findall(r"```(?:bash)?\n(.*?)```", PAGE, re.DOTALL)[:2]
    *prepare, crawl = commands.strip().splitlines()
    subprocess.run(["bash", "-euc", "\n".join(prepare)], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    result = CliRunner().invoke(main, crawl.split()[1:])
    assert result.exit_code == 0
    said = [" ".join(line.split()) for line in result.stdout.replace(str(tmp_path.resolve()), "…").splitlines()]
    for line in shown.rstrip().splitlines():
        start = " ".join(line.split()).removesuffix(" …").rstrip(",")  # the page leaves out what is too wide for it
        assert any(each.startswith(start) for each in said), (line, result.stdout)


def test_every_option_of_the_page_is_one_of_the_command() -> None:
    told = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    help_text = CliRunner().invoke(main, ["crawl", "--help"]).output
    assert {option for option in told if option not in help_text} == set()
