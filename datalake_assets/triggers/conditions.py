"""What of a condition is true of a partition, and what is missing, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from datalake_assets.triggers.calendars import instant
from datalake_assets.triggers.candidates import needed_of
from datalake_assets.triggers.explained import at, both, held, lacking
from datalake_assets.triggers.model import (
    AllOf,
    Arrived,
    Condition,
    Due,
    Execution,
    Facts,
    FilesState,
    Missing,
    ParentState,
    PipelineTrigger,
    leaves,
)

# Old partitions get news, too: a backfill, a history that is loaded. What was due long ago then starts nothing by
# itself, or the first news of a parent would start them without the others.
TIME_ALONE_REACH = timedelta(days=3)

FILES_INPUT = "files"
SCHEDULE_INPUT = "schedule"
AT_LATEST_INPUT = "at_latest"


@dataclass(frozen=True)
class Looked:
    """What a condition comes to.

    Args:
        said: what is true of it, in words.
        missing: what is not; empty if it holds.
        is_declined: what it waits for did not come to pass: a failure was waited for, and the parent has succeeded.
    """

    holds: bool
    said: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    is_declined: bool = False


@dataclass(frozen=True)
class Case:
    """One partition and what is known of it.

    Args:
        seen: for a child without partitions, ids of inputs that are no news; None for one with partitions.
        is_first: whether its trigger has never asked for a run of the partition.
        files_seen: number of the newest change of files that a run has been started for or has published.
        waives: whether data, files and ticks that are missing are done without.
    """

    trigger: PipelineTrigger
    partition: str
    facts: Facts
    seen: Mapping[str, int] | None = None
    is_first: bool = True
    files_seen: int = 0
    waives: bool = False

    @property
    def now(self) -> datetime:
        return instant(self.facts.now)

    def state(self, parent: str, partition: str) -> ParentState:
        return self.facts.parents.get((parent, partition), ParentState())


def look(case: Case, condition: Condition) -> Looked:
    """Say whether a condition is true of a partition."""
    if isinstance(condition, Execution):
        return _look_at_execution(case, condition)
    if isinstance(condition, Due):
        return _look_at_schedule(case, condition)
    if isinstance(condition, Arrived):
        return _look_at_files(case)
    if isinstance(condition, AllOf):
        terms = [look(case, term) for term in condition.terms]
        return Looked(
            holds=all(term.holds for term in terms),
            said=tuple(text for term in terms for text in term.said),
            missing=tuple(each for term in terms for each in term.missing),
            is_declined=any(term.is_declined for term in terms),
        )
    terms = [look(case, term) for term in condition.terms if not _is_past_its_reach(case, term, condition.terms)]
    if any(term.holds for term in terms):
        return Looked(holds=True, said=tuple(text for term in terms if term.holds for text in term.said))
    open_ones = [term for term in terms if not term.is_declined]
    return Looked(
        holds=False, missing=_either([term.missing for term in open_ones or terms]), is_declined=not open_ones
    )


def inputs_of(case: Case) -> dict[str, int]:
    """What a run that starts now is started for: each input that is there, with its id."""
    found: dict[str, int] = {}
    for leaf in leaves(case.trigger.condition):
        if isinstance(leaf, Execution):
            for partition in needed_of(case.trigger, leaf, case.partition):
                found.update(_inputs_of_parent(case, leaf, partition))
        elif isinstance(leaf, Due) and case.seen is not None:
            tick = int(leaf.schedule.last_until(case.now).timestamp())
            found[SCHEDULE_INPUT] = max(found.get(SCHEDULE_INPUT, 0), tick)
    if case.facts.files is not None and case.facts.files.sequence:
        found[FILES_INPUT] = case.facts.files.sequence
    return found


def input_name(parent: str, partition: str) -> str:
    """`core_data/listings@2026-11-20`, or `core_data/listings` for a parent without partitions."""
    return f"{parent}@{partition}" if partition else parent


def _inputs_of_parent(case: Case, execution: Execution, partition: str) -> dict[str, int]:
    state = case.state(execution.parent, partition)
    ids = {}
    if "SUCCESS" in execution.statuses:
        ids[input_name(execution.parent, partition)] = state.data_id
    if case.seen is not None:
        if state.outcome in execution.statuses and state.outcome != "SUCCESS":
            ids[f"{execution.parent} ended"] = state.outcome_id
        if "RUNNING" in execution.statuses and state.started:
            ids[f"{execution.parent} started"] = state.started_id or 1
    return {name: number for name, number in ids.items() if number}


def _look_at_execution(case: Case, execution: Execution) -> Looked:
    partitions = needed_of(case.trigger, execution, case.partition)
    if not partitions:
        if case.waives or _is_before_the_first(case, execution):
            return Looked(holds=True)
        return Looked(holds=False, missing=(Missing(f"{execution.parent}, which has no partition for it"),))
    states = {partition: case.state(execution.parent, partition) for partition in partitions}
    absent = [each for each in partitions if not _has_status(case, execution, each, states[each])]
    if not absent:
        return Looked(holds=True, said=(held(execution, partitions, list(states.values())),))
    is_declined = not execution.statuses & {"SUCCESS", "RUNNING"} and any(states[each].data_id for each in absent)
    if case.waives and (case.seen is not None or not is_declined):
        there = [each for each in partitions if each not in absent]
        return Looked(True, (held(execution, there, [states[each] for each in there]),) if there else ())
    what = lacking(execution, absent, [states[each] for each in absent])
    if case.seen and any(states[each].data_id or states[each].outcome for each in absent):
        what = f"news of {what}"
    return Looked(
        holds=False,
        missing=(Missing(what, parent=execution.parent, partitions=tuple(absent)),),
        is_declined=is_declined and case.seen is None,
    )


def _has_status(case: Case, execution: Execution, partition: str, state: ParentState) -> bool:
    if case.seen is not None:
        ids = _inputs_of_parent(case, execution, partition)
        return any(number > case.seen.get(name, 0) for name, number in ids.items())
    return bool(
        ("SUCCESS" in execution.statuses and state.data_id)
        or (state.outcome != "SUCCESS" and state.outcome in execution.statuses)
        or ("RUNNING" in execution.statuses and state.started)
    )


def _is_before_the_first(case: Case, execution: Execution) -> bool:
    """Whether only the span leads to before the parent's first partition: nothing was ever there to wait for."""
    own, parents = case.trigger.pipeline.calendar, case.trigger.parents[execution.parent].calendar
    span = execution.span
    moved = own.stretch(case.partition, last=span.last, offset=span.offset)
    return moved[1] <= parents.begin < own.window(case.partition)[1]


