"""The tags that tell a run its partitions: a range, and which of it are meant where the range has gaps.

Dagster gives a run one partition or a contiguous range. A run for partitions with gaps between them carries the range
from its first to its last one, and `datalake/partitions` with those that it takes: a JSON list of keys and of stretches
`first..last`.
"""

import json
from collections.abc import Mapping, Sequence

from datalake_assets.arrivals.partitions import PartitionKind
from datalake_assets.errors import ConfigurationError

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
PARTITIONS_TAG = "datalake/partitions"
_TO = ".."


def partition_tags(partitions: Sequence[str], kind: PartitionKind) -> dict[str, str]:
    """The tags of a run for these partitions, which are in their order."""
    # Always a range, also of one: an asset with BackfillPolicy.single_run() gets its keys from these tags.
    tags = {RANGE_START_TAG: partitions[0], RANGE_END_TAG: partitions[-1]}
    found = stretches(partitions, kind)
    if len(found) > 1:
        shown = [first if first == last else f"{first}{_TO}{last}" for first, last in ((s[0], s[-1]) for s in found)]
        tags[PARTITIONS_TAG] = json.dumps(shown, separators=(",", ":"))
    return tags


def requested_partitions(tags: Mapping[str, str], partition_keys: Sequence[str]) -> list[str]:
    """The partitions that a run takes: all that Dagster gave it, or those of them that its tag names.

    Args:
        tags: the run's.
        partition_keys: all keys of the run's range, in their order.

    Raises:
        ConfigurationError: the tag names a partition outside of the range, as after editing the tags of a repeated run.
    """
    if PARTITIONS_TAG not in tags:
        return list(partition_keys)
    place = {key: n for n, key in enumerate(partition_keys)}
    taken: set[str] = set()
    try:
        for entry in json.loads(tags[PARTITIONS_TAG]):
            first, _, last = (entry, "", entry) if entry in place else entry.partition(_TO)
            if place[first] > place[last]:
                raise ValueError(entry)
            taken.update(partition_keys[place[first] : place[last] + 1])
        if not taken:
            raise ValueError("it names none")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"the run's tag {PARTITIONS_TAG} is {tags[PARTITIONS_TAG]!r}",
            where=f"a run for {_range(partition_keys)}",
            expected="a JSON list of partitions of its range, or of first..last",
            todo="Materialize the partitions in the UI without this tag",
        ) from error
    return [key for key in partition_keys if key in taken]


def stretches(partitions: Sequence[str], kind: PartitionKind) -> list[list[str]]:
    """Split partitions that are in their order where one is not followed by its successor."""
    found: list[list[str]] = []
    for partition in partitions:
        if found and kind.successor(found[-1][-1]) == partition:
            found[-1].append(partition)
        else:
            found.append([partition])
    return found


def _range(partition_keys: Sequence[str]) -> str:
    return f"{partition_keys[0]} to {partition_keys[-1]}" if partition_keys else "no partitions"
