"""What was seen at one place of the records: a column, a field of a struct, an element of an array."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from datalake_assets.column_types import TargetType
from datalake_assets.discovery.columns.lattice import join
from datalake_assets.discovery.columns.text_profile import TextProfile

MAX_NESTED_DEPTH = 12  # deeper values count as their JSON text
MAX_FIELDS = 1_000  # of one struct; with more of them the keys are data, not names
MAX_COLUMNS = 100_000  # of one table


class Number(str):
    """A JSON number in its original spelling."""

    __slots__ = ()


@dataclass(slots=True)
class Node:
    """Counts of one place; `fields` in the order of their first appearance.

    Attributes:
        seen: how often the place was there, nulls included.
        nulls: of these, JSON null.
        texts, literals: strings, and numbers and booleans in their spelling. Flat files have only texts.
        objects, arrays: how often it was one; `fields`, `element` are what was in them.
        values: what was in an object with more than `MAX_FIELDS` keys, all of them together.
        declared: the type that the file's own schema tells (Parquet, ORC, Avro).
    """

    seen: int = 0
    nulls: int = 0
    texts: TextProfile = field(default_factory=TextProfile)
    literals: TextProfile = field(default_factory=TextProfile)
    objects: int = 0
    fields: "dict[str, Node]" = field(default_factory=dict)
    values: "Node | None" = None
    arrays: int = 0
    longest_array: int = 0
    element: "Node | None" = None
    declared: TargetType | None = None
    too_deep: int = 0
    max_fields: int = MAX_FIELDS
    _texts: list[str] = field(default_factory=list)
    _literals: list[str] = field(default_factory=list)

    def add(self, value: Any, depth: int = 0) -> None:
        """Count one JSON value; `flush` ends a batch of them."""
        self.seen += 1
        if value is None:
            self.nulls += 1
        elif isinstance(value, Number):
            self._literals.append(value)
        elif isinstance(value, str):
            self._texts.append(value)
        elif isinstance(value, bool):
            self._literals.append("true" if value else "false")
        elif depth >= MAX_NESTED_DEPTH:
            self.too_deep += 1
        elif isinstance(value, dict):
            self.objects += 1
            for key, member in value.items():
                self._field(key).add(member, depth + 1)
        else:
            self.arrays += 1
            self.longest_array = max(self.longest_array, len(value))
            if self.element is None:
                self.element = Node()
            for member in value:
                self.element.add(member, depth + 1)

    def _field(self, key: str) -> "Node":
        found = self.fields.get(key)
        if found is not None:
            return found
        if self.values is not None:
            return self.values
        if len(self.fields) >= self.max_fields:
            self._collapse()
            assert self.values is not None
            return self.values
        found = self.fields[key] = Node()
        return found

    def _collapse(self) -> None:
        """Put all fields together: so many keys are data."""
        self.values = self.values or Node()
        for each in self.fields.values():
            each.flush(None)
            self.values.merge(each)
        self.fields = {}

    def flush(self, where: str | None) -> None:
        """Count what was added since the last flush, with the URI it came from."""
        if self._texts:
            # An empty string of a nested record is a value, but none that tells a type.
            self.texts.add(self._texts, where=where)
            self._texts.clear()
        if self._literals:
            self.literals.add(self._literals, null_values=(), where=where)
            self._literals.clear()
        for each in self.fields.values():
            each.flush(where)
        for one in (self.element, self.values):
            if one is not None:
                one.flush(where)

    def merge(self, other: "Node") -> None:
        """Add what another file had at this place."""
        self.seen += other.seen
        self.nulls += other.nulls
        self.texts.merge(other.texts)
        self.literals.merge(other.literals)
        self.objects += other.objects
        self.arrays += other.arrays
        self.longest_array = max(self.longest_array, other.longest_array)
        self.too_deep += other.too_deep
        self.declared = join(self.declared, other.declared)
        if other.element is not None:
            self.element = self.element or Node()
            self.element.merge(other.element)
        if other.values is not None:
            self.values = self.values or Node()
            self.values.merge(other.values)
        for key, each in other.fields.items():
            self._field(key).merge(each)

    def as_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "seen": self.seen,
            "nulls": self.nulls,
            "texts": self.texts.as_json(),
            "literals": self.literals.as_json(),
            "objects": self.objects,
            "fields": {key: each.as_json() for key, each in self.fields.items()},
            "values": self.values.as_json() if self.values else None,
            "arrays": self.arrays,
            "longest_array": self.longest_array,
            "element": self.element.as_json() if self.element else None,
            "declared": str(self.declared) if self.declared else None,
            "too_deep": self.too_deep,
        }
        return {key: value for key, value in data.items() if value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Node":
        return cls(
            seen=data.get("seen", 0),
            nulls=data.get("nulls", 0),
            texts=TextProfile.from_json(data.get("texts", {})),
            literals=TextProfile.from_json(data.get("literals", {})),
            objects=data.get("objects", 0),
            fields={key: cls.from_json(each) for key, each in data.get("fields", {}).items()},
            values=cls.from_json(data["values"]) if data.get("values") else None,
            arrays=data.get("arrays", 0),
            longest_array=data.get("longest_array", 0),
            element=cls.from_json(data["element"]) if data.get("element") else None,
            declared=TargetType.parse(data["declared"]) if data.get("declared") else None,
            too_deep=data.get("too_deep", 0),
        )


def flat_node(names: Sequence[str]) -> Node:
    """The root of a flat file, with a field for each column; the second column of a name gets a key of its own."""
    root = Node(max_fields=MAX_COLUMNS)
    for key in column_keys(names):
        root.fields[key] = Node()
    return root


def column_keys(names: Sequence[str]) -> list[str]:
    """Keys for the columns of a header that may repeat a name: `name`, then `name\\0` 1 …"""
    seen: dict[str, int] = {}
    keys = []
    for name in names:
        repeated = seen.get(name, 0)
        keys.append(f"{name}\0{repeated}" if repeated else name)
        seen[name] = repeated + 1
    return keys


def raw_name(key: str) -> str:
    """The name that a header has for a key of `column_keys`."""
    return key.partition("\0")[0]


def parse_record(text: str) -> Any:
    """A JSON text with its numbers as they are spelled.

    Raises:
        ValueError, RecursionError: no JSON, or nested too deep for Python.
    """
    return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=Number, strict=False)


def add_records(root: Node, records: Iterable[str], where: str | None) -> int:
    """Count records given as JSON texts; return how many could not be read."""
    broken = 0
    for text in records:
        try:
            record = parse_record(text)
        except (ValueError, RecursionError):
            broken += 1
            continue
        root.add(record if isinstance(record, dict) else {"value": record})
    root.flush(where)
    return broken
