"""The ledger against a bucket that is written, told of, listed and published in any order."""

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.listing import list_partition
from datalake_assets.arrivals.order import Arrival
from datalake_assets.arrivals.partitions import Daily
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.arrivals.sources import Match, Matcher, RawObject
from datalake_assets.arrivals.sweep import sweep
from datalake_assets.database.engine import transaction
from tests.arrivals.builders import FLIGHTS, SOURCE, at, etag_of
from tests.arrivals.doubles import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

START = Daily(dt.date(2013, 1, 1))
TAKEN_DAYS = ("2013-01-01", "2013-01-02")
BEFORE = replace(FLIGHTS, marker=KeyPattern.parse("flights/dt={partition}/_SUCCESS", START, is_marker=True))
MENDED = replace(BEFORE, patterns=(*BEFORE.patterns, KeyPattern.parse("more/{%Y%m%d}*.csv", START)))
KEYS = [f"flights/dt=2013-01-01/{name}" for name in ("a.csv.gz", "b.csv.gz", "_SUCCESS")]
KEYS += ["flights/dt=2013-01-02/a.csv.gz", "more/20130101.csv"]
MAX_EXAMPLES, MAX_STEPS = 25, 25
TICK = 10.25  # seconds from one change to the next: more than the margin of a listing


@dataclass(frozen=True)
class Told:
    """What S3 has to tell of one change."""

    key: str
    content: str | None
    seconds: float
    sequencer: str | None


@dataclass
class Run:
    day: str
    begun_seq: int
    objects: list[RawObject]
    epoch: int
    patterns: int


@dataclass
class World:
    """A bucket, what it has not told yet, and what was published of it."""

    bucket: Bucket = field(default_factory=lambda: Bucket(page_keys=2))
    seconds: float = 0.0
    told: list[Told] = field(default_factory=list)  # on its way; what came stays: it may come again
    published: dict[str, dict[str, str]] = field(default_factory=dict)
    epoch: int = 0  # counts the changes of the bucket and of the patterns
    is_anything_lost: bool = False


keys = st.sampled_from(KEYS)
contents = st.sampled_from(["1", "22", "333"])
Step = tuple[str, Any, Any]
steps: st.SearchStrategy[list[Step]] = st.just([]) | st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, contents),
        st.tuples(st.just("delete"), st.integers(0, 50), st.none()),
        st.tuples(st.just("deliver"), st.integers(0, 50), st.none()),
    ),
    max_size=4,
)


