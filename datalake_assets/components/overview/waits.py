"""What pipelines wait for and since when: asked of the same rules that the sensors start runs by, all at once."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from datalake_assets.components.overview.arrivals import Arrivals, WaitTold
from datalake_assets.components.overview.declared import Declared
from datalake_assets.components.overview.expectations import Freshness
from datalake_assets.components.overview.runs import made_at
from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.model import Facts, PipelineTrigger, Start, Wait

if TYPE_CHECKING:
    import dagster as dg

    from datalake_assets.triggers.why import Explained


def find_waits(
    instance: "dg.DagsterInstance",
    declared: Declared,
    asked: Mapping[str, tuple[Freshness, Collection[str]]],
    now: float,
    arrivals: Arrivals,
) -> dict[str, WaitTold]:
    """What the newest partition that is not there waits for, of each pipeline where one does.

    Args:
        asked: pipeline → its freshness, and which of its recent partitions are there.
    """
    from datalake_assets.triggers.why import explain_all

    candidates = {
        name: partition
        for name, (freshness, there) in asked.items()
        if name in declared.triggers and (partition := _candidate(declared, name, freshness, there, now)) is not None
    }
    files = arrivals.states(declared.pipelines, candidates.items())
    questions = [(declared.triggers[name], key, files.get((name, key))) for name, key in candidates.items()]
    explained = {each.pipeline: each for each in explain_all(instance, questions, now=now)} if questions else {}
    waiting = {
        name: each for name, each in explained.items() if _is_told(declared.triggers[name], each, asked[name][0], now)
    }
    first = _first_inputs(instance, declared.triggers, waiting.values())
    found = {
        name: WaitTold(each.partition, _missing(each), first.get(name) or _should_have_run(declared, each, now))
        for name, each in waiting.items()
    }
    return found | arrivals.waiting(instance, [declared.pipelines[name] for name in asked])


def _candidate(declared: Declared, name: str, freshness: Freshness, there: Collection[str], now: float) -> str | None:
    """The newest partition that is over and not there; of a pipeline without partitions, all of it."""
    if declared.expectations.is_conditional(name):
        return None  # to wait for another one to fail is no wait that anybody wants to see
    if declared.triggers[name].pipeline.calendar.every is None:
        return UNPARTITIONED
    if freshness.due is not None and freshness.due not in there:
        return freshness.due
    # Gaps of days before one that is there are history, and nobody waits for them.
    newest = declared.expectations.recent(name, now)[-1:]
    return newest[0] if newest and newest[0] not in there else None


def _is_told(trigger: PipelineTrigger, explained: "Explained", freshness: Freshness, now: float) -> bool:
    decision = explained.decision
    if isinstance(decision, Start):
        return True
    if not isinstance(decision, Wait):
        return False
    if freshness.missing:
        return True
    if trigger.pipeline.calendar.every is None and explained.facts.own_data_id:
        return False  # it waits for something new, as it does most of the time
    # Only time is missing: that is what `next` tells.
    return any(each.until is None or each.until <= now for each in decision.missing)


def _missing(explained: "Explained") -> tuple[str, ...]:
    decision = explained.decision
    if isinstance(decision, Wait):
        return tuple(each.what for each in decision.missing)
    return ("the next tick of its sensor",)


def _first_inputs(
    instance: "dg.DagsterInstance", triggers: Mapping[str, PipelineTrigger], waiting: Collection["Explained"]
) -> dict[str, float]:
    """When the first of what each needs was there."""
    ids = {each.pipeline: _inputs_there(each.facts, triggers[each.pipeline]) for each in waiting}
    at = made_at(instance, {storage_id for found in ids.values() for storage_id in found})
    return {name: min(at[each] for each in found if each in at) for name, found in ids.items() if found}


def _inputs_there(facts: Facts, trigger: PipelineTrigger) -> list[int]:
    if trigger.pipeline.calendar.every is None:
        return []  # what its parents made may be of any time
    return [
        state.data_id
        for (parent, _), state in facts.parents.items()
        if state.data_id and trigger.parents[parent].calendar.every is not None
    ]


def _should_have_run(declared: Declared, explained: "Explained", now: float) -> float | None:
    expected = declared.expectations.moment(explained.pipeline, explained.partition)
    if expected is not None and expected <= now:
        return expected
    calendar = declared.triggers[explained.pipeline].pipeline.calendar
    return None if calendar.every is None else calendar.window(explained.partition)[1].timestamp()
