"""A later crawl: what it reads again, what it tells, what the policies make of it."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import pytest

from datalake_assets.discovery.again import crawl_uris
from datalake_assets.discovery.changes import Deleted, Policy
from datalake_assets.discovery.classifiers.custom import classifier_from_text
from datalake_assets.discovery.crawl import CrawlOptions
from datalake_assets.discovery.report import CrawlReport
from datalake_assets.discovery.state import CrawlState, Seen, StateStore, state_name
from datalake_assets.errors import ConfigurationError

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


class Lake:
    """A folder of daily files, crawled again and again with one memory."""

    def __init__(self, root: Path) -> None:
        self.root = root / "lake"
        self.store = StateStore(str(root / "state.json"))
        self.options = CrawlOptions()

    def put(self, key: str, content: str) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def crawl(self, policy: Policy = "update", deleted: Deleted = "keep") -> CrawlReport:
        return crawl_uris([str(self.root)], self.options, store=self.store, policy=policy, deleted=deleted, now=NOON)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    made.put("sales/dt=2026-11-01/a.csv", "id,amount\n1,2\n")
    made.put("sales/dt=2026-11-02/a.csv", "id,amount\n2,3\n")
    made.put("shops/shops.json", '{"name": "x"}\n{"name": "y"}\n')
    made.put("notes.bin", "\x00\x01\x02" * 50)
    return made


def told(report: CrawlReport) -> set[tuple[str, str, str, str | None]]:
    assert report.changes is not None
    return {(change.what, change.how, change.name, change.applied) for change in report.changes}


def test_the_first_crawl_has_nothing_to_compare_with(lake: Lake) -> None:
    assert lake.crawl().changes is None


def test_nothing_is_read_twice_when_nothing_changed(lake: Lake) -> None:
    first = lake.crawl()
    second = lake.crawl()
    assert (second.changes, second.read_files, second.unchanged_files) == ((), 0, 4)
    assert [replace(table, sampled_bytes=0) for table in first.tables] == list(second.tables)
    assert second.skipped == first.skipped


def test_a_new_partition_with_a_new_column_is_read_and_told(lake: Lake) -> None:
    lake.crawl()
    lake.put("sales/dt=2026-11-03/a.csv", "id,amount,currency\n3,4.50,EUR\n")
    report = lake.crawl()
    assert report.read_files == 1
    assert told(report) == {
        ("column", "changed", "sales.amount", "updated"),
        ("column", "new", "sales.currency", "added"),
        ("partition", "new", "sales/2026-11-03", "added"),
    }
    amount = report.table("sales").columns[1]
    assert str(amount.type) == "decimal(9,2)"
    assert lake.crawl().changes == ()


def test_an_overwritten_object_is_read_again(lake: Lake) -> None:
    lake.crawl()
    lake.put("sales/dt=2026-11-02/a.csv", "id,amount\n2,many\n5,few\n")
    assert ("column", "changed", "sales.amount", "updated") in told(lake.crawl())


def test_a_partition_that_vanished_is_told(lake: Lake) -> None:
    lake.crawl()
    (lake.root / "sales/dt=2026-11-01/a.csv").unlink()
    assert told(lake.crawl()) == {("partition", "vanished", "sales/2026-11-01", "removed")}


def test_with_add_columns_types_stay_and_new_columns_come(lake: Lake) -> None:
    lake.crawl()
    lake.put("sales/dt=2026-11-03/a.csv", "id,amount,currency\n3,4.50,EUR\n")
    report = lake.crawl("add_columns")
    assert [(c.name, str(c.type)) for c in report.table("sales").columns] == [
        ("id", "int"),
        ("amount", "int"),
        ("currency", "varchar"),
    ]
    assert ("column", "changed", "sales.amount", "kept as it was") in told(report)


def test_with_report_everything_stays_and_is_told_each_time(lake: Lake) -> None:
    before = lake.crawl()
    lake.put("sales/dt=2026-11-03/a.csv", "id,amount,currency\n3,4.50,EUR\n")
    for _ in range(2):
        report = lake.crawl("report")
        assert report.table("sales").columns == before.table("sales").columns
        assert ("column", "new", "sales.currency", "reported only") in told(report)


@pytest.mark.parametrize(
    ("deleted", "applied", "stays"),
    [("keep", "kept", True), ("deprecate", "deprecated", True), ("remove", "removed", False)],
)
def test_what_becomes_of_a_table_that_vanished(lake: Lake, deleted: Deleted, applied: str, stays: bool) -> None:
    lake.crawl()
    (lake.root / "shops/shops.json").unlink()
    report = lake.crawl(deleted=deleted)
    assert told(report) == {("table", "vanished", "shops", applied)}
    assert any(table.name == "shops" for table in report.tables) == stays
    assert lake.crawl(deleted=deleted).changes == ()
    if deleted == "deprecate":
        assert report.table("shops").notes == ("deprecated: its data vanished, first noticed 2026-11-20T12:00:00Z",)


@pytest.mark.parametrize(("deleted", "applied"), [("deprecate", "deprecated"), ("remove", "removed")])
def test_a_table_that_was_kept_can_be_done_with_later(lake: Lake, deleted: Deleted, applied: str) -> None:
    lake.crawl()
    (lake.root / "shops/shops.json").unlink()
    lake.crawl()
    assert told(lake.crawl(deleted=deleted)) == {("table", "vanished", "shops", applied)}
    assert lake.crawl(deleted=deleted).changes == ()


def test_a_table_that_comes_back_is_deprecated_no_more(lake: Lake) -> None:
    lake.crawl()
    (lake.root / "shops/shops.json").unlink()
    lake.crawl(deleted="deprecate")
    lake.put("shops/shops.json", '{"name": "x"}\n')
    report = lake.crawl(deleted="deprecate")
    assert not [note for note in report.table("shops").notes if note.startswith("deprecated")]


def test_a_changed_classifier_reads_old_objects_again(lake: Lake) -> None:
    lake.put("codes/codes.txt", "A=1\nB=2\n")
    lake.crawl()
    lake.options = CrawlOptions(custom=(classifier_from_text("%{WORD:letter}=%{INT:number:int}"),))
    report = lake.crawl()
    assert report.read_files == report.listed_files
    assert ("classifier", "changed", "classifiers", "all was read again") in told(report)
    assert [column.name for column in report.table("codes").columns] == ["letter", "number"]
    assert lake.crawl().read_files == 0


def test_what_could_not_be_listed_did_not_vanish(lake: Lake, tmp_path: Path) -> None:
    def crawl() -> CrawlReport:
        uris = [str(lake.root / "sales"), str(lake.root / "shops")]
        return crawl_uris(uris, store=lake.store, deleted="remove", now=NOON)

    crawl()
    (lake.root / "shops").rename(tmp_path / "elsewhere")
    report = crawl()
    assert report.changes == ()
    assert {table.name for table in report.tables} == {"sales", "shops"}


def test_a_state_that_is_none_is_an_error(lake: Lake) -> None:
    Path(lake.store.uri).write_text('{"version": 1, "tables": "x"}')
    with pytest.raises(ConfigurationError, match="no state of a crawl"):
        lake.crawl()


def test_a_state_goes_to_json_and_back(lake: Lake) -> None:
    lake.crawl()
    state = lake.store.load()
    assert state is not None
    assert len(state.seen) == 4
    assert CrawlState.from_json(json.loads(json.dumps(state.as_json()))).as_json() == state.as_json()
    assert len(Seen.from_text(state.seen.as_text())) == 4


def test_the_name_of_a_state_has_no_password() -> None:
    name = state_name(["postgresql://me:secret@db/sales"])
    assert name.startswith("postgresql-db-sales-")
    assert name == state_name(["postgresql://me:other@db/sales"])