class LedgerMachine(RuleBasedStateMachine):
    """Every step is something that happens to a ledger; the invariants hold after each."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        self.world = World()
        self.world.bucket.now = at(TICK / 2)
        self.source = BEFORE
        self.matcher = Matcher([self.source])
        self.held: list[list[Arrival]] = []
        self.runs: list[Run] = []
        self.equal_since: int | None = None  # the epoch in which a sweep has made the ledger equal to the bucket
        with transaction(ledger.database) as connection:  # type: ignore[arg-type]
            connection.execute(text("TRUNCATE arrival_object, arrival_history, arrival_partition, arrival_listing"))

    # What happens in S3

    def _changed(self, key: str, content: str | None, with_sequencer: bool) -> None:
        world = self.world
        world.seconds += TICK
        world.epoch += 1
        sequencer = f"{int(world.seconds * 4):012X}" if with_sequencer else None
        world.told.append(Told(key, content, world.seconds, sequencer))
        world.bucket.now = at(world.seconds + TICK / 2)

    @rule(key=keys, content=contents, with_sequencer=st.booleans())
    def put(self, key: str, content: str, with_sequencer: bool = True) -> None:
        self._changed(key, content, with_sequencer)
        self.world.bucket.put(key, content, self.world.seconds)

    @precondition(lambda self: self.world.bucket.objects)
    @rule(number=st.integers(0, 50), with_sequencer=st.booleans())
    def delete(self, number: int, with_sequencer: bool = True) -> None:
        key = sorted(self.world.bucket.objects)[number % len(self.world.bucket.objects)]
        del self.world.bucket.objects[key]
        self._changed(key, None, with_sequencer)

    @precondition(lambda self: self.world.told)
    @rule(number=st.integers(0, 50))
    def lose(self, number: int) -> None:
        """A notification never comes."""
        self.world.told.pop(number % len(self.world.told))
        self.world.is_anything_lost = True

    # What drains do

    def _arrivals(self, numbers: list[int]) -> list[Arrival]:
        found = []
        for number in numbers:
            told = self.world.told[number % len(self.world.told)]
            match = self.matcher.match(told.key)
            if isinstance(match, Match):
                found.append(
                    Arrival(
                        "raw", told.key, match.source_id, match.partition, etag_of(told.content or ""),
                        len(told.content or ""), at(told.seconds), told.sequencer, is_deleted=told.content is None,
                        is_marker=match.is_marker,
                    )
                )  # fmt: skip
        return found

    @precondition(lambda self: self.world.told)
    @rule(numbers=st.lists(st.integers(0, 50), min_size=1, max_size=6))
    def drain(self, numbers: list[int]) -> None:
        """Notifications are recorded: some of them, in any order, also for the second time."""
        self.ledger.record(self._arrivals(numbers), self.matcher.texts)

    @precondition(lambda self: self.world.told)
    @rule(is_reversed=st.booleans())
    def drain_all(self, is_reversed: bool) -> None:
        """Everything is told, one by one."""
        for arrival in self._arrivals(list(range(len(self.world.told))))[:: -1 if is_reversed else 1]:
            self.ledger.record([arrival], self.matcher.texts)
            self.after_a_sweep_nothing_that_comes_late_makes_a_difference()

    @precondition(lambda self: self.world.told)
    @rule(numbers=st.lists(st.integers(0, 50), min_size=1, max_size=6))
    def another_drain_receives(self, numbers: list[int]) -> None:
        self.held.append(self._arrivals(numbers))

    @precondition(lambda self: self.held)
    @rule(number=st.integers(0, 5))
    def another_drain_records(self, number: int) -> None:
        self.ledger.record(self.held.pop(number % len(self.held)), self.matcher.texts)

    # What sweeps and runs do

    def _at_each_page(self, meanwhile: list[Step]) -> Bucket:
        machine = self

        class Busy(Bucket):
            def list_objects_v2(self, **request: Any) -> dict[str, Any]:
                self.objects, self.now = machine.world.bucket.objects, machine.world.bucket.now
                answer = super().list_objects_v2(**request)
                if meanwhile:
                    machine._do(meanwhile.pop(0))
                return answer

        return Busy(page_keys=2)

    def _do(self, step: Step) -> None:
        kind, what, content = step
        if kind == "put":
            self.put(key=what, content=content)
        elif kind == "delete" and self.world.bucket.objects:
            self.delete(number=what)
        elif kind == "deliver" and self.world.told:
            self.ledger.record(self._arrivals([what]), self.matcher.texts)

    @rule(days=st.none() | st.sampled_from(TAKEN_DAYS), meanwhile=steps)
    def sweep(self, days: str | None, meanwhile: list[Step]) -> None:
        epoch = self.world.epoch
        sweep(
            cast("S3Client", self._at_each_page(meanwhile)), "raw", [self.source], self.ledger, location="flights",
            partitions=[days] if days else None, requests_per_second=None,
        )  # fmt: skip
        if days is None:
            # What changed while it was listed, it may have seen or not.
            self.equal_since = epoch if epoch == self.world.epoch else None

    @rule(day=st.sampled_from(TAKEN_DAYS), meanwhile=steps)
    def run_begins(self, day: str, meanwhile: list[Step]) -> None:
        begun_seq = self.ledger.last_change()
        epoch = self.world.epoch
        objects = list_partition(
            cast("S3Client", self._at_each_page(meanwhile)), "raw", self.source.patterns, day, marker=self.source.marker
        )
        self.runs.append(Run(day, begun_seq, objects, epoch, len(self.source.patterns)))

    @precondition(lambda self: self.runs)
    @rule(number=st.integers(0, 5))
    def run_publishes(self, number: int) -> None:
        run = self.runs.pop(number % len(self.runs))
        found = self.ledger.mark_published(SOURCE, run.day, objects=run.objects, version="v", begun_seq=run.begun_seq)
        self.world.published[run.day] = {o.key: o.etag for o in run.objects}
        if self.equal_since == self.world.epoch and self._is_as_published(run.day) and not self.runs and not self.held:
            # Not for ever, if not now: whoever runs it now has it clean.
            begun_seq = self.ledger.last_change()
            found = self.ledger.mark_published(SOURCE, run.day, objects=run.objects, version="w", begun_seq=begun_seq)
            assert not found.is_dirty

    @rule(day=st.sampled_from(TAKEN_DAYS), key=keys, before=steps, after=steps)
    def a_sweep_comes_during_a_run(self, day: str, key: str, before: list[Step], after: list[Step]) -> None:
        self.put(key=key, content="1")
        self.run_begins(day, [])
        for step in before:
            self._do(step)
        self.sweep(None, [])
        for step in after:
            self._do(step)
        self.run_publishes(len(self.runs) - 1)

    @precondition(lambda self: self.source is BEFORE)
    @rule()
    def the_pattern_is_mended(self) -> None:
        """Processes of before are gone with what they held; what they received comes again."""
        self.source = MENDED
        self.matcher = Matcher([self.source])
        self.held.clear()
        self.runs.clear()
        self.world.epoch += 1

    # What holds

    def _bucket(self, day: str | None = None, *, with_markers: bool = True) -> dict[str, str]:
        found = {}
        for key, (content, _) in self.world.bucket.objects.items():
            match = self.matcher.match(key)
            if isinstance(match, Match) and day in (None, match.partition) and (with_markers or not match.is_marker):
                found[key] = etag_of(content)
        return found

    def _is_as_published(self, day: str) -> bool:
        return self.world.published[day] == self._bucket(day, with_markers=False)

    def _live(self) -> dict[str, str]:
        return {o.key: o.etag for batch in self.ledger.live_objects("raw", "") for o in batch}

    @invariant()
    def sums_are_those_of_the_objects(self) -> None:
        with transaction(self.ledger.database) as connection:  # type: ignore[arg-type]
            wrong = connection.execute(
                text("""
                    SELECT * FROM arrival_partition p FULL JOIN (
                        SELECT source_id, partition,
                            count(*) FILTER (WHERE NOT is_marker AND NOT is_deleted) AS objects,
                            coalesce(sum(size) FILTER (WHERE NOT is_marker AND NOT is_deleted), 0) AS bytes,
                            count(*) FILTER (WHERE is_marker AND NOT is_deleted) AS markers
                        FROM arrival_object GROUP BY source_id, partition
                    ) o USING (source_id, partition)
                    WHERE (coalesce(p.objects, 0), coalesce(p.bytes, 0), coalesce(p.markers, 0))
                        <> (coalesce(o.objects, 0), coalesce(o.bytes, 0), coalesce(o.markers, 0))
                """)
            ).all()
        assert wrong == []

    @invariant()
    def after_a_sweep_nothing_that_comes_late_makes_a_difference(self) -> None:
        if self.equal_since == self.world.epoch:
            assert self._live() == self._bucket()

    @invariant()
    def what_is_published_of_something_else_is_dirty_after_a_sweep(self) -> None:
        if self.equal_since == self.world.epoch:
            states = {s.partition: s for s in self.ledger.partition_states([SOURCE], only_dirty=False)}
            for day in self.world.published:
                assert self._is_as_published(day) or states[day].is_dirty

    def teardown(self) -> None:
        """Everything comes at last; nothing was lost, or a sweep finds it."""
        while self.held:
            self.another_drain_records(0)
        if self.world.told:
            self.ledger.record(self._arrivals(list(range(len(self.world.told)))), self.matcher.texts)
        if not self.world.is_anything_lost and self.source is BEFORE:
            assert self._live() == self._bucket()
        self.sweep(None, [])
        self.after_a_sweep_nothing_that_comes_late_makes_a_difference()
        self.what_is_published_of_something_else_is_dirty_after_a_sweep()
        self.sums_are_those_of_the_objects()


def test_the_ledger_ends_equal_to_the_bucket_whatever_happens(ledger: Ledger) -> None:
    run_state_machine_as_test(
        cast("type[RuleBasedStateMachine]", lambda: LedgerMachine(ledger)),
        settings=settings(
            max_examples=MAX_EXAMPLES,
            stateful_step_count=MAX_STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
