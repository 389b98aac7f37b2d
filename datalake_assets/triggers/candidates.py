"""Which partitions to decide on: after news about a parent, and after a stretch of time.

All moments are seconds of the epoch.
"""

from datalake_assets.triggers.model import PipelineTrigger


def needed(trigger: PipelineTrigger, partition: str) -> list[tuple[str, str]]:
    """The (parent, partition of it) pairs whose states decide on a partition, in order, each once.

    A parent without partitions is named with `names.UNPARTITIONED`. So is every parent of a child without partitions:
    the pair then stands for the parent as a whole (see `ParentState`).
    """
    raise NotImplementedError


def affected(trigger: PipelineTrigger, parent: str, parent_partition: str, now: float) -> list[str]:
    """The child's partitions that news about a partition of a parent concerns, oldest first, over or not."""
    raise NotImplementedError


def due_between(trigger: PipelineTrigger, since: float, until: float) -> list[tuple[str, float]]:
    """The (partition, moment) pairs with `since < moment <= until` at which time alone may start a run, in order."""
    raise NotImplementedError


def next_due(trigger: PipelineTrigger, now: float) -> tuple[str, float] | None:
    """The partition that a schedule, `not_before` or `at_latest` brings next after `now`, and when; None without."""
    raise NotImplementedError


def due_at(trigger: PipelineTrigger, partition: str) -> float | None:
    """When time has done its part for a partition: its schedule's tick, `not_before` or, if sooner, `at_latest`.

    None when the trigger has no time, or for a pipeline without partitions.
    """
    raise NotImplementedError
