"""What is wrong between the pipelines of all accounts is told at once, each mistake in the file that makes it."""

import textwrap
from pathlib import Path
from typing import Any

import pytest

from datalake_assets.accounts.registry import registry
from datalake_assets.components import declarations
from datalake_assets.components.declarations import LAKE_PIPELINE, read_everything
from datalake_assets.components.validation import validate as validation
from datalake_assets.components.validation.account_rules import Landscape, cycles
from datalake_assets.components.words.run import RunWords
from datalake_assets.project import LOCATIONS_FOLDER
from datalake_assets.triggers.model import Span

PIPELINE = """\
type: {type}
attributes:
  name: {name}
  owner: team:shop
  source: {{s3: "{name}/dt={{partition}}/*.csv", format: csv}}
  partitions: {{daily: "2026-01-01"{end}}}
  columns: [{{from: Id, to: order_id, type: bigint}}]
"""


def declare(root: Path, name: str, more: str = "", *, end: str = "") -> Path:
    location, pipeline = name.split("/")
    path = root / location / pipeline / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = PIPELINE.format(type=LAKE_PIPELINE, name=pipeline, end=end)
    path.write_text(head + textwrap.indent(textwrap.dedent(more), "  "), encoding="utf-8")
    return path


def after(*parents: str) -> str:
    """A trigger that waits for these, `location/name` and whatever else stands there."""
    entries = []
    for parent in parents:
        name, _, words = parent.partition(" ")
        location, _, pipeline = name.partition("/")
        entries.append(f"    - {{name: {pipeline}, account: {location}{words and ', ' + words}}}\n")
    return "trigger:\n  executions:\n    allOf:\n" + textwrap.indent("".join(entries), "  ")


def mistakes(root: Path, path: Path | None = None) -> list[str]:
    found = validation.validate(path, folder=root)
    assert found.registry_complaint is None
    return [str(each) for each in found.mistakes]


def test_pipelines_that_fit_together_have_no_mistakes(tmp_path: Path) -> None:
    declare(tmp_path, "core_data/listings")
    declare(tmp_path, "search/searches")
    declare(tmp_path, "rent_journey/x", after("core_data/listings", "search/searches status: [SUCCESS, FAILED]"))
    assert mistakes(tmp_path) == []
    assert validation.validate(folder=tmp_path).pipelines == 3


@pytest.mark.parametrize(
    ("parent", "place", "expected"),
    [
        ("core_data/listngs", "11:18", "core_data has no pipeline 'listngs'; did you mean 'listings'?"),
        ("core_data/searches", "11:18", "core_data has no pipeline 'searches'; there is one in search"),
        ("core_data/xyz", "11:18", "core_data has no pipeline 'xyz'; it has listings"),
        ("analytics/xyz", "11:18", "analytics has no pipeline 'xyz', nor any other"),
        ("core_dta/listings", "11:37", "there is no account 'core_dta' in the registry; did you mean 'core_data'?"),
        ('"999999999999"/listings', "11:37", "there is no account '999999999999' in the registry; it has analytics"),
    ],
)
def test_names_that_lead_nowhere_are_told_with_the_nearest(
    tmp_path: Path, parent: str, place: str, expected: str
) -> None:
    declare(tmp_path, "core_data/listings")
    declare(tmp_path, "search/searches")
    path = declare(tmp_path, "rent_journey/x", after(parent))
    (told,) = mistakes(tmp_path)
    assert told.startswith(f"{path}:{place}: attributes.trigger.executions.allOf[0].")
    assert expected in told


def test_a_crawl_is_no_parent(tmp_path: Path) -> None:
    crawl = tmp_path / "core_data" / "inbox" / "defs.yaml"
    crawl.parent.mkdir(parents=True)
    crawl.write_text(
        f"type: {declarations.CRAWL_ASSET}\nattributes: {{name: inbox, owner: team:a, uris: s3://b/in/}}\n"
    )
    declare(tmp_path, "rent_journey/x", after("core_data/inbox"))
    (told,) = mistakes(tmp_path)
    assert "core_data/inbox is a crawl, and nothing can wait for a crawl" in told


def test_a_pipeline_whose_own_file_is_wrong_exists_for_others(tmp_path: Path) -> None:
    declare(tmp_path, "core_data/listings", "colour: red")
    declare(tmp_path, "rent_journey/x", after("core_data/listings", "core_data/listngs"))
    told = mistakes(tmp_path)
    assert len(told) == 2
    assert "attributes.colour: unknown key" in told[0]
    assert "did you mean 'listings'?" in told[1]


