"""What the words of all declarations share: the base of their models, names and time zones."""

import difflib
import keyword
import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict

from datalake_assets.errors import PlatformError
from datalake_assets.names import identifier


class Words(BaseModel):
    """A part of a declaration: unknown keys are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _identifier(text: str) -> str:
    try:
        return identifier(text)
    except PlatformError as error:
        near = re.sub(r"[^a-z0-9_]", "_", text.lower())
        hint = f"; did you mean {near!r}?" if near != text and near.strip("_0123456789") else ""
        raise ValueError(f"{error}{hint}") from error


Identifier = Annotated[str, AfterValidator(_identifier)]

# A job cannot be called so; told here, for Dagster would only say that a location does not load.
RESERVED_NAMES = frozenset(
    (
        *("arg_dict", "bool", "conf", "config", "context", "dict", "float", "input", "input_arg_dict", "int"),
        *("meta", "output", "output_arg_dict", "str", "type"),
        *keyword.kwlist,
    )
)


def _name_of_a_job(text: str) -> str:
    if text in RESERVED_NAMES:
        raise ValueError(
            f"{text!r} is a word of Python's or Dagster's own; expected another name, such as '{text}_data'"
        )
    return text


JobName = Annotated[Identifier, AfterValidator(_name_of_a_job)]


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(text, available_timezones(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"not a time zone; expected a name such as Europe/Berlin or UTC{hint}") from None
    return text


TimeZone = Annotated[str, AfterValidator(_time_zone)]
