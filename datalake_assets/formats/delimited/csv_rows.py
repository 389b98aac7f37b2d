"""Put the lines of a delimited text together to records, in bounded memory, whatever its quotes are like.

Blocks of lines that keep the rules go through Python's csv module or `str.split`, at C speed. Only a record that
breaks them is looked at line by line. A quote that opens is believed when a closing one is found where it belongs, and
the record then has as many fields as the others; if not, it is a plain character of its cell, and neither the cells
beside it nor the records after it are touched.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from datalake_assets.formats.delimited.csv_block import RowBlock
from datalake_assets.formats.delimited.csv_fields import Dialect, Fields, split_leniently, split_strictly
from datalake_assets.formats.delimited.csv_lines import (
    BLOCK_CHARACTERS,
    KEPT_CHARACTERS,
    MAX_LINE_CHARACTERS,
    LineBlock,
    is_blank,
)

if TYPE_CHECKING:
    import _csv

MAX_RECORD_LINES = 10_000
MAX_RECORD_CHARACTERS = 1024 * 1024  # of a quoted value that goes over several lines
MAX_STRAY_LINES = 50  # lines a record with a stray quote may go on
MIN_LOOKAHEAD_LINES = 20
MIN_WINDOW_LINES = 16  # read at once at C speed; fewer in files full of broken quotes
MAX_WINDOW_LINES = 64 * 1024
YIELDED_ROWS = 4_096
PROBED_LINES = 500
FITTING_SHARE = 0.3

STRAY_QUOTE = "has a quote out of place"
OPEN_QUOTE = "has a quote that is never closed"
TOO_LONG = f"is longer than {MAX_LINE_CHARACTERS // 1024 // 1024} million characters"


def usual_width(lines: Sequence[str], dialect: Dialect, *, names: int = 0) -> int:
    """How many fields the records in these lines have: as many as there are names, or else as most of them have.

    Args:
        names: how many fields the header has, 0 if it is not known. With several tables in the lines there are records
            of several widths: those that fit the header count.
    """
    widths = Counter(_widths(lines, dialect))
    if not widths:
        return max(names, 1)
    if widths[names] >= FITTING_SHARE * widths.total():
        return names
    # Of two that are as frequent the wider one: lines of a quoted value that are no records are narrow.
    return max(widths, key=lambda width: (widths[width], width))


def _widths(lines: Sequence[str], dialect: Dialect) -> Iterator[int]:
    reader = RowReader(iter([LineBlock(1, split_at_other_ends(lines))]), dialect, width=0)
    for block in reader.blocks():
        yield from map(len, block.rows)


def split_at_other_ends(lines: Sequence[str]) -> list[str]:
    """Lines cut where another kind of line end stands within them (which may also be within quotes)."""
    return [piece for line in lines for piece in line.removesuffix("\r").replace("\r", "\n").split("\n")]


class RowReader:
    """Records of blocks of lines.

    Args:
        width: fields a record usually has; it decides between two readings of a record with stray quotes. 0 if that
            is not known; it may be set while reading.
    """

    def __init__(self, blocks: Iterable[LineBlock], dialect: Dialect, *, width: int) -> None:
        self.dialect = dialect
        self.width = width
        self.strays = 0  # records so far whose quotes did not keep the rules
        self._is_after_gap = False
        self._blocks = iter(blocks)
        self._lines: list[str] = []
        self._first = 1  # number of the first of `_lines`
        self._cut: frozenset[int] = frozenset()
        self.other_ends = 0  # line ends of the unusual kind so far: they count as lines too
        self._is_done = False
        self._lookahead = MAX_RECORD_LINES
        self._stray_lines = MAX_STRAY_LINES
        self._window = 4 * 1024
        self._is_regular = True  # the lines before were rows, one each

    def blocks(self) -> Iterator[RowBlock]:
        """The records without blank lines; to be called once."""
        while self._more():
            position = 0
            block = RowBlock()
            while position < len(self._lines):
                end = min(len(self._lines), position + self._window)
                position = self._read_block(position, end, block)
                if position < end:
                    self._window = max(MIN_WINDOW_LINES, self._window // 4)
                    position = self._read_record(position, block)
                else:
                    self._window = min(MAX_WINDOW_LINES, self._window * 2)
                if len(block.rows) >= YIELDED_ROWS or position >= len(self._lines):
                    if self._is_after_gap:
                        block.gaps.add(0)
                    self._is_after_gap = len(block.rows) in block.gaps
                    if block.rows:
                        block.gaps.discard(len(block.rows))
                        yield block
                    block = RowBlock()
            self._forget(position)

    def _more(self) -> bool:
        """Append a block of lines to those at hand; False if there is none."""
        if self._is_done:
            return False
        block = next(self._blocks, None)
        if block is None:
            self._is_done = True
            return False
        if not self._lines:
            self._first = block.first
        self._cut |= {index + len(self._lines) for index in block.cut}
        self._lines += block.lines
        return True

    def _forget(self, count: int) -> None:
        self._lines = self._lines[count:]
        self._first += count
        self._cut = frozenset(index - count for index in self._cut if index >= count)

    def _number(self, position: int) -> int:
        return self._first + position + self.other_ends

    # -- blocks at C speed

    def _read_block(self, position: int, end: int, out: RowBlock) -> int:
        """Read what keeps the rules, up to the first line that may not; return the position after it."""
        if self._cut:
            end = min(end, min((index for index in self._cut if index >= position), default=end))
        lines = self._lines[position:end]
        text = "\n".join(lines)
        returns = text.count("\r")
        if returns and returns != text.count("\r\n") + text.endswith("\r"):
            return position
        dialect = self.dialect
        if dialect.has_escape and dialect.escape in text:  # type: ignore[operator]
            return position
        if not dialect.quote or dialect.quote not in text:
            if returns:
                lines = text.replace("\r\n", "\n").removesuffix("\r").split("\n")
            delimiter = dialect.delimiter
            first = self._number(position)
            width = self.width
            split = [line.split(delimiter) for line in lines]
            if width and set(map(len, split)) == {width} and "" not in lines:
                out.numbers += range(first, first + len(lines))
                out.rows += split
                return position + len(lines)
            for index, line in enumerate(lines):
                if line:
                    values = line.split(delimiter)
                    if len(values) == width:
                        out.numbers.append(first + index)
                        out.rows.append(values)
                    else:
                        out.add(first + index, values, line)
                else:
                    out.gaps.add(len(out.rows))
            return position + len(lines)
        delimiter, quote = dialect.delimiter, dialect.quote
        if len(delimiter) > 1 or delimiter + " " + quote in text or "\n " in text or text.startswith(" "):
            return position
        return self._read_with_csv(position, lines, out)

    def _csv_reader(self, lines: Sequence[str]) -> "_csv.Reader":
        # The line feed is put back for values of several lines; a carriage return before it stays as it was.
        return csv.reader(
            [line + "\n" for line in lines],
            delimiter=self.dialect.delimiter,
            quotechar=self.dialect.quote,
            doublequote=True,
            strict=True,
        )

    def _read_one_each(self, position: int, lines: list[str], out: RowBlock) -> bool:
        """Read lines that are a whole row each, if all are: numbering them is simple then."""
        try:
            rows = list(self._csv_reader(lines))
        except csv.Error:
            return False
        if len(rows) != len(lines) or set(map(len, rows)) != {self.width}:
            return False
        first = self._number(position)
        out.numbers += range(first, first + len(rows))
        out.rows += rows
        return True

    def _read_with_csv(self, position: int, lines: list[str], out: RowBlock) -> int:
        # After lines that were not one row each the next ones are hardly; those after them may be.
        if self._is_regular and self._read_one_each(position, lines, out):
            return position + len(lines)
        self._is_regular = not self._is_regular
        reader = self._csv_reader(lines)
        first = self._number(position)
        width, quote = self.width, self.dialect.quote
        done = 0
        try:
            for values in reader:
                if len(values) == width:
                    out.numbers.append(first + done)
                    out.rows.append(values)
                elif values:
                    raw = "\n".join(lines[done : reader.line_num])
                    if width and quote in raw and "\n" in raw:
                        # A quote out of place can swallow lines by the rules; the other way knows the usual width.
                        return position + done
                    out.add(first + done, values, raw.removesuffix("\r"))
                else:
                    out.gaps.add(len(out.rows))
                done = reader.line_num
        except csv.Error:
            pass
        return position + done

    # -- one record by hand

    def _read_record(self, position: int, out: RowBlock) -> int:
        """Read the record that begins at `position`; return the position after it."""
        number = self._number(position)
        line = self._lines[position]
        if position in self._cut:
            out.add(number, [line[:KEPT_CHARACTERS]], line[:KEPT_CHARACTERS], TOO_LONG)
            return position + 1
        line = line.removesuffix("\r")
        if not line:
            out.gaps.add(len(out.rows))
            return position + 1
        if ("\r" in line or "\n" in line) and self._read_other_ends(line, number, out):
            return position + 1
        outcome, fields = split_strictly(line, self.dialect)
        if outcome == "whole" and len(fields.values) == self.width:
            out.add(number, fields.values)
            return position + 1
        if outcome == "open":
            several = self._several_lines(position)
            if several is not None:
                end, found = several
                if (
                    len(found.values) == self.width
                    or not self.width
                    or not self._fits_alone(line)
                    or not any(map(self._is_row, self._lines[position + 1 : end]))
                ):
                    self._emit(number, found, position, end, out)
                    return end
        self.strays += outcome != "whole"
        stray = self._stray(line) if outcome != "whole" else None
        if stray is not None:
            out.add(number, stray[1].values, line)
            return position + 1
        if outcome == "bad":
            longer = self._stray_over_lines(position)
            if longer is not None:
                end, found = longer
                self._emit(number, found, position, end, out)
                return end
        problem = None
        if outcome != "whole":
            lenient = split_leniently(line, self.dialect, None)
            fields = lenient[1] if lenient else Fields(line.split(self.dialect.delimiter), [])
            problem = OPEN_QUOTE if outcome == "open" else STRAY_QUOTE
            if not self.width:
                problem = None
        out.add(number, fields.values, line, problem)
        return position + 1

    def _emit(self, number: int, fields: Fields, position: int, end: int, out: RowBlock) -> None:
        raw = None
        if len(fields.values) != self.width:
            raw = "\n".join(self._lines[position:end]).removesuffix("\r")
        out.add(number, fields.values, raw)

    def _read_other_ends(self, line: str, number: int, out: RowBlock) -> bool:
        """Read a line that holds the file's unusual kind of line end, if those end records too."""
        pieces = line.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        rows: list[list[str] | None] = []
        for piece in pieces:
            if is_blank(piece):
                rows.append(None)
                continue
            outcome, fields = split_strictly(piece, self.dialect)
            if outcome != "whole" or (self.width and len(fields.values) != self.width):
                return False
            rows.append(fields.values)
        if not self.width or len(split_strictly(line, self.dialect)[1].values) == self.width == 1:
            return False
        for index, values in enumerate(rows):
            if values is not None:
                out.add(number + index, values)
        self.other_ends += len(pieces) - 1
        return True

    def _is_row(self, line: str) -> bool:
        outcome, fields = split_strictly(line.removesuffix("\r"), self.dialect)
        return outcome == "whole" and len(fields.values) == self.width

    def _fits_alone(self, line: str) -> bool:
        return self._stray(line) is not None

    def _stray(self, line: str) -> tuple[int, Fields] | None:
        return split_leniently(line, self.dialect, self.width) if self.width else None

    def _several_lines(self, position: int) -> tuple[int, Fields] | None:
        """The record from `position` on if its quotes close on a later line: the position after it, its fields."""
        end = position + 1
        text = [self._lines[position]]
        held = len(text[0])
        quote = self.dialect.quote
        while True:
            while end >= len(self._lines):
                if not self._more():
                    return None
            if end in self._cut or end - position > self._lookahead or held > MAX_RECORD_CHARACTERS:
                # A file full of quotes that never close would be read many times over.
                self._lookahead = max(MIN_LOOKAHEAD_LINES, self._lookahead // 2)
                return None
            line = self._lines[end]
            text.append(line)
            held += len(line) + 1
            end += 1
            if quote in line:
                outcome, fields = split_strictly("\n".join(text).removesuffix("\r"), self.dialect)
                if outcome == "bad":
                    return None
                if outcome == "whole":
                    self._lookahead = min(MAX_RECORD_LINES, self._lookahead * 2)
                    return end, fields

    def _stray_over_lines(self, position: int) -> tuple[int, Fields] | None:
        """The record from `position` on if it has a stray quote within a value of several lines."""
        if not self.width:
            return None
        text = self._lines[position]
        for end in range(position + 1, position + 1 + self._stray_lines):
            while end >= len(self._lines):
                if not self._more():
                    return None
            line = self._lines[end]
            if end in self._cut or len(text) > BLOCK_CHARACTERS:
                return None
            outcome, fields = split_strictly(line.removesuffix("\r"), self.dialect)
            if outcome == "whole" and len(fields.values) == self.width and self.width > 1:
                return None  # a record of its own is not swallowed
            text = f"{text}\n{line}"
            if self.dialect.quote in line:
                found = split_leniently(text.removesuffix("\r"), self.dialect, self.width)
                if found is not None:
                    self._stray_lines = MAX_STRAY_LINES
                    return end + 1, found[1]
        self._stray_lines = max(1, self._stray_lines // 2)  # searched for in vain: hardly worth it in this file
        return None
