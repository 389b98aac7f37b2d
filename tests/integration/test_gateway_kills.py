"""The warehouse's process is killed in the middle of a load: table and ledger agree, and the next load finishes."""

from collections.abc import Callable

import pytest

from datalake_assets.ingest.behind import behind, load_behind, side_by_side
from datalake_assets.ingest.outcomes import Failed, Loaded
from tests.integration import trips
from tests.integration.gateway import Gateway
from tests.integration.relay import Moment, Relay
from tests.integration.user import Platform

OLD: list[trips.Row] = [(1, "5.00", "Rome"), (2, "7.50", "Oslo")]
NEW: list[trips.Row] = [(3, "1.00", "Bonn"), (4, "1.00", "Bonn"), (5, "1.00", "Bonn")]

# What the client sends, and whether the gateway dies before it hears it, while it works on it, or once it is done.
MOMENTS: dict[str, tuple[bytes, Moment]] = {
    "before COPY": (b"COPY ", "before"),
    "during COPY": (b"COPY ", "running"),
    "while new rows are inserted": (b'INSERT INTO "lake"."trips"', "running"),
    "with the ledger written": (b'INSERT INTO "lake"."_load_ledger"', "done"),
    "during COMMIT": (b"COMMIT", "running"),
    "with the answer to COMMIT lost": (b"COMMIT", "done"),
}


def held(platform: Platform, day: str) -> tuple[list[int], str, int]:
    """What the warehouse holds of a day: the trips, and the version and rows of its ledger."""
    ((version, rows),) = platform.warehouse(
        "SELECT version, rows FROM lake._load_ledger WHERE table_name = 'trips' AND partition_key = %s", day
    )
    return trips.numbers(platform, day)[1], str(version), int(rows)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_gateway_killed_in_a_load_leaves_the_old_rows_or_the_new_ones_and_the_retry_finishes(
    platform: Platform,
    warehouse_relay: Relay,
    gateway: Gateway,
    before_retry: Callable[[Callable[[], None]], None],
    moment: str,
) -> None:
    day = platform.day()
    trips.put(platform, day, OLD)
    assert trips.run(platform, day).success
    before = held(platform, day)
    trips.put(platform, day, NEW)
    seen: list[tuple[list[int], str, int]] = []

    def revive() -> None:
        gateway.start()
        warehouse_relay.mend()
        seen.append(held(platform, day))

    before_retry(revive)
    text, when = MOMENTS[moment]
    warehouse_relay.act_at(text, gateway.kill, moment=when)
    run = trips.run(platform, day)

    assert run.success
    assert run.restarts == 1
    after = held(platform, day)
    assert (after[0], after[2]) == ([3, 4, 5], 3)
    assert trips.numbers(platform, day)[0] == [3, 4, 5]
    assert after[1] > before[1]
    assert seen in ([before], [after]), "rows and ledger changed together or not at all"
    if moment != "during COMMIT":
        assert seen == [after if moment == "with the answer to COMMIT lost" else before]


def test_what_a_killed_gateway_has_not_loaded_is_behind_and_is_loaded_without_a_run(
    platform: Platform, warehouse_relay: Relay, gateway: Gateway
) -> None:
    days = platform.days(3)
    for day in days:
        trips.put(platform, day, OLD)
    warehouse_relay.act_at(b"COPY ", gateway.kill, moment="running", times=2)
    assert not trips.run(platform, days).success
    gateway.start()
    warehouse_relay.mend()

    lacking = [each for each in behind(trips.pipeline()) if each.partition in days]
    assert [each.partition for each in lacking] == days[1:]
    assert [(each.rows_lake, each.rows_warehouse, each.warehouse_version) for each in lacking] == [(2, None, None)] * 2

    outcomes = list(load_behind(trips.pipeline(), days, run_id="operations"))
    assert [(each.partition, each.rows) for each in outcomes if isinstance(each, Loaded)] == [
        (days[1], 2),
        (days[2], 2),
    ]
    assert not [each for each in outcomes if isinstance(each, Failed)]
    assert list(load_behind(trips.pipeline(), days, run_id="operations")) == []
    for day in days:
        assert trips.numbers(platform, day) == ([1, 2], [1, 2])
    told = {each.partition: each for each in side_by_side(trips.pipeline())}
    assert all(told[day].lake_version == told[day].warehouse_version for day in days)
    assert not any(told[day].is_behind for day in days)
