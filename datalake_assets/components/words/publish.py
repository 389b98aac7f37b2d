"""The words of `checks` and `publish`: what readers may see, and what becomes of published versions."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from datalake_assets.mapping.check_spec import Check, mistakes_in
from datalake_assets.mapping.spec import PLATFORM_COLUMNS, AnyColumn, output_columns
from datalake_assets.names import PARTITION_COLUMN

Checks = tuple[Check, ...]


class Publish(BaseModel):
    """How a table's versions are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_versions: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        default=7, description="How many versions of a partition vacuum keeps, the published one included."
    )


def require_good_checks(checks: Checks, columns: Sequence[AnyColumn] | None, *, is_partitioned: bool) -> None:
    """Refuse checks that do not fit together or name what the table does not have.

    Args:
        columns: those mapped, None if they are mistaken themselves: then nothing can be said of the checks.

    Raises:
        ValidationError: with the place of each mistake in the list.
    """
    if not checks or columns is None:
        return
    known = [column.name for column in (*output_columns(columns), *PLATFORM_COLUMNS)]
    if is_partitioned:
        known.append(PARTITION_COLUMN)
    if mistakes := mistakes_in(checks, known):
        raise ValidationError.from_exception_data("checks", [_at(place, text) for place, text in mistakes])


def _at(place: tuple[int | str, ...], text: str) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError("check", "{text}", {"text": text}), loc=place, input={})
