"""The run queue with a limit that suits the machine, unless the environment says otherwise."""

import os
from collections.abc import Mapping
from typing import Any, Self

from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster._serdes import ConfigurableClassData

from datalake_assets.errors import ConfigurationError

# A pipeline with `max_concurrent_runs: 3` has runs with the tag `datalake/at_once_3`, whose value is the pipeline: the
# queue then holds back whatever started them, a trigger, an arrival, a backfill or a person.
AT_ONCE_TAG = "datalake/at_once_{limit}"
MAX_AT_ONCE = 20

LIMIT_VARIABLE = "DATALAKE_MAX_CONCURRENT_RUNS"
MINIMUM_LIMIT = 2


def default_limit() -> int:
    """Runs at once: `DATALAKE_MAX_CONCURRENT_RUNS`, else one for each core and never less than two.

    A run that waits for S3 or the warehouse leaves its core to another one; a third run on two cores only makes the
    start of all three slower.

    Raises:
        ConfigurationError: the variable is not a positive whole number.
    """
    text = os.environ.get(LIMIT_VARIABLE, "")
    if not text:
        return max(MINIMUM_LIMIT, os.cpu_count() or MINIMUM_LIMIT)
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"{LIMIT_VARIABLE} is {text!r}", where="environment", expected="a number from 1")
    return int(text)


def tag_limits() -> list[dict[str, Any]]:
    """The queue's limits for pipelines that say how many of their runs may work at once."""
    return [
        {"key": AT_ONCE_TAG.format(limit=limit), "value": {"applyLimitPerUniqueValue": True}, "limit": limit}
        for limit in range(1, MAX_AT_ONCE + 1)
    ]


class SizedRunCoordinator(QueuedRunCoordinator[Any]):
    """Dagster's run queue, sized by `default_limit`, which also keeps the limits of pipelines."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """Make the coordinator that dagster.yaml describes."""
        limits = [*config_value.get("tag_concurrency_limits", ()), *tag_limits()]
        config = {"max_concurrent_runs": default_limit(), **config_value, "tag_concurrency_limits": limits}
        return super().from_config_value(inst_data, config)
