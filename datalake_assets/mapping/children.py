"""The words that change how many rows a record makes: `explode`, `children` and `deduplicate`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, field_validator

from datalake_assets import names
from datalake_assets.errors import InvalidName
from datalake_assets.formats.paths import path_parts
from datalake_assets.mapping.columns import AnyColumn, Words, raw_name, raw_paths

POSITION_COLUMN = "_position"
# Within `columns` of a child or below an exploded alias: the element itself, and its key if it comes from a map.
VALUE_PATH = "_value"
KEY_PATH = "_key"
MAX_LEVELS = 8

_ORDER = re.compile(r"\s*([a-z_][a-z0-9_]{0,62})(?:\s+(asc|desc))?\s*", re.IGNORECASE)


def _a_path(value: str) -> str:
    path_parts(raw_name(value))
    return value


class Explode(Words):
    """One row for each element of an array: `as` names it, `item` and `item.price` are paths in `columns` then.

    A record whose array is null, missing or empty makes one row with nulls in place of the element, or none with
    `keep_empty: false` (counted in the run's notes). Anything else than an array sets the record aside, and so does an
    element that does not fit: all rows of the record go together.
    """

    from_: str = Field(alias="from", min_length=1, description="the array: a path, or a raw column that holds JSON")
    as_: str = Field(alias="as", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$", description="what paths call its element")
    keep_empty: bool = True

    @field_validator("from_")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        return _a_path(value)


class Child(Words):
    """A table of its own for the elements of an array or a map within each record, with the keys of its parent.

    Its columns are: those of `key`, as they are in the parent; for a deeper one the keys that its parent has and the
    parent's position as `<parent table>_position`; `_position`, from 0; the mapped ones; `_source_file`, `_source_row`
    of the record. Paths in its `columns` start at the element; `_value` is the element itself. If one of them is
    `_key`, the elements are the members of a JSON object and `_key` is their name; otherwise they are those of an
    array. Null, missing and empty make no rows; anything else sets the record aside.
    """

    table: str = Field(description="name of the lake table")
    from_: str = Field(alias="from", min_length=1, description="path of the array or map, from the parent's element")
    key: tuple[str, ...] = Field(default=(), description="columns of the parent that are repeated here")
    columns: tuple[AnyColumn, ...] = Field(min_length=1)
    children: "tuple[Child, ...]" = ()
    description: str | None = None

    @field_validator("table")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        try:
            return names.identifier(value, what="table")
        except InvalidName as error:
            raise ValueError(str(error)) from error

    @field_validator("from_")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        return _a_path(value)

    @property
    def is_of_map(self) -> bool:
        """Whether the elements are the members of an object, not those of an array."""
        return any(KEY_PATH in raw_paths(column) for column in self.columns)

    @property
    def position_in_children(self) -> str:
        """What its own children call its position."""
        return f"{self.table}{POSITION_COLUMN}"


class Deduplicate(Words):
    """Of rows that share the values of `by` only the first in `order` stays; a row with a null among them always does.

    `desc` begins with the greatest, nulls come last either way. What the order leaves equal is decided by the greatest
    `_source_file`, then `_source_row`, then the position of an exploded element. Rows are compared within a partition,
    after the bad ones are set aside; the others are dropped with their children, and counted.
    """

    by: Annotated[tuple[str, ...], Field(min_length=1)]
    order: tuple[str, ...] = Field(default=(), description="columns, each with `asc` (the default) or `desc`")

    @field_validator("by")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a column stands here twice")
        return value

    @field_validator("order")
    @classmethod
    def _are_orders(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not _ORDER.fullmatch(each):
                raise ValueError(f"{each!r} is no order; expected a column, and asc or desc behind it")
        return value

    @property
    def orders(self) -> tuple[tuple[str, bool], ...]:
        """Pairs of column and whether the greatest comes first."""
        found = (_ORDER.fullmatch(each) for each in self.order)
        return tuple((match[1], (match[2] or "").lower() == "desc") for match in found if match)


@dataclass(frozen=True, slots=True)
class Level:
    """A child among its ancestors: `parents` from the one below the record inwards, empty for a direct child."""

    child: Child
    parents: tuple[Child, ...]

    @property
    def depth(self) -> int:
        return len(self.parents)

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the columns before `_position`: keys and positions of the ancestors, then its own keys."""
        inherited: list[str] = []
        for parent in self.parents:
            inherited += [*parent.key, parent.position_in_children]
        return (*inherited, *self.child.key)


def levels(children: tuple[Child, ...], parents: tuple[Child, ...] = ()) -> Iterator[Level]:
    """All children, each before its own ones."""
    for child in children:
        yield Level(child, parents)
        yield from levels(child.children, (*parents, child))
