"""Why a partition of a pipeline runs, has run or waits: the sensor's own facts and decision, for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datalake_assets.triggers.model import Decision, Facts, FilesState, PipelineTrigger

if TYPE_CHECKING:
    import dagster as dg


@dataclass(frozen=True)
class Explained:
    """What would be decided on a partition now, and from which facts."""

    pipeline: str
    partition: str
    decision: Decision
    facts: Facts


def explain(
    instance: "dg.DagsterInstance",
    trigger: PipelineTrigger,
    partition: str,
    files: FilesState | None = None,
    *,
    now: float | None = None,
) -> Explained:
    """Decide on one partition as the sensor would, and change nothing.

    Args:
        files: what has become of its raw files; only for a pipeline that has some.
        now: seconds of the epoch; the triggers' clock without it.
    """
    return explain_all(instance, [(trigger, partition, files)], now=now)[0]


def explain_all(
    instance: "dg.DagsterInstance",
    asked: Sequence[tuple[PipelineTrigger, str, FilesState | None]],
    *,
    now: float | None = None,
) -> list[Explained]:
    """The same for many partitions, of any pipelines, with a handful of queries for all of them; in their order."""
    from datalake_assets.triggers import clock
    from datalake_assets.triggers.facts import gather
    from datalake_assets.triggers.rules import decide

    moment = clock.now() if now is None else now
    return [
        Explained(trigger.pipeline.name, partition, decide(trigger, partition, gathered.facts), gathered.facts)
        for (trigger, partition, _), gathered in zip(asked, gather(instance, asked, moment), strict=True)
    ]
