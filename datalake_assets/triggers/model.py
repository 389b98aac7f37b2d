"""What a trigger is made of: conditions over parents, times and arrivals, and what is known when it is decided on.

Plain values without a clock, a database or Dagster. Pipelines are named `location/pipeline`, partitions by their keys;
`names.UNPARTITIONED` is the one partition of a pipeline without.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.schedules import Schedule, TimeOfDay

Status = Literal["SUCCESS", "FAILED", "TIMED_OUT", "ABORTED", "RUNNING"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Span:
    """Which partitions of a parent one partition of the child needs.

    The child's own window is taken, moved by `offset` of its partitions, and made `last` of them long (ending where
    the window ends); needed is every partition of the parent whose window overlaps that. So a daily child needs all
    hours of its day of an hourly parent, and of a parent on other clocks both days that its own day touches.
    """

    last: int = 1
    offset: int = 0


@dataclass(frozen=True)
class Execution:
    """A parent pipeline has one of these statuses for every partition that is needed of it.

    SUCCESS: the partition is there, whatever a later run of it came to. RUNNING: a run of it has started. The others:
    the last run that touched it ended so, and it was not published since.
    """

    parent: str
    statuses: frozenset[Status] = frozenset({"SUCCESS"})
    span: Span = Span()


@dataclass(frozen=True)
class Due:
    """The first tick of a schedule at or after the end of the partition has come."""

    schedule: Schedule


@dataclass(frozen=True)
class Arrived:
    """The raw files of the partition are there, as `trigger.arrivals` declares."""


@dataclass(frozen=True)
class AllOf:
    terms: "tuple[Condition, ...]"


@dataclass(frozen=True)
class AnyOf:
    terms: "tuple[Condition, ...]"


Condition = Execution | Due | Arrived | AllOf | AnyOf


def leaves(condition: Condition) -> Iterator[Execution | Due | Arrived]:
    """What a condition is made of, in the order in which it is written."""
    if isinstance(condition, AllOf | AnyOf):
        for term in condition.terms:
            yield from leaves(term)
    else:
        yield condition


@dataclass(frozen=True)
class Parent:
    """What must be known of a pipeline to wait for it.

    Args:
        name: `location/pipeline`.
        asset: path of the asset whose materialization makes a partition be there: the last one that a run builds.
        job: the pipeline's job in its location.
        assets: paths of all assets that the pipeline builds, as runs name them.
    """

    name: str
    asset: tuple[str, ...]
    calendar: Calendar
    job: str
    assets: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class PipelineTrigger:
    """When a pipeline runs.

    Args:
        pipeline: the child itself.
        condition: what must be true of a partition.
        parents: each pipeline that the condition names, by its name.
        not_before, at_latest: times of the day that the partition's window ends on; from `at_latest` on it runs with
            what is there.
        reruns_on_update: whether new data of a parent runs a partition again that has succeeded. A partition whose
            last run failed, and one with new files, runs again in any case.
        raw_asset: path of the raw asset, None for a pipeline without raw files.
    """

    pipeline: Parent
    condition: Condition
    parents: Mapping[str, Parent] = field(default_factory=dict)
    not_before: TimeOfDay | None = None
    at_latest: TimeOfDay | None = None
    reruns_on_update: bool = False
    raw_asset: tuple[str, ...] | None = None
    max_concurrent_runs: int | None = None


@dataclass(frozen=True)
class ParentState:
    """What has become of one partition of a parent; ids are storage ids of events, 0 for never.

    Of a parent with partitions, `names.UNPARTITIONED` stands for the whole: its newest materialization and its last
    run, of whatever partition. Children without partitions wait for that.

    Args:
        data_id: of the newest materialization of `Parent.asset`.
        outcome: how the last run that touched the partition ended, None if none did.
        outcome_id: grows with each outcome; tells two failures from each other.
        started: whether any run of it has started.
        started_id: grows with each start; only children without partitions look at it.
    """

    data_id: int = 0
    outcome: Literal["SUCCESS", "FAILED", "TIMED_OUT", "ABORTED"] | None = None
    outcome_id: int = 0
    started: bool = False
    started_id: int = 0


@dataclass(frozen=True)
class FilesState:
    """What has become of the raw files of a partition.

    Args:
        sequence: number of the newest change that a run is wanted for; 0 if nothing arrived. Late files that only alert
            people are not counted.
        is_ready: whether they can run now.
        reason: what is missing or waited for.
        until: when to look again, in seconds of the epoch.
        published: number of the newest change that a run has published, whoever started it.
    """

    sequence: int = 0
    is_ready: bool = False
    reason: str = "no files have arrived"
    until: float | None = None
    published: int = 0


@dataclass(frozen=True)
class TriggeredRun:
    """A run of the child that its trigger has asked for, or that a person repeats.

    Args:
        number: counts the trigger's requests for the partition from 1; part of the run key. 0 for a run by hand that
            no trigger has asked for. A repetition of a triggered run has that run's number and inputs.
        outcome: None while it waits or works, and when it failed but will be retried.
        inputs: what it was started for, as `Start.inputs`: name of the input (`core_data/listings@2026-11-20`,
            `files`) → its id then. Empty for a run by hand.
    """

    run_id: str
    number: int
    outcome: Literal["SUCCESS", "FAILED", "TIMED_OUT", "ABORTED"] | None
    inputs: Mapping[str, int]


@dataclass(frozen=True)
class Facts:
    """All that one decision on one partition needs to know.

    Args:
        now: seconds of the epoch.
        parents: (parent, its partition) → its state; what is not in it has never happened.
        files: None for a pipeline without raw files.
        runs: the child's runs for this partition, the newest first.
        own_data_id: of the newest materialization of the child's partition, whoever made it.
    """

    now: float
    parents: Mapping[tuple[str, str], ParentState] = field(default_factory=dict)
    files: FilesState | None = None
    runs: tuple[TriggeredRun, ...] = ()
    own_data_id: int = 0


@dataclass(frozen=True)
class Start:
    """Run the partition now: `run_key` is the same however often this is decided.

    Args:
        number: of this request among the trigger's for the partition, from 1.
        reason: why, in words.
        inputs: name of each input → the id that the run starts from, to be kept with the run.
    """

    run_key: str
    number: int
    reason: str
    inputs: Mapping[str, int]


@dataclass(frozen=True)
class Missing:
    """One thing that a partition waits for, in words, and when time alone will end the wait.

    Args:
        what: completes the sentence "it waits for …".
        parent, partitions: the pipeline waited for, if it is one, and those of its partitions that are missing.
    """

    what: str
    until: float | None = None
    parent: str | None = None
    partitions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wait:
    """Not yet: what is missing, and when to look again at the latest (None: news will tell)."""

    missing: tuple[Missing, ...]
    until: float | None = None


@dataclass(frozen=True)
class Done:
    """Nothing to do: it ran, or is running, and why it does not run again."""

    reason: str


Decision = Start | Wait | Done
