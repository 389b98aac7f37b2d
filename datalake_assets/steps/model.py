"""What a step is, and what one attempt to run it knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Shell:
    """Text for bash."""

    text: str


@dataclass(frozen=True)
class Python:
    """A function of a file beside the declaration."""

    file: str
    function: str


@dataclass(frozen=True)
class Sql:
    """Statements for the warehouse: as text, or in a file beside the declaration."""

    text: str = ""
    file: str | None = None


@dataclass(frozen=True)
class Dbt:
    """Models of the dbt project, as `dbt build --select` takes them."""

    select: tuple[str, ...]


@dataclass(frozen=True)
class Spark:
    """A function that takes a Spark session, or a program that makes its own."""

    file: str
    function: str | None = None


Work = Shell | Python | Sql | Dbt | Spark


@dataclass(frozen=True)
class SecretValue:
    """A value that is read from the account's Secrets Manager when the step runs.

    Args:
        key: of the secret's JSON object; None for the whole secret.
    """

    secret: str
    key: str | None = None


@dataclass(frozen=True)
class Step:
    """One step of a pipeline.

    Args:
        needs: the steps that must have succeeded.
        retries: how often an attempt is repeated that failed.
        environment: variables of its own.
    """

    name: str
    work: Work
    needs: tuple[str, ...] = ()
    description: str = ""
    retries: int = 0
    retry_after_seconds: float = 10.0
    timeout_seconds: float | None = None
    environment: Mapping[str, str | SecretValue] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The word of the declaration: shell, python, sql, dbt or spark."""
        return type(self.work).__name__.lower()


@dataclass(frozen=True)
class Attempt:
    """One attempt to run a step.

    Args:
        folder: of the pipeline, where its files are and its commands start.
        partition: `UNPARTITIONED` without.
        window: first moment of the partition and the first one after it, in UTC.
        number: from 1.
    """

    location: str
    pipeline: str
    step: Step
    folder: Path
    run_id: str
    partition: str = ""
    window: tuple[datetime, datetime] | None = None
    number: int = 1

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.location}/{self.pipeline}, step {self.step.name}"