def test_a_folder_without_an_account_is_told(tmp_path: Path) -> None:
    path = declare(tmp_path, "core_dta/listings")
    (told,) = mistakes(tmp_path)
    assert told.startswith(f"{path}:1:1: the folder 'core_dta' is no account of the registry; did you mean 'core_data'")


def test_a_folder_without_an_account_is_told_once(tmp_path: Path) -> None:
    path = declare(tmp_path, "shops/orders", "trigger: {executions: {allOf: [{name: nothing}]}}")
    (told,) = mistakes(tmp_path)
    assert told.startswith(f"{path}:1:1: the folder 'shops' is no account of the registry; it has analytics")


def test_a_declaration_in_a_file_of_another_name_is_told(tmp_path: Path) -> None:
    path = declare(tmp_path, "core_data/listings")
    other = path.rename(path.with_name("pipeline.yaml"))
    (tmp_path / "core_data" / "listings" / "classifiers.yaml").write_text("classifiers: []\n")
    assert mistakes(tmp_path) == [f"{other}:1:1: nothing reads a file of this name; expected defs.yaml"]


def test_a_cycle_across_accounts_is_named_as_a_chain(tmp_path: Path) -> None:
    first = declare(tmp_path, "core_data/a", after("search/b"))
    declare(tmp_path, "search/b", after("rent_journey/c"))
    declare(tmp_path, "rent_journey/c", after("core_data/a status: [FAILED]"))
    declare(tmp_path, "rent_journey/d", after("core_data/a"))
    (told,) = mistakes(tmp_path)
    assert told == (
        f"{first}:11:11: attributes.trigger.executions.allOf[0]: a cycle, in which each waits for the next: "
        "core_data/a → search/b → rent_journey/c → core_data/a"
    )


def test_each_cycle_is_told_once(tmp_path: Path) -> None:
    declare(tmp_path, "core_data/a", after("core_data/a"))
    declare(tmp_path, "core_data/b", after("core_data/c", "core_data/a"))
    declare(tmp_path, "core_data/c", after("core_data/b", "core_data/d"))
    declare(tmp_path, "core_data/d", after("core_data/b"))
    found = cycles(Landscape.of(read_everything(tmp_path), registry()))
    assert found == [("core_data/a", "core_data/a"), ("core_data/b", "core_data/c", "core_data/b")]


def test_waiting_for_an_earlier_day_is_no_cycle(tmp_path: Path) -> None:
    declare(tmp_path, "core_data/a", after("core_data/a partitions: {offset: -1}", "search/b"))
    declare(tmp_path, "search/b", after("core_data/a partitions: {offset: -1, last: 7}"))
    assert mistakes(tmp_path) == []


@pytest.mark.parametrize(
    ("parent", "own", "expected"),
    [
        ("status: [TIMED_OUT]", "", "core_data/listings has no max_runtime, so no run of it is ever TIMED_OUT"),
        ("", "2025", "the partitions of core_data/listings end before 2025-06-01, and the first that is needed is of"),
    ],
)
def test_a_trigger_that_can_never_fire_is_told(tmp_path: Path, parent: str, own: str, expected: str) -> None:
    path = declare(tmp_path, "core_data/listings")
    if own:
        path.write_text(path.read_text().replace('"2026-01-01"', '"2025-01-01", end: "2025-06-01"'))
    declare(tmp_path, "rent_journey/x", after(f"core_data/listings {parent}".strip()))
    (told,) = mistakes(tmp_path)
    assert expected in told


def test_a_parent_that_starts_after_the_child_has_ended_is_told(tmp_path: Path) -> None:
    declare(tmp_path, "core_data/listings")
    path = declare(tmp_path, "rent_journey/x", after("core_data/listings"))
    path.write_text(path.read_text().replace('"2026-01-01"', '"2025-01-01", end: "2026-01-01"'))
    (told,) = mistakes(tmp_path)
    assert "the partitions of core_data/listings start at 2026-01-01, and the last that waits is 2025-12-31" in told


def test_a_status_that_another_one_can_stand_for_is_reachable(tmp_path: Path) -> None:
    declare(tmp_path, "core_data/listings")
    declare(tmp_path, "core_data/limited", "max_runtime: 2h")
    declare(tmp_path, "rent_journey/x", after("core_data/listings status: [TIMED_OUT, FAILED]"))
    declare(tmp_path, "rent_journey/y", after("core_data/limited status: [TIMED_OUT]"))
    assert mistakes(tmp_path) == []


