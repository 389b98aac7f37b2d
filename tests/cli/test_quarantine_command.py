"""`datalake quarantine list`, `show` and `replay`: rows set aside, and their way back once the mapping is mended."""

import csv
import io
import json
from typing import Any

import dagster as dg
import pytest

from datalake_assets.components import pipelines
from datalake_assets.components.pipelines import DeclaredPipeline, find_pipeline
from tests.cli.conftest import Datalake
from tests.integration.user import Platform, asset, flight, flights_file

NAME = "flights/flights"
GOOD = 250  # so many that a bad row or two are below the limit of one percent
REASON = "is not a valid int"


def land(platform: Platform, *bad: str, good: int = GOOD) -> str:
    """Land and run a day whose bad lines have these delays; return the day."""
    day = platform.day()
    lines = [flight(day, 1000 + n, dep_delay=text) for n, text in enumerate(bad)]
    platform.put_day(day, flights_file(day, good, lines=lines))
    platform.run("flights", day)
    return day


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline with a mapping that takes `late` for no value, as if its defs.yaml had been mended."""
    before = find_pipeline(NAME)
    source = before.spec.source.model_copy(update={"null_values": ("", "NA", "late")})
    after = DeclaredPipeline(before.location, before.spec.model_copy(update={"source": source}))
    assert "late" in after.pipeline.mapping.source.null_values
    monkeypatch.setattr(pipelines, "find_pipeline", lambda name: after)


def listed(datalake: Datalake) -> dict[str, dict[str, Any]]:
    (found,) = json.loads(datalake("quarantine", "list", NAME, "--json").output)
    return {each["partition"]: each for each in found["partitions"]}


def replayed(datalake: Datalake, *arguments: str) -> dict[str, Any]:
    result = datalake("quarantine", "replay", NAME, *arguments, "--json")
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_partitions_with_rows_set_aside_are_listed_with_their_reasons(platform: Platform, datalake: Datalake) -> None:
    day, clean = land(platform, "late", "later"), land(platform)
    found = listed(datalake)
    assert clean not in found
    assert (found[day]["rows"], found[day]["rows_published"], found[day]["is_refused"]) == (2, GOOD, False)
    assert found[day]["reasons"] == [[f"departure_delay_minutes: {REASON}", 2]]
    lines = datalake("quarantine", "list", NAME).output.splitlines()
    assert any(line.split()[:3] == [day, "2", str(GOOD)] for line in lines)
    (overview,) = (line for line in datalake("quarantine", "list").output.splitlines() if line.startswith(NAME))
    assert REASON in overview


def test_a_refused_partition_is_listed_as_such(platform: Platform, datalake: Datalake) -> None:
    day = land(platform, "late", "late", good=3)
    found = listed(datalake)[day]
    assert (found["rows"], found["rows_published"], found["is_refused"]) == (2, 0, True)
    assert "refused" in datalake("quarantine", "list", NAME).output


def test_rows_are_shown_with_reason_column_text_file_and_line(platform: Platform, datalake: Datalake) -> None:
    day = land(platform, "late", "it's later")
    result = datalake("quarantine", "show", NAME, day, "--format", "json")
    first, second = (json.loads(line) for line in result.output.splitlines())
    assert first["partition"] == day
    assert first["column"] == "departure_delay_minutes"
    assert "'late'" in first["reason"]
    assert json.loads(first["raw"])["dep_delay"] == "late"
    assert first["file"] == f"s3://{platform.account.raw_bucket}/flights/dt={day}/flights.csv.gz"
    assert (first["row"], second["row"]) == (GOOD + 2, GOOD + 3)
    as_csv = datalake("quarantine", "show", NAME, day, "--reason", "IT'S", "--format", "csv").output
    (only,) = csv.DictReader(io.StringIO(as_csv))
    assert json.loads(only["raw"])["dep_delay"] == "it's later"
    assert "late" in datalake("quarantine", "show", NAME, day, "--rows", "1").stdout
    nothing = datalake("quarantine", "show", NAME, day, "--reason", "no such reason", "--format", "csv")
    assert "No such row" in nothing.stderr


@pytest.mark.usefixtures("mended")
def test_a_replay_brings_rows_back_to_the_lake_the_warehouse_and_dagster(
    platform: Platform, datalake: Datalake
) -> None:
    day = land(platform, "late", "later")
    result = datalake("quarantine", "replay", NAME, day)
    assert result.exit_code == 0, result.output
    assert f"{NAME} {day}: 1 of 2 rows came back, 1 remain" in result.output
    assert f"1 × departure_delay_minutes: {REASON}" in result.output
    in_lake, in_warehouse = platform.numbers(day)
    assert in_lake == in_warehouse
    assert 1000 in in_lake
    assert 1001 not in in_lake
    assert listed(datalake)[day]["rows"] == 1
    (record,) = platform.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset("lake", "flights"), asset_partitions=[day]), limit=1
    ).records
    assert record.asset_materialization
    assert record.asset_materialization.description == "replayed: 1 of 2 rows came back from quarantine"
    assert record.asset_materialization.metadata["rows_came_back"].value == 1
    key = dg.AssetCheckKey(asset("lake", "flights"), "quarantine")
    (checked,) = platform.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert checked.event
    assert f"1 of {GOOD + 2} rows set aside" in str(checked.event.dagster_event)
    assert not platform.is_dirty(NAME, day)
    again = datalake("quarantine", "replay", NAME, day)
    assert "0 of 1 rows came back, 1 remain" in again.output


@pytest.mark.usefixtures("mended")
def test_a_replay_publishes_a_partition_that_was_refused(platform: Platform, datalake: Datalake) -> None:
    day = land(platform, "late", "late", good=3)
    told = replayed(datalake, day)
    (each,) = told["replayed"]
    assert (each["before"], each["after"], each["rows_before"], each["rows_after"]) == (2, 0, 0, 5)
    assert day not in {partition for partition, _ in listed_or_none(datalake).items()}
    assert platform.numbers(day)[0] == [1, 2, 3, 1000, 1001]


def listed_or_none(datalake: Datalake) -> dict[str, dict[str, Any]]:
    found = json.loads(datalake("quarantine", "list", NAME, "--json").output)
    return {each["partition"]: each for pipeline in found for each in pipeline["partitions"]}


@pytest.mark.usefixtures("mended")
def test_a_dry_run_tells_the_same_and_publishes_nothing(platform: Platform, datalake: Datalake) -> None:
    day = land(platform, "late", "later")
    before = platform.glue_location("flights", day)
    result = datalake("quarantine", "replay", NAME, day, "--dry-run")
    assert f"{NAME} {day}: 1 of 2 rows would come back, 1 would remain" in result.output
    assert platform.glue_location("flights", day) == before
    assert listed(datalake)[day]["rows"] == 2
    assert platform.leftovers() == []


def test_without_a_mended_mapping_nothing_comes_back_and_a_refused_partition_says_why(
    platform: Platform, datalake: Datalake
) -> None:
    day, refused = land(platform, "late"), land(platform, "late", good=3)
    assert [each["after"] for each in replayed(datalake, day)["replayed"]] == [1]
    rehearsed = datalake("quarantine", "replay", NAME, refused, "--dry-run")
    assert "would not be published: 1 of 4 rows" in rehearsed.output
    result = datalake("quarantine", "replay", NAME, refused)
    assert result.exit_code == 1
    assert "1 of 4 rows" in result.output
    assert refused in result.output


@pytest.mark.usefixtures("mended")
def test_a_replay_of_all_leaves_out_what_was_rolled_back(platform: Platform, datalake: Datalake) -> None:
    day = land(platform, "late")
    platform.put_day(day, flights_file(day, GOOD + 1, lines=[flight(day, 1000, dep_delay="late")]))
    platform.run("flights", day)
    assert datalake("rollback", NAME, day, "--reason", "doubt", "--yes").exit_code == 0
    other = land(platform, "late")
    result = datalake("quarantine", "replay", NAME, "--all", "--dry-run")
    assert f"{NAME} {day}: left out" in result.stderr
    assert f"{NAME} {other}: 1 of 1 rows would come back" in result.stdout
    named = datalake("quarantine", "replay", NAME, day, "--dry-run")
    assert "1 of 1 rows would come back" in named.stdout


def test_a_replay_wants_its_partitions_named(platform: Platform, datalake: Datalake) -> None:
    assert datalake("quarantine", "replay", NAME).exit_code == 2
    day = land(platform)
    clean = datalake("quarantine", "replay", NAME, day)
    assert clean.exit_code == 0
    assert "no row is set aside" in clean.stderr


def test_two_replays_at_once_end_as_one(platform: Platform, datalake: Datalake, mended: None) -> None:
    """The second begins while the first is about to publish, as another run would."""
    from datalake_assets.ingest.tables import PipelineTables

    day = land(platform, "late")
    publish, begun = PipelineTables.publish_quarantine, []

    def publish_while_another_replays(self: PipelineTables, *arguments: Any) -> Any:
        if not begun:
            begun.append(True)
            assert datalake("quarantine", "replay", NAME, day).exit_code == 0
        return publish(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PipelineTables, "publish_quarantine", publish_while_another_replays)
        result = datalake("quarantine", "replay", NAME, day)
    assert result.exit_code == 0, result.output
    assert begun
    assert day not in listed_or_none(datalake)
    in_lake, in_warehouse = platform.numbers(day)
    assert in_lake == in_warehouse
    assert in_lake.count(1000) == 1


def test_what_was_never_set_aside_is_said_in_a_line(platform: Platform, datalake: Datalake) -> None:
    platform.drain()
    result = datalake("quarantine", "show", "flights/planes")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "ever set aside" in result.stderr
    assert "No row of flights/planes is set aside." in datalake("quarantine", "list", "flights/planes").output
