"""By when a partition should be there: from a pipeline's own times, or else from those of the pipelines it waits for.

Pure: declared triggers and a moment go in. All moments are seconds of the epoch.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.calendars import Calendar, instant
from datalake_assets.triggers.candidates import needed_of, next_due, time_for
from datalake_assets.triggers.model import AllOf, AnyOf, Condition, Due, Execution, PipelineTrigger, leaves
from datalake_assets.triggers.schedules import TimeOfDay

# How far back a gap is looked for: longer ago, it only counts as that long.
RECENT = {"day": timedelta(days=8), "hour": timedelta(hours=48)}
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Timed:
    """A pipeline as far as time matters.

    Args:
        trigger: None for one that the arrival of files alone starts.
        opens: when arrivals open at a time of the day (`arrivals.at`), that time.
    """

    calendar: Calendar
    trigger: PipelineTrigger | None = None
    opens: TimeOfDay | None = None


@dataclass(frozen=True)
class Freshness:
    """Whether a pipeline has what it should have by now.

    Args:
        due: the newest partition that should be there, None if none is expected by any time.
        due_at: since when.
        late_since: since when the oldest one should be there of those that are missing in a row up to the newest.
        missing: how many those are.
        next: the partition that is expected next, and when.
    """

    due: str | None = None
    due_at: float | None = None
    late_since: float | None = None
    missing: int = 0
    next: str | None = None
    next_at: float | None = None


class Expectations:
    """By when the partitions of pipelines should be there, as far as anything says so."""

    def __init__(self, pipelines: Mapping[str, Timed]) -> None:
        self._pipelines = pipelines
        self._known: dict[tuple[str, str], float | None] = {}

    def is_conditional(self, pipeline: str) -> bool:
        """Whether it runs only if something goes wrong with another one, so that nobody expects it."""
        trigger = self._pipelines[pipeline].trigger
        return trigger is not None and trigger.at_latest is None and _is_conditional(trigger.condition)

    def moment(self, pipeline: str, partition: str) -> float | None:
        """By when a partition should run, None if no time says so; it is there when its run is done, a little later."""
        if pipeline not in self._pipelines:
            return None
        place = pipeline, partition
        if place not in self._known:
            self._known[place] = None  # pipelines that wait for each other expect nothing
            self._known[place] = self._moment(pipeline, partition)
        return self._known[place]

    def recent(self, pipeline: str, now: float) -> list[str]:
        """The partitions that were over lately, oldest first."""
        calendar = self._pipelines[pipeline].calendar
        if calendar.every is None:
            return []
        return calendar.ended_between(instant(now) - RECENT[calendar.every], instant(now))

    def freshness(self, pipeline: str, there: Collection[str], now: float) -> Freshness:
        """Compare what is there with what should be there.

        Args:
            there: of the `recent` partitions, those that were materialized.
        """
        calendar = self._pipelines[pipeline].calendar
        if calendar.every is None:
            return Freshness()
        recent = self.recent(pipeline, now)
        expected = [(key, at) for key in recent if (at := self.moment(pipeline, key)) is not None]
        due = [(key, at) for key, at in expected if at <= now]
        missing = 0
        while missing < len(due) and due[-1 - missing][0] not in there:
            missing += 1
        coming = self._coming(pipeline, expected, now)
        return Freshness(
            due=due[-1][0] if due else None,
            due_at=due[-1][1] if due else None,
            late_since=due[-missing][1] if missing else None,
            missing=missing,
            next=coming[0] if coming else None,
            next_at=coming[1] if coming else None,
        )

    def freshness_as_a_whole(self, pipeline: str, newest_at: float | None, now: float) -> Freshness:
        """The same without partitions: each tick asks for newer data; `newest_at` is when the newest was made."""
        trigger = self._pipelines[pipeline].trigger
        schedules = [leaf.schedule for leaf in leaves(trigger.condition) if isinstance(leaf, Due)] if trigger else []
        if trigger is None or not schedules:
            return Freshness()
        due_at = max(schedule.last_until(instant(now)) for schedule in schedules).timestamp()
        is_late = newest_at is None or newest_at < due_at
        coming = min(schedule.first_from(instant(now) + _MOMENT) for schedule in schedules).timestamp()
        return Freshness(UNPARTITIONED, due_at, due_at if is_late else None, int(is_late), UNPARTITIONED, coming)

    def _coming(self, pipeline: str, expected: list[tuple[str, float]], now: float) -> tuple[str, float] | None:
        timed = self._pipelines[pipeline]
        running = timed.calendar.overlapping(instant(now), instant(now) + _MOMENT)
        ahead = [(key, at) for key in running if (at := self.moment(pipeline, key)) is not None]
        ahead = [(key, at) for key, at in [*expected, *ahead] if at > now]
        if ahead:
            return min(ahead, key=lambda pair: pair[1])
        return next_due(timed.trigger, now) if timed.trigger is not None else None

    def _moment(self, pipeline: str, partition: str) -> float | None:
        timed = self._pipelines[pipeline]
        calendar, trigger = timed.calendar, timed.trigger
        if calendar.every is None or not calendar.has(partition):
            return None
        if trigger is None:
            return time_for(calendar, partition, timed.opens).timestamp() if timed.opens else None
        latest = time_for(calendar, partition, trigger.at_latest).timestamp() if trigger.at_latest else None
        if _is_conditional(trigger.condition):
            return latest
        found = self._of(trigger.condition, pipeline, partition)
        if trigger.not_before is not None:
            found = max(found or 0.0, time_for(calendar, partition, trigger.not_before).timestamp())
        return min((each for each in (found, latest) if each is not None), default=None)

    def _of(self, condition: Condition, pipeline: str, partition: str) -> float | None:
        """When a condition should be true by; None if nothing says so."""
        timed = self._pipelines[pipeline]
        assert timed.trigger is not None
        if isinstance(condition, Due):
            return condition.schedule.first_from(timed.calendar.window(partition)[1]).timestamp()
        if isinstance(condition, Execution):
            parent = [
                self.moment(condition.parent, each) for each in needed_of(timed.trigger, condition, partition) if each
            ]
            at = max((each for each in parent if each is not None), default=None)
            # Never before it is over itself: a parent of another time zone may be done earlier.
            return None if at is None else max(at, timed.calendar.window(partition)[1].timestamp())
        if isinstance(condition, AllOf | AnyOf):
            # A term that no time is known for is left out: the other ones say as much as can be said.
            terms = [term for term in condition.terms if not _is_conditional(term)]
            found = [at for term in terms if (at := self._of(term, pipeline, partition)) is not None]
            return (max if isinstance(condition, AllOf) else min)(found, default=None)
        return None


def _is_conditional(condition: Condition) -> bool:
    """Whether it is true only when something has gone wrong elsewhere."""
    if isinstance(condition, Execution):
        return not condition.statuses & {"SUCCESS", "RUNNING"}
    if isinstance(condition, AllOf):
        return any(_is_conditional(term) for term in condition.terms)
    if isinstance(condition, AnyOf):
        return all(_is_conditional(term) for term in condition.terms)
    return False
