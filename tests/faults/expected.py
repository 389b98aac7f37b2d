"""What raw files should become, by Python's own parsers: nothing of the platform's code but the names of columns."""

import csv
import gzip
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.mapping.children import Child
from datalake_assets.mapping.columns import Column as MappedColumn

Place = tuple[str, int]
"""A raw record: the URI of its file and the number of its line."""
Rows = dict[Place, tuple[Any, ...]]
Elements = dict[tuple[Any, ...], tuple[Any, ...]]
"""Rows of a child table: the record's place and the position at each level → keys and values."""

_INTEGERS = {"smallint": 15, "int": 31, "bigint": 63}
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")


@dataclass(frozen=True)
class Column:
    raw: str
    name: str
    kind: str
    scale: int
    is_required: bool

    def value(self, text: str | None) -> Any:
        """What a raw text means; ValueError if it means nothing."""
        if text is None:
            if self.is_required:
                raise ValueError(self.raw)
            return None
        if self.kind in _INTEGERS:
            if not _WHOLE.fullmatch(text.strip()):
                raise ValueError(text)
            number = int(text.strip().split(".")[0])
            if not -(2 ** _INTEGERS[self.kind]) <= number < 2 ** _INTEGERS[self.kind]:
                raise ValueError(text)
            return number
        if self.kind == "decimal":
            try:
                return Decimal(text).quantize(Decimal(1).scaleb(-self.scale), ROUND_HALF_UP)
            except InvalidOperation as error:
                raise ValueError(text) from error
        if self.kind == "double":
            return float(text)
        if self.kind == "timestamp":
            found = datetime.fromisoformat(text)
            return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
        return text


@dataclass(frozen=True)
class ChildTable:
    """A table of the elements below `member` of a record, or of its parent's elements."""

    name: str
    member: str
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    above: tuple[str, ...]
    """The tables between the record's and this one."""
    children: "tuple[ChildTable, ...]"

    @classmethod
    def of(cls, child: Child, above: tuple[str, ...] = ()) -> "ChildTable":
        inner = tuple(cls.of(each, (*above, child.table)) for each in child.children)
        return cls(child.table, child.from_, child.key, _columns(child.columns), above, inner)

    @property
    def positions(self) -> list[str]:
        return [*(f"{name}_position" for name in self.above), "_position"]


def _columns(columns: Sequence[object]) -> tuple[Column, ...]:
    return tuple(
        Column(c.from_, c.to, c.type.kind, getattr(c.type, "scale", None) or 0, c.required)
        for c in columns
        if isinstance(c, MappedColumn)
    )


@dataclass(frozen=True)
class Table:
    """One pipeline's names, as its users know them."""

    location: str
    name: str
    folder: str
    suffix: str
    columns: tuple[Column, ...]
    nulls: frozenset[str]
    is_partitioned: bool
    children: tuple[ChildTable, ...] = ()

    @classmethod
    def of(cls, location: str, spec: PipelineSpec) -> "Table":
        patterns = spec.source.s3 if isinstance(spec.source.s3, str) else spec.source.s3[0]
        folder, _, name = patterns.rpartition("/")
        return cls(
            location,
            spec.name,
            f"{folder}/",
            name.removeprefix("*"),
            _columns(spec.columns),
            frozenset(spec.source.null_values),
            spec.partitions is not None,
            tuple(ChildTable.of(child) for child in spec.children),
        )

    @property
    def all_children(self) -> list[ChildTable]:
        """Each before its own ones."""
        found, waiting = [], list(self.children)
        while waiting:
            found.append(waiting.pop(0))
            waiting += found[-1].children
        return found

    @property
    def source_id(self) -> str:
        return f"{self.location}/{self.name}"

    @property
    def quarantine(self) -> str:
        return f"{self.name}_quarantine"

    def prefix(self, partition: str) -> str:
        return self.folder.replace("{partition}", partition)

    def is_data(self, key: str, partition: str) -> bool:
        name = key.removeprefix(self.prefix(partition))
        return "/" not in name and name.endswith(self.suffix) and name[0] not in "_."


@dataclass(frozen=True)
class Content:
    """What raw files of a partition say: rows by place, and the places of records that no row can be made of."""

    good: Rows = field(default_factory=dict)
    bad: frozenset[Place] = frozenset()
    children: dict[str, Elements] = field(default_factory=dict)


def parse(table: Table, uri: str, body: bytes) -> Content:
    """One raw file."""
    if table.suffix == ".jsonl":
        return _parse_json(table, uri, body)
    text = (gzip.decompress(body) if uri.endswith(".gz") else body).decode()
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader)
    places = [header.index(column.raw) for column in table.columns]
    good: Rows = {}
    bad: set[Place] = set()
    start = reader.line_num
    for record in reader:
        place = (uri, start + 1)
        start = reader.line_num
        if not record:
            continue
        try:
            if len(record) != len(header):
                raise ValueError(record)
            texts = [None if record[at] in table.nulls else record[at] for at in places]
            good[place] = tuple(c.value(text) for c, text in zip(table.columns, texts, strict=True))
        except ValueError:
            bad.add(place)
    return Content(good, frozenset(bad))


def _parse_json(table: Table, uri: str, body: bytes) -> Content:
    good: Rows = {}
    bad: set[Place] = set()
    children: dict[str, Elements] = {}
    for number, line in enumerate(body.decode().splitlines(), 1):
        place = (uri, number)
        try:
            record = json.loads(line)
            row = _values(table.columns, record)
            found: dict[str, Elements] = {}
            for child in table.children:
                known = {column.name: value for column, value in zip(table.columns, row, strict=True)}
                _elements(child, record, place, known, (), found)
        except ValueError:
            bad.add(place)
            continue
        good[place] = row
        for name, elements in found.items():
            children.setdefault(name, {}).update(elements)
    return Content(good, frozenset(bad), children)


def _values(columns: Sequence[Column], record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(c.value(None if (found := record.get(c.raw)) is None else str(found)) for c in columns)


def _elements(
    child: ChildTable,
    parent: Mapping[str, Any],
    at: tuple[Any, ...],
    known: Mapping[str, Any],
    inherited: tuple[Any, ...],
    found: dict[str, Elements],
) -> None:
    keys = (*inherited, *(known[name] for name in child.keys))
    for position, element in enumerate(parent.get(child.member) or []):
        values = _values(child.columns, element)
        found.setdefault(child.name, {})[*at, position] = (*keys, *values)
        own = {column.name: value for column, value in zip(child.columns, values, strict=True)}
        for inner in child.children:
            _elements(inner, element, (*at, position), own, keys, found)


def together(contents: Sequence[Content]) -> Content:
    """Several files as one partition."""
    good: Rows = {}
    bad: set[Place] = set()
    children: dict[str, Elements] = {}
    for each in contents:
        good |= each.good
        bad |= each.bad
        for name, elements in each.children.items():
            children.setdefault(name, {}).update(elements)
    return Content(good, frozenset(bad), children)
