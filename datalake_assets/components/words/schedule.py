"""The words of `trigger.schedule`: times of the day and days of the week, or a cron expression."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from datalake_assets.components.words.base import TimeZone, Words
from datalake_assets.components.words.mistakes import Located, refuse
from datalake_assets.triggers.schedules import Schedule, cron_refusal

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_FIELDS = "minute, hour, day, month and weekday, as in `0 3 * * *`"


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def as_schedule(value: Any) -> Any:
    """A text alone is a cron expression."""
    return {"cron": value} if isinstance(value, str) else value


def _number(value: Any, most: int) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and most < value < 1440:
        # YAML 1.1 takes an unquoted 16:30 for a number of base 60.
        return ValueError(
            f"expected 0 to {most}; {value // 60}:{value % 60:02} is `hour: {value // 60}, minute: {value % 60}`"
        )
    return value


def _as_hours(value: Any) -> Any:
    for hour in (values := _as_list(value)):
        if isinstance(wrong := _number(hour, 23), ValueError):
            raise wrong
    return values


Hour = Annotated[int, Field(strict=True, ge=0, le=23)]


class ScheduleWords(Words):
    """Times at which a pipeline runs its partition, once that is over."""

    hour: Annotated[tuple[Hour, ...], BeforeValidator(_as_hours, json_schema_input_type=Hour | list[Hour])] = Field(
        default=(), description="On a clock of 24 hours, one or several; every hour by default."
    )
    minute: Annotated[int, Field(strict=True, ge=0, le=59)] = Field(default=0, description="Of the hour.")
    days: Annotated[tuple[Day, ...], BeforeValidator(_as_list, json_schema_input_type=Day | list[Day])] = Field(
        default=(), description="Days of the week; every day by default."
    )
    cron: str | None = Field(default=None, description=f"Instead of the others: {_FIELDS}.")
    time_zone: TimeZone | None = Field(
        default=None, description="Whose clocks; by default those of the partitions, without them UTC."
    )

    @field_validator("cron")
    @classmethod
    def _is_a_cron_schedule(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        fields = value.removeprefix("cron(").removesuffix(")").split()
        if len(fields) == 6 and ("?" in fields or value.startswith("cron(")):
            # The notation of EventBridge, which ends with the year and has ? where the other day field counts.
            plain = " ".join("*" if field == "?" else field for field in fields[:5])
            raise ValueError(f"not a cron schedule; expected {_FIELDS}; did you mean {plain!r}?")
        if refusal := cron_refusal(value):
            raise ValueError(f"not a cron schedule: {refusal}; expected {_FIELDS}")
        return value

    @model_validator(mode="after")
    def _words_fit_together(self) -> Self:
        mistakes: list[Located] = []
        others = [word for word in ("hour", "minute", "days") if word in self.model_fields_set]
        if self.cron is not None:
            mistakes += [((word,), f"{word} stands in the cron expression already") for word in others]
        elif not {"hour", "minute"} & set(others):
            mistakes.append(((), "needs an hour, a minute (of every hour) or a cron expression"))
        for word in ("hour", "days"):
            if word in self.model_fields_set and not getattr(self, word):
                mistakes.append(((word,), "expected at least one of them, found none"))
        refuse("schedule", mistakes)
        return self

    def schedule(self, time_zone: str) -> Schedule:
        """The same for the trigger logic; `time_zone` is that of the partitions."""
        hours = ",".join(str(hour) for hour in sorted(set(self.hour))) or "*"
        days = ",".join(dict.fromkeys(self.days)) or "*"
        return Schedule(self.cron or f"{self.minute} {hours} * * {days}", self.time_zone or time_zone)
