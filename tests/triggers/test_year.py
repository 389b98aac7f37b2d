"""A year of pipelines that start each other: failures, repairs, outages over midnight, lost cursors, changing clocks.

The platform is played: runs take twenty minutes, the sensor looks once an hour and sees what happened since. What must
come of it is counted without the logic under test.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.candidates import affected, due_between, needed
from datalake_assets.triggers.model import (
    AllOf,
    Condition,
    Due,
    Facts,
    ParentState,
    PipelineTrigger,
    Start,
    TriggeredRun,
    Wait,
)
from datalake_assets.triggers.rules import decide
from datalake_assets.triggers.schedules import Schedule, TimeOfDay
from tests.triggers.trigger_builders import after, triggered

BERLIN = ZoneInfo("Europe/Berlin")
FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)
DAYS = [FIRST + timedelta(days=n) for n in range(365)]
HOUR = timedelta(hours=1)
RUN_TAKES = timedelta(minutes=20)
REPAIR_COMES = timedelta(hours=4)

BERLIN_DAYS = Calendar("day", FIRST, LAST + timedelta(days=1), "Europe/Berlin")
HOURLY_FROM, HOURLY_TO = date(2026, 3, 20), date(2026, 4, 5)
CLICK_DAYS = Calendar("day", HOURLY_FROM + timedelta(days=1), HOURLY_TO - timedelta(days=1), "Europe/Berlin")
UTC_HOURS = Calendar("hour", HOURLY_FROM, HOURLY_TO)
NEW_YORK_DAYS = Calendar("day", FIRST, LAST + timedelta(days=1), "America/New_York")

LISTINGS, SEARCHES, BOTH, CLICKS = "core_data/listings", "search/searches", "rent_journey/both", "search/clicks"
FRESH = "rent_journey/fresh"
CALENDARS = {
    LISTINGS: BERLIN_DAYS,
    SEARCHES: BERLIN_DAYS,
    BOTH: BERLIN_DAYS,
    FRESH: BERLIN_DAYS,
    CLICKS: UTC_HOURS,
}
PIPELINES: list[tuple[str, Calendar, Condition]] = [
    (LISTINGS, BERLIN_DAYS, Due(Schedule("0 3 * * *", "Europe/Berlin"))),
    (SEARCHES, BERLIN_DAYS, Due(Schedule("30 2 * * *", "Europe/Berlin"))),
    (BOTH, BERLIN_DAYS, AllOf((after(LISTINGS), after(SEARCHES)))),
    ("rent_journey/fallback", BERLIN_DAYS, after(LISTINGS, "FAILED", "TIMED_OUT")),
    (CLICKS, UTC_HOURS, Due(Schedule("5 * * * *"))),
    ("search/click_days", CLICK_DAYS, after(CLICKS)),
    ("rent_journey/week", NEW_YORK_DAYS, after(BOTH, last=7)),
    ("rent_journey/report", Calendar(), AllOf((Due(Schedule("0 8 * * 1", "Europe/Berlin")), after(BOTH)))),
    ("rent_journey/morning", BERLIN_DAYS, AllOf((after(LISTINGS), after(SEARCHES)))),
    (FRESH, BERLIN_DAYS, after(LISTINGS)),
    ("rent_journey/fresher", BERLIN_DAYS, after(FRESH)),
]
OPTIONS: dict[str, dict[str, Any]] = {
    "rent_journey/morning": {"at_latest": TimeOfDay(7, 0, "Europe/Berlin")},
    FRESH: {"reruns_on_update": True},
    "rent_journey/fresher": {"reruns_on_update": True},
}
TRIGGERS = [
    triggered(condition, name=name, calendar=calendar, calendars=CALENDARS, **OPTIONS.get(name, {}))
    for name, calendar, condition in PIPELINES
]


def fails(name: str, partition: str) -> bool:
    """Whether the first run of a partition fails."""
    return name == LISTINGS and partition[-2:] in ("07", "19", "29")


def is_repeated(name: str, partition: str) -> bool:
    """Whether a person runs a partition again a while after it has succeeded."""
    return name == LISTINGS and partition[-2:] in ("03", "25")


def is_outage(moment: datetime) -> bool:
    """Nine hours every fifth night, over midnight and, at the ends of March and October, the change of clocks."""
    evening = moment + timedelta(hours=4)
    return evening.date().toordinal() % 5 == 4 and evening.hour < 9


@dataclass
class Played:
    """The platform: what its storage knows, its runs, and its sensor."""

    triggers: Sequence[PipelineTrigger]
    ids: int = 0
    states: dict[tuple[str, str], ParentState] = field(default_factory=dict)
    runs: dict[tuple[str, str], list[TriggeredRun]] = field(default_factory=lambda: defaultdict(list))
    ends: list[tuple[datetime, str, str, str]] = field(default_factory=list)
    news: list[tuple[datetime, str, str]] = field(default_factory=list)
    started: list[tuple[datetime, str, str, Start]] = field(default_factory=list)
    run_keys: set[str] = field(default_factory=set)
    wakes: dict[tuple[str, str], float] = field(default_factory=dict)

    def end_runs(self, now: datetime) -> None:
        for end in sorted(each for each in self.ends if each[0] <= now):
            self.ends.remove(end)
            at, name, partition, kind = end
            outcome: Literal["FAILED", "SUCCESS"] = (
                "FAILED" if kind == "first" and fails(name, partition) else "SUCCESS"
            )
            runs = self.runs[name, partition]
            runs[0] = replace(runs[0], outcome=outcome)  # of a repetition: the run that it repeats, in all but its id
            self.ids += 1
            for key in (partition, UNPARTITIONED):
                before = self.states.get((name, key), ParentState())
                data_id = self.ids if outcome == "SUCCESS" else before.data_id
                self.states[name, key] = ParentState(data_id, outcome, self.ids, started=True, started_id=self.ids)
            self.news.append((at, name, partition))
            if outcome == "FAILED" or (kind == "first" and is_repeated(name, partition)):
                self.ends.append((at + REPAIR_COMES, name, partition, "again"))

    def tick(self, since: datetime, now: datetime, *, has_lost_its_cursor: bool) -> None:
        if has_lost_its_cursor:
            since = now - timedelta(days=1)
            self.wakes.clear()
        self.news = [each for each in self.news if each[0] > now - timedelta(days=2)]
        found: dict[tuple[str, str], None] = {}
        for trigger in self.triggers:
            own = trigger.pipeline.name
            found.update(((own, key), None) for key, _ in due_between(trigger, since.timestamp(), now.timestamp()))
            for at, name, partition in self.news:
                if at > since and name in trigger.parents:
                    keys = affected(trigger, name, partition, now.timestamp())
                    found.update(((own, key), None) for key in keys)
                if at > since and name == own:
                    found[own, partition] = None
        found.update((each, None) for each, until in self.wakes.items() if until <= now.timestamp())
        named = {trigger.pipeline.name: trigger for trigger in self.triggers}
        for name, partition in found:
            self.decide(named[name], partition, now)

    def decide(self, trigger: PipelineTrigger, partition: str, now: datetime) -> None:
        name = trigger.pipeline.name
        facts = Facts(
            now=now.timestamp(),
            parents={pair: self.states[pair] for pair in needed(trigger, partition) if pair in self.states},
            runs=tuple(self.runs[name, partition]),
            own_data_id=self.states.get((name, partition), ParentState()).data_id,
        )
        self.wakes.pop((name, partition), None)
        decision = decide(trigger, partition, facts)
        if isinstance(decision, Wait) and decision.until is not None:
            self.wakes[name, partition] = decision.until
        if isinstance(decision, Start):
            assert decision.run_key not in self.run_keys
            self.run_keys.add(decision.run_key)
            self.runs[name, partition].insert(0, TriggeredRun(decision.run_key, decision.number, None, decision.inputs))
            self.ends.append((now + RUN_TAKES, name, partition, "first" if decision.number == 1 else "again"))
            self.started.append((now, name, partition, decision))

    def starts_of(self, name: str) -> dict[str, list[datetime]]:
        found = defaultdict(list)
        for at, pipeline, partition, _ in self.started:
            if pipeline == name:
                found[partition].append(at)
        return found


@cache
def the_year(*, is_troubled: bool) -> Played:
    played = Played(TRIGGERS)
    since = now = datetime(2026, 1, 1, tzinfo=UTC)
    while now < datetime(2027, 1, 6, tzinfo=UTC):
        now += HOUR
        played.end_runs(now)
        if not (is_troubled and is_outage(now)):
            # Also right after an outage, but of a day at the most: so far the sensor looks back.
            lost = is_troubled and now.timetuple().tm_yday % 13 == 0 and now.hour % 6 == 0
            played.tick(since, now, has_lost_its_cursor=lost)
            since = now
    return played


@pytest.fixture(params=[False, True], ids=["calm", "troubled"])
def year(request: pytest.FixtureRequest) -> Played:
    return the_year(is_troubled=request.param)


def keys(days: Sequence[date] = DAYS) -> set[str]:
    return {day.isoformat() for day in days}


@pytest.mark.parametrize("name", [LISTINGS, SEARCHES, BOTH, "rent_journey/morning"])
def test_each_day_starts_exactly_once(year: Played, name: str) -> None:
    starts = year.starts_of(name)
    assert set(starts) == keys()
    assert {len(each) for each in starts.values()} == {1}


def test_each_hour_starts_exactly_once(year: Played) -> None:
    starts = year.starts_of(CLICKS)
    assert len(starts) == 16 * 24
    assert {len(each) for each in starts.values()} == {1}


def test_a_day_of_hours_starts_once_when_its_last_hour_is_there(year: Played) -> None:
    hours, days = year.starts_of(CLICKS), year.starts_of("search/click_days")
    assert len(days) == 14
    for key, starts in days.items():
        begin, end = CLICK_DAYS.window(key)
        own = [at for hour, (at,) in hours.items() if begin <= UTC_HOURS.window(hour)[0] < end]
        assert len(own) == (23 if key == "2026-03-29" else 24)
        assert len(starts) == 1
        assert starts[0] >= max(own) + RUN_TAKES


def test_a_window_over_other_clocks_starts_once_for_each_of_its_days(year: Played) -> None:
    starts = year.starts_of("rent_journey/week")
    # The last day of New York ends on a day that Berlin's calendar does not have any more.
    assert set(starts) == keys()
    assert {len(each) for each in starts.values()} == {1}


def test_the_fallback_starts_once_for_each_failure_and_for_nothing_else(year: Played) -> None:
    failures = {key for key in keys() if fails(LISTINGS, key)}
    starts = year.starts_of("rent_journey/fallback")
    # An outage may see the failure only when it is repaired: then there is nothing left to fall back from.
    missed = failures - set(starts)
    assert not missed or year is the_year(is_troubled=True)
    assert set(starts) <= failures
    assert {len(each) for each in starts.values()} == {1}
    for key in missed:
        repaired_at = year.starts_of(LISTINGS)[key][0] + RUN_TAKES + REPAIR_COMES
        assert any(is_outage(repaired_at + timedelta(minutes=20) - HOUR * n) for n in range(1, 5))


def test_repeats_go_through_the_whole_chain_and_nowhere_else(year: Played) -> None:
    for name in (FRESH, "rent_journey/fresher"):
        starts = year.starts_of(name)
        assert set(starts) == keys()
        for key, each in starts.items():
            assert len(each) == (2 if is_repeated(LISTINGS, key) else 1) or (len(each) == 1 and _was_seen_late(key))


def _was_seen_late(key: str) -> bool:
    """Whether an outage hid the first success of a repeated partition until the second."""
    morning = datetime.combine(date.fromisoformat(key) + timedelta(days=1), datetime.min.time(), UTC)
    return any(is_outage(morning + HOUR * n) for n in range(9))


def test_a_schedule_starts_at_its_time_on_its_clocks() -> None:
    year = the_year(is_troubled=False)
    for day, (start,) in year.starts_of(LISTINGS).items():
        local = start.astimezone(BERLIN)
        assert (local.date(), local.hour) == (date.fromisoformat(day) + timedelta(days=1), 3)
    hours = Counter(start.astimezone(BERLIN).hour for (start,) in year.starts_of(SEARCHES).values())
    # 02:30 is seen at three, also when it is skipped and when it comes twice.
    assert hours == {3: 365}


def test_nothing_starts_before_it_is_over_or_before_what_it_needs(year: Played) -> None:
    ends = {name: trigger.pipeline.calendar for trigger in TRIGGERS for name in [trigger.pipeline.name]}
    for at, name, partition, _ in year.started:
        if partition:
            assert ends[name].window(partition)[1] <= at
    listed, searched = year.starts_of(LISTINGS), year.starts_of(SEARCHES)
    for key, (start,) in year.starts_of(BOTH).items():
        listed_at = listed[key][0] + RUN_TAKES + (REPAIR_COMES if fails(LISTINGS, key) else timedelta())
        assert start >= max(listed_at, searched[key][0] + RUN_TAKES)


def test_at_latest_starts_without_what_failed() -> None:
    year = the_year(is_troubled=False)
    for at, name, partition, start in year.started:
        if name == "rent_journey/morning" and fails(LISTINGS, partition):
            assert at.astimezone(BERLIN).hour == 7
            assert f"without {LISTINGS} {partition}" in start.reason


def test_a_report_without_partitions_starts_once_a_week(year: Played) -> None:
    mondays = sum(day.isoweekday() == 1 for day in DAYS)
    starts = year.starts_of("rent_journey/report")[UNPARTITIONED]
    assert len(starts) in (mondays, mondays + 1)  # one more in the days after the year
    assert len({start.astimezone(BERLIN).isocalendar()[:2] for start in starts}) == len(starts)
