"""Values as the type of their column says: numbers without thousands separators, ISO dates, true and false, nulls.

A value that does not fit its column's type keeps its spelling: what a pipeline would set aside is still to be seen.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import TYPE_CHECKING

from datalake_assets.discovery.preview import Cells
from datalake_assets.discovery.report import DiscoveredColumn
from datalake_assets.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

    from datalake_assets.discovery.preview import OpenedObject

SAMPLED_BATCHES = 4

Reader = Callable[[str], str | None]
_INTEGERS = ("smallint", "int", "bigint")
_NUMBERS = ("real", "double", "decimal")
_BOOLEANS = dict.fromkeys(("true", "t", "yes", "y", "1"), "true") | dict.fromkeys(
    ("false", "f", "no", "n", "0"), "false"
)
_JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True)
class TypedColumn:
    """How the texts of one column become values.

    Args:
        null_values: texts that mean null.
        read: the canonical text of a value that fits the type, else None.
        is_literal: whether that text stands without quotes in JSON.
    """

    null_values: frozenset[str]
    read: Reader
    is_literal: bool

    def text(self, value: str | None) -> str | None:
        """The canonical text; the value itself where it does not fit."""
        if value is None or value in self.null_values:
            return None
        found = self.read(value)
        return value if found is None else found

    def json(self, value: str | None) -> str:
        """The value as a JSON text."""
        if value is None or value in self.null_values:
            return "null"
        found = self.read(value)
        if found is None:
            return json.dumps(value, ensure_ascii=False)
        return found if self.is_literal else json.dumps(found, ensure_ascii=False)


def typed_cells(opened: "OpenedObject", header: Sequence[str], blocks: Iterator[list[Cells]]) -> Iterator[list[Cells]]:
    """Blocks of rows of canonical texts."""
    columns = typed_columns(opened, header)
    for block in blocks:
        # Surplus fields behind the last column have no type.
        yield [
            [*(column.text(value) for column, value in zip(columns, row, strict=False)), *row[len(columns) :]]
            for row in block
        ]


def typed_json(
    opened: "OpenedObject", header: Sequence[str], blocks: Iterator[list[Cells]]
) -> Iterator[list[list[str]]]:
    """Blocks of rows of JSON texts."""
    columns = typed_columns(opened, header)
    for block in blocks:
        yield [[column.json(value) for column, value in zip(columns, row, strict=False)] for row in block]


def typed_columns(opened: "OpenedObject", header: Sequence[str]) -> list[TypedColumn]:
    """The types that the first records of an object have, for each column of the header."""
    from datalake_assets.discovery.columns.inference import infer_flat, infer_nested
    from datalake_assets.formats.records import open_records

    uri, null_values = opened.found.uri, opened.source.null_values
    file = open_records(opened.path, opened.source, uri=uri)
    batches = _first(file.batches())
    if opened.names is not None:
        found = list(infer_flat(opened.names, batches, null_values=null_values, uri=uri))
        by_position = {
            column.position if column.position is not None else at: column for at, column in enumerate(found)
        }
        columns = [by_position.get(at) for at in range(len(header))]
    else:
        by_name = {column.raw_path: column for column in infer_nested(batches, uri=uri)}
        columns = [by_name.get(name) for name in header]
    return [_typed(column, null_values if opened.names is not None else ()) for column in columns]


def _first(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    try:
        yield from islice(batches, SAMPLED_BATCHES)
    except BadInput:
        return  # it breaks off: whoever reads the rows will say so


def _typed(column: DiscoveredColumn | None, null_values: Sequence[str]) -> TypedColumn:
    if column is None:
        return TypedColumn(frozenset(null_values), str, is_literal=False)
    nulls = frozenset((*null_values, *column.null_values))
    kind = column.type.kind
    if kind in (*_INTEGERS, *_NUMBERS):
        return TypedColumn(nulls, _number(column, is_whole=kind in _INTEGERS), is_literal=True)
    if kind == "boolean":
        return TypedColumn(nulls, lambda value: _BOOLEANS.get(value.strip().lower()), is_literal=True)
    if kind in ("date", "timestamp"):
        return TypedColumn(nulls, _moment(column, is_date=kind == "date"), is_literal=False)
    if column.type.is_nested:
        return TypedColumn(nulls, lambda value: value if value[:1] in ("{", "[") else None, is_literal=True)
    return TypedColumn(nulls, str, is_literal=False)


def _number(column: DiscoveredColumn, *, is_whole: bool) -> Reader:
    decimal, thousands = column.decimal or ".", column.thousands

    def read(value: str) -> str | None:
        text = value.strip()
        if thousands:
            text = text.replace(thousands, "")
        if decimal != ".":
            text = text.replace(decimal, ".")
        text = text.removeprefix("+")
        if _JSON_NUMBER.fullmatch(text) and not is_whole:
            return text
        try:
            # Leading zeros and the like; what is no finite number is none in JSON.
            return str(int(text)) if is_whole else _plain(Decimal(text))
        except (ValueError, InvalidOperation):
            return None

    return read


def _plain(value: Decimal) -> str | None:
    return str(value) if value.is_finite() and _JSON_NUMBER.fullmatch(str(value)) else None


def _moment(column: DiscoveredColumn, *, is_date: bool) -> Reader:
    formats = [each for each in (column.format, *column.other_formats) if each]

    def read(value: str) -> str | None:
        text = value.strip()
        for shape in formats:
            if (found := _parsed(text, shape)) is not None:
                return _iso(found, is_date=is_date)
        try:
            return _iso(dt.datetime.fromisoformat(text), is_date=is_date)
        except ValueError:
            return None

    return read


def _parsed(text: str, shape: str) -> dt.datetime | None:
    try:
        if shape in ("epoch_s", "epoch_ms"):
            seconds = Decimal(text) / (1000 if shape == "epoch_ms" else 1)
            return dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=int(seconds * 1_000_000))
        # Python reads one digit wherever it reads two.
        return dt.datetime.strptime(text, shape.replace("%-", "%"))
    except (ValueError, InvalidOperation, OverflowError):
        return None


def _iso(moment: dt.datetime, *, is_date: bool) -> str:
    if is_date and moment.time() == dt.time():
        return moment.date().isoformat()
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC)
    return moment.isoformat(sep=" ")
