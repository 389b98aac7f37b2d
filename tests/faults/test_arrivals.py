"""Drains and sweeps that are killed anywhere: the ledger ends equal to the bucket, dead letters are kept once each."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.faults import tasks
from tests.faults.killing import wait_for
from tests.faults.tables import table
from tests.faults.world import World, csv_text, points, reached

DRAIN = [*points("drain."), "ledger.written"]
SWEEP = points("sweep.")
LISTING_MARGIN_SECONDS = 3.5  # two, and S3 tells its time in whole ones


def ledger_is_bucket(world: World, days: Sequence[str]) -> bool:
    objects, _ = world.outsider.ledger(table("kills"))
    return all(objects.get(day, {}) == world.outsider.raw_objects(table("kills"), day) for day in days)


def dead_letters(world: World, text: str) -> int:
    """The dead letters that speak of something."""
    with world.platform_database() as cursor:
        cursor.execute("SELECT count(*) FROM arrival_dead_letter WHERE key = %s OR body = %s", [text, text])
        found: int = cursor.fetchone()[0]
        return found


def disturbed(world: World, days: Sequence[str], *, extra: Sequence[str] = ()) -> None:
    """Land, overwrite and delete; then let every notification wait twice, in any order."""
    world.land("kills", days)
    world.put("kills", days[0], "a.csv", csv_text(1, batch=9))
    world.delete("kills", days[1], "b.csv")
    world.delete("kills", days[2], "b.csv")
    world.put("kills", days[2], "b.csv", csv_text(2, batch=9))
    bodies = [*world.take_messages(), *extra] * 2
    world.random.shuffle(bodies)
    world.send_messages(bodies)


@pytest.mark.parametrize("hit", [1, 2])
@pytest.mark.parametrize("point", DRAIN)
def test_a_drain_that_is_killed_is_repeated(world: World, point: str, hit: int) -> None:
    days = world.days()
    unknown = f"kills/dt={days[0]}x/a.csv"
    world.outsider.s3.put_object(Bucket=world.outsider.account.raw_bucket, Key=unknown, Body=b"x")
    poison = f'{{"poison": "{days[0]} {point} {hit}"}}'
    disturbed(world, days, extra=[poison])
    world.killed_at(point, tasks.drain_queue, hit=hit)
    world.drain()
    assert ledger_is_bucket(world, days)
    assert dead_letters(world, unknown) == 1
    assert dead_letters(world, poison) == 1


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "goes on"])
@pytest.mark.parametrize("point", DRAIN)
def test_two_drains_at_once_lose_nothing(world: World, point: str, is_killed: bool) -> None:
    days = world.days()
    poison = f'{{"poison": "{days[0]} {point} {is_killed}"}}'
    disturbed(world, days, extra=[poison])
    first, gate = world.held_at(point, tasks.drain_queue)
    disturbed(world, days)
    second = world.attempt(tasks.drain_queue)
    world.over_or_blocked(second)
    if is_killed:
        first.kill()
        reached.add(point)
    else:
        gate.touch()
        first.result()
    second.result()
    world.drain()
    assert ledger_is_bucket(world, days)
    assert dead_letters(world, poison) == 1


@pytest.mark.parametrize("point", SWEEP)
def test_a_sweep_that_is_killed_is_repeated(world: World, point: str) -> None:
    days = world.days()
    world.land("kills", days)
    world.drain()
    disturbed(world, days)
    late: list[Any] = world.take_messages()  # lost, as far as the sweep knows
    world.killed_at(point, tasks.sweep_bucket)
    # What changed within two seconds of a listing, S3 cannot order with it: the next sweep is later than that.
    changed_at = time.monotonic()
    wait_for(lambda: time.monotonic() - changed_at > LISTING_MARGIN_SECONDS, "a listing that is later than all changes")
    tasks.sweep_bucket()
    assert ledger_is_bucket(world, days)
    world.send_messages(late)
    world.drain()
    assert ledger_is_bucket(world, days)


@pytest.mark.parametrize("point", [*SWEEP, "ledger.written"])
def test_a_drain_during_a_sweep_loses_nothing(world: World, point: str) -> None:
    days = world.days()
    world.land("kills", days)
    world.take_messages()
    sweep, gate = world.held_at(point, tasks.sweep_bucket)
    disturbed(world, days)
    drain = world.attempt(tasks.drain_queue)
    world.over_or_blocked(drain)
    gate.touch()
    sweep.result()
    drain.result()
    world.drain()
    assert ledger_is_bucket(world, days)
