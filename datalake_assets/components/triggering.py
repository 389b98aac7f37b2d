"""From the words of a declaration to the trigger that the sensor decides on.

A location needs its own folder and the files of the pipelines that its own wait for, nothing of the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datalake_assets.accounts.registry import registry
from datalake_assets.components.declarations import AnyDeclaration, find_declaration, read_all
from datalake_assets.components.words.run import RunWords
from datalake_assets.components.words.trigger import ExecutionGroup, ExecutionWords, LakeTrigger, Operator, Trigger
from datalake_assets.errors import ConfigurationError
from datalake_assets.names import asset_key
from datalake_assets.project import LOCATIONS_FOLDER
from datalake_assets.triggers.model import (
    AllOf,
    AnyOf,
    Arrived,
    Condition,
    Due,
    Execution,
    Parent,
    PipelineTrigger,
    Span,
)

FindParent = Callable[[str], Parent]


@dataclass(frozen=True)
class Needed:
    """One pipeline that another one waits for, and where its declaration says so.

    Args:
        pipeline: `location/name`, the location as the registry calls it; as it was written if it does not know it.
        place: below the attributes of the declaration.
        words: None for a table that is read.
    """

    pipeline: str
    place: tuple[str | int, ...]
    span: Span
    words: ExecutionWords | None = None


def parent_of(location: str, spec: RunWords) -> Parent:
    """What others must know of a pipeline to wait for it."""
    assets = spec.assets(location)
    return Parent(f"{location}/{spec.name}", assets[-1], spec.calendar(), spec.name, assets)


def waits_for(location: str, spec: RunWords) -> list[Needed]:
    """The pipelines that start a run of this one: those of `executions`, without it those that it reads."""
    trigger = spec.trigger
    if trigger is not None and trigger.executions is not None:
        return [
            Needed(parent_name(location, words), ("trigger", "executions", *place), words.partitions.span(), words)
            for place, words in trigger.executions.leaves()
        ]
    if trigger is not None and trigger.schedule is not None:
        return []
    return [Needed(table, ("reads", at), span) for at, (table, span) in enumerate(spec.parents_read())]


def parent_name(location: str, words: ExecutionWords) -> str:
    """`location/pipeline` of an execution; an account that the registry does not know stays as it was written."""
    account = words.account or location
    if account == location:
        return f"{location}/{words.name}"
    known = next((each.name for each in registry() if account in (each.name, each.id)), account)
    return f"{known}/{words.name}"


def build_trigger(location: str, spec: RunWords, find_parent: FindParent) -> PipelineTrigger | None:
    """The trigger of a declared pipeline; None if its files alone start it, or people.

    Args:
        find_parent: from `location/pipeline` to what must be known of it; it raises for one that does not exist.
    """
    needed = waits_for(location, spec)
    condition = _condition(location, spec)
    if condition is None:
        return None
    words = spec.trigger or Trigger()
    return PipelineTrigger(
        pipeline=parent_of(location, spec),
        condition=condition,
        parents={name: find_parent(name) for name in dict.fromkeys(each.pipeline for each in needed)},
        not_before=words.not_before.time_of_day(spec.time_zone) if words.not_before else None,
        at_latest=words.at_latest.time_of_day(spec.time_zone) if words.at_latest else None,
        reruns_on_update=words.rerun == "on_parent_update",
        raw_asset=tuple(asset_key(location, "raw", spec.name)) if isinstance(words, LakeTrigger) else None,
        max_concurrent_runs=spec.max_concurrent_runs,
    )


def triggers_of(location: str, folder: Path = LOCATIONS_FOLDER) -> list[PipelineTrigger]:
    """The triggers of all pipelines of a location.

    Args:
        folder: where the folders of the locations are.

    Raises:
        ConfigurationError: a file has mistakes, or a pipeline waits for one that does not exist.
    """
    return triggers_of_declared(location, read_all(folder / location), folder)


def triggers_of_declared(
    location: str, declared: Sequence[AnyDeclaration], folder: Path = LOCATIONS_FOLDER
) -> list[PipelineTrigger]:
    """The same, for a location whose declarations have been read."""
    known = {f"{location}/{each.spec.name}": parent_of(location, each.spec) for each in declared}
    found = []
    for each in declared:

        def find(name: str, reader: AnyDeclaration = each) -> Parent:
            if name not in known:
                known[name] = _read_parent(name, folder, reader)
            return known[name]

        if (trigger := build_trigger(location, each.spec, find)) is not None:
            found.append(trigger)
    return found


def _read_parent(name: str, folder: Path, reader: AnyDeclaration) -> Parent:
    if declaration := find_declaration(name, folder):
        return parent_of(declaration.location, declaration.spec)
    raise ConfigurationError(
        f"{reader.name} waits for {name}, and there is no such pipeline",
        where=str(reader.path),
        todo="`datalake validate` lists all that is wrong, with the nearest names",
    )


def _condition(location: str, spec: RunWords) -> Condition | None:
    words = spec.trigger
    terms: list[Condition] = []
    operator: Operator = (words.operator if words else None) or "AND"
    if words is not None and words.schedule is not None:
        terms.append(Due(words.schedule.schedule(spec.time_zone)))
    if words is not None and words.executions is not None:
        terms.append(_of_group(location, words.executions))
    if not terms:
        read = [Execution(table, span=span) for table, span in spec.parents_read()]
        return AllOf(tuple(read)) if read else None
    if isinstance(words, LakeTrigger):
        terms.append(Arrived())
    return _joined(operator, terms)


def _of_group(location: str, group: ExecutionGroup) -> Condition:
    def of(term: ExecutionWords | ExecutionGroup) -> Condition:
        if isinstance(term, ExecutionGroup):
            return _of_group(location, term)
        return Execution(parent_name(location, term), frozenset(term.status), term.partitions.span())

    terms: list[Condition] = []
    if group.all_of:
        terms.append(AllOf(tuple(of(term) for term in group.all_of)))
    if group.any_of:
        terms.append(AnyOf(tuple(of(term) for term in group.any_of)))
    return _joined(group.operator, terms)


def _joined(operator: Operator, terms: Sequence[Condition]) -> Condition:
    if len(terms) == 1:
        return terms[0]
    return AllOf(tuple(terms)) if operator == "AND" else AnyOf(tuple(terms))
