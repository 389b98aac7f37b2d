"""What a crawl says of one column: its names, its type, what does not fit it, and how certain that is."""

from dataclasses import dataclass
from typing import Any, Literal

from datalake_assets.column_types import TargetType

# What a mapping should do with values that do not fit the column's type; the words of `on_conflict`.
OnConflict = Literal["quarantine", "split", "text"]
# Below this certainty a column or a table wants a person's look: `--scaffold` writes a comment there.
UNCERTAIN_BELOW = 0.8


@dataclass(frozen=True, slots=True)
class Conflict:
    """Values that do not fit the type of their column: how many, of which type they look, some of them.

    `where` is the URI of the first object that has such a value.
    """

    type: str
    count: int
    examples: tuple[str, ...] = ()
    where: str | None = None

    def as_json(self) -> dict[str, Any]:
        return without_empty(
            {"type": self.type, "count": self.count, "examples": list(self.examples), "where": self.where}
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Conflict":
        return cls(data["type"], data["count"], tuple(data.get("examples", ())), data.get("where"))


@dataclass(frozen=True, slots=True)
class DiscoveredColumn:
    """One column: what it is called here and there, its type, and how certain that is.

    Attributes:
        name: a valid and unique name for the target column.
        raw_path: its name in the file, or its path in a nested record (`user.name`); `[]` is the element of an array,
            `{}` the value of a map.
        type: with nested fields under valid names; `parts` tell their raw ones.
        nulls: how many of `count` sampled records have no value there, null tokens and missing fields included.
        format: of dates and timestamps, in strptime's words (`%d.%m.%Y %H:%M`), `epoch_s` or `epoch_ms`; None when
            the mapping reads it without one. `other_formats` come after it, tried in order.
        conflicts: values that do not fit `type`; `on_conflict` is what to do with them.
        certainty: from 0 to 1; `notes` say what lowered it, and whatever else a person should know.
        null_values: texts that mean null in this column, beside the empty one. Shown even if seen only once.
        decimal, thousands: separators, if other than the usual ones (`.` and none).
        parts: of a nested type: the fields of a struct, the element of an array, the key and the value of a map.
        position: index among the columns of a flat file, from 0; None for a nested one.
    """

    name: str
    raw_path: str
    type: TargetType
    nulls: int
    count: int
    format: str | None = None
    conflicts: tuple[Conflict, ...] = ()
    examples: tuple[str, ...] = ()
    certainty: float = 1.0
    notes: tuple[str, ...] = ()
    null_values: tuple[str, ...] = ()
    decimal: str | None = None
    thousands: str | None = None
    other_formats: tuple[str, ...] = ()
    on_conflict: OnConflict | None = None
    parts: "tuple[DiscoveredColumn, ...]" = ()
    position: int | None = None

    @property
    def is_uncertain(self) -> bool:
        return self.certainty < UNCERTAIN_BELOW

    @property
    def is_required(self) -> bool:
        """Whether no sampled record lacked it."""
        return self.nulls == 0 and self.count > 0

    def as_json(self) -> dict[str, Any]:
        return without_empty(
            {
                "name": self.name,
                "raw_path": self.raw_path,
                "type": str(self.type),
                "nulls": self.nulls,
                "count": self.count,
                "certainty": round(self.certainty, 3),
                "format": self.format,
                "other_formats": list(self.other_formats),
                "null_values": list(self.null_values),
                "decimal": self.decimal,
                "thousands": self.thousands,
                "on_conflict": self.on_conflict,
                "conflicts": [each.as_json() for each in self.conflicts],
                "examples": list(self.examples),
                "notes": list(self.notes),
                "position": self.position,
                "parts": [each.as_json() for each in self.parts],
            }
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "DiscoveredColumn":
        return cls(
            name=data["name"],
            raw_path=data["raw_path"],
            type=TargetType.parse(data["type"]),
            nulls=data["nulls"],
            count=data["count"],
            format=data.get("format"),
            conflicts=tuple(Conflict.from_json(each) for each in data.get("conflicts", ())),
            examples=tuple(data.get("examples", ())),
            certainty=data["certainty"],
            notes=tuple(data.get("notes", ())),
            null_values=tuple(data.get("null_values", ())),
            decimal=data.get("decimal"),
            thousands=data.get("thousands"),
            other_formats=tuple(data.get("other_formats", ())),
            on_conflict=data.get("on_conflict"),
            parts=tuple(cls.from_json(each) for each in data.get("parts", ())),
            position=data.get("position"),
        )


def without_empty(data: dict[str, Any]) -> dict[str, Any]:
    """A JSON object without members that say nothing."""
    return {key: value for key, value in data.items() if value is not None and value != [] and value != {}}
