"""Triggers that can never fire: what they wait for cannot come to be."""

from collections.abc import Iterator

from datalake_assets.components.declarations import AnyDeclaration, mistake_in
from datalake_assets.components.triggering import Needed
from datalake_assets.components.validation.account_rules import Landscape
from datalake_assets.components.words.mistakes import Located
from datalake_assets.components.words.trigger import LakeTrigger
from datalake_assets.components.yaml_file import Mistake
from datalake_assets.triggers.calendars import Calendar, midnight


def idle_triggers(landscape: Landscape) -> list[Mistake]:
    """What can never start a run, in the files that say so."""
    return [
        mistake_in(each.path, ("attributes", *place), text)
        for each in landscape.pipelines.values()
        for place, text in _idle(landscape, each)
    ]


def _idle(landscape: Landscape, each: AnyDeclaration) -> Iterator[Located]:
    words = each.spec.trigger
    waits = landscape.waits[each.name]
    if words is not None and not waits and words.schedule is None and not isinstance(words, LakeTrigger):
        yield ("trigger",), "it names nothing that starts a run: schedule or executions; without it people do"
    for needed in waits:
        parent = landscape.pipelines.get(needed.pipeline)
        if parent is not None:
            yield from _never(each, parent, needed)


def _never(each: AnyDeclaration, parent: AnyDeclaration, needed: Needed) -> Iterator[Located]:
    own, others = each.spec.calendar(), parent.spec.calendar()
    words = needed.words
    if parent.name == each.name and needed.span.offset >= 0:
        return  # told as a cycle
    if words is not None and set(words.status) == {"TIMED_OUT"} and parent.spec.max_runtime is None:
        yield (
            (*needed.place, "status"),
            f"{parent.name} has no max_runtime, so no run of it is ever TIMED_OUT; give it one, or name FAILED",
        )
    if words is not None and words.partitions.model_fields_set:
        for name, calendar in ((each.name, own), (parent.name, others)):
            if calendar.every is None:
                yield (*needed.place, "partitions"), f"{name} has no partitions to choose from"
                return
    if own.every is not None and others.every is not None:
        yield from _apart(own, others, parent.name, needed)


def _apart(own: Calendar, others: Calendar, parent: str, needed: Needed) -> Iterator[Located]:
    """Two stretches of time that do not meet."""
    last, offset = needed.span.last, needed.span.offset
    begin, _ = own.stretch(own.overlapping(own.begin, own.first_end)[0], last=last, offset=offset)
    if others.end and midnight(others.time_zone, others.end.toordinal()) <= begin:
        yield (
            needed.place,
            f"the partitions of {parent} end before {others.end}, and the first that is needed is of {begin:%Y-%m-%d}",
        )
    newest = own.newest_over(midnight(own.time_zone, own.end.toordinal())) if own.end else None
    if newest is not None and own.window(newest)[1] <= others.begin:
        yield needed.place, f"the partitions of {parent} start at {others.start}, and the last that waits is {newest}"
