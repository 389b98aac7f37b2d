"""What triggers are told of raw files: the ledger's rows, by the rules that the pipeline declares for its arrivals."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from datalake_assets.arrivals.conditions import RunConditions
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.sources import ArrivalSource
from datalake_assets.components.triggered_files import LedgerFiles
from datalake_assets.triggers.model import FilesState
from tests.arrivals.builders import AIRLINES, FLIGHTS, NOON, SOURCE, at, event, listed, state
from tests.arrivals.conftest import empty_ledger_url, ledger, ledger_url
from tests.database.conftest import empty_database_url, postgres_server

__all__ = ["empty_database_url", "empty_ledger_url", "ledger", "ledger_url", "postgres_server"]

NAME = "flights/flights"
DAY = "2013-01-01"


class Rows:
    """A ledger of given rows."""

    def __init__(self, *rows: PartitionState, names: Sequence[str] = ()) -> None:
        self.rows, self.names = rows, list(names)

    def states_of(self, _sources: Sequence[str], partitions: Sequence[str]) -> list[PartitionState]:
        return [row for row in self.rows if row.partition in partitions]

    def partition_states(self, _sources: Sequence[str]) -> list[PartitionState]:
        return [row for row in self.rows if row.is_dirty]

    def names_of(self, _source: str, partitions: Sequence[str]) -> dict[str, list[str]]:
        return dict.fromkeys(partitions, self.names)


def told(row: PartitionState, *, names: Sequence[str] = (), settle: float = 0.0, **conditions: Any) -> FilesState:
    source = replace(FLIGHTS, settle_seconds=settle, conditions=RunConditions(**conditions))
    files = LedgerFiles({NAME: source}, Rows(row, names=names))  # type: ignore[arg-type]
    return files.states([(NAME, DAY)])[NAME, DAY]


PUBLISHED: dict[str, Any] = {"published_seq": 7, "published_version": "v1", "published_at": at(60)}


def test_files_that_have_settled_are_there() -> None:
    assert told(state()) == FilesState(7, is_ready=True, reason="", published=0)


def test_files_that_changed_a_moment_ago_are_looked_at_again() -> None:
    found = told(state(read_at=at(10)), settle=30)
    assert (found.is_ready, found.until) == (False, at(30).timestamp())


def test_files_that_are_missing_are_named() -> None:
    found = told(state(), files=("a.csv.gz", "b.csv.gz"), names=["a.csv.gz"])
    assert not found.is_ready
    assert "b.csv.gz" in found.reason
    assert told(state(), files=("a.csv.gz",), names=["a.csv.gz"]).is_ready


def test_files_that_were_published_stay_there() -> None:
    assert told(state(**PUBLISHED)) == FilesState(7, is_ready=True, reason=FilesState().reason, published=7)


def test_changed_files_are_newer_than_what_was_published() -> None:
    found = told(state(changed_seq=9, **PUBLISHED))
    assert (found.sequence, found.published, found.is_ready) == (9, 7, True)


def test_late_files_are_left_to_people_where_that_is_declared() -> None:
    late = state(changed_seq=9, **PUBLISHED)
    late = replace(late, first_changed_at=NOON, last_changed_at=at(120), published_at=at(60))
    assert told(late, late_after_seconds=60, reruns_late_files=False).sequence == 7
    assert told(late, late_after_seconds=60).sequence == 9


def test_files_that_were_deleted_before_a_run_are_not_there() -> None:
    assert not told(state(objects=0)).is_ready


@pytest.mark.parametrize("source", [FLIGHTS, AIRLINES])
def test_pipelines_without_news_are_left_out(source: ArrivalSource) -> None:
    assert LedgerFiles({NAME: source}, Rows()).states([(NAME, DAY)]) == {}  # type: ignore[arg-type]


def test_the_ledger_is_asked(ledger: Any) -> None:
    files = LedgerFiles({NAME: FLIGHTS, "flights/airlines": AIRLINES}, ledger)
    ledger.record([event("a"), event("b", day="2013-01-02")])
    assert files.unfinished([NAME]) == [(NAME, DAY), (NAME, "2013-01-02")]
    assert files.unfinished(["flights/airlines", "elsewhere/x"]) == []
    before = files.states([(NAME, DAY), (NAME, "2013-01-03"), ("elsewhere/x", DAY)])
    assert set(before) == {(NAME, DAY)}
    assert before[NAME, DAY].is_ready

    ledger.mark_published(SOURCE, DAY, objects=[listed("a")], version="v1")
    after = files.states([(NAME, DAY)])[NAME, DAY]
    assert after.published == after.sequence == before[NAME, DAY].sequence
    assert files.unfinished([NAME]) == [(NAME, "2013-01-02")]
