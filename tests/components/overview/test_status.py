"""Where pipelines stand, and why a partition waits or ran."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest
import sqlalchemy as sa

from datalake_assets.cli.status import show, summary
from datalake_assets.cli.why import explained
from datalake_assets.components.overview.arrivals import WaitTold
from datalake_assets.components.overview.status import PipelineStatus, status
from datalake_assets.components.overview.why import Why, why
from datalake_assets.errors import ConfigurationError
from datalake_assets.triggers.model import Start
from datalake_assets.triggers.tags import start_tags
from tests.components.case_study import Files, case_study, lake, parents, query
from tests.triggers.world import World, seconds

DAY, DAY_BEFORE = "2026-11-20", "2026-11-19"


class Rehearsal:
    """The case study's day: what the pipelines come to, and what is told about them."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder = folder
        self.world = World(instance)
        self.files = Files()
        self.now = seconds("2026-11-21 12:00")

    def succeed(self, name: str, partition: str = DAY) -> dg.DagsterRun:
        return self.world.succeed(parents(self.folder)[name], partition)

    def succeed_before(self, *names: str) -> None:
        """All recent days but the newest are there, as after months of work."""
        for name in names:
            for day in range(12, 20):
                self.world.report(parents(self.folder)[name], f"2026-11-{day}")

    def fail(self, name: str, partition: str = DAY) -> dg.DagsterRun:
        """A run of the trigger's, for files that have not changed since."""
        tags = start_tags(name, partition, Start("key", 1, "its files are there", {"files": 7}))
        return self.world.fail(parents(self.folder)[name], partition, tags=tags)

    def of(self, name: str) -> PipelineStatus:
        (found,) = self.status(name)
        return found

    def status(self, *names: str) -> list[PipelineStatus]:
        return status(*names, instance=self.world.instance, folder=self.folder, now=self.now, arrivals=self.files)

    def why(self, name: str, partition: str | None = DAY) -> Why:
        return why(name, partition, instance=self.world.instance, folder=self.folder, now=self.now, arrivals=self.files)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def day(tmp_path: Path, instance: dg.DagsterInstance) -> Rehearsal:
    return Rehearsal(case_study(tmp_path), instance)


ALL = ("core_data/listings", "search/searches", "rent_journey/pipeline_x", "rent_journey/report")


def test_what_is_there_in_time_is_in_order_and_tells_when_the_next_one_is_due(day: Rehearsal) -> None:
    day.succeed_before(*ALL)
    for name in ALL:
        day.succeed(name)
    for each in day.status(*ALL):
        assert each.outcome == "SUCCESS"
        assert each.partition == DAY == each.due
        assert not any((each.has_failed, each.is_late, each.is_waiting)), each
        assert each.next == "2026-11-21"
    assert day.of("core_data/listings").next_at is not None
    assert f"{day.of('core_data/listings').next_at:%d %H:%M}" == "22 03:00"
    assert f"{day.of('rent_journey/pipeline_x').next_at:%d %H:%M}" == "22 05:00", "as the last of what it waits for"
    assert f"{day.of('rent_journey/report').next_at:%d %H:%M}" == "22 05:00"
    assert summary(day.status(*ALL)) == "4 pipelines of 3 accounts: 4 in order"


def test_a_failed_parent_makes_its_children_late_and_they_say_whom_they_wait_for_and_since_when(day: Rehearsal) -> None:
    day.succeed_before(*ALL)
    day.succeed("search/searches")
    day.fail("core_data/listings")
    listings, x, report = (day.of(name) for name in (ALL[0], ALL[2], ALL[3]))
    assert listings.outcome == "FAILED"
    assert listings.is_late
    assert x.is_late
    assert x.waiting == DAY
    assert x.waits_for == (f"core_data/listings {DAY} (FAILED at its last run)",)
    searched = day.of("search/searches").made_at
    assert x.waiting_since == searched, "since the first of what it needs was there"
    assert report.waits_for == (f"rent_journey/pipeline_x {DAY}",)
    assert f"{report.waiting_since:%Y-%m-%d %H:%M}" == "2026-11-21 05:00", "nothing was there: since it should have run"
    assert summary(day.status()).endswith("1 failed, 3 late, 2 waiting, 3 in order")


