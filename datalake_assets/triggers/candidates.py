"""Which partitions to decide on: after news about a parent, and after a stretch of time.

All moments are seconds of the epoch.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache

from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.calendars import Calendar, days_between, instant
from datalake_assets.triggers.model import (
    AllOf,
    AnyOf,
    Arrived,
    Condition,
    Due,
    Execution,
    PipelineTrigger,
    Span,
    leaves,
)
from datalake_assets.triggers.schedules import Schedule, TimeOfDay

# A parent without partitions has news for all partitions of a child. Those older than this are not looked at.
UNPARTITIONED_NEWS_REACH = timedelta(days=7)
_LEAST_MOMENT = timedelta(microseconds=1)


def needed(trigger: PipelineTrigger, partition: str) -> list[tuple[str, str]]:
    """The (parent, partition of it) pairs whose states decide on a partition, in order, each once.

    A parent without partitions is named with `names.UNPARTITIONED`. So is every parent of a child without partitions:
    the pair then stands for the parent as a whole (see `ParentState`).

    Raises:
        InvalidName: it is no partition of the child.
    """
    pairs: dict[tuple[str, str], None] = {}
    for leaf in leaves(trigger.condition):
        if isinstance(leaf, Execution):
            pairs.update(dict.fromkeys((leaf.parent, each) for each in needed_of(trigger, leaf, partition)))
    return list(pairs)


def needed_of(trigger: PipelineTrigger, execution: Execution, partition: str) -> list[str]:
    """The partitions of one parent that a partition of the child needs; none if the parent has none for it."""
    own, parents = trigger.pipeline.calendar, trigger.parents[execution.parent].calendar
    if own.every is None or parents.every is None:
        return [UNPARTITIONED]
    return list(_overlaps(own, parents, partition, execution.span))


@lru_cache(maxsize=4096)
def _overlaps(own: Calendar, parents: Calendar, partition: str, span: Span) -> tuple[str, ...]:
    own.window(partition)  # refuses what is no partition
    return tuple(parents.overlapping(*own.stretch(partition, last=span.last, offset=span.offset)))


def affected(trigger: PipelineTrigger, parent: str, parent_partition: str, now: float) -> list[str]:
    """The child's partitions that news about a partition of a parent concerns, oldest first, over or not.

    News about a parent without partitions concern the newest partition and those that ended within seven days. A text
    that is no partition of the parent concerns none.
    """
    own, parents = trigger.pipeline.calendar, trigger.parents[parent].calendar
    if own.every is None:
        return [UNPARTITIONED]
    if parents.every is None:
        until = instant(now)
        found = own.ended_between(until - UNPARTITIONED_NEWS_REACH, until)
        newest = own.newest_over(until)
        return found or ([newest] if newest is not None else [])
    if not parents.has(parent_partition):
        return []
    window = parents.window(parent_partition)
    spans = {leaf.span for leaf in leaves(trigger.condition) if isinstance(leaf, Execution) and leaf.parent == parent}
    each = {
        key: own.window(key)[0] for span in spans for key in own.reaching(*window, last=span.last, offset=span.offset)
    }
    return sorted(each, key=each.__getitem__)


def due_between(trigger: PipelineTrigger, since: float, until: float) -> list[tuple[str, float]]:
    """The (partition, moment) pairs with `since < moment <= until` at which time alone may start a run, in order.

    These are the ticks of schedules, `not_before`, `at_latest`, and the end of a partition that waits for nothing else.
    """
    if until // 60 * 60 <= since:  # all of them are whole minutes, and a sensor asks every second
        return []
    found = set(_moments(trigger, instant(since), instant(until)))
    return sorted(((key, moment.timestamp()) for key, moment in found), key=lambda pair: (pair[1], pair[0]))


def next_due(trigger: PipelineTrigger, now: float) -> tuple[str, float] | None:
    """The first that `due_between` finds after `now`; of several partitions at that moment, the newest.

    None when time starts nothing of this pipeline, or nothing more.
    """
    calendar = trigger.pipeline.calendar
    since = instant(now)
    if calendar.every is not None:
        since = max(since, calendar.first_end - _LEAST_MOMENT)
    horizons = [
        leaf.schedule.first_from(since + _LEAST_MOMENT) for leaf in leaves(trigger.condition) if isinstance(leaf, Due)
    ]
    if trigger.not_before or trigger.at_latest or _can_be_true_early(trigger, trigger.condition):
        horizons.append(since + timedelta(days=3))
    for horizon in sorted(horizons):
        if found := sorted((moment, key) for key, moment in _moments(trigger, since, horizon)):
            # Of several partitions that one tick brings, people care about the newest.
            moment, key = max(pair for pair in found if pair[0] == found[0][0])
            return key, moment.timestamp()
    return None


def due_at(trigger: PipelineTrigger, partition: str) -> float | None:
    """When time has done its part for a partition: the first tick of each of its schedules has come, and `not_before`.

    None when the trigger has neither, or for a pipeline without partitions.

    Raises:
        InvalidName: it is no partition of the pipeline.
    """
    calendar = trigger.pipeline.calendar
    if calendar.every is None:
        return None
    end = calendar.window(partition)[1]
    moments = [leaf.schedule.first_from(end) for leaf in leaves(trigger.condition) if isinstance(leaf, Due)]
    if trigger.not_before is not None:
        moments.append(time_for(calendar, partition, trigger.not_before))
    return max(moments).timestamp() if moments else None


def time_for(calendar: Calendar, partition: str, time: TimeOfDay) -> datetime:
    """The moment of a time of day that counts for a partition: on the day that its pipeline's clocks show at its end.

    Never before that end, as no partition runs before it is over.
    """
    return max(time.on(calendar.end_day(partition)), calendar.window(partition)[1])


def _can_be_true_early(trigger: PipelineTrigger, condition: Condition) -> bool:
    """Whether a condition may be true of a partition before it is over, so that its end is what starts it.

    Parents end when the child does or later, unless they have no partitions, or no more, or earlier ones are asked for.
    """
    if isinstance(condition, Execution):
        parents = trigger.parents[condition.parent].calendar
        return condition.span.offset < 0 or parents.every is None or parents.end is not None
    if isinstance(condition, AllOf):
        return all(_can_be_true_early(trigger, term) for term in condition.terms)
    if isinstance(condition, AnyOf):
        return any(_can_be_true_early(trigger, term) for term in condition.terms)
    return isinstance(condition, Arrived)


def _moments(trigger: PipelineTrigger, since: datetime, until: datetime) -> Iterator[tuple[str, datetime]]:
    calendar = trigger.pipeline.calendar
    for leaf in leaves(trigger.condition):
        if isinstance(leaf, Due):
            yield from _ticks(calendar, leaf.schedule, since, until)
    if _can_be_true_early(trigger, trigger.condition):
        for key in calendar.ended_between(since, until):
            yield key, calendar.window(key)[1]
    for time in (trigger.not_before, trigger.at_latest):
        if time is not None:
            yield from _times(calendar, time, since, until)


def _ticks(calendar: Calendar, schedule: Schedule, since: datetime, until: datetime) -> Iterator[tuple[str, datetime]]:
    """Each partition at the first tick that is not before its end: a tick brings all that ended since the last one."""
    before: datetime | None = None
    for tick in schedule.ticks_between(since, until):
        if calendar.every is None:
            yield UNPARTITIONED, tick
            continue
        if before is None:
            before = max(schedule.last_until(tick - _LEAST_MOMENT), calendar.begin)
        for key in calendar.ended_between(before, tick):
            yield key, tick
        before = tick


def _times(calendar: Calendar, time: TimeOfDay, since: datetime, until: datetime) -> Iterator[tuple[str, datetime]]:
    if calendar.every is None:
        for day in days_between(since, until):
            if since < (moment := time.on(day)) <= until:
                yield UNPARTITIONED, moment
        return
    # The clocks of a time and those of its partition's day are less than two days apart.
    for key in calendar.ended_between(since - timedelta(days=3), until):
        if since < (moment := time_for(calendar, key, time)) <= until:
            yield key, moment
