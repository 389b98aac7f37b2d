"""Every order of publishers' steps ends with the greatest version: the real code, stopped between its calls."""

import os
import random
from collections.abc import Iterator, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from datalake_assets.catalog import deadline
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.layout import Kind
from datalake_assets.catalog.manifest import Manifest
from datalake_assets.catalog.publish import publish
from datalake_assets.catalog.vacuum import vacuum
from tests.catalog.fake_aws import FakeAws, Program, Programs, fake_table, uploaded

DAY = "2013-01-01"
# All but three republishers need fewer than this; DATALAKE_ALL_ORDERS=1 plays the some 5,000 of theirs too.
MAX_ORDERS = 10**9 if os.environ.get("DATALAKE_ALL_ORDERS") else 1_200


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))


def is_step(operation: str, key: str) -> bool:
    """Comparison, manifest, switch and the look afterwards; the rest of a publisher's calls nobody else can see."""
    if operation in ("put", "list"):
        return "_manifests" in key
    return operation in ("compare", "create", "update")


def is_step_of_a_table(operation: str, key: str) -> bool:
    """The same for a table without partitions, whose location is the table's own."""
    return operation in ("get_table", "update_table") or is_step(operation, key)


def goes_by(publisher: Program) -> tuple[object, ...]:
    """What a publisher has seen since it last listed manifests, and the greatest of that listing."""
    last: list[object] = []
    for operation, answer in publisher.seen:
        last = [(operation, max(answer, default=""))] if operation == "list" else [*last, (operation, answer)]
    return tuple(last)


@cache
def before_the_race(publishers: int, partition: str, is_first: bool) -> tuple[FakeAws, tuple[Manifest, ...]]:
    aws = FakeAws()
    table = fake_table(aws, is_partitioned=bool(partition))
    if not is_first:
        publish(table, uploaded(table, partition, "v0", objects=1))
    return aws, tuple(uploaded(table, partition, f"v{n}", objects=1) for n in range(1, publishers + 1))


class Race:
    """Publishers of one partition with the versions v1, v2 …, over a published v0, or over nothing."""

    def __init__(self, publishers: int, *, partition: str, is_first: bool) -> None:
        before, manifests = before_the_race(publishers, partition, is_first)
        self.aws = FakeAws(objects=dict(before.objects), partitions=dict(before.partitions))
        self.partition = partition
        self.table: GlueTable = fake_table(self.aws, is_partitioned=bool(partition))
        self.aws.table = before.table
        programs = Programs(self.aws, is_step if partition else is_step_of_a_table)
        self.publishers = [programs.add(lambda m=manifest: publish(self.table, m)) for manifest in manifests]  # type: ignore[misc]
        for each in self.publishers:
            each.step()

    def play(self, steps: Sequence[int]) -> None:
        """Let publishers go one step each, in this order; a negative number kills one."""
        for step in steps:
            publisher: Program = self.publishers[abs(step) - 1]
            if step > 0:
                publisher.step()
            else:
                publisher.kill()

    @property
    def state(self) -> object:
        """All that decides how it goes on: what is published and accepted, and what each publisher goes by."""
        accepted = frozenset(self.aws.places("flights", Kind.MANIFEST))
        version = self.aws.table["VersionId"] if not self.partition else ""
        known = tuple((each.waits_for, goes_by(each)) for each in self.publishers)
        return self.aws.published(self.partition), accepted, version, known

    @property
    def next_steps(self) -> list[int]:
        return [number for number, each in enumerate(self.publishers, 1) if not each.is_done]


def ends_of_all_orders(publishers: int, *, partition: str, is_first: bool, kills: int = 0) -> Iterator[Race]:
    """Every way a race can end, each state on the way visited once; at most `MAX_ORDERS` prefixes are played."""
    known: set[object] = set()
    waiting: list[list[int]] = [[]]
    chance = random.Random(publishers)
    for _ in range(MAX_ORDERS):
        if not waiting:
            return
        chosen = chance.randrange(len(waiting))
        waiting[chosen], waiting[-1] = waiting[-1], waiting[chosen]
        steps = waiting.pop()
        race = Race(publishers, partition=partition, is_first=is_first)
        race.play(steps)
        killed = sum(step < 0 for step in steps)
        if (race.state, killed) in known:
            continue
        known.add((race.state, killed))
        if not race.next_steps:
            yield race
        for number in race.next_steps:
            waiting.append([*steps, number])
            if killed < kills:
                waiting.append([*steps, -number])


@pytest.mark.parametrize("partition", [DAY, ""], ids=["partition", "whole table"])
@pytest.mark.parametrize("is_first", [False, True], ids=["republished", "first"])
@pytest.mark.parametrize("publishers", [2, 3])
def test_every_order_of_steps_ends_with_the_greatest_version(publishers: int, partition: str, is_first: bool) -> None:
    ends = 0
    for race in ends_of_all_orders(publishers, partition=partition, is_first=is_first):
        ends += 1
        assert race.aws.published(partition) == f"v{publishers}"
        assert [each.error for each in race.publishers] == [None] * publishers
    assert ends > 1


@pytest.mark.parametrize("partition", [DAY, ""], ids=["partition", "whole table"])
def test_wherever_publishers_are_killed_the_next_publisher_or_vacuum_repairs_it(partition: str) -> None:
    repaired = 0
    for race in ends_of_all_orders(2, partition=partition, is_first=False, kills=2):
        accepted = race.aws.places("flights", Kind.MANIFEST)
        found = vacuum(race.table, keep_versions=9, grace=deadline.SETTLE)
        repaired += len(found.repaired)
        assert race.aws.published(partition) == max(accepted)
    assert repaired > 0


def test_a_publisher_switches_on_to_what_a_killed_one_has_accepted() -> None:
    race = Race(3, partition=DAY, is_first=False)
    killed = race.publishers[2]
    while killed.waits_for and killed.waits_for[0] != "update":
        killed.step()
    killed.kill()
    race.publishers[0].finish()
    assert race.aws.published(DAY) == "v3"


def test_a_late_switch_is_undone_by_its_own_publisher() -> None:
    race = Race(2, partition=DAY, is_first=False)
    late = race.publishers[0]
    while late.waits_for and late.waits_for[0] != "update":
        late.step()
    race.publishers[1].finish()
    late.step()
    assert race.aws.published(DAY) == "v1"
    late.finish()
    assert race.aws.published(DAY) == "v2"
    seen: Any = late.result
    assert seen == "v0"
