"""`datalake crawl`, as a person calls it."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from datalake_assets.cli import main


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "sales" / "dt=2026-11-01"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("id;amount;day\n" + "".join(f"{n};{n},50;2{n}.11.2026\n" for n in range(1, 8)))
    return folder.parent


def crawl(*words: object) -> Result:
    return CliRunner().invoke(main, ["crawl", *map(str, words)])


def test_tables_go_to_the_output_and_remarks_to_the_error_stream(lake: Path) -> None:
    (lake / "dt=2026-11-01" / "noise.bin").write_bytes(bytes(range(256)) * 8)
    result = crawl(lake)
    assert result.exit_code == 0
    assert "sales · csv delimiter ';'" in result.stdout
    assert "pattern sales/dt={partition}/" in result.stdout
    assert "date %d.%m.%Y" in result.stdout
    assert "noise.bin" not in result.stdout
    assert "noise.bin" in result.stderr
    assert "2 objects listed" in result.stderr


def test_json_is_the_whole_report_and_nothing_else(lake: Path) -> None:
    result = crawl(lake, "--json")
    report = json.loads(result.stdout)
    (table,) = report["tables"]
    assert {column["name"]: column["type"] for column in table["columns"]} == {
        "id": "int",
        "amount": "decimal(9,2)",
        "day": "date",
    }
    assert table["columns"][1]["decimal"] == ","
    assert report["changes"] is None


def test_a_second_crawl_tells_what_changed(lake: Path) -> None:
    crawl(lake)
    assert "nothing changed since the crawl before" in crawl(lake).stdout
    (lake / "dt=2026-11-02").mkdir()
    (lake / "dt=2026-11-02" / "a.csv").write_text("id;amount;day\n8;1,25;28.11.2026\n")
    assert "1 new partition" in crawl(lake).stdout


def test_without_state_nothing_is_remembered(lake: Path, tmp_path: Path) -> None:
    crawl(lake, "--no-state")
    assert json.loads(crawl(lake, "--json", "--no-state").stdout)["changes"] is None
    assert not (tmp_path / "state").exists()


def test_the_state_can_be_a_named_file(lake: Path, tmp_path: Path) -> None:
    crawl(lake, "--state", tmp_path / "mine.json")
    assert json.loads((tmp_path / "mine.json").read_text())["version"] == 1
    assert json.loads(crawl(lake, "--json", "--state", tmp_path / "mine.json").stdout)["changes"] == []


def test_a_pipeline_is_scaffolded(lake: Path, tmp_path: Path) -> None:
    result = crawl(lake, "--scaffold", tmp_path / "new_sales")
    assert result.exit_code == 0, result.output
    assert "type: datalake_assets.components.LakePipeline" in (tmp_path / "new_sales" / "defs.yaml").read_text()
    assert "defs.yaml" in result.stderr


def test_several_tables_are_scaffolded_side_by_side(lake: Path, tmp_path: Path) -> None:
    (lake.parent / "shops").mkdir()
    (lake.parent / "shops" / "shops.json").write_text('{"name": "x"}\n')
    assert crawl(lake, lake.parent / "shops", "--scaffold", tmp_path / "new").exit_code == 0
    assert sorted(path.parent.name for path in (tmp_path / "new").glob("*/defs.yaml")) == ["sales", "shops"]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ((), 2, "Missing argument"),
        (("nowhere/at/all",), 1, "does not exist"),
        (("ftp://host/x",), 1, "no place that can be listed"),
        (("x", "--sample-bytes", "much"), 2, "is no size"),
        (("x", "--database", "d"), 2, "--register"),
        (("x", "--state", "f", "--no-state"), 2, "exclude each other"),
        (("x", "--policy", "all"), 2, "update"),
    ],
)
def test_wrong_use_is_told_without_a_traceback(words: tuple[str, ...], status: int, told: str) -> None:
    result = crawl(*words)
    assert (result.exit_code, told in result.stderr) == (status, True), result.output
    assert "Traceback" not in result.output


def test_an_empty_folder_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = crawl(tmp_path / "empty")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no table was found" in result.stderr


def test_local_files_cannot_be_registered(lake: Path) -> None:
    result = crawl(lake, "--register", "--account", "flights")
    assert result.exit_code == 1
    assert "its files are not in S3" in result.stderr


def test_a_name_that_is_no_utf_8_is_read_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = os.fsencode(tmp_path / "in") + b"/bad\xff.csv"
    with open(path, "wb") as file:
        file.write(b"id,name\n1,a\n2,b\n")
    assert json.loads(crawl(tmp_path / "in", "--json").stdout)["tables"][0]["files"] == 1
    assert "nothing changed since the crawl before" in crawl(tmp_path / "in").stdout


def test_an_empty_uri_is_not_this_folder() -> None:
    result = crawl("")
    assert result.exit_code == 1
    assert "the URI is empty" in result.stderr


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    result = crawl(tmp_path / "pipe.csv")
    assert result.exit_code == 1
    assert "it is a pipe" in result.stderr


def test_the_end_of_a_sample_is_no_broken_record(tmp_path: Path) -> None:
    path = tmp_path / "posts.json"
    path.write_text(json.dumps([{"id": n, "text": f"text {n}"} for n in range(1000)]))
    (table,) = json.loads(crawl(path, "--sample-bytes", "8kB", "--json").stdout)["tables"]
    assert table["sampled_files"] == 1
    assert "broken_rows" not in table  # as whatever is 0


def test_a_folder_of_many_different_files_is_as_many_tables(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    for number in range(60):
        name = chr(97 + number // 26) + chr(97 + number % 26)
        (folder / f"{name}.csv").write_text(f"{name}_id,{name}_name,{name}_price\n1,a,2.5\n2,b,3.5\n")
    assert len(json.loads(crawl(folder, "--json").stdout)["tables"]) == 60
