"""The case study as it is declared: what waits for what, who grants what, and one day decided without any service."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

from datalake_assets.accounts.grants import granted_to, is_granted
from datalake_assets.accounts.registry import load_registry
from datalake_assets.components.declarations import read_all
from datalake_assets.components.triggering import triggers_of
from datalake_assets.project import LOCATIONS_FOLDER
from datalake_assets.triggers.model import (
    Decision,
    Done,
    Facts,
    FilesState,
    ParentState,
    PipelineTrigger,
    Start,
    TriggeredRun,
    Wait,
)
from datalake_assets.triggers.rules import decide

DAY, NEXT_DAY = "2026-03-01", "2026-03-02"
LISTINGS, SEARCHES = ("core_data/listings", DAY), ("search/searches", DAY)
FAILED = ParentState(outcome="FAILED", outcome_id=10, started=True)
REPAIRED = ParentState(data_id=20, outcome="SUCCESS", outcome_id=20, started=True)
SUCCEEDED = ParentState(data_id=15, outcome="SUCCESS", outcome_id=15, started=True)


@cache
def trigger(name: str) -> PipelineTrigger:
    location = name.partition("/")[0]
    (found,) = [each for each in triggers_of(location) if each.pipeline.name == name]
    return found


def at(hour: int, minute: int = 0) -> float:
    """A time of the day after `DAY`."""
    return datetime.fromisoformat(f"{NEXT_DAY}T{hour:02d}:{minute:02d}:00").replace(tzinfo=UTC).timestamp()


def decided(
    name: str,
    now: float,
    parents: Mapping[tuple[str, str], ParentState] | None = None,
    *,
    files: FilesState | None = None,
    runs: tuple[TriggeredRun, ...] = (),
    own: int = 0,
) -> Decision:
    return decide(trigger(name), DAY, Facts(now, parents or {}, files, runs, own))


def test_without_files_a_scheduled_pipeline_waits_however_late_it_is() -> None:
    for name, hour in (("core_data/listings", 3), ("search/searches", 5)):
        found = decided(name, at(hour + 10), files=FilesState())
        assert isinstance(found, Wait)
        assert "no files have arrived" in " ".join(each.what for each in found.missing)


def test_files_wait_for_their_hour_and_then_run() -> None:
    there = FilesState(sequence=1, is_ready=True, reason="")
    for name, hour in (("core_data/listings", 3), ("search/searches", 5)):
        assert isinstance(decided(name, at(hour - 1, 59), files=there), Wait)
        assert isinstance(decided(name, at(hour), files=there), Start)


def test_the_metric_waits_for_both_and_the_estimate_for_a_failure() -> None:
    for parents in ({}, {LISTINGS: REPAIRED}, {SEARCHES: SUCCEEDED}, {LISTINGS: FAILED, SEARCHES: SUCCEEDED}):
        assert isinstance(decided("rent_journey/pipeline_x", at(6), parents), Wait)
    for parents in ({}, {LISTINGS: SUCCEEDED}):
        assert not isinstance(decided("rent_journey/pipeline_x_estimate", at(6), parents), Start)


def test_listings_fails_at_three_and_is_repaired_at_seven() -> None:
    estimate, metric = "rent_journey/pipeline_x_estimate", "rent_journey/pipeline_x"
    first = decided(estimate, at(3, 5), {LISTINGS: FAILED})
    assert isinstance(first, Start)
    assert isinstance(decided(metric, at(5, 5), {LISTINGS: FAILED, SEARCHES: SUCCEEDED}), Wait)
    repaired = {LISTINGS: REPAIRED, SEARCHES: SUCCEEDED}
    second = decided(metric, at(7), repaired)
    assert isinstance(second, Start)
    assert "core_data/listings" in second.reason
    assert "search/searches" in second.reason
    ran = TriggeredRun("a", 1, "SUCCESS", first.inputs)
    assert not isinstance(decided(estimate, at(7), {LISTINGS: REPAIRED}, runs=(ran,), own=12), Start)
    built = TriggeredRun("b", 1, "SUCCESS", second.inputs)
    assert isinstance(decided(metric, at(8), repaired, runs=(built,), own=25), Done)


def test_late_listings_reach_the_metric_again() -> None:
    before = {LISTINGS: SUCCEEDED, SEARCHES: SUCCEEDED}
    first = decided("rent_journey/pipeline_x", at(6), before)
    assert isinstance(first, Start)
    ran = TriggeredRun("a", 1, "SUCCESS", first.inputs)
    again = decided("rent_journey/pipeline_x", at(9), {**before, LISTINGS: REPAIRED}, runs=(ran,), own=18)
    assert isinstance(again, Start)
    assert again.run_key != first.run_key


def test_every_read_of_another_account_is_granted_and_every_grant_is_used() -> None:
    accounts = load_registry()
    reads = {
        (location, *table.split("/"))
        for location in accounts.accounts
        for declared in read_all(LOCATIONS_FOLDER / location)
        for table, _ in declared.spec.parents_read()
        if not table.startswith(f"{location}/")
    }
    assert all(is_granted(reader, owner, table, accounts=accounts) for reader, owner, table in reads)
    grants = {
        (reader, owner, table) for reader in accounts.accounts for owner, table in granted_to(reader, accounts=accounts)
    }
    assert grants == reads
