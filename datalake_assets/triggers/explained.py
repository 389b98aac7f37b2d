"""Words for people: what was decided, and what a trigger waits for in general."""

from datalake_assets.triggers.model import Decision, PipelineTrigger


def told(trigger: PipelineTrigger, partition: str, decision: Decision) -> str:
    """One sentence about a decision: `rent_journey/pipeline_x 2026-11-20 waits for search/searches 2026-11-20`."""
    raise NotImplementedError


def rule_in_words(trigger: PipelineTrigger) -> str:
    """When the pipeline runs: `when core_data/listings and search/searches have succeeded, not before 06:00 UTC`."""
    raise NotImplementedError