def test_a_pipeline_that_runs_only_when_another_fails_neither_waits_nor_is_late(day: Rehearsal) -> None:
    day.succeed("core_data/listings")
    fallback = day.of("rent_journey/fallback")
    assert not fallback.is_late
    assert not fallback.is_waiting
    assert fallback.next_at is None
    assert "not wanted" in day.why("rent_journey/fallback").told, "but why tells what it is for"


def test_a_run_that_works_is_not_late_and_one_that_has_a_moment_left_neither(day: Rehearsal) -> None:
    day.succeed_before(*ALL)
    day.now = seconds("2026-11-21 03:10")
    assert not day.of("core_data/listings").is_late
    day.now = seconds("2026-11-21 04:30")
    assert day.of("core_data/listings").is_late
    day.world.start(parents(day.folder)["core_data/listings"], DAY)
    running = day.of("core_data/listings")
    assert running.outcome == "RUNNING"
    assert not running.is_late


def test_missing_days_in_a_row_are_late_since_the_first_of_them(day: Rehearsal) -> None:
    for partition in ("2026-11-16", "2026-11-17"):
        day.succeed("core_data/listings", partition)
    listings = day.of("core_data/listings")
    assert listings.missing == 3
    assert f"{listings.late_since:%Y-%m-%d %H:%M}" == "2026-11-19 03:00"


def test_before_its_time_a_pipeline_that_waits_for_a_schedule_alone_is_not_said_to_wait(day: Rehearsal) -> None:
    day.succeed_before(*ALL)
    day.now = seconds("2026-11-21 01:00")
    listings = day.of("core_data/listings")
    assert not listings.is_waiting
    assert (listings.next, f"{listings.next_at:%d %H:%M}") == (DAY, "21 03:00")


def test_files_that_are_not_there_are_waited_for(day: Rehearsal) -> None:
    day.succeed_before("core_data/listings")
    day.files.missing.add(("core_data/listings", DAY))
    assert any("files" in each for each in day.of("core_data/listings").waits_for)


def test_a_pipeline_that_arrivals_start_waits_as_the_ledger_says(day: Rehearsal) -> None:
    day.files.waits["search/uploads"] = WaitTold(DAY, ("it settles",), seconds("2026-11-21 11:00"))
    uploads = day.of("search/uploads")
    assert (uploads.waiting, uploads.waits_for) == (DAY, ("it settles",))
    assert uploads.next_at is None
    assert not uploads.is_late


def test_accounts_are_named_by_location_or_id_and_pipelines_by_their_names(day: Rehearsal) -> None:
    journey = [each.pipeline for each in day.status("rent_journey")]
    assert journey == ["rent_journey/fallback", "rent_journey/pipeline_x", "rent_journey/report"]
    assert [each.pipeline for each in day.status("777777777777")] == journey
    assert [each.pipeline for each in day.status("search/searches", "search")] == ["search/searches", "search/uploads"]
    assert {each.account for each in day.status("search")} == {"666666666666"}
    with pytest.raises(ConfigurationError, match=r"no account or pipeline 'rent_jorney'. Did you mean rent_journey\?"):
        day.status("rent_jorney")


