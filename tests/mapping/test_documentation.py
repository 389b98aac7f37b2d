"""The example of the documentation gives the tables that it shows."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from datalake_assets.mapping.spec import MappingSpec
from datalake_assets.project import PROJECT_ROOT
from tests.mapping import golden
from tests.mapping.builders import run_mapping

PAGE = (PROJECT_ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    (text,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def shown(table: str) -> list[dict[str, str]]:
    """The rows of a table of the page whose first cell is its name."""
    (head, body) = re.findall(rf"^\| {table} \|(.*)\n\|[-|]+\n((?:\| \|.*\n)+)", PAGE, re.MULTILINE)[0]
    names = [cell.strip() for cell in head.strip(" |").split("|")]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in body.splitlines()]
    return [dict(zip(names, row, strict=True)) for row in rows]


def mapped(files: Iterable[Path], names: Iterable[str]) -> list[dict[str, str]]:
    rows: list[dict[str, Any]] = [row for path in files for row in pq.read_table(path).to_pylist()]
    return [{name: str(golden.plain(row[name])) for name in names} for row in rows]


def test_the_example_gives_the_tables_it_shows(tmp_path: Path) -> None:
    spec = MappingSpec.model_validate(yaml.safe_load(block("yaml")))
    result = run_mapping(spec, {"posts.json": block("json").encode()}, tmp_path).result

    tables = {"posts": result.good_files} | {child.table: list(child.files) for child in result.children}
    assert set(tables) == {"posts", "posts_comments", "posts_comments_likes"}
    for table, files in tables.items():
        expected = shown(table)
        assert mapped(files, expected[0]) == expected
    assert (result.rows_duplicate, result.rows_bad) == (1, 0)
