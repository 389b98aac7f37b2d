"""Pipelines, triggers and facts for tests of the trigger logic, in few words."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.model import (
    AllOf,
    Condition,
    Decision,
    Due,
    Execution,
    Facts,
    Parent,
    ParentState,
    PipelineTrigger,
    Span,
    Start,
    Status,
    TriggeredRun,
    leaves,
)
from datalake_assets.triggers.rules import decide
from datalake_assets.triggers.schedules import Schedule

DAILY = Calendar("day", date(2026, 1, 1))
HOURLY = Calendar("hour", date(2026, 1, 1))
NO_PARTITIONS = Calendar()

LISTINGS = "core_data/listings"
SEARCHES = "search/searches"
DAY = "2026-11-20"


def pipeline(name: str, calendar: Calendar = DAILY) -> Parent:
    location, table = name.split("/")
    return Parent(name, (location, "lake", table), calendar, table, ((location, "lake", table),))


def triggered(
    condition: Condition,
    *,
    name: str = "rent_journey/pipeline_x",
    calendar: Calendar = DAILY,
    calendars: Mapping[str, Calendar] | None = None,
    **rest: Any,
) -> PipelineTrigger:
    """A trigger whose parents are daily unless `calendars` says otherwise."""
    names = {leaf.parent for leaf in leaves(condition) if isinstance(leaf, Execution)}
    parents = {each: pipeline(each, (calendars or {}).get(each, DAILY)) for each in names}
    return PipelineTrigger(pipeline(name, calendar), condition, parents, **rest)


def after(parent: str, *statuses: Status, last: int = 1, offset: int = 0) -> Execution:
    return Execution(parent, frozenset(statuses or ("SUCCESS",)), Span(last, offset))


def seconds(text: str) -> float:
    """`2026-11-21 03:00` in UTC as seconds of the epoch."""
    return utc(text).timestamp()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def there(data_id: int) -> ParentState:
    return ParentState(data_id, "SUCCESS", data_id, started=True, started_id=data_id)


def failed(outcome_id: int, *, data_id: int = 0, outcome: Any = "FAILED") -> ParentState:
    return ParentState(data_id, outcome, outcome_id, started=True, started_id=outcome_id)


def ran(number: int, outcome: Any = "SUCCESS", **inputs: int) -> TriggeredRun:
    """A run whose inputs are given as `listings=4`, of `DAY`."""
    names = {"listings": f"{LISTINGS}@{DAY}", "searches": f"{SEARCHES}@{DAY}"}
    return TriggeredRun(
        f"{number:08}-run", number, outcome, {names.get(key, key): value for key, value in inputs.items()}
    )


def facts(
    now: str,
    *,
    listings: ParentState | None = None,
    searches: ParentState | None = None,
    parents: Mapping[tuple[str, str], ParentState] | None = None,
    runs: Sequence[TriggeredRun] = (),
    **rest: Any,
) -> Facts:
    states = dict(parents or {})
    if listings:
        states[LISTINGS, DAY] = listings
    if searches:
        states[SEARCHES, DAY] = searches
    return Facts(seconds(now), states, runs=tuple(runs), **rest)


BOTH = triggered(AllOf((after(LISTINGS), after(SEARCHES))))
AT_THREE = Due(Schedule("0 3 * * *", "Europe/Berlin"))


def on_day(trigger: PipelineTrigger, now: str = "2026-11-21 07:00", **known: Any) -> Decision:
    return decide(trigger, DAY, facts(now, **known))


def is_start(decision: Decision) -> bool:
    return isinstance(decision, Start)
