"""Read delimited texts as records: whatever the dialect, in bounded memory, broken records apart.

`open_csv` gives Arrow batches as `records.py` describes them. `Table` is the same one step earlier, as rows of texts:
what `csv_normal.py` writes out again.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.bytes import text_chunks
from datalake_assets.formats.delimited.csv_block import RowBlock
from datalake_assets.formats.delimited.csv_fields import Dialect
from datalake_assets.formats.delimited.csv_lines import LineBlock, is_blank, line_blocks
from datalake_assets.formats.delimited.csv_rows import PROBED_LINES, RowReader, usual_width
from datalake_assets.formats.delimited.csv_tables import first_table
from datalake_assets.formats.encoding import is_decodable
from datalake_assets.formats.records import BATCH_BYTES, BATCH_ROWS
from datalake_assets.formats.source_format import SourceFormat

if TYPE_CHECKING:
    import pyarrow as pa

TOO_FEW = "has too few fields"
TOO_MANY = "has too many fields"
UNDECODABLE = "is not text of the declared encoding"
MAX_COLUMNS = 20_000
PROBED_CHARACTERS = 64 * 1024
_RULE = re.compile(r":?[-=+]{2,}:?")
TRAILING_SHARE = 0.9  # of rows that end with a delimiter, from which on it begins no column


def open_csv(path: Path, source: SourceFormat, *, uri: str) -> "CsvFile":
    """Open a local copy of a delimited file.

    Rows with too few or too many fields are treated as `source.short_rows` and `source.long_rows` say. A delimiter at
    the end of each row, or of the header, begins no further column. Blank lines are no records. A text that stands in
    quotes is given without them; null is only what a row does not have.

    Raises:
        EmptyObject: no bytes, or nothing but blank lines.
        UnreadableObject: broken or undeclared compression, another encoding, more columns than any table has.
    """
    return CsvFile(open_table(path, source, uri=uri), source)


@dataclass
class Table:
    """A delimited file as rows of texts.

    `names` are those of the header, or generated. `blocks` (to be read once) has rows of any width: `width` is what a
    whole one has. `ends_with_delimiter` says that rows have one more field than names, which is empty.
    """

    names: tuple[str, ...]
    blocks: Iterator[RowBlock]
    dialect: Dialect
    ends_with_delimiter: bool

    @property
    def width(self) -> int:
        return len(self.names)


def open_table(path: Path, source: SourceFormat, *, uri: str) -> Table:
    """Open a local copy of a delimited file, up to its header.

    Raises: as `open_csv`.
    """
    table = table_of(text_chunks(path, source, uri, errors="surrogateescape"), source, uri=uri)
    if table is None:
        raise _nothing(path, source, uri)
    return table


def table_of(chunks: Iterable[str], source: SourceFormat, *, uri: str) -> Table | None:
    """The table in a text; None if it holds nothing but blank lines."""
    dialect = Dialect.of(source)
    blocks = line_blocks(chunks, skip=source.skip_rows, skip_footer=source.skip_footer)
    first = _beginning(blocks, PROBED_LINES + source.header)
    if first is None:
        return None
    probed = list(islice((line for line in first.lines if not is_blank(line)), PROBED_LINES + source.header))
    head = RowReader(iter([LineBlock(1, probed)]), dialect, width=0).blocks()
    names_told = max((len(row) for row in _header(head, source.header)[0]), default=0)
    width = usual_width(probed[source.header :] or probed, dialect, names=names_told)
    # A header of several lines, quotes and all, is read by the same rules as the rows.
    reader = RowReader(chain([first], blocks), dialect, width=width)
    rows = reader.blocks()
    header, rest = _header(rows, source.header)
    names = joined_names(header) if source.header else source.names
    if not all(map(is_decodable, names)):
        names = tuple(map(readable, names))
    if not names:
        names = tuple(f"column_{number}" for number in range(1, width + 1))
    if len(names) > MAX_COLUMNS:
        raise UnreadableObject(
            f"the header has {len(names):,} columns",
            where=uri,
            expected=f"{MAX_COLUMNS:,} at most",
            todo="Is source.delimiter right?",
        )
    sample = RowReader(iter([LineBlock(1, probed[source.header :])]), dialect, width=width).blocks()
    full = [row for block in sample for row in block.rows if len(row) == width]
    ends_with_delimiter = bool(full) and sum(not row[-1] for row in full) >= TRAILING_SHARE * len(full)
    # A last name that is empty, over no values, comes from a delimiter at the end of the header.
    if width > 1 and not names[-1] and (width == len(names) - 1 or (width == len(names) and ends_with_delimiter)):
        names = names[:-1]
    ends_with_delimiter = ends_with_delimiter and width == len(names) + 1
    stream: Iterator[RowBlock] = chain([rest] if rest.rows else [], rows)
    if source.tables == "first":
        stream = first_table(stream, names=header[-1] if header else names, width=width)
    return Table(names, stream, dialect, ends_with_delimiter)


def joined_names(header: list[list[str]]) -> tuple[str, ...]:
    """The names of a header of one or several rows, without the spaces around them."""
    count = max((len(row) for row in header), default=0)
    if len(header) > 1:
        header = [row for row in header if not is_rule(row)]
        header = [*map(_continued, header[:-1], header[1:]), *header[-1:]]
    columns = ([row[index].strip() for row in header if index < len(row)] for index in range(count))
    return tuple(" ".join(part for part in column if part) for column in columns)


def _continued(row: list[str], below: list[str]) -> list[str]:
    """A row of a header in which a name above several columns stands over the first of them only.

    It is theirs too where they have the same names as other columns below: `Sales,,Costs,` over `2025,2026,2025,2026`.
    """
    names = [name.strip() for name in below]
    continued: list[str] = []
    for index, cell in enumerate(row):
        name = names[index] if index < len(names) else ""
        is_gap = not cell.strip() and index > 0 and name and names.count(name) > 1
        continued.append(continued[-1] if is_gap else cell)
    return continued


def is_rule(row: Sequence[str]) -> bool:
    """Whether a row only draws a line below the header, as database clients and Markdown do."""
    cells = [cell.strip() for cell in row]
    return any(cells) and all(not cell or _RULE.fullmatch(cell) for cell in cells)


def _beginning(blocks: Iterator[LineBlock], count: int) -> LineBlock | None:
    """The first lines: `count` that are not blank, or all there are. None if all are blank."""
    found: LineBlock | None = None
    for block in blocks:
        if found is None:
            if all(map(is_blank, block.lines)):
                continue
            found = LineBlock(block.first, list(block.lines), block.cut)
        else:
            found.cut |= {index + len(found.lines) for index in block.cut}
            found.lines += block.lines
        if sum(not is_blank(line) for line in found.lines) >= count or sum(map(len, found.lines)) > PROBED_CHARACTERS:
            break
    return found


def _header(rows: Iterator[RowBlock], count: int) -> tuple[list[list[str]], RowBlock]:
    """The first `count` rows, and what came with them."""
    header: list[list[str]] = []
    while len(header) < count:
        block = next(rows, None)
        if block is None:
            return header, RowBlock()
        missing = count - len(header)
        header += block.rows[:missing]
        if len(block.rows) > missing or len(header) == count:
            return header, block.part(missing, len(block.rows))
    return header, RowBlock()


def _nothing(path: Path, source: SourceFormat, uri: str) -> EmptyObject:
    found = "the object has zero bytes" if path.stat().st_size == 0 else "the object holds nothing but blank lines"
    if source.skip_rows or source.skip_footer:
        found += f" beside the {source.skip_rows + source.skip_footer} lines to be skipped"
    return EmptyObject(found, where=uri, todo="Land it again with a header at least.")


class CsvFile:
    """A delimited file whose header has been read; see `RecordFile`."""

    def __init__(self, table: Table, source: SourceFormat) -> None:
        self._table = table
        self._pads = source.short_rows == "pad"
        self._rescues = source.long_rows == "rescue"

    @property
    def names(self) -> tuple[str, ...]:
        return self._table.names

    def batches(self) -> Iterator["pa.RecordBatch"]:
        """The records as Arrow batches; to be called once."""
        pending = _Pending(self._table.width)
        for block in self._table.blocks:
            self._add(block, pending)
            if pending.is_full:
                yield from _cut(pending.batch())
        if pending.count:
            yield from _cut(pending.batch())

    def _add(self, block: RowBlock, pending: "_Pending") -> None:
        width = self._table.width
        drops_last = self._table.ends_with_delimiter
        if not block.raws and not block.problems and not drops_last and len(block.rows[0]) == width:
            pending.extend(block)
            return
        for index, values in enumerate(block.rows):
            reason = extra = raw = None
            size = len(values)
            if drops_last and size == width + 1 and not values[-1]:
                values = values[:-1]
                size = width
            if size != width or index in block.problems:
                reason = block.problems.get(index)
                if reason is None and size < width:
                    if not self._pads:
                        reason = TOO_FEW
                elif reason is None:
                    if self._rescues:
                        extra = json.dumps(values[width:], ensure_ascii=False)
                    else:
                        reason = TOO_MANY
                if reason is not None:
                    raw = block.raws.get(index, self._table.dialect.delimiter.join(values))
            pending.add(block.numbers[index], values, reason, raw, extra)


class _Pending:
    """Rows on their way into batches."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.count = 0
        self._numbers: list[int] = []
        self._rows: list[Sequence[str | None]] = []
        self._told: dict[int, tuple[str | None, str | None, str | None]] = {}
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        return self.count >= BATCH_ROWS or self._bytes >= BATCH_BYTES

    def add(self, number: int, values: list[str], reason: str | None, raw: str | None, extra: str | None) -> None:
        size = len(values)
        row: Sequence[str | None] = values if size == self.width else _fitted(values, self.width)
        if reason is not None or extra is not None:
            self._told[self.count] = (reason, raw, extra)
            self._bytes += len(raw or "") + len(extra or "")
        self._numbers.append(number)
        self._rows.append(row)
        self._bytes += sum(map(len, values))
        self.count += 1

    def extend(self, block: RowBlock) -> None:
        """Take rows that are all as they should be."""
        self._numbers += block.numbers
        self._rows += block.rows
        self._bytes += sum(map(len, chain.from_iterable(block.rows)))
        self.count += len(block.rows)

    def batch(self) -> "pa.RecordBatch":
        """The pending rows as one batch."""
        import pyarrow as pa

        told = [self._told.get(index, (None, None, None)) for index in range(self.count)] if self._told else []
        columns = list(zip(*self._rows, strict=True)) if self._rows else []
        try:
            arrays = [pa.array(column, pa.string()) for column in columns]
            fixed = [
                pa.array([row[part] for row in told], pa.string()) if told else pa.nulls(self.count, pa.string())
                for part in range(3)
            ]
        except UnicodeEncodeError:
            self._set_undecodable_aside()
            return self.batch()
        names = ["row", "reason", "raw", "extra", *(f"c{index}" for index in range(self.width))]
        batch = pa.RecordBatch.from_arrays([pa.array(self._numbers, pa.int64()), *fixed, *arrays], names=names)
        self.__init__(self.width)  # type: ignore[misc]
        return batch

    def _set_undecodable_aside(self) -> None:
        """Bytes that are no text arrive as lone surrogates: their record is broken, no other."""
        for index, row in enumerate(self._rows):
            reason, raw, extra = self._told.get(index, (None, None, None))
            texts = [text for text in (*row, raw, extra) if text is not None]
            if all(map(is_decodable, texts)):
                continue
            self._rows[index] = [None if value is None else readable(value) for value in row]
            whole = raw if raw is not None else ",".join(value or "" for value in row)
            self._told[index] = (reason or UNDECODABLE, readable(whole), None if extra is None else readable(extra))


def _cut(batch: "pa.RecordBatch") -> Iterator["pa.RecordBatch"]:
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


def _fitted(values: list[str], width: int) -> list[str | None]:
    return [*values, *[None] * (width - len(values))] if len(values) < width else list(values[:width])


def readable(value: str) -> str:
    """The text with a replacement character for each byte that is none in the declared encoding."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
