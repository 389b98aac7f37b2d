"""Write a messy delimited file as a plain one: a header line, then every row of data, each as wide as the header."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TextIO

from datalake_assets.formats.delimited.csv_block import RowBlock
from datalake_assets.formats.delimited.csv_footer import MAX_FOOTER_ROWS, footer_rows
from datalake_assets.formats.delimited.csv_kinds import COMMENT, Column, columns_of
from datalake_assets.formats.delimited.csv_records import Table, open_table, readable
from datalake_assets.formats.delimited.csv_repair import Repair
from datalake_assets.formats.encoding import is_decodable
from datalake_assets.formats.source_format import SourceFormat

PROFILED_ROWS = 1_000
MAX_COMMENT_SHARE = 0.1  # of rows that look like comments although they are as wide as the others
MAX_TOLD = 5  # broken records that are named


@dataclass
class Normalised:
    """What became of a file's rows.

    `rows` are the rows of data; of them `arranged` had their cells put under the right columns, `padded` were filled up
    with empty values at their end, and `long` keep the surplus there. `footer` rows were left out, at the end or as
    comments between the others. `broken` records were read as well as could be; `first_broken` has line and reason of
    the first ones.
    """

    names: tuple[str, ...] = ()
    rows: int = 0
    arranged: int = 0
    padded: int = 0
    long: int = 0
    footer: int = 0
    broken: int = 0
    first_broken: list[tuple[int, str]] = field(default_factory=list)


def write_normalised(path: Path, source: SourceFormat, out: TextIO, *, uri: str) -> Normalised:
    """Write the data of a delimited file as CSV with commas, doubled quotes and line feeds, in its original spelling.

    Args:
        out: opened with `newline=""` or as good as that.

    Raises: as `csv_records.open_csv`.
    """
    table = open_table(path, source, uri=uri)
    written = Normalised(table.names)
    writer = csv.writer(_LineFeeds(out), lineterminator="\r\n")
    writer.writerow(table.names)
    for block in normal_blocks(table, written):
        writer.writerows(block.rows)
    return written


class _LineFeeds:
    """Ends lines as Unix does; told so itself, the writer would not quote a carriage return within a value."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, line: str) -> None:
        self._out.write(line[:-2] + "\n")


def normal_blocks(table: Table, written: Normalised) -> Iterator[RowBlock]:
    """The rows of data in their original spelling, each at least as wide as the header, and where they begin.

    Left out are preamble, footer and blank lines, and, if `source.tables` says so, further tables. A row with too few
    or too many cells is arranged by what stands in the other rows where that is certain (see `csv_repair`); else it is
    filled up with empty values, or keeps its surplus at its end.

    Args:
        written: counts what became of the rows, up to the block that came last.

    Raises: as `csv_records.open_csv`.
    """
    profile: list[list[str]] = []
    first: list[RowBlock] = []
    for block in table.blocks:
        first.append(_trimmed(block, table))
        profile += (row for row in first[-1].rows if len(row) == table.width)
        if len(profile) >= PROFILED_ROWS:
            break
    # The last rows do not tell what data looks like: they may be the footer.
    is_short = len(profile) < PROFILED_ROWS
    told = profile[: max(len(profile) * 3 // 4, len(profile) - MAX_FOOTER_ROWS)] if is_short else profile
    columns = columns_of(told, table.width)
    repair = Repair(columns, table.dialect, told)
    held = RowBlock()
    for block in chain(first, (_trimmed(each, table) for each in table.blocks)):
        held.extend(block)
        if (count := len(held.rows) - MAX_FOOTER_ROWS) > 0:
            ready, held = held.part(0, count), held.part(count, len(held.rows))
            yield _normal(_without_comments(ready, table, columns, written), table, repair, written)
    footer = footer_rows(held.rows, columns)
    written.footer += footer
    ready = held.part(0, len(held.rows) - footer)
    ready = _without_comments(ready, table, columns, written)
    if ready.rows:
        yield _normal(ready, table, repair, written)


def _trimmed(block: RowBlock, table: Table) -> RowBlock:
    """The rows without the empty cell that a delimiter at their end makes."""
    if table.ends_with_delimiter:
        whole = table.width + 1
        block.rows = [row[:-1] if len(row) == whole and not row[-1] else row for row in block.rows]
    return block


def _without_comments(block: RowBlock, table: Table, columns: list[Column], written: Normalised) -> RowBlock:
    """The rows without those that begin with a number sign where no value does."""
    found = [
        index
        for index, row in enumerate(block.rows)
        if row[0].startswith((COMMENT, " ")) and row[0].lstrip().startswith(COMMENT)
    ]
    if not found or table.width < 2:
        return block
    usual = sum(count for shape, count in columns[0].shapes.items() if shape.startswith(COMMENT))
    if usual > MAX_COMMENT_SHARE * columns[0].filled:
        return block
    kept = RowBlock()
    start = 0
    for index in found:
        row = block.rows[index]
        is_apart = row[0].lstrip().startswith(COMMENT + " ") and not columns[0].fits(row[0])
        if len(row) != table.width or is_apart:
            kept.extend(block.part(start, index))
            start = index + 1
            written.footer += 1
    kept.extend(block.part(start, len(block.rows)))
    return kept


def _normal(block: RowBlock, table: Table, repair: Repair, written: Normalised) -> RowBlock:
    width, quote = table.width, table.dialect.quote
    text = "".join(chain.from_iterable(block.rows))
    if not is_decodable(text):
        block.rows = [[readable(cell) for cell in row] for row in block.rows]
    written.rows += len(block.rows)
    has_quotes = bool(quote) and quote in text
    if not block.problems and not has_quotes and all(len(row) == width for row in block.rows):
        return block
    for index, row in enumerate(block.rows):
        problem = block.problems.get(index)
        if len(row) == width and problem is None:
            # A delimiter lost before a quote may be made up for by one within the quotes.
            if has_quotes and (index in block.raws or sum(cell.count(quote) % 2 for cell in row) > 1):
                found = repair.rejoined(row, block.raws.get(index))
                if found is not None:
                    written.arranged += 1
                    block.rows[index] = found
            continue
        raw = block.raws.get(index)
        found = repair.arranged(raw) if raw is not None else None
        if found is not None:
            written.arranged += 1
            block.rows[index] = found
            continue
        if problem is None and not any(row[width:]) and len(row) > width:
            written.arranged += 1
            block.rows[index] = row[:width]  # delimiters at the end of the row
            continue
        if problem is not None:
            written.broken += 1
            if len(written.first_broken) < MAX_TOLD:
                written.first_broken.append((block.numbers[index], problem))
        if len(row) < width:
            written.padded += 1
            block.rows[index] = row + [""] * (width - len(row))
        elif len(row) > width:
            written.long += 1
    return block
