"""The words of `trigger`: the times, the other pipelines and the files that a pipeline waits for.

Only the words are here; `triggering` turns them into what the trigger sensor decides on.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from datalake_assets.components.words.arrivals import ArrivalTrigger
from datalake_assets.components.words.base import Identifier, Words
from datalake_assets.components.words.mistakes import Located, refuse
from datalake_assets.components.words.schedule import ScheduleWords, as_schedule
from datalake_assets.components.words.times import Time
from datalake_assets.triggers.model import Span, Status

Operator = Literal["AND", "OR"]
Rerun = Literal["never", "on_parent_update"]
MOST_PARTITIONS = 3660


class SpanWords(Words):
    """Which partitions of another pipeline are needed; without it those that overlap the own partition in time."""

    last: Annotated[int, Field(strict=True, ge=1, le=MOST_PARTITIONS)] = Field(
        default=1, description="So many of the own partitions, the last of them the own one: 7 for a week."
    )
    offset: Annotated[int, Field(strict=True, ge=-MOST_PARTITIONS, le=MOST_PARTITIONS)] = Field(
        default=0, description="Moved by so many of the own partitions: -1 is the day before."
    )

    def span(self) -> Span:
        """The same for the trigger logic."""
        return Span(last=self.last, offset=self.offset)


def _as_account(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    if len(str(value)) != 12:
        # YAML takes digits that start with 0 for an octal number: the id that was meant cannot be told from it.
        raise ValueError("an account id of twelve digits stands in quotes when it starts with 0")
    return str(value)


def _as_statuses(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ExecutionWords(Words):
    """Another pipeline, and what must have become of its partitions."""

    name: Identifier = Field(description="The other pipeline.")
    account: Annotated[str, BeforeValidator(_as_account, json_schema_input_type=str | int)] | None = Field(
        default=None, description="Its location or its twelve-digit account id; the own one by default."
    )
    status: Annotated[
        tuple[Status, ...], BeforeValidator(_as_statuses, json_schema_input_type=Status | list[Status])
    ] = Field(default=("SUCCESS",), description="Any of these.")
    partitions: SpanWords = SpanWords()

    @field_validator("status")
    @classmethod
    def _names_one(cls, value: tuple[Status, ...]) -> tuple[Status, ...]:
        if not value:
            raise ValueError("expected at least one status, found none")
        return value


def _kind(value: Any) -> str:
    if isinstance(value, ExecutionGroup):
        return "group"
    if not isinstance(value, dict):
        return "execution"
    # However it is spelled, so that the complaint is about the spelling.
    keys = {str(key).lower().replace("_", "") for key in value}
    return "group" if keys & {"allof", "anyof", "operator"} else "execution"


Term = Annotated[
    Annotated[ExecutionWords, Tag("execution")] | Annotated["ExecutionGroup", Tag("group")], Discriminator(_kind)
]


class ExecutionGroup(Words):
    """Several pipelines, all or any of which must be as named; groups nest."""

    model_config = ConfigDict(populate_by_name=False)  # a second spelling would not be told from a pipeline

    operator: Operator = Field(default="AND", description="Between allOf and anyOf when both stand here.")
    all_of: tuple[Term, ...] = Field(default=(), alias="allOf", description="All of these.")
    any_of: tuple[Term, ...] = Field(default=(), alias="anyOf", description="At least one of these.")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        written = [name for name in ("all_of", "any_of") if name in self.model_fields_set]
        mistakes: list[Located] = []
        if not written:
            mistakes.append(((), "needs allOf or anyOf: a list of other pipelines"))
        for name in written:
            if not getattr(self, name):
                key = "allOf" if name == "all_of" else "anyOf"
                mistakes.append(((key,), "expected at least one pipeline, found none"))
        if len(written) == 1 and "operator" in self.model_fields_set:
            mistakes.append((("operator",), "operator stands between allOf and anyOf, and only one of them is here"))
        refuse("executions", mistakes)
        return self

    def leaves(self, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], ExecutionWords]]:
        """Every pipeline that is named, with its place below the group."""
        for key, terms in (("allOf", self.all_of), ("anyOf", self.any_of)):
            for number, term in enumerate(terms):
                below = (*place, key, number)
                if isinstance(term, ExecutionGroup):
                    yield from term.leaves(below)
                else:
                    yield below, term


class Trigger(Words):
    """What starts a run."""

    schedule: (
        Annotated[ScheduleWords, BeforeValidator(as_schedule, json_schema_input_type=str | ScheduleWords)] | None
    ) = Field(default=None, description="At these times a partition that is over runs.")
    executions: ExecutionGroup | None = Field(default=None, description="When other pipelines are as named.")
    operator: Operator | None = Field(
        default=None, description="AND or OR; needed when two of schedule, executions and arrivals stand here."
    )
    not_before: Time | None = Field(default=None, description="Not before this time of the day after the partition's.")
    at_latest: Time | None = Field(
        default=None, description="From this time of the day after the partition's on it runs with what is there."
    )
    rerun: Rerun = Field(
        default="never", description="Whether new data of another pipeline runs a partition again that has succeeded."
    )

    @field_validator("schedule", "executions", "operator", "not_before", "at_latest", mode="before")
    @classmethod
    def _says_something(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("expected a value, or the key left away")
        return value

    @property
    def written(self) -> list[str]:
        """Which of schedule, executions and arrivals stand in the file."""
        return [word for word in ("schedule", "executions", "arrivals") if word in self.model_fields_set]

    @model_validator(mode="after")
    def _words_fit_together(self) -> Self:
        refuse("trigger", self._misfits())
        return self

    def _misfits(self) -> Iterator[Located]:
        written = self.written
        if len(written) > 1 and self.operator is None:
            yield (), f"{' and '.join(written)} need `operator: AND` or `operator: OR` between them"
        if len(written) < 2 and self.operator is not None and not self._is_joined():
            inside = "; between allOf and anyOf it stands inside of executions" if written == ["executions"] else ""
            yield ("operator",), f"operator stands between two of schedule, executions and arrivals{inside}"
        if self.schedule is not None and self.executions is None:
            if self.rerun != "never":
                yield ("rerun",), f"{self.rerun} needs executions: no other pipeline is named"
            if self.at_latest and not self._waits_beside_the_schedule():
                yield ("at_latest",), "at_latest needs executions: the schedule alone waits for nothing"
        if self.not_before and self.at_latest and self.at_latest.is_before(self.not_before):
            yield (
                ("at_latest",),
                f"at_latest {self.at_latest.time} comes before not_before {self.not_before.time}, so nothing would "
                "ever be waited for",
            )

    def _is_joined(self) -> bool:
        """Whether something that is not written is joined to what is."""
        return False

    def _waits_beside_the_schedule(self) -> bool:
        """Whether something that is not written is waited for."""
        return False


class LakeTrigger(Trigger):
    """What starts a run of a pipeline with raw files: their arrival, or times and other pipelines too."""

    arrivals: ArrivalTrigger = Field(default=ArrivalTrigger(), description="When the files of a partition are there.")

    @property
    def waits_for_more(self) -> bool:
        """Whether times or other pipelines start it, and not arrivals alone."""
        return self.schedule is not None or self.executions is not None

    def _is_joined(self) -> bool:
        return self.waits_for_more

    def _waits_beside_the_schedule(self) -> bool:
        return self.operator != "OR"

    def _misfits(self) -> Iterator[Located]:
        yield from super()._misfits()
        if self.waits_for_more:
            return
        instead = {"not_before": "; arrivals have `at`", "at_latest": "; arrivals have `max_wait`"}
        for word in ("not_before", "at_latest", "rerun"):
            if word in self.model_fields_set:
                yield (word,), f"{word} belongs to schedule or executions{instead.get(word, '')}"
