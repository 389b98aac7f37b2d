"""What a team declares about the rows of a table before readers may see them: the words of `checks`."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from datalake_assets import names
from datalake_assets.errors import InvalidName
from datalake_assets.mapping.check_sql import expression_mistake

Severity = Literal["error", "warn"]
Kind = Literal["unique", "not_null", "row_count", "expression"]
KINDS: tuple[Kind, ...] = ("unique", "not_null", "row_count", "expression")
MAX_EXPRESSION_CHARACTERS = 2_000

Count = Annotated[int, Field(strict=True, ge=0)]
Columns = Annotated[tuple[str, ...], Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RowCount(_Model):
    """How many rows a partition has, both ends included."""

    min: Count | None = None
    max: Count | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("row_count needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Check(_Model):
    """One check of a table's partition; it has exactly one of `unique`, `not_null`, `row_count` and `expression`."""

    unique: Columns | None = Field(default=None, description="No two rows share these values; rows with a null pass.")
    not_null: Columns | None = Field(default=None, description="No row has a null in one of these columns.")
    row_count: RowCount | None = None
    expression: str | None = Field(
        default=None, description="SQL over the target columns, true for each row; a row where it is null passes."
    )
    severity: Severity = Field(default="error", description="error keeps the version from readers, warn only tells.")
    name: str | None = Field(default=None, description="How the UI and messages call it; made of the check otherwise.")
    description: str | None = None

    @field_validator("unique", "not_null")
    @classmethod
    def _each_column_once(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value and len(set(value)) != len(value):
            raise ValueError("a column stands here twice")
        return value

    @field_validator("expression")
    @classmethod
    def _of_a_readable_length(cls, value: str | None) -> str | None:
        if value is not None and not 0 < len(value.strip()) <= MAX_EXPRESSION_CHARACTERS:
            raise ValueError(f"an expression has 1 to {MAX_EXPRESSION_CHARACTERS} characters")
        return value

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        try:
            return value if value is None else names.identifier(value, what="name of a check")
        except InvalidName as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _checks_one_thing(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"a check has exactly one of {', '.join(KINDS)}; found {' and '.join(given) or 'none'}")
        return self

    @property
    def kind(self) -> Kind:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def check_name(self) -> str:
        """The given name, or one made of the check: `unique_listing_id`, `row_count`."""
        if self.name is not None:
            return self.name
        if self.expression is not None:
            words = re.findall(r"[a-z0-9_]+", self.expression.lower())
        else:
            words = list(self.unique or self.not_null or ())
        return "_".join([self.kind, *words])[: names.MAX_IDENTIFIER_CHARACTERS].rstrip("_")

    @property
    def is_blocking(self) -> bool:
        return self.severity == "error"

    @property
    def sentence(self) -> str:
        """What it demands, as people read it."""
        if self.unique:
            return f"no two rows share their {' and '.join(self.unique)}"
        if self.not_null:
            return f"no row has a null in {' or '.join(self.not_null)}"
        if self.expression:
            return f"each row has {self.expression.strip()}"
        assert self.row_count is not None
        low, high = self.row_count.min, self.row_count.max
        if low is None or high is None:
            return f"at least {low} rows" if high is None else f"at most {high} rows"
        return f"from {low} to {high} rows"


def mistakes_in(checks: Sequence[Check], columns: Sequence[str]) -> list[tuple[tuple[int | str, ...], str]]:
    """What is wrong with the checks of a table that has these columns: where it stands in the list, and what.

    Names have to be distinct, columns known, and expressions scalar SQL over known columns. Whether an expression is
    a boolean and its functions exist is told by `checks.bind_expressions`, which needs DuckDB.
    """
    found: list[tuple[tuple[int | str, ...], str]] = []
    seen = {names.QUARANTINE_CHECK: "the platform's own check of rows set aside"}
    for at, check in enumerate(checks):
        name = check.check_name
        if name in seen:
            place = (at, "name") if check.name else (at, check.kind)
            found.append((place, f"the check {name!r} has the name of {seen[name]}; give it a `name` of its own"))
        seen.setdefault(name, f"check {at + 1} of the list")
        for number, named in enumerate(check.unique or check.not_null or ()):
            if named not in columns:
                text = f"{named!r} is no column of the table; expected one of {', '.join(columns)}"
                found.append(((at, check.kind, number), text))
        if check.expression is not None and (mistake := expression_mistake(check.expression, columns)):
            found.append(((at, "expression"), mistake))
    return found