def test_partitions_cannot_be_chosen_of_a_table_without(tmp_path: Path) -> None:
    path = declare(tmp_path, "core_data/planes")
    path.write_text(
        path.read_text().replace('  partitions: {daily: "2026-01-01"}\n', "").replace("dt={partition}/", "")
    )
    declare(tmp_path, "rent_journey/x", after("core_data/planes partitions: {last: 7}"))
    (told,) = mistakes(tmp_path)
    assert "allOf[0].partitions: core_data/planes has no partitions to choose from" in told


def test_patterns_that_share_a_key_are_told_with_the_key(tmp_path: Path) -> None:
    declare(tmp_path, "core_data/a")
    path = declare(tmp_path, "core_data/b")
    path.write_text(path.read_text().replace('"b/dt={partition}/*.csv"', '["b/{partition}", "**/dt={partition}/*"]'))
    declare(tmp_path, "search/a")
    (told,) = mistakes(tmp_path)
    assert told == (
        f"{path}:5:34: attributes.source.s3[1]: a key such as 'a/dt=2026-01-01/x.csv' is also one of core_data/a "
        "(a/dt={partition}/*.csv), so neither would get it"
    )


class Reading(RunWords):
    """A pipeline that reads tables."""

    reads: tuple[str, ...] = ()

    def parents_read(self) -> tuple[tuple[str, Span], ...]:
        return tuple((table, Span()) for table in self.reads)


@pytest.fixture
def _readers(monkeypatch: pytest.MonkeyPatch) -> None:
    model = declarations._model

    def with_readers(kind: str) -> Any:
        return Reading if kind == declarations.SQL_PIPELINE else model(kind)

    monkeypatch.setattr(declarations, "_model", with_readers)


def reader(root: Path, name: str, *tables: str, more: str = "") -> Path:
    location, pipeline = name.split("/")
    path = root / location / pipeline / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"type: {declarations.SQL_PIPELINE}\nattributes:\n  name: {pipeline}\n  owner: team:a\n"
        f"  reads: [{', '.join(tables)}]\n{more}"
    )
    return path


@pytest.mark.usefixtures("_readers")
def test_a_table_that_was_not_granted_is_told_with_the_line_to_add(tmp_path: Path) -> None:
    declare(tmp_path, "flights/weather")
    declare(tmp_path, "rent_journey/own")
    path = reader(tmp_path, "rent_journey/x", "rent_journey/own", "flights/weather")
    (told,) = mistakes(tmp_path)
    assert told.startswith(f"{path}:5:29: attributes.reads[1]: ")
    assert "the account rent_journey may not read flights/lake/weather" in told
    assert "`weather: [rent_journey]`" in told


@pytest.mark.usefixtures("_readers")
def test_tables_that_are_read_exist_and_make_no_cycle(tmp_path: Path) -> None:
    reader(tmp_path, "rent_journey/x", "rent_journey/y", more="  trigger: {schedule: {hour: 3}}\n")
    reader(tmp_path, "rent_journey/y", "rent_journey/x")
    reader(tmp_path, "rent_journey/z", "rent_journey/w", "rent_jorney/x")
    told = mistakes(tmp_path)
    assert len(told) == 3
    assert "reads[0]: a cycle, in which each waits for the next: rent_journey/x → rent_journey/y → " in told[0]
    assert "rent_journey has no table 'w'; did you mean" in told[1] or "it has x, y, z" in told[1]
    assert "there is no account 'rent_jorney' in the registry; did you mean 'rent_journey'?" in told[2]


@pytest.mark.usefixtures("_readers")
def test_a_trigger_that_names_nothing_to_start_on_is_told(tmp_path: Path) -> None:
    reader(tmp_path, "rent_journey/x", more='  trigger: {not_before: "06:00"}\n')
    (told,) = mistakes(tmp_path)
    assert "it names nothing that starts a run" in told


def test_of_one_file_only_its_own_mistakes_are_told(tmp_path: Path) -> None:
    declare(tmp_path, "core_data/a", "colour: red")
    path = declare(tmp_path, "core_data/b", after("core_data/nothing"))
    assert len(mistakes(tmp_path)) == 2
    (told,) = mistakes(tmp_path, path)
    assert "core_data has no pipeline 'nothing'" in told


def test_a_file_outside_of_the_locations_is_checked_by_itself(tmp_path: Path) -> None:
    path = declare(tmp_path / "elsewhere", "core_data/b", after("core_data/nothing"))
    (tmp_path / "locations").mkdir()
    found = validation.validate(path, folder=tmp_path / "locations")
    assert (found.pipelines, found.mistakes) == (1, ())


def test_all_that_is_declared_here_is_valid() -> None:
    assert mistakes(LOCATIONS_FOLDER) == []
