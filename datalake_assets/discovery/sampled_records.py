"""The records of a sample as plain values: without the detour over Arrow, whose import takes longer than a small file.

What is broken comes as None. An excerpt may break off anywhere; what came before counts.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from datalake_assets.column_types import TargetType
from datalake_assets.discovery.columns.inference import Values, count_flat, count_nested
from datalake_assets.discovery.columns.node import Node
from datalake_assets.errors import BadInput
from datalake_assets.formats.source_format import SourceFormat

Record = TypeVar("Record")


def count_sample(path: Path, source: SourceFormat, *, uri: str, is_all: bool, max_rows: int) -> tuple[Node, int]:
    """Count the records of a text file; return them with the number of broken ones.

    Args:
        is_all: whether the file is whole; the last record of an excerpt is not missed.

    Raises:
        EmptyObject, UnreadableObject: there is nothing to read, or not what it looked like.
    """
    if source.format in ("csv", "log"):
        types: dict[str, str] = {}
        if source.format == "csv":
            names, rows = _table(path, source, uri)
        else:
            names, rows, types = _log(path, source, uri)
        found, broken = count_flat(
            names, rows if is_all else _until_broken(rows), null_values=source.null_values, uri=uri, max_rows=max_rows
        )
        for name, kind in types.items():
            declared = TargetType.parse(kind)
            # How a date is written, the values tell better than a name for its type.
            if name in found.fields and declared.kind not in ("date", "timestamp", "varchar"):
                found.fields[name].declared = declared
    else:
        records = _json(path, source, uri, is_all=is_all) if source.format == "json" else _xml(path, source, uri)
        found, broken = count_nested(records if is_all else _until_broken(records), uri=uri, max_rows=max_rows)
    # The last record of an excerpt is cut, as nobody wonders.
    return found, broken if is_all else max(broken - 1, 0)


def _until_broken(records: Iterator[Record]) -> Iterator[Record]:
    for first in records:  # one that is broken at once is broken
        yield first
        break
    with suppress(BadInput):
        yield from records


def _table(path: Path, source: SourceFormat, uri: str) -> tuple[tuple[str, ...], Iterator[Values | None]]:
    from datalake_assets.formats.delimited.csv_records import open_table

    table = open_table(path, source, uri=uri)
    width = table.width

    def rows() -> Iterator[Values | None]:
        for block in table.blocks:
            for index, row in enumerate(block.rows):
                values: list[str | None] = list(row)
                if table.ends_with_delimiter and len(values) == width + 1 and not values[-1]:
                    values.pop()
                if index in block.problems:
                    yield None
                elif len(values) < width:
                    yield [*values, *[None] * (width - len(values))] if source.short_rows == "pad" else None
                elif len(values) > width:
                    yield values[:width] if source.long_rows == "rescue" else None
                else:
                    yield values

    return table.names, rows()


def _log(path: Path, source: SourceFormat, uri: str) -> tuple[tuple[str, ...], Iterator[Values | None], dict[str, str]]:
    from datalake_assets.formats.log_records import open_log

    file = open_log(path, source, uri=uri)
    rows = (record.values if record.reason is None else None for record in file.records())
    return file.names or (), rows, file.types


def _json(path: Path, source: SourceFormat, uri: str, *, is_all: bool) -> Iterator[str | None]:
    from datalake_assets.formats.json_records import UNCLOSED, open_json

    # The array of an excerpt is never closed.
    return (each.record for each in open_json(path, source, uri=uri).records() if is_all or each.reason != UNCLOSED)


def _xml(path: Path, source: SourceFormat, uri: str) -> Iterator[str | None]:
    from datalake_assets.formats.xml_records import open_xml

    return (record.record for record in open_xml(path, source, uri=uri).records())
