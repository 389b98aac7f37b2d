"""The decision on one partition: start a run, wait, or leave it alone.

A partition runs once. It runs again when an input has newer data than the newest run was started for, and the trigger
says so or that run ended badly. Only data counts as news, never a status: a second failure of a parent does not start
a fallback again, nor does the repair. A pipeline without partitions runs whenever its condition is true of what
happened since its last run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.candidates import needed_of, time_for
from datalake_assets.triggers.conditions import (
    AT_LATEST_INPUT,
    FILES_INPUT,
    TIME_ALONE_REACH,
    Case,
    Looked,
    input_name,
    inputs_of,
    look,
)
from datalake_assets.triggers.explained import at, both
from datalake_assets.triggers.model import (
    Arrived,
    Decision,
    Done,
    Execution,
    Facts,
    FilesState,
    Missing,
    PipelineTrigger,
    Start,
    TriggeredRun,
    Wait,
    leaves,
)
from datalake_assets.triggers.schedules import TimeOfDay


def decide(trigger: PipelineTrigger, partition: str, facts: Facts) -> Decision:
    """Decide what becomes of a partition; the same facts decide the same.

    Raises:
        InvalidName: it is no partition of the pipeline.
    """
    if trigger.pipeline.calendar.every is None:
        return _decide_on_whole(trigger, facts)
    end = trigger.pipeline.calendar.window(partition)[1]
    history = _History.of(facts)
    if history.in_flight is not None:
        return Done(f"{_run(history.in_flight)} is under way")
    files = facts.files or FilesState()
    last = history.last
    files_seen = max(files.published, last.inputs.get(FILES_INPUT, 0) if last else 0)
    case = Case(trigger, partition, facts, is_first=last is None, files_seen=files_seen)
    inputs = inputs_of(case)
    news = _news(case, inputs, last.inputs if last else dict.fromkeys(inputs, facts.own_data_id))
    if last is None and facts.own_data_id and not news:
        return Done("it was built by hand from what is there")
    if last is not None:
        told = news
        news = _eligible(trigger, news, has_succeeded=history.has_succeeded)
        if not news:
            return Done(_left_alone(case, history, last, told))
    if facts.now < end.timestamp():
        zone = trigger.pipeline.calendar.time_zone
        return _wait(case, [Missing(f"its own end at {at(end, zone)}", end.timestamp())], None)
    if last is not None and news == [FILES_INPUT] and not files.is_ready:
        return _wait(case, [Missing(f"its new files ({files.reason})", files.until)], None)
    latest = time_for(trigger.pipeline.calendar, partition, trigger.at_latest) if trigger.at_latest else None
    is_latest = latest is not None and latest <= case.now and (last is not None or case.now < latest + TIME_ALONE_REACH)
    not_before = time_for(trigger.pipeline.calendar, partition, trigger.not_before) if trigger.not_before else None
    found = _settled(case, inputs, not_before, latest, is_latest=is_latest)
    if isinstance(found, _Go):
        return _start(case, inputs, found, history, news)
    if last is not None and history.has_succeeded and isinstance(found, Wait) and found.until is None:
        # Its data is there: people need not hear that it waits.
        return Done(f"{_run(last)} succeeded; {_named(news)} {_have(news)} newer data, but {_waits(found)} now")
    return found


def _decide_on_whole(trigger: PipelineTrigger, facts: Facts) -> Decision:
    """Decide on a pipeline without partitions: its condition is about what happened since its last good run."""
    history = _History.of(facts)
    if history.in_flight is not None:
        return Done(f"{_run(history.in_flight)} is under way")
    last, good = history.last, history.last_good
    every = inputs_of(Case(trigger, UNPARTITIONED, facts, seen={}))
    by_hand = {name: facts.own_data_id for name in every if name in trigger.parents}
    by_hand[FILES_INPUT] = (facts.files or FilesState()).published
    seen: Mapping[str, int] = good.inputs if good else {} if last else by_hand
    case = Case(trigger, UNPARTITIONED, facts, seen=seen, is_first=last is None)
    before = last.inputs if last else seen
    news = [name for name, number in every.items() if number > before.get(name, 0)]
    if last is not None and not history.has_succeeded and not news:
        return Done(_failed_reason(trigger, UNPARTITIONED, last))
    latest = _today(trigger.at_latest, case.now)
    if latest is not None and latest > case.now and last is not None:
        latest = _today(trigger.at_latest, case.now - timedelta(days=1))
    is_latest = latest is not None and latest <= case.now and bool(set(news) - {"schedule"})
    if is_latest and latest is not None:
        is_latest = int(latest.timestamp()) > before.get(AT_LATEST_INPUT, 0)
        every[AT_LATEST_INPUT] = int(latest.timestamp())
    found = _settled(case, every, _today(trigger.not_before, case.now), latest, is_latest=is_latest)
    return _start(case, every, found, history, []) if isinstance(found, _Go) else found


@dataclass(frozen=True)
class _History:
    """The child's runs of a partition.

    Args:
        last: the newest that the trigger has asked for.
        last_good: the newest of those that succeeded.
        has_succeeded: whether the last one, or one by hand after it, did.
    """

    in_flight: TriggeredRun | None
    last: TriggeredRun | None
    last_good: TriggeredRun | None
    has_succeeded: bool

    @staticmethod
    def of(facts: Facts) -> "_History":
        asked = [run for run in facts.runs if run.number]
        last = asked[0] if asked else None
        since = facts.runs[: facts.runs.index(last) + 1] if last else facts.runs
        return _History(
            in_flight=next((run for run in facts.runs if run.outcome is None), None),
            last=last,
            last_good=next((run for run in asked if run.outcome == "SUCCESS"), None),
            has_succeeded=any(run.outcome == "SUCCESS" for run in since),
        )


@dataclass(frozen=True)
class _Go:
    """It may start: what is true, and what it goes without because it can wait no longer."""

    said: tuple[str, ...]
    without: tuple[Missing, ...] = ()


def _news(case: Case, inputs: Mapping[str, int], before: Mapping[str, int]) -> list[str]:
    """The names of the inputs that are newer than before.

    A parent without partitions is news for the newest partition only, or each load of it would be for all of them.
    """
    calendar = case.trigger.pipeline.calendar
    is_newest = calendar.newest_over(case.now) == case.partition
    news = []
    for name, number in inputs.items():
        if name == FILES_INPUT:
            is_new = number > case.files_seen
        else:
            is_new = number > before.get(name, 0) and (is_newest or name not in case.trigger.parents)
        if is_new:
            news.append(name)
    return news


def _eligible(trigger: PipelineTrigger, news: list[str], *, has_succeeded: bool) -> list[str]:
    """The news that may run a partition again."""
    return [name for name in news if name == FILES_INPUT or trigger.reruns_on_update or not has_succeeded]


def _left_alone(case: Case, history: _History, last: TriggeredRun, news: list[str]) -> str:
    """Why a partition that ran does not run again, whatever else is true."""
    if not history.has_succeeded:
        return _failed_reason(case.trigger, case.partition, last)
    if not news:
        return f"{_run(last)} ran it, and no input has newer data"
    return f"{_run(last)} ran it; {_named(news)} {_have(news)} newer data, which does not run it again"


def _settled(
    case: Case,
    inputs: Mapping[str, int],
    not_before: datetime | None,
    latest: datetime | None,
    *,
    is_latest: bool,
) -> "_Go | Wait | Done":
    """Say whether the condition, or its being late, lets a partition start."""
    looked = look(case, case.trigger.condition)
    go = _Go(looked.said) if looked.holds else None
    if not looked.holds and is_latest and _has_something(case, inputs):
        waived = look(replace(case, waives=True), case.trigger.condition)
        if waived.holds and latest is not None:
            go = _Go((f"{case.trigger.at_latest} is the latest", *waived.said), looked.missing)
    if go is not None and (not_before is None or not_before <= case.now):
        return go
    if go is None and looked.is_declined:
        return Done(f"not wanted: it is for {both(each.what for each in looked.missing)}")
    return _wait(case, _all_missing(case, looked, go, not_before), None if is_latest else latest)


def _all_missing(case: Case, looked: Looked, go: _Go | None, not_before: datetime | None) -> list[Missing]:
    missing = [] if go else list(looked.missing)
    if not_before is not None and not_before > case.now and case.trigger.not_before is not None:
        missing.append(Missing(at(not_before, case.trigger.not_before.time_zone), not_before.timestamp()))
    return missing


def _has_something(case: Case, inputs: Mapping[str, int]) -> bool:
    """Whether there is anything to run with, if the pipeline is made of data at all."""
    found = list(leaves(case.trigger.condition))
    if any(isinstance(leaf, Arrived) for leaf in found):
        return FILES_INPUT in inputs
    names = {
        input_name(leaf.parent, partition)
        for leaf in found
        if isinstance(leaf, Execution) and "SUCCESS" in leaf.statuses
        for partition in needed_of(case.trigger, leaf, case.partition)
    }
    return not names or bool(names & set(inputs))


def _wait(case: Case, missing: list[Missing], latest: datetime | None) -> Wait:
    untils = [each.until for each in missing if each.until is not None]
    if latest is not None and latest > case.now:
        untils.append(latest.timestamp())
    return Wait(tuple(missing), min(untils, default=None))


def _start(case: Case, inputs: dict[str, int], go: _Go, history: _History, news: list[str]) -> Start:
    number = 1 + max((run.number for run in case.facts.runs), default=0)
    reason = ", ".join(go.said) or "nothing is waited for"
    if history.last is not None and case.seen is None:
        reason = f"{_named(news)} {_have(news)} newer data than {_run(history.last)} was started for"
        if not history.has_succeeded:
            reason += f", which ended {history.last.outcome}"
    if go.without:
        reason += f"; without {both(each.what for each in go.without)}"
    return Start(f"{case.trigger.pipeline.name}|{case.partition}|{number}", number, reason, inputs)


def _failed_reason(trigger: PipelineTrigger, partition: str, last: TriggeredRun) -> str:
    command = f"datalake rerun {trigger.pipeline.name} {partition}".rstrip()
    return f"{_run(last)} ended {last.outcome}, and no input has newer data since; `{command}` runs it again"


def _today(time: TimeOfDay | None, now: datetime) -> datetime | None:
    return time.on(now.astimezone(ZoneInfo(time.time_zone)).date()) if time else None


def _run(run: TriggeredRun | None) -> str:
    return f"run {run.run_id[:8]}" if run else "no run"


def _named(inputs: list[str]) -> str:
    texts = [name.replace("@", " ") if name != FILES_INPUT else "its files" for name in inputs]
    return both(texts if len(texts) <= 3 else [*texts[:3], f"{len(texts) - 3} more"])


def _have(inputs: list[str]) -> str:
    return "has" if len(inputs) == 1 and inputs != [FILES_INPUT] else "have"


def _waits(wait: Wait) -> str:
    return f"it waits for {both(each.what for each in wait.missing)}"