def _look_at_schedule(case: Case, due: Due) -> Looked:
    schedule = due.schedule
    if case.seen is not None:
        tick = schedule.last_until(case.now)
        is_due = int(tick.timestamp()) > case.seen.get(SCHEDULE_INPUT, 0)
        if case.is_first:  # ticks of the time before the pipeline was there
            is_due = is_due and case.now < tick + TIME_ALONE_REACH
        following = schedule.first_from(case.now + timedelta(microseconds=1))
    else:
        tick = following = schedule.first_from(case.trigger.pipeline.calendar.window(case.partition)[1])
        is_due = tick <= case.now
    if is_due or case.waives:
        return Looked(holds=True, said=(f"it was due at {at(tick, schedule.time_zone)}",) if is_due else ())
    return Looked(holds=False, missing=(Missing(at(following, schedule.time_zone), following.timestamp()),))


def _look_at_files(case: Case) -> Looked:
    files = case.facts.files or FilesState()
    if case.seen is not None:
        is_there = files.is_ready and files.sequence > case.seen.get(FILES_INPUT, 0)
    else:
        # Files that a run has had already are there, whatever the ledger says about new ones.
        is_there = files.is_ready or 0 < files.sequence <= case.files_seen
    if is_there or case.waives:
        return Looked(holds=True, said=("its files are there",) if is_there else ())
    reason = "nothing new has arrived" if files.is_ready else files.reason
    return Looked(holds=False, missing=(Missing(f"its files ({reason})", files.until),))


def _is_past_its_reach(case: Case, term: Condition, terms: tuple[Condition, ...]) -> bool:
    """Whether a tick was so long ago that it is no alternative any more to what else is waited for."""
    if case.seen is not None or not case.is_first or not isinstance(term, Due):
        return False
    tick = term.schedule.first_from(case.trigger.pipeline.calendar.window(case.partition)[1])
    return case.now >= tick + TIME_ALONE_REACH and not all(isinstance(each, Due) for each in terms)


def _either(alternatives: list[tuple[Missing, ...]]) -> tuple[Missing, ...]:
    """One thing to wait for out of several."""
    texts = [both(each.what for each in missing) for missing in alternatives if missing]
    if not texts:
        return ()
    untils = [each.until for missing in alternatives for each in missing if each.until is not None]
    return (Missing(both(texts, "or"), min(untils, default=None)),)
