"""`datalake arrivals`: what waits and why, and what could not become an arrival."""

import json
from typing import Any

import pytest

from datalake_assets.accounts.sessions import session
from tests.cli.conftest import Datalake
from tests.integration.user import Platform


def table(datalake: Datalake) -> dict[str, Any]:
    """The flights table as `--json` shows it."""
    result = datalake("arrivals", "flights/flights", "--json")
    assert result.exit_code == 0, result.output
    (report,) = json.loads(result.output)
    (found,) = report["tables"]
    assert report["location"] == "flights"
    assert set(report["queue"]) == {"visible", "in_flight", "delayed"}
    return dict(found)


def test_a_file_that_arrived_is_unprocessed_until_its_run(platform: Platform, datalake: Datalake) -> None:
    day = platform.day()
    before = table(datalake)
    platform.put_day(day)
    platform.drain()
    after = table(datalake)
    assert after["objects"] == before["objects"] + 1
    assert after["dirty_partitions"] == before["dirty_partitions"] + 1
    assert after["lag_seconds"] >= 0
    assert day in [each["partition"] for each in after["waiting"]]
    shown = datalake("arrivals", "flights/flights").output
    assert shown.splitlines()[0].split()[:2] == ["pipeline", "objects"]
    assert "flights: queue 0 waiting" in shown
    assert f"flights/flights {day}" in shown or "more" in shown
    assert platform.run("flights", day).success
    assert table(datalake)["dirty_partitions"] == before["dirty_partitions"]


def test_one_partition_is_explained_before_and_after_its_run(platform: Platform, datalake: Datalake) -> None:
    day = platform.day()

    def explained() -> str:
        result = datalake("arrivals", "explain", "flights/flights", day)
        assert result.exit_code == 0, result.output
        return result.output

    assert explained() == f"flights/flights {day}: nothing of it has arrived\n"
    platform.put_day(day)
    platform.drain()
    told = explained()
    assert told.startswith(f"flights/flights {day}: waits: ")
    assert "published  never" in told
    assert f"flights/dt={day}/flights.csv.gz" in told
    assert platform.run("flights", day).success
    told = explained()
    assert "its last change is published, there is nothing to do" in told
    assert json.loads(datalake("versions", "flights/flights", day, "--json").output)[0]["version_id"] in told


def test_partitions_that_wait_for_the_same_share_a_line(platform: Platform, datalake: Datalake) -> None:
    for day in platform.days(3):
        platform.put_day(day)
    platform.drain()
    reasons = [each["reason"] for each in table(datalake)["waiting"]]
    shown = datalake("arrivals").output
    lines = [line for line in shown[shown.index("unprocessed ", shown.index("\n\n")) :].splitlines()[1:] if line]
    assert len(lines) < len(reasons)
    assert any("and " in line and " more" in line for line in lines)


def test_a_dead_letter_is_listed_with_its_reason_and_closed_when_its_object_is_gone(
    platform: Platform, datalake: Datalake
) -> None:
    key = f"flights/dt={platform.day()}/notes.txt"
    platform.put(key, b"x")
    sqs = session("flights").client("sqs")
    url = sqs.get_queue_url(QueueName=platform.account.arrivals_queue)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody='{"poison": "for arrivals"}')
    platform.drain()
    listed = datalake("arrivals", "dead-letters").output
    assert key in listed
    assert "it does not look like flights/dt={partition}/*.csv.gz" in listed
    assert '{"poison": "for arrivals"}' in listed
    assert table(datalake)["dead_letters"] >= 1
    assert "datalake arrivals dead-letters" in datalake("arrivals").output

    platform.remove(key)
    platform.drain()
    assert key not in datalake("arrivals", "dead-letters").output
    closed = {each["key"]: each for each in json.loads(datalake("arrivals", "dead-letters", "--all", "--json").output)}
    assert closed[key]["resolved_at"]


def test_the_ledger_alone_tells_what_it_can_without_dagster(
    platform: Platform, datalake: Datalake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    assert table(datalake)["source_id"] == "flights/flights"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["flights"], "there is no pipeline 'flights'. Did you mean flights/flights?"),
        (["explain", "flights/flights"], "no partition is named"),
        (["explain", "flights/planes", "2013-01-01"], "has no partitions"),
    ],
)
def test_a_wrong_name_is_one_clear_line(arguments: list[str], told: str, datalake: Datalake) -> None:
    result = datalake("arrivals", *arguments)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert told in line
