"""The words of `trigger.arrivals`: when a partition runs after its files have arrived, and how often."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from datalake_assets.arrivals.conditions import (
    DEFAULT_MAX_CONCURRENT_RUNS,
    DEFAULT_MAX_RUNS_PER_HOUR,
    RunConditions,
)
from datalake_assets.arrivals.partitions import PartitionKind, Unpartitioned
from datalake_assets.arrivals.pattern import KeyPattern, is_ignored
from datalake_assets.components.words.durations import Seconds
from datalake_assets.components.words.mistakes import Located, refuse
from datalake_assets.components.words.times import Time
from datalake_assets.errors import ConfigurationError

_FILES = 'a number from 1, or a list of name patterns such as ["a.csv", "b-*.csv"]'


def _as_files(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"expected {_FILES}, found {value!r}")
    for name in value:
        if not isinstance(name, str) or not name or "/" in name:
            raise ValueError(f"{name!r} is no name of a file; expected the last part of a key, such as b-*.csv")
        if is_ignored(name):
            raise ValueError(f"{name!r} is a name that is no data; a file that says the rest is there is a marker")
        if list(value).count(name) > 1:
            raise ValueError(f"{name!r} is there twice")
    return tuple(value)


class ArrivalTrigger(BaseModel):
    """Run a partition when its files have arrived."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settle: Seconds = Field(default=30.0, description="Quiet time after the last change, so that one run takes all.")
    max_wait: Seconds | None = Field(
        default=None, description="At the latest so long after the first change it runs with what is there."
    )
    marker: str | None = Field(
        default=None,
        description="Key pattern of an object that says a partition is complete: x/dt={partition}/_SUCCESS",
    )
    files: Annotated[int | tuple[str, ...], BeforeValidator(_as_files)] | None = Field(
        default=None, description="How many objects a partition has, or a name pattern for each."
    )
    at: Time | None = Field(
        default=None, description="Not before this time of the day after the partition's, and then with what is there."
    )
    late_after: Seconds | None = Field(
        default=None, description="So long after its day is over, a change of a published partition is late."
    )
    late_files: Literal["alert_and_rerun", "alert"] | None = Field(
        default=None, description="alert tells people and waits for them; alert_and_rerun (default) also runs."
    )
    max_runs_per_hour: Annotated[int, Field(strict=True, ge=1, le=3600)] = Field(
        default=DEFAULT_MAX_RUNS_PER_HOUR, description="Of one partition; more wait, and people are told."
    )
    max_concurrent_runs: Annotated[int, Field(strict=True, ge=1, le=100)] = Field(
        default=DEFAULT_MAX_CONCURRENT_RUNS, description="Runs of this pipeline that arrivals start at once."
    )

    @model_validator(mode="after")
    def _words_fit_together(self) -> Self:
        mistakes: list[Located] = []
        if self.max_wait is not None and self.max_wait < self.settle:
            mistakes.append((("max_wait",), f"max_wait of {self.max_wait:g} s is less than settle, {self.settle:g} s"))
        if self.late_files is not None and self.late_after is None:
            mistakes.append((("late_files",), "late_files needs late_after: from when on a file is late"))
        if self.at is not None:
            waits = [name for name in ("marker", "files", "max_wait") if getattr(self, name) is not None]
            mistakes += [
                ((name,), f"{name} contradicts at, which runs with what is there; max_wait ends the wait for a marker")
                for name in waits
            ]
        refuse("trigger.arrivals", mistakes)
        return self

    def require_partitions(self, kind: PartitionKind) -> None:
        """Refuse words that do not fit the pipeline's partitions.

        Raises:
            ValidationError: with the place of each mistake below `trigger.arrivals`.
        """
        mistakes: list[Located] = []
        try:
            self.marker_pattern(kind)
        except ConfigurationError as error:
            mistakes.append((("arrivals", "marker"), str(error)))
        if self.late_after is not None and isinstance(kind, Unpartitioned):
            mistakes.append(
                (("arrivals", "late_after"), "late_after counts from the end of a partition's day; there are none")
            )
        refuse("trigger", mistakes)

    def marker_pattern(self, kind: PartitionKind) -> KeyPattern | None:
        """Which keys are markers; None when a partition needs none."""
        return None if self.marker is None else KeyPattern.parse(self.marker, kind, is_marker=True)

    def conditions(self, time_zone: str = "UTC") -> RunConditions:
        """All words but `settle` and `marker`, as arrivals know them; `time_zone` is that of the partitions."""
        return RunConditions(
            max_wait_seconds=self.max_wait,
            files=self.files,
            at=self.at.daily_time(time_zone) if self.at else None,
            late_after_seconds=self.late_after,
            reruns_late_files=self.late_files != "alert",
            max_runs_per_hour=self.max_runs_per_hour,
            max_concurrent_runs=self.max_concurrent_runs,
        )
