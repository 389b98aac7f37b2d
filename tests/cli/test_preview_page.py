"""The examples of docs/preview.md print what the page says."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from datalake_assets.cli import main
from datalake_assets.project import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "preview.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str]]:
    """Each command of the page and what follows it, in order."""
    found = []
    for block in CONSOLE.findall(PAGE.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def test_every_example_prints_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = 0
    for command, output in examples():
        program, *arguments = shlex.split(command)
        if program == "cat":
            Path(arguments[0]).write_text(output, encoding="utf-8")
            continue
        assert program == "datalake"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.stderr
        assert result.stdout == output, command
        commands += 1
    assert commands >= 6
