"""Publishers, rollbacks, vacuums and readers in any order, each stopped, killed or suspended anywhere.

The real code runs on S3 and Glue in memory, whose clock is turned by the machine.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from datalake_assets.catalog import deadline
from datalake_assets.catalog.layout import Kind
from datalake_assets.catalog.manifest import read_manifest
from datalake_assets.catalog.publish import publish
from datalake_assets.catalog.rollback import rollback
from datalake_assets.catalog.vacuum import vacuum
from datalake_assets.catalog.versions import new_version_id
from datalake_assets.errors import AuditFailed, ConfigurationError, PlatformError
from tests.catalog.fake_aws import START, FakeAws, Program, Programs, fake_table, is_complete, uploaded

DAY = "2013-01-01"
GRACE = timedelta(hours=1)
KEEP = 2
EXAMPLES = int(os.environ.get("DATALAKE_EXAMPLES", "60"))


@dataclass
class Reader:
    """Learned a location and still reads there."""

    version: str
    since: Any


class PublishMachine(RuleBasedStateMachine):
    partition = DAY

    @initialize()
    def begin(self) -> None:
        self.aws = FakeAws()
        self.table = fake_table(self.aws, is_partitioned=bool(self.partition))
        self.programs = Programs(self.aws)
        self.running: list[Program] = []
        self.readers: list[Reader] = []
        self.made = 0
        self.objects: dict[str, int] = {}
        self.rested_at = ""
        self.is_disturbed = False
        """Whether anybody was killed or failed since all came to rest, and may have left work to vacuum."""

    def id(self, early: timedelta) -> str:
        """An id as a host makes it whose clock is behind by `early`, or whose run began so long ago."""
        self.made += 1
        return new_version_id(f"run{self.made:03d}", self.aws.now - early)

    # What goes on

    @precondition(lambda self: len(self.running) < 4)
    @rule(
        early=st.sampled_from([timedelta(0), timedelta(minutes=7), timedelta(hours=2)]),
        objects=st.integers(1, 3),
        is_rejected=st.sampled_from([False, False, False, True]),
    )
    def start_publisher(self, early: timedelta, objects: int, is_rejected: bool) -> None:
        version = self.id(early)
        self.objects[version] = objects

        def work() -> None:
            manifest = uploaded(self.table, self.partition, version, objects=objects)
            publish(self.table, manifest, failed_checks=["refused"] if is_rejected else [])

        self.running.append(self.programs.add(work))

    @precondition(lambda self: len(self.running) < 4)
    @rule()
    def start_rollback(self) -> None:
        self.made += 1
        name = f"back{self.made:03d}"
        self.running.append(
            self.programs.add(lambda: rollback(self.table, self.partition, reason="because", run_id=name, threads=1))
        )

    @precondition(lambda self: len(self.running) < 4)
    @rule(keep=st.integers(1, KEEP))
    def start_vacuum(self, keep: int) -> None:
        self.running.append(self.programs.add(lambda: vacuum(self.table, keep_versions=keep, grace=GRACE, threads=1)))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), steps=st.integers(1, 12))
    def go_on(self, data: st.DataObject, steps: int) -> None:
        program = data.draw(st.sampled_from(self.running))
        for _ in range(steps):
            if not program.is_done:
                program.step()
        self.forget_done()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.running)).finish()
        self.forget_done()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.running)).kill()
        self.is_disturbed = True
        self.forget_done()

    @rule(minutes=st.sampled_from([0.01, 1, 4, 6, 29, 31, 61, 60 * 13, 60 * 25]))
    def time_passes(self, minutes: float) -> None:
        self.aws.now += timedelta(minutes=minutes)

    @rule()
    def read(self) -> None:
        version = self.aws.published(self.partition)
        assume(version)
        self.readers.append(Reader(str(version), self.aws.now))

    def forget_done(self) -> None:
        for program in self.running:
            # A ClientError is of an upload that was asleep for longer than its signature is good for.
            if program.is_done and program.error and not isinstance(program.error, PlatformError | ClientError):
                raise program.error
            if program.is_done and program.error and not isinstance(program.error, AuditFailed | ConfigurationError):
                self.is_disturbed = True
        self.running = [program for program in self.running if not program.is_done]

    # What holds

    def is_whole(self, version: str) -> bool:
        """Whether all objects that its run uploaded are there, as they were, and no others."""
        inner = f"dt={self.partition}/" if self.partition else ""
        prefix = f"flights/{inner}v={version}/"
        origin = next(
            (stored.body.split()[0] for key, stored in self.aws.objects.items() if key.startswith(prefix)), b""
        )
        return is_complete(self.aws, version, self.objects.get(origin.decode(), 0), self.partition)

    @invariant()
    def readers_find_the_whole_version_they_were_told_of(self) -> None:
        if not hasattr(self, "aws"):
            return
        self.readers = [each for each in self.readers if self.aws.now - each.since <= GRACE]
        for version in {each.version for each in self.readers} | {self.aws.published(self.partition)} - {None}:
            assert self.is_whole(str(version)), version

    @invariant()
    def nothing_rejected_is_published(self) -> None:
        if hasattr(self, "aws"):
            assert self.aws.published(self.partition) not in self.aws.places("flights", Kind.REJECTED)

    @rule()
    def all_comes_to_rest(self) -> None:
        """Everybody finishes; then the greatest accepted version is published, and that never goes back."""
        for program in self.running:
            program.finish()
        self.forget_done()
        if not self.is_disturbed:
            self.greatest_is_published()
        self.is_disturbed = False
        vacuum(self.table, keep_versions=KEEP, grace=GRACE, threads=1)
        self.greatest_is_published()
        published = self.aws.published(self.partition) or ""
        if published:
            manifest = read_manifest(
                self.table.session.client("s3"), self.table.bucket, "flights", self.partition, published
            )
            assert manifest.version.id == published
        assert published >= self.rested_at
        self.rested_at = published

    def greatest_is_published(self) -> None:
        if published := self.aws.published(self.partition):
            accepted = self.aws.places("flights", Kind.MANIFEST) - self.aws.places("flights", Kind.EXPIRED)
            assert published == max(accepted)

    def teardown(self) -> None:
        if hasattr(self, "aws"):
            self.all_comes_to_rest()
            self.readers_find_the_whole_version_they_were_told_of()
            for program in self.running:
                program.kill()


class TableMachine(PublishMachine):
    partition = ""


@pytest.mark.parametrize("machine", [PublishMachine, TableMachine])
def test_no_order_of_steps_crashes_and_pauses_breaks_a_promise(
    machine: type[PublishMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each machine has its own clock; hosts' clocks follow it."""
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))
    current: list[FakeAws] = []

    class Timed(machine):  # type: ignore[misc, valid-type]
        @initialize()
        def begin(self) -> None:
            super().begin()
            current[:] = [self.aws]

    def now() -> float:
        return current[0].now.timestamp() if current else START.timestamp()

    monkeypatch.setattr(deadline, "time", SimpleNamespace(time=now))
    clock = SimpleNamespace(now=lambda zone: current[0].now, strptime=datetime.strptime)
    monkeypatch.setattr("datalake_assets.catalog.rollback.datetime", clock)
    run_state_machine_as_test(
        Timed,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
