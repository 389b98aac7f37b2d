"""The decision on one partition: start a run, wait, or leave it alone."""

from datalake_assets.triggers.model import Decision, Facts, PipelineTrigger


def decide(trigger: PipelineTrigger, partition: str, facts: Facts) -> Decision:
    """Decide what becomes of a partition; the same facts decide the same."""
    raise NotImplementedError
