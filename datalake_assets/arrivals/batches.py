"""How partitions that may run share runs: exact ranges as a rule, ranges with gaps when there are too many of them.

A run costs seconds whatever it does, and a pipeline may have a few at once only. So partitions next to each other share
a run; when that makes more runs than may start, partitions share one across the gaps between them; and in a storm runs
grow up to `STORM_FACTOR` times.
"""

from collections.abc import Sequence

from datalake_assets.arrivals.partitions import PartitionKind
from datalake_assets.arrivals.run_tags import stretches

STORM_FACTOR = 3
RUNS_OF_A_STORM = 10  # what would need more runs than this is a storm


def run_size(waiting: int, max_partitions: int, *, is_busy: bool = False) -> int:
    """How many partitions a run may take when so many are waiting; the most in a pipeline that had many runs lately."""
    most = STORM_FACTOR * max_partitions
    return most if is_busy else min(most, max(max_partitions, -(-waiting // RUNS_OF_A_STORM)))


def batches(partitions: Sequence[str], kind: PartitionKind, size: int, slots: int) -> list[list[str]]:
    """Split partitions that are in their order into runs of at most `size`, at most `slots` runs if gaps allow it.

    There may be more than `slots` batches in the end: the caller takes the first ones of its choice.
    """
    exact = [stretch[at : at + size] for stretch in stretches(partitions, kind) for at in range(0, len(stretch), size)]
    if len(exact) <= slots or not has_ranges(partitions, kind):
        return exact
    return [list(partitions[at : at + size]) for at in range(0, len(partitions), size)]


def has_ranges(partitions: Sequence[str], kind: PartitionKind) -> bool:
    """Whether a range can span these partitions: they have an order."""
    return bool(partitions) and kind.successor(partitions[0]) is not None
