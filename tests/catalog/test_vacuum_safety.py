"""Each danger that vacuum's argument names, played step by step: somebody sleeps, is killed, is late or comes twice."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest

from datalake_assets.catalog import deadline
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.manifest import write_manifest
from datalake_assets.catalog.publish import publish
from datalake_assets.catalog.rollback import rollback
from datalake_assets.catalog.vacuum import VacuumResult, vacuum
from datalake_assets.catalog.versions import new_version_id
from datalake_assets.errors import ConcurrentChange, ConfigurationError, PlatformError
from tests.catalog.fake_aws import START, FakeAws, Program, Programs, fake_table, is_complete, refusal, uploaded

DAY = "2013-01-01"
GRACE = timedelta(hours=1)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class World:
    """A table, its programs and a clock that all hosts follow."""

    def __init__(self) -> None:
        self.aws = FakeAws()
        self.table: GlueTable = fake_table(self.aws)
        self._programs = Programs(self.aws)

    def start(self, work: Callable[[], object]) -> Program:
        return self._programs.add(work)

    def publisher(self, version: str) -> Program:
        return self.start(lambda: publish(self.table, uploaded(self.table, DAY, version)))

    def publish(self, *versions: str) -> None:
        for version in versions:
            publish(self.table, uploaded(self.table, DAY, version))

    def vacuum(self, keep: int = 1) -> VacuumResult:
        return vacuum(self.table, keep_versions=keep, grace=GRACE, threads=1)

    def passes(self, time: timedelta) -> None:
        self.aws.now += time

    def is_whole(self, version: str) -> bool:
        return is_complete(self.aws, version, 2, DAY)

    def traces(self, version: str) -> list[str]:
        return [key for key in self.aws.objects if version in key]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(deadline, "time", SimpleNamespace(time=lambda: made.aws.now.timestamp()))
    return made


@pytest.mark.parametrize("place", ["compare", "update", "update in flight"])
def test_a_publisher_that_slept_until_its_version_was_vacuumed_does_not_publish_it(world: World, place: str) -> None:
    world.publish("v0")
    sleeper = world.publisher("v1")
    sleeper.go_to(place)
    world.publish("v2", "v3")
    for _ in range(3):
        world.passes(2 * HOUR)
        world.vacuum()
    assert world.traces("v1") == []

    while not sleeper.is_done:
        sleeper.step()
        assert world.is_whole(str(world.aws.published(DAY)))  # at no moment readers are sent to what is gone
    assert world.aws.published(DAY) == "v3"


def test_a_version_that_a_late_switch_may_yet_show_is_not_marked(world: World) -> None:
    world.publish("v0")
    late = world.publisher("v1")
    late.go_to("update")
    world.publish("v2")
    world.passes(4 * MINUTE)
    assert [each.version_id for each in world.vacuum(keep=2).marked] == []
    late.step()
    late.step()
    late.kill()  # after its switch, before it looks for a greater version
    assert world.aws.published(DAY) == "v1"

    world.passes(61 * MINUTE)
    reader_of = world.aws.published(DAY)
    world.passes(MINUTE)
    world.publish("v3")
    for _ in range(3):
        world.vacuum()
        world.passes(19 * MINUTE)
        assert world.is_whole(str(reader_of))


def test_a_publisher_that_slept_after_its_upload_is_refused_before_vacuum_takes_its_objects(world: World) -> None:
    world.publish("v0")
    sleeper = world.publisher("v1")
    sleeper.go_to("list", "v=v1/")
    world.passes(25 * HOUR)
    sweeper = world.start(world.vacuum)
    sweeper.go_to("delete in flight", "v=v1/")

    sleeper.finish()  # its objects are all there still
    sweeper.finish()

    assert isinstance(sleeper.error, ConcurrentChange)
    assert "never published: vacuum may be about to remove it" in str(sleeper.error)
    assert world.aws.published(DAY) == "v0"
    assert world.traces("v1") == []


def test_a_rollback_from_a_version_that_is_vacuumed_meanwhile_fails_and_changes_nothing(world: World) -> None:
    ids = [new_version_id("run", START - timedelta(days=3 - day)) for day in range(3)]
    world.publish(*ids)
    world.passes(HOUR)
    before = dict(world.aws.objects), world.aws.now
    for place, key in (("get", ids[1]), ("list", f"v={ids[1]}"), ("copy", "part-00000"), ("copy", "part-00001")):
        world.aws.objects, world.aws.now = dict(before[0]), before[1]
        back = world.start(lambda: rollback(world.table, DAY, to=ids[1], reason="r", run_id="run", threads=1))
        back.go_to(place, key)
        if place == "get":  # the first reads it for the list of versions
            back.step()
        assert world.vacuum().marked
        world.passes(2 * HOUR)
        assert world.vacuum().removed
        back.finish()
        assert isinstance(back.error, PlatformError), place
        assert world.aws.published(DAY) == ids[2]
        assert world.is_whole(ids[2])


def test_a_vacuum_killed_anywhere_is_finished_by_the_next(world: World) -> None:
    world.publish("v0", "v1", "v2")
    world.passes(HOUR)
    objects, start = dict(world.aws.objects), world.aws.now
    steps = 0
    while True:
        steps += 1
        world.aws.objects, world.aws.now = dict(objects), start
        for _ in range(2):  # killed in the visit that marks, then in the one that removes
            sweeper = world.start(world.vacuum)
            for _ in range(steps):
                if not sweeper.is_done:
                    sweeper.step()
            is_done = sweeper.is_done
            if not is_done:
                sweeper.kill()
            assert world.is_whole("v2")
            world.passes(2 * HOUR)
        for _ in range(3):
            world.vacuum()
            world.passes(25 * HOUR)
        assert world.traces("v0") == world.traces("v1") == []
        assert world.is_whole("v2")
        if is_done:
            break
    assert steps > 8


def test_two_vacuums_at_once_do_what_one_does(world: World) -> None:
    world.publish("v0", "v1", "v2")
    for _ in range(2):
        world.passes(2 * HOUR)
        both = [world.start(world.vacuum) for _ in range(2)]
        while not all(each.is_done for each in both):
            for each in both:
                if not each.is_done:
                    each.step()
        assert [each.error for each in both] == [None, None]
    assert world.traces("v0") == world.traces("v1") == []
    assert world.is_whole("v2")
    world.passes(2 * HOUR)
    assert world.vacuum().removed == []


@pytest.mark.parametrize("call", ["list", "compare", "get_table", "get"])
def test_a_call_that_fails_removes_nothing(world: World, call: str) -> None:
    world.publish("v0", "v1", "v2")
    world.passes(HOUR)
    world.vacuum()
    world.passes(2 * HOUR)
    before = dict(world.aws.objects)
    met = []

    def fail(operation: str, key: str) -> None:
        if operation == call:
            met.append(key)
            raise refusal("AccessDenied")

    world.aws.gate = fail
    with pytest.raises(PlatformError):
        world.vacuum()
    assert met
    assert world.aws.objects == before


def test_the_clock_of_our_host_decides_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def skew(days: int) -> None:
        skewed = SimpleNamespace(time=lambda: world.aws.now.timestamp() + days * 86_400)
        monkeypatch.setattr(deadline, "time", skewed)

    world.publish("v0", "v1", "v2")
    world.passes(HOUR)
    skew(-400)
    assert len(world.vacuum().marked) == 2
    world.passes(59 * MINUTE)
    skew(400)
    assert world.vacuum().removed == []
    world.passes(2 * MINUTE)
    skew(-400)
    assert [each.version_id for each in world.vacuum().removed] == ["v0", "v1"]


def test_what_is_marked_is_not_published_by_anybody(world: World) -> None:
    world.publish("v0", "v1", "v2")
    world.passes(HOUR)
    world.vacuum()
    del world.aws.partitions[DAY]  # dropped by hand: v1 could be published again, were it not marked
    for key in [key for key in world.aws.objects if "_manifests" in key and "v2" in key]:
        del world.aws.objects[key]
    again = uploaded(world.table, DAY, "v1")
    with pytest.raises(ConcurrentChange, match="marked for removal"):
        publish(world.table, again)


def test_a_table_that_vanishes_during_the_visit_keeps_all(world: World) -> None:
    world.publish("v0", "v1")
    world.passes(HOUR)
    world.vacuum()
    world.passes(2 * HOUR)
    before = dict(world.aws.objects)

    def vanish(operation: str, key: str) -> None:
        if operation == "compare":
            raise refusal("EntityNotFoundException", "Table flights not found")

    world.aws.gate = vanish
    with pytest.raises(ConfigurationError):
        world.vacuum()
    assert world.aws.objects == before


def test_a_large_table_costs_few_calls_beside_its_marks(world: World) -> None:
    partitions, versions = 300, 10
    newest = []
    for partition in (f"p{number:04d}" for number in range(partitions)):
        for version in range(versions):
            manifest = uploaded(world.table, partition, f"v{version}", objects=1)
            write_manifest(world.table.session.client("s3"), world.table.bucket, manifest)
        newest.append(manifest)
    world.table.switch_locations(newest)
    calls: Counter[str] = Counter()
    world.aws.gate = lambda operation, key: calls.update([operation])

    world.passes(HOUR)
    assert len(vacuum(world.table, keep_versions=1, grace=GRACE).marked) == partitions * (versions - 1)
    assert (calls["list"], calls["compare"], calls["get"]) == (2, 2, partitions)
    calls.clear()
    world.passes(2 * HOUR)
    assert len(vacuum(world.table, keep_versions=1, grace=GRACE).removed) == partitions * (versions - 1)
    assert (calls["list"], calls["compare"], calls["get"], calls["put"]) == (2, 2, partitions, 0)
    assert calls["delete"] == 9  # manifests, objects, marks: a thousand keys a call
    calls.clear()
    assert vacuum(world.table, keep_versions=1, grace=GRACE).kept == partitions
    assert calls == {"get_table": 1, "list": 2, "compare": 2}
