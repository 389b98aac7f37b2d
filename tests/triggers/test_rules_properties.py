"""The decision against a model that knows nothing but the list of what happened."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from datalake_assets.triggers.model import (
    STATUSES,
    AllOf,
    AnyOf,
    Condition,
    Due,
    Execution,
    Facts,
    ParentState,
    PipelineTrigger,
    Span,
    Start,
    TriggeredRun,
    leaves,
)
from datalake_assets.triggers.rules import decide
from datalake_assets.triggers.schedules import Schedule, TimeOfDay
from tests.triggers.trigger_builders import DAY, triggered

# The child's day needs that day of the first parent, and that day and the one before of the second.
NEEDED = {"core_data/listings": [DAY], "search/searches": ["2026-11-19", DAY]}
PAIRS = [(parent, key) for parent, keys in NEEDED.items() for key in keys]
END = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
HOUR = 3600.0
TICK, NOT_BEFORE, AT_LATEST = END + 3 * HOUR, END + 6 * HOUR, END + 9 * HOUR
BAD_ENDS = ["FAILED", "TIMED_OUT", "ABORTED"]

statuses = st.frozensets(st.sampled_from(STATUSES), min_size=1)
executions = st.builds(Execution, st.just("core_data/listings"), statuses) | st.builds(
    Execution, st.just("search/searches"), statuses, st.just(Span(last=2))
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    executions | executions | st.just(Due(Schedule("0 3 * * *"))),
    lambda terms: (
        st.builds(AllOf, st.lists(terms, min_size=1, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(terms, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=6,
)
triggers = st.builds(
    triggered,
    conditions,
    not_before=st.none() | st.just(TimeOfDay(6)),
    at_latest=st.none() | st.just(TimeOfDay(9)),
    reruns_on_update=st.booleans(),
)
happenings = st.one_of(
    st.tuples(st.just("parent"), st.sampled_from(PAIRS), st.sampled_from(["SUCCESS", "SUCCESS", *BAD_ENDS, "RUNNING"])),
    st.tuples(st.just("child"), st.sampled_from(["SUCCESS", "SUCCESS", *BAD_ENDS])),
    st.tuples(st.just("hand"), st.sampled_from(["SUCCESS", "FAILED"])),
    st.tuples(st.just("hours"), st.sampled_from([1.0, 4.0, 8.0])),
)
begins = st.sampled_from([END - 2 * HOUR, END + 2 * HOUR, END + 8 * HOUR])


@dataclass
class World:
    """All that happened, in order; an id is a place in that order, from 1."""

    now: float
    events: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, *event: Any) -> None:
        self.events.append(event)

    def pass_hours(self, hours: float) -> None:
        # Not beyond what a tick or `at_latest` reaches by itself: that has its own tests.
        self.now = min(self.now + hours * HOUR, END + 60 * HOUR)

    def places(self, is_it: Callable[[tuple[Any, ...]], bool]) -> list[int]:
        return [place for place, event in enumerate(self.events, 1) if is_it(event)]

    # What the platform would find in its storage.

    def facts(self) -> Facts:
        return Facts(
            now=self.now,
            parents={pair: self.state(pair) for pair in PAIRS if self.of_parent(pair)},
            runs=tuple(reversed(self.runs())),
            own_data_id=max(
                self.places(lambda event: event[0] in ("child", "hand") and event[1] == "SUCCESS"), default=0
            ),
        )

    def of_parent(self, pair: tuple[str, str]) -> list[int]:
        return self.places(lambda event: event[0] == "parent" and event[1] == pair)

    def state(self, pair: tuple[str, str]) -> ParentState:
        places = self.of_parent(pair)
        data = [place for place in places if self.events[place - 1][2] == "SUCCESS"]
        ends = [place for place in places if self.events[place - 1][2] != "RUNNING"]
        outcome = self.events[ends[-1] - 1][2] if ends else None
        return ParentState(max(data, default=0), outcome, ends[-1] if ends else 0, started=True)

    def runs(self) -> list[TriggeredRun]:
        runs: list[TriggeredRun] = []
        for event in self.events:
            if event[0] == "request":
                runs.append(TriggeredRun(event[1].run_key, event[1].number, None, event[1].inputs))
            elif event[0] == "child":
                last = runs.pop()
                runs.append(TriggeredRun(last.run_id, last.number, event[1], last.inputs))
            elif event[0] == "hand":
                runs.append(TriggeredRun("by-hand", 0, event[1], {}))
        return runs

    # What should come of it, told from the events alone.

    def should_start(self, trigger: PipelineTrigger) -> bool:
        asked = self.places(lambda event: event[0] == "request")
        ended = self.places(lambda event: event[0] == "child")
        if len(asked) > len(ended) or self.now < END or (trigger.not_before and self.now < NOT_BEFORE):
            return False
        return self.is_news(trigger, asked, ended) and self.is_time(trigger)

    def is_news(self, trigger: PipelineTrigger, asked: list[int], ended: list[int]) -> bool:
        news = self.data_of(trigger)
        by_hand = self.places(lambda event: event == ("hand", "SUCCESS"))
        if not asked:
            return not by_hand or any(place > by_hand[-1] for place in news)
        if not any(place > asked[-1] for place in news):
            return False
        is_good = self.events[ended[-1] - 1][1] == "SUCCESS" or any(place > asked[-1] for place in by_hand)
        return trigger.reruns_on_update or not is_good

    def data_of(self, trigger: PipelineTrigger) -> list[int]:
        """Where data came that the trigger waits for as data."""
        names = {
            leaf.parent
            for leaf in leaves(trigger.condition)
            if isinstance(leaf, Execution) and "SUCCESS" in leaf.statuses
        }
        return self.places(lambda event: event[0] == "parent" and event[1][0] in names and event[2] == "SUCCESS")

    def is_time(self, trigger: PipelineTrigger) -> bool:
        if self.is_true(trigger.condition):
            return True
        if not trigger.at_latest or self.now < AT_LATEST:
            return False
        is_of_data = any(
            isinstance(leaf, Execution) and "SUCCESS" in leaf.statuses for leaf in leaves(trigger.condition)
        )
        return (bool(self.data_of(trigger)) or not is_of_data) and self.is_true(trigger.condition, without=True)

    def is_true(self, condition: Condition, *, without: bool = False) -> bool:
        if isinstance(condition, AllOf):
            return all(self.is_true(term, without=without) for term in condition.terms)
        if isinstance(condition, AnyOf):
            return any(self.is_true(term, without=without) for term in condition.terms)
        if isinstance(condition, Execution):
            return all(
                condition.statuses & self.statuses_of((condition.parent, key))
                or (without and self.is_given_up(condition, (condition.parent, key)))
                for key in NEEDED[condition.parent]
            )
        return without or self.now >= TICK

    def is_given_up(self, execution: Execution, pair: tuple[str, str]) -> bool:
        """Late data, and a failure or start that did not come; not a failure of what has succeeded."""
        return bool(execution.statuses & {"SUCCESS", "RUNNING"}) or "SUCCESS" not in self.statuses_of(pair)

    def statuses_of(self, pair: tuple[str, str]) -> set[Any]:
        seen = [self.events[place - 1][2] for place in self.of_parent(pair)]
        ends = [each for each in seen if each != "RUNNING"]
        return ({"RUNNING"} if seen else set()) | ({"SUCCESS"} if "SUCCESS" in ends else set()) | set(ends[-1:])


@settings(max_examples=200, deadline=None)
@given(triggers, begins, st.lists(happenings, min_size=4, max_size=25))
def test_a_run_starts_exactly_when_the_list_of_what_happened_says_so(
    trigger: PipelineTrigger, begin: float, history: list[tuple[Any, ...]]
) -> None:
    world = World(begin)
    for happening in history:
        kind = happening[0]
        if kind == "hours":
            world.pass_hours(happening[1])
        elif kind != "child" or any(run.outcome is None for run in world.runs()):
            if kind == "hand" and any(run.outcome is None for run in world.runs()):
                continue
            world.add(*happening)
        decision = decide(trigger, DAY, world.facts())
        assert isinstance(decision, Start) == world.should_start(trigger), (decision, world.events)
        assert decide(trigger, DAY, world.facts()) == decision
        if isinstance(decision, Start):
            numbers = [run.number for run in world.runs()]
            assert decision.number == max(numbers, default=0) + 1
            assert decision.reason
            world.add("request", decision)


@settings(max_examples=120, deadline=None)
@given(triggers, begins, st.lists(happenings, min_size=2, max_size=12))
def test_a_wait_ends_when_it_says_or_with_news(
    trigger: PipelineTrigger, begin: float, history: list[tuple[Any, ...]]
) -> None:
    """Time alone changes a decision never before `until`: whoever sleeps until then misses nothing."""
    world = World(begin)
    for happening in history:
        if happening[0] == "parent":
            world.add(*happening)
        elif happening[0] == "hours":
            before = decide(trigger, DAY, world.facts())
            wakes_at = getattr(before, "until", None)
            world.pass_hours(happening[1])
            if not isinstance(before, Start) and (wakes_at is None or world.now < wakes_at):
                assert not isinstance(decide(trigger, DAY, world.facts()), Start), before