@pytest.mark.parametrize("kind", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_how_the_last_run_ended_is_told_apart(day: Rehearsal, kind: str) -> None:
    of = parents(day.folder)["core_data/listings"]
    day.succeed("core_data/listings")
    if kind == "TIMED_OUT":
        day.world.time_out(of, DAY)
    elif kind == "ABORTED":
        day.world.cancel(day.world.start(of, DAY))
    else:
        day.world.fail(of, DAY)
    found = day.of("core_data/listings")
    assert found.outcome == kind
    assert not found.is_late, "a failed rerun takes no data away"


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_terminal_shows_whole_words(
    day: Rehearsal, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    day.succeed_before(*ALL)
    day.succeed("search/searches")
    day.fail("core_data/listings")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    show(day.status(), day.now)
    lines = click.unstyle(capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= width
    (listings,) = [line for line in lines if line.startswith("core_data/listings")]
    assert "FAILED" in listings
    assert "late by 9 h" in listings
    assert any(line.startswith(f"rent_journey/pipeline_x {DAY}  core_data/listings {DAY}") for line in lines)
    assert any("a wider terminal also shows" in line for line in lines) == (width == 80)


def test_the_number_of_queries_does_not_grow_with_the_number_of_pipelines(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    counts = []
    for number in (3, 40):
        folder = tmp_path / str(number)
        for each in range(number):
            lake(folder, f"core_data/listings_{each}", "{schedule: {hour: 3}, operator: AND}")
            query(folder, f"search/child_{each}", f"core_data/listings_{each}")
        many = Rehearsal(folder, instance)
        many.fail("core_data/listings_0")
        many.succeed("core_data/listings_1")
        with counted_queries() as count:
            assert len(many.status()) == 2 * number
        counts.append(len(count))
    assert counts[0] == counts[1]
    assert counts[0] < 60


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    """Every statement that the event log and the runs' storage are sent."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        sent.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_why_follows_the_chain_to_the_pipeline_that_keeps_the_others_waiting(day: Rehearsal) -> None:
    day.succeed("search/searches")
    run = day.fail("core_data/listings")
    found = day.why("rent_journey/report")
    assert found.verdict == "waits"
    assert found.told == f"rent_journey/report {DAY} waits for rent_journey/pipeline_x {DAY}"
    assert [(cause.pipeline, cause.depth) for cause in found.causes] == [
        ("rent_journey/pipeline_x", 0),
        ("core_data/listings", 1),
    ]
    last = found.causes[1].run
    assert last is not None
    assert (last.run_id, last.outcome) == (run.run_id, "FAILED")
    lines = list(explained(found))
    assert lines[0] == found.told
    assert any(line.startswith("    core_data/listings 2026-11-20") and "(team:core_data)" in line for line in lines)


def test_why_tells_of_each_run_what_started_it(day: Rehearsal) -> None:
    of = parents(day.folder)["rent_journey/pipeline_x"]
    day.succeed("search/searches")
    day.succeed("core_data/listings")
    reason = f"core_data/listings {DAY} succeeded and search/searches {DAY} succeeded"
    tags = {"datalake/triggered": f"{of.name}|{DAY}", "datalake/trigger_number": "1", "datalake/reason": reason}
    first = day.world.succeed(of, DAY, tags=tags)
    again = day.world.succeed(of, DAY, tags={**tags, "dagster/parent_run_id": first.run_id})
    day.world.succeed(of, DAY, tags={"user": "kim"})
    found = day.why("rent_journey/pipeline_x")
    assert found.verdict == "done"
    assert [run.why for run in found.runs] == ["by kim", f"to repeat run {first.run_id[:8]}", reason]
    assert [run.run_id for run in found.runs[1:]] == [again.run_id, first.run_id]
    assert found.made_at is not None
    assert f"    started because {reason}" in list(explained(found))


def test_without_a_partition_why_takes_the_newest_that_is_over(day: Rehearsal) -> None:
    assert day.why("core_data/listings", None).partition == DAY


def test_why_of_files_alone_says_what_the_ledger_says(day: Rehearsal) -> None:
    day.files.missing.add(("search/uploads", DAY))
    found = day.why("search/uploads")
    assert (found.verdict, found.rule) == ("waits", "when its files have arrived")
    assert found.told == f"search/uploads {DAY}: nothing of it has arrived"


@pytest.mark.parametrize(
    ("name", "partition", "told"),
    [
        ("core_data/listing", DAY, r"no pipeline 'core_data/listing'. Did you mean core_data/listings\?"),
        ("listings", DAY, r"no pipeline 'listings'. Did you mean core_data/listings\?"),
        ("core_data/listings", "2025-01-01", "has no partition '2025-01-01'; expected one from 2026-01-01"),
        ("core_data/listings", "yesterday", "has no partition 'yesterday'"),
    ],
)
def test_a_wrong_name_is_one_clear_line(day: Rehearsal, name: str, partition: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        day.why(name, partition)


def test_pipelines_that_wait_for_each_other_in_a_long_chain_are_told_in_bounds(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    lake(tmp_path, "search/step_0", "{schedule: {hour: 1}, operator: AND}")
    for number in range(1, 30):
        query(tmp_path, f"search/step_{number}", f"search/step_{number - 1}")
    chain = Rehearsal(tmp_path, instance)
    found = chain.why("search/step_29")
    assert 5 <= len(found.causes) <= 20
    last = chain.of("search/step_29")
    assert last.is_late
    assert last.due_at == chain.of("search/step_0").due_at
