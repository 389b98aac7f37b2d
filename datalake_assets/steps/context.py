"""What a Python or Spark step may ask for: the partition, its times, its account's AWS and warehouse."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from datalake_assets.warehouse.connection import WarehouseConnection


@dataclass(frozen=True)
class StepContext:
    """The attempt that a step's function is part of; a parameter called `context` gets it.

    Args:
        partition: its key, None without partitions.
        partition_start, partition_end: first moment of the partition and the first one after it, in UTC.
        attempt: from 1; more when the step or the run is tried again.
    """

    location: str
    pipeline: str
    step: str
    run_id: str
    attempt: int = 1
    partition: str | None = None
    partition_start: datetime | None = None
    partition_end: datetime | None = None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The context that the variables of a step's program describe."""
        found = {name.removeprefix("DATALAKE_").lower(): value for name, value in environment.items()}
        begin, end = found.get("partition_start"), found.get("partition_end")
        return cls(
            location=found["location"],
            pipeline=found["pipeline"],
            step=found["step"],
            run_id=found["run_id"],
            attempt=int(found["attempt"]),
            partition=found.get("partition"),
            partition_start=datetime.fromisoformat(begin) if begin else None,
            partition_end=datetime.fromisoformat(end) if end else None,
        )

    def warehouse(self) -> "WarehouseConnection":
        """A connection to the account's warehouse; use it as a context manager.

        Raises:
            Unavailable: nothing answers there.
            AccessDenied: the account's role may not read the secret, or the warehouse refuses the login.
        """
        import boto3

        from datalake_assets.accounts.aws_errors import aws_errors
        from datalake_assets.accounts.registry import registry
        from datalake_assets.accounts.secrets import WarehouseSecret
        from datalake_assets.warehouse.connection import connect

        name = registry().account(self.location).warehouse_secret
        with aws_errors(f"secret {name} of account {self.location}"):
            # With the step's own credentials: the process has no others.
            answer: Any = boto3.client("secretsmanager").get_secret_value(SecretId=name)
        return connect(WarehouseSecret.model_validate_json(answer["SecretString"]))
