"""A new pipeline is a whole folder that validates and whose own test passes; or nothing of it is there."""

import datetime as dt
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from datalake_assets.components.authoring import pipeline as module
from datalake_assets.components.authoring.pipeline import make_pipeline
from datalake_assets.components.authoring.tree import Tree
from datalake_assets.components.declarations import read_all, read_declarations
from datalake_assets.errors import ConfigurationError, PlatformError
from datalake_assets.project import PROJECT_ROOT
from tests.components.authoring.conftest import everything

TODAY = dt.date(2026, 11, 21)


def own_tests(folder: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the tests that came with pipelines, as a person does, with the project's own strictness."""
    settings = ["-c", str(PROJECT_ROOT / "pyproject.toml"), "--rootdir", str(folder), "-p", "no:cacheprovider", "-q"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *settings, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def ruff(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).parent / "ruff"
    settings = ["--no-cache", "--config", str(PROJECT_ROOT / "pyproject.toml")]
    return subprocess.run([tool, *arguments, *settings], capture_output=True, text=True, check=False)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Files of other people, of several kinds."""
    folder = tmp_path / "raw"
    (folder / "visits").mkdir(parents=True)
    lines = "".join(f"{n};Näme;{n:02}.02.2026;1.{n:03},50;x,y\n" for n in range(1, 21))
    (folder / "visits" / "a.csv").write_text("Visit ID;Ort;am;Preis;note\n" + lines, encoding="cp1252")
    posts = [{"id": n, "user": {"name": f"u{n}"}, "items": [{"sku": "a", "n": n}], "tags": ["x"]} for n in range(9)]
    (folder / "posts.json").write_text("\n".join(map(json.dumps, posts)), encoding="utf-8")
    xml = "".join(f"<plane tail='N{n}'><seats>{n}</seats></plane>" for n in range(9))
    (folder / "planes.xml").write_text(f"<planes>{xml}</planes>", encoding="utf-8")
    return folder


@pytest.mark.slow
def test_everything_that_is_written_validates_passes_its_own_tests_and_is_in_style(tree: Tree, raw: Path) -> None:
    make_pipeline(tree, "flights/bookings", today=TODAY)
    for name, file in (("visits", "visits"), ("posts", "posts.json"), ("planes_read", "planes.xml")):
        make_pipeline(tree, f"flights/{name}", origin="crawl", uri=str(raw / file), today=TODAY)
    found = {each.spec.name: each.spec for each in read_declarations(tree.locations)}
    assert set(found) == {"bookings", "visits", "posts", "planes_read"}
    assert found["bookings"].partitions.daily == dt.date(2026, 1, 1)
    assert [child.table for child in found["posts"].children] == ["posts_items"]
    done = own_tests(tree.locations)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout
    for check in (["check"], ["format", "--check"]):
        looked = ruff(*check, str(tree.locations))
        assert looked.returncode == 0, looked.stdout


def test_a_crawled_pipeline_keeps_no_row_of_the_crawled_files(tree: Tree, raw: Path) -> None:
    make_pipeline(tree, "flights/visits", origin="crawl", uri=str(raw / "visits"))
    sample = (tree.locations / "flights" / "visits" / "sample.csv").read_text(encoding="utf-8")
    assert sample.splitlines()[0] == "Visit ID;Ort;am;Preis;note"
    assert "Näme" not in sample


def test_its_first_day_is_over_whenever_it_is_made(tree: Tree) -> None:
    for name, today in (("a", dt.date(2026, 1, 1)), ("b", dt.date(2026, 1, 9)), ("c", dt.date(2028, 2, 29))):
        make_pipeline(tree, f"flights/{name}", today=today)
    firsts = [each.spec.partitions.daily for each in read_declarations(tree.locations) if each.spec.partitions]
    assert firsts == [dt.date(2025, 1, 1), dt.date(2026, 1, 1), dt.date(2028, 1, 1)]


def test_it_takes_another_warehouse_table_where_its_own_is_taken(tree: Tree) -> None:
    (tree.locations / "content").mkdir()
    (tree.locations / "content" / "__init__.py").touch()
    make_pipeline(tree, "content/bookings")
    make_pipeline(tree, "flights/bookings")
    tables = [each.spec.warehouse.table for each in read_declarations(tree.locations) if each.spec.warehouse]
    assert tables == ["lake.bookings", "lake.flights_bookings"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bookings", "ACCOUNT/NAME"),
        ("flights/", "ACCOUNT/NAME"),
        ("flights/a/b", "ACCOUNT/NAME"),
        ("flihgts/bookings", "Did you mean flights"),
        ("content/bookings", "datalake new account content"),
        ("flights/Bookings-2", "Did you mean bookings_2"),
        ("flights/input", "the word is Python's or Dagster's own"),
        ("flights/class", "the word is Python's or Dagster's own"),
        ("flights/" + "a" * 53, "53 characters"),
        ("../flights", "no account"),
    ],
)
def test_a_wrong_name_changes_nothing(tree: Tree, name: str, told: str) -> None:
    before = everything(tree)
    with pytest.raises(ConfigurationError, match=told):
        make_pipeline(tree, name)
    assert everything(tree) == before


@pytest.mark.parametrize("there", ["defs.yaml", "notes.txt"])
def test_nothing_that_exists_is_overwritten(tree: Tree, there: str) -> None:
    folder = tree.locations / "flights" / "bookings"
    folder.mkdir()
    (folder / there).write_text("mine")
    with pytest.raises(ConfigurationError, match="exists already"):
        make_pipeline(tree, "flights/bookings")
    assert [path.name for path in folder.iterdir()] == [there]


def test_a_name_that_is_a_child_table_of_another_pipeline_is_refused(tree: Tree, raw: Path) -> None:
    make_pipeline(tree, "flights/posts", origin="crawl", uri=str(raw / "posts.json"))
    before = everything(tree)
    with pytest.raises(ConfigurationError, match="'posts_items' belongs to"):
        make_pipeline(tree, "flights/posts_items")
    with pytest.raises(ConfigurationError, match="'posts_quarantine' belongs to"):
        make_pipeline(tree, "flights/posts_quarantine")
    assert everything(tree) == before


def test_an_owner_that_is_none_is_refused_before_anything_is_there(tree: Tree) -> None:
    before = everything(tree)
    with pytest.raises(ConfigurationError, match="expected team:NAME"):
        make_pipeline(tree, "flights/bookings", owner="me")
    assert everything(tree) == before


@pytest.mark.parametrize("content", ["", "no table at all, only a sentence"])
def test_a_crawl_that_finds_no_table_is_told_and_writes_nothing(tree: Tree, tmp_path: Path, content: str) -> None:
    (tmp_path / "odd.bin").write_text(content)
    before = everything(tree)
    with pytest.raises(PlatformError):
        make_pipeline(tree, "flights/odd", origin="crawl", uri=str(tmp_path / "odd.bin"))
    assert everything(tree) == before


def test_a_crawl_that_finds_several_tables_names_them(tree: Tree, raw: Path) -> None:
    with pytest.raises(ConfigurationError, match="3 tables") as told:
        make_pipeline(tree, "flights/odd", origin="crawl", uri=str(raw))
    assert "  visits: " in str(told.value)


class Interrupted(BaseException):
    """As Ctrl-C raises: no error that anybody catches."""


@pytest.mark.parametrize("step", ["write_files", "_require_valid", "_require_own_tables", "move_in"])
def test_whatever_ends_it_leaves_nothing(tree: Tree, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise Interrupted

    before = everything(tree)
    monkeypatch.setattr(module, step, interrupt)
    with pytest.raises(Interrupted):
        make_pipeline(tree, "flights/bookings")
    assert everything(tree) == before


def test_whoever_reads_meanwhile_sees_all_of_it_or_nothing(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = module.move_in

    def look_then_move(staged: Path, target: Path) -> None:
        seen.append(len(read_declarations(tree.locations)))
        real(staged, target)
        seen.append(len(read_declarations(tree.locations)))

    monkeypatch.setattr(module, "move_in", look_then_move)
    make_pipeline(tree, "flights/bookings")
    assert seen == [0, 1]


def test_of_two_at_once_with_one_name_one_wins(tree: Tree) -> None:
    ended: list[BaseException | None] = []

    def make(owner: str) -> None:
        try:
            make_pipeline(tree, "flights/bookings", owner=owner)
            ended.append(None)
        except ConfigurationError as error:
            ended.append(error)

    threads = [threading.Thread(target=make, args=(f"team:t{n}",)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert ended.count(None) == 1
    assert all("exists already" in str(each) for each in ended if each)
    assert len(read_declarations(tree.locations)) == 1


def test_a_broken_neighbour_keeps_nobody_from_a_new_pipeline(tree: Tree) -> None:
    other = tree.locations / "flights" / "broken"
    other.mkdir()
    (other / "defs.yaml").write_text("type: [")
    make_pipeline(tree, "flights/bookings")
    assert (tree.locations / "flights" / "bookings" / "defs.yaml").exists()


def test_where_nothing_can_be_staged_beside_the_locations_it_is_staged_among_them(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pipeline(tree, "flights/first")
    monkeypatch.setattr(Tree, "_staging_parent", lambda self: self.locations)
    make_pipeline(tree, "flights/bookings")
    make_pipeline(tree, "flights/counts", origin="sql", reads=["flights/bookings"])
    assert sorted(path.name for path in tree.locations.iterdir()) == ["flights"]
    assert {path.parent.name for path in tree.locations.rglob("defs.yaml")} == {"first", "bookings", "counts"}


@pytest.mark.parametrize("name", ["bookings", "class_of_2026", "a", "b" * 52])
def test_pipelines_of_steps_take_any_name_that_is_one(tree: Tree, name: str) -> None:
    make_pipeline(tree, "flights/planes")
    make_pipeline(tree, f"flights/{name}", origin="steps", today=TODAY)
    (tree.locations / "content").mkdir()
    (tree.locations / "content" / "__init__.py").touch()
    make_pipeline(tree, f"content/{name}", origin="steps", today=TODAY)
    for folder in (tree.locations / "flights" / name, tree.locations / "content" / name):
        looked = ruff("check", str(folder))
        assert looked.returncode == 0, looked.stdout


def test_a_query_over_tables_with_ends_has_their_common_days(tree: Tree) -> None:
    make_pipeline(tree, "flights/a", today=TODAY)
    make_pipeline(tree, "flights/b", today=dt.date(2025, 6, 1))
    path = tree.locations / "flights" / "a" / "defs.yaml"
    path.write_text(path.read_text().replace('{daily: "2026-01-01"}', '{daily: "2026-01-01", end: "2026-07-01"}'))
    make_pipeline(tree, "flights/both", origin="sql", reads=["flights/a", "flights/b"])
    (spec,) = [each.spec for each in read_all(tree.locations) if each.spec.name == "both"]
    assert spec.partitions is not None
    assert (spec.partitions.first_day, spec.partitions.end) == (dt.date(2026, 1, 1), dt.date(2026, 7, 1))
