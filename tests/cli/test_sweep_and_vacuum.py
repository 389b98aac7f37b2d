"""`datalake sweep` and `datalake vacuum`."""

import json
from typing import Any

import pytest

from datalake_assets.accounts.sessions import session
from tests.cli.conftest import Datalake
from tests.integration.user import Platform, flights_file


def test_a_sweep_finds_what_no_message_announced_and_says_what_it_found(platform: Platform, datalake: Datalake) -> None:
    day = platform.day()
    platform.put_day(day)
    sqs = session("flights").client("sqs")
    sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=platform.account.arrivals_queue)["QueueUrl"])
    result = datalake("sweep", "flights", "--partition", day, "--json")
    assert result.exit_code == 0, result.output
    (swept,) = json.loads(result.output)
    assert (swept["location"], swept["listed"], swept["added"]) == ("flights", 1, 1)
    assert platform.is_dirty("flights/flights", day)
    lines = datalake("sweep", "flights", "--partition", day).output.splitlines()
    assert [line.split() for line in lines] == [
        ["location", "listed", "added", "changed", "removed", "unexpected"],
        ["flights", "1", "0", "0", "0", "0"],
    ]


def test_a_key_of_no_pipeline_leads_to_the_dead_letters(platform: Platform, datalake: Datalake) -> None:
    day = platform.day()
    key = f"flights/dt={day}/flights.csv.gz.exe"
    platform.put(key, b"")
    result = datalake("sweep", "--partition", day)
    assert "1 key fits no pipeline: datalake arrivals dead-letters" in result.output
    platform.remove(key)
    datalake("sweep", "--partition", day)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["flight"], "there is no location 'flight' with a pipeline of raw files. Did you mean flights?"),
        (["--partition", "2013-13-01"], "no pipeline of content, core_data, flights, "),
    ],
)
def test_a_wrong_name_is_refused_before_anything_is_listed(arguments: list[str], told: str, datalake: Datalake) -> None:
    result = datalake("sweep", *arguments)
    assert result.exit_code == 1
    assert told in result.output


def test_partitions_and_recent_ones_exclude_each_other(datalake: Datalake) -> None:
    result = datalake("sweep", "--recent", "3", "--partition", "2013-01-01")
    assert result.exit_code == 2
    assert "exclude each other" in result.output


def test_a_vacuum_marks_first_and_removes_later_and_tells_before_it_does(
    platform: Platform, datalake: Datalake
) -> None:
    day = platform.day()
    for rows in (2, 3, 4):
        platform.put_day(day, flights_file(day, rows))
        assert platform.run("flights", day).success

    def visit(*options: str) -> dict[str, Any]:
        arguments = ("flights/flights", "--keep", "1", "--grace", "0s", *options, "--json")
        result = datalake("vacuum", *arguments)
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.output)[0]
        assert found["table"] == "flights_lake.flights"
        return {word: [each for each in found[word] if each["partition"] == day] for word in ("marked", "removed")}

    def states() -> list[str]:
        return [each["state"] for each in json.loads(datalake("versions", "flights/flights", day, "--json").output)]

    assert len(visit("--dry-run")["marked"]) == 2
    assert states() == ["published", "kept", "kept"]
    dry = datalake("vacuum", "flights/flights", "--keep", "1", "--grace", "0s", "--dry-run")
    assert "would mark flights_lake.flights 2013-" in dry.output  # the first of them: others have left versions, too
    assert len(visit()["marked"]) == 2
    assert states() == ["published", "expiring", "expiring"]
    refused = datalake("rollback", "flights/flights", day, "--reason", "r", "--yes")
    assert "has no kept version before the published one" in refused.output
    assert len(visit()["removed"]) == 2
    assert states() == ["published"]
    assert platform.numbers(day) == ([1, 2, 3, 4], [1, 2, 3, 4])


def test_a_grace_time_is_written_as_in_yaml(datalake: Datalake) -> None:
    result = datalake("vacuum", "--grace", "tomorrow")
    assert result.exit_code == 2
    assert "'tomorrow' is not a duration" in result.output
