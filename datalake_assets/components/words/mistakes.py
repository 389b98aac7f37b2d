"""Mistakes that a validator finds in other places than its own, told where each of them stands."""

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

# Where, below the value that is validated, and what is wrong.
Located = tuple[tuple[str | int, ...], str]


def refuse(title: str, mistakes: Iterable[Located]) -> None:
    """Raise for all of these at once; nothing if there are none.

    Raises:
        ValidationError: a validator that raises it passes the places on.
    """
    details = [
        InitErrorDetails(type=PydanticCustomError("misfit", "{text}", {"text": text}), loc=where, input={})
        for where, text in mistakes
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)
