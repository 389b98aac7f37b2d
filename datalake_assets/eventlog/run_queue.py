"""The run queue with a limit that suits the machine, unless the environment says otherwise."""

import os
from collections.abc import Mapping
from typing import Any, Self

from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster._serdes import ConfigurableClassData

from datalake_assets.errors import ConfigurationError

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


class SizedRunCoordinator(QueuedRunCoordinator[Any]):
    """Dagster's run queue, whose `max_concurrent_runs` follows `default_limit` where dagster.yaml does not set it."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """Make the coordinator that dagster.yaml describes."""
        return super().from_config_value(inst_data, {"max_concurrent_runs": default_limit(), **config_value})
