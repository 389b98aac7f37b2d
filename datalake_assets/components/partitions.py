"""The partitions of a declaration as Dagster knows them, and which of a parent's belong to one of them."""

import dagster as dg

from datalake_assets.components.words.partitions import AnyPartitions, HourlyPartitions
from datalake_assets.triggers.model import Span


def build_partitions(words: AnyPartitions | None) -> dg.PartitionsDefinition[str] | None:
    """Days or hours, None for a pipeline without partitions."""
    if words is None:
        return None
    end = words.end.isoformat() if words.end else None
    if isinstance(words, HourlyPartitions):
        return dg.HourlyPartitionsDefinition(
            f"{words.hourly.isoformat()}-00:00", end_date=f"{end}-00:00" if end else None, timezone=words.time_zone
        )
    return dg.DailyPartitionsDefinition(words.daily.isoformat(), end_date=end, timezone=words.time_zone)


def build_partition_mapping(span: Span) -> dg.PartitionMapping | None:
    """Which partitions of a parent the UI shows as those of one of the child's; None for the same one.

    Args:
        span: which of them the child reads or waits for.
    """
    if span == Span():
        return None
    return dg.TimeWindowPartitionMapping(
        start_offset=span.offset - (span.last - 1),
        end_offset=span.offset,
        allow_nonexistent_upstream_partitions=True,
    )
