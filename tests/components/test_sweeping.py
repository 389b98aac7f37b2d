"""Sweeps: which partitions are recent."""

import datetime as dt
from types import SimpleNamespace
from typing import Any

from datalake_assets.components.pipelines import find_pipelines
from datalake_assets.components.sweeping import recent_partitions
from datalake_assets.names import UNPARTITIONED

NOW = dt.datetime(2026, 3, 2, 0, 30, tzinfo=dt.UTC)


class FakeLedger:
    """Partitions with the number of days since their last change."""

    def __init__(self, *states: tuple[str, float, bool]) -> None:
        self.states = [
            SimpleNamespace(
                partition=partition, last_changed_at=NOW - dt.timedelta(days=days), is_dirty=is_dirty, read_at=NOW
            )
            for partition, days, is_dirty in states
        ]
        self.asked: list[str] = []

    def partition_states(self, source_ids: list[str], only_dirty: bool = True) -> list[Any]:
        assert not only_dirty
        self.asked = source_ids
        return self.states


def recent(ledger: FakeLedger, days: int = 3) -> list[str]:
    return recent_partitions(find_pipelines(["flights/flights"]), ledger, days)  # type: ignore[arg-type]


def test_recent_are_the_last_days_and_tables_without_partitions() -> None:
    ledger = FakeLedger(("2013-01-01", 400, False))
    assert recent(ledger) == [UNPARTITIONED, "2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]
    assert ledger.asked == ["flights/flights"]


def test_an_old_day_that_changed_lately_or_waits_for_its_run_is_recent() -> None:
    ledger = FakeLedger(("2013-01-01", 2.9, False), ("2013-01-02", 3.1, False), ("2013-01-03", 90, True))
    found = recent(ledger)
    assert {"2013-01-01", "2013-01-03"} <= set(found)
    assert "2013-01-02" not in found


def test_an_empty_ledger_still_has_recent_days() -> None:
    assert len(recent(FakeLedger(), days=1)) == 3
