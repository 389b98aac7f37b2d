"""The words that every pipeline has, whatever it does: whose it is, when it runs, how often and how long.

`PipelineSpec`, `SqlSpec` and `StepsSpec` add theirs.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from datalake_assets.components.words.base import JobName, Words
from datalake_assets.components.words.durations import Seconds
from datalake_assets.components.words.mistakes import Located
from datalake_assets.components.words.owners import Owner
from datalake_assets.components.words.partitions import AnyPartitions
from datalake_assets.components.words.trigger import Trigger
from datalake_assets.errors import InvalidName
from datalake_assets.names import quarantine_table
from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.model import Span
from datalake_assets.triggers.tags import PIPELINE_TAG

MOST_AT_ONCE = 20  # the run queue has a limit for each number up to it
AT_ONCE_TAG = "datalake/at_once_{limit}"
OWNER_TAG = "datalake/owner"


class RunWords(Words):
    """What every pipeline may say."""

    name: JobName = Field(description="As its folder is called.")
    description: str | None = None
    owner: Owner = Field(description="`team:NAME` or an e-mail address: whom alerts name and the UI shows.")
    # Before `trigger`, whose words are checked against them.
    partitions: AnyPartitions | None = None
    trigger: Trigger | None = None
    retries: Annotated[int, Field(strict=True, ge=0, le=20)] | None = Field(
        default=None, description="So often a failed run is started again."
    )
    max_runtime: Seconds | None = Field(default=None, description="A run that takes longer is ended: TIMED_OUT.")
    max_concurrent_runs: Annotated[int, Field(strict=True, ge=1, le=MOST_AT_ONCE)] | None = Field(
        default=None, description="So many runs of the pipeline at once, whoever started them; more wait."
    )

    @field_validator("name")
    @classmethod
    def _leaves_room(cls, value: str) -> str:
        try:
            quarantine_table(value)
        except InvalidName as error:
            raise ValueError(f"the name is too long, for its quarantine is called {value}_quarantine") from error
        return value

    @field_validator("max_runtime")
    @classmethod
    def _is_some_time(cls, value: float | None) -> float | None:
        if value is not None and value < 1:
            raise ValueError("expected at least 1s")
        return value

    def assets(self, location: str) -> tuple[tuple[str, ...], ...]:
        """Paths of all assets that a run builds; the last one makes the partition be there for other pipelines."""
        return ((location, "lake", self.name),)

    def parents_read(self) -> tuple[tuple[str, Span], ...]:
        """The tables (`location/table`) that a run reads, and which partitions of them; waited for by default.

        In the order of `reads` in the file.
        """
        return ()

    def mistakes_beside(self, folder: Path) -> Iterable[Located]:
        """What is wrong with the files that the declaration names; `folder` is its own, where they lie."""
        return ()

    def calendar(self) -> Calendar:
        """The partitions as the trigger logic knows them."""
        return self.partitions.calendar() if self.partitions else Calendar()

    @property
    def time_zone(self) -> str:
        """Of the partitions, UTC without: of all times in the declaration that do not name another."""
        return self.partitions.time_zone if self.partitions else "UTC"

    def run_tags(self, location: str) -> dict[str, str]:
        """The tags of the pipeline's job: who it is, and what Dagster does by them.

        Args:
            location: the code location that the pipeline belongs to.
        """
        name = f"{location}/{self.name}"
        tags = {PIPELINE_TAG: name, OWNER_TAG: self.owner}
        if self.retries is not None:
            tags |= {
                "dagster/max_retries": str(self.retries),
                "dagster/retry_on_asset_or_op_failure": "true" if self.retries else "false",
            }
        if self.max_runtime is not None:
            tags["dagster/max_runtime"] = str(int(self.max_runtime))
        if self.max_concurrent_runs is not None:
            tags[AT_ONCE_TAG.format(limit=self.max_concurrent_runs)] = name
        return tags
