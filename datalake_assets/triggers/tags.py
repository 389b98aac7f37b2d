"""The tags by which a run tells who started it, for which partition, as which request, and with which inputs."""

import json
from collections.abc import Mapping

from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.model import Start

PIPELINE_TAG = "datalake/pipeline"  # of every run of the pipeline's job, whoever started it
TRIGGERED_TAG = "datalake/triggered"  # `location/name|partition`, of the runs that a trigger asked for
NUMBER_TAG = "datalake/trigger_number"
INPUTS_TAG = "datalake/inputs"
REASON_TAG = "datalake/reason"

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
PARTITIONS_TAG = "datalake/partitions"  # which of a range an arrival's run takes
WILL_RETRY_TAG = "dagster/will_retry"

# A tag is part of an index of PostgreSQL, which takes some 2,700 bytes.
MAX_TAG_CHARACTERS = 500
INPUTS_CHARACTERS = 1_500


def triggered_tag(pipeline: str, partition: str) -> str:
    """The value of `TRIGGERED_TAG`."""
    return f"{pipeline}|{partition}"


def start_tags(pipeline: str, partition: str, start: Start) -> dict[str, str]:
    """The tags of the run that a decision asks for."""
    reason = start.reason
    if len(reason) > MAX_TAG_CHARACTERS:
        reason = reason[: MAX_TAG_CHARACTERS - 1] + "…"
    tags = {
        TRIGGERED_TAG: triggered_tag(pipeline, partition),
        NUMBER_TAG: str(start.number),
        REASON_TAG: reason,
        **_inputs_tags(start.inputs),
    }
    if partition != UNPARTITIONED:
        tags[PARTITION_TAG] = partition
    return tags


def inputs_of(tags: Mapping[str, str]) -> dict[str, int]:
    """Name → id of what a run was started for; empty for a run that no trigger asked for."""
    text, n = tags.get(INPUTS_TAG, ""), 2
    while (more := tags.get(f"{INPUTS_TAG}_{n}")) is not None:
        text, n = text + more, n + 1
    return {str(name): int(storage_id) for name, storage_id in json.loads(text).items()} if text else {}


def number_of(tags: Mapping[str, str]) -> int:
    """Which request of its trigger a run is, from 1; 0 for a run that no trigger asked for."""
    text = tags.get(NUMBER_TAG, "")
    return int(text) if text.isdecimal() else 0


def covers(tags: Mapping[str, str], partition: str) -> bool:
    """Whether a run of a range takes one of the partitions in it; a range with gaps names what it takes."""
    if PARTITIONS_TAG not in tags:
        return True
    for entry in json.loads(tags[PARTITIONS_TAG]):
        first, is_stretch, last = str(entry).partition("..")
        if first <= partition <= (last if is_stretch else first):
            return True
    return False


def _inputs_tags(inputs: Mapping[str, int]) -> dict[str, str]:
    """One tag, or as many as it takes for many inputs."""
    text = json.dumps(dict(sorted(inputs.items())), separators=(",", ":"))
    pieces = [text[at : at + INPUTS_CHARACTERS] for at in range(0, len(text), INPUTS_CHARACTERS)]
    return {INPUTS_TAG if n == 1 else f"{INPUTS_TAG}_{n}": piece for n, piece in enumerate(pieces, start=1)}
