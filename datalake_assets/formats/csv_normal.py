"""Write a messy delimited file as a plain one: a header line, then every row of data, each as wide as the header."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from datalake_assets.formats.csv_footer import MAX_FOOTER_ROWS, footer_rows
from datalake_assets.formats.csv_kinds import columns_of
from datalake_assets.formats.csv_records import Table, open_table
from datalake_assets.formats.csv_repair import Repair
from datalake_assets.formats.csv_rows import RowBlock
from datalake_assets.formats.source_format import SourceFormat

if TYPE_CHECKING:
    pass

PROFILED_ROWS = 1_000
MAX_TOLD = 5  # broken records that are named


@dataclass
class Normalised:
    """What became of a file's rows.

    `rows` are the rows of data; of them `arranged` had their cells put under the right columns, `padded` were filled up
    with empty values at their end, and `long` keep the surplus there. `footer` rows at the end were left out. `broken`
    records were read as well as could be; `first_broken` has line and reason of the first ones.
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
    writer.writerows(row for _, row in normal_rows(table, written))
    return written


class _LineFeeds:
    """Ends lines as Unix does; told so itself, the writer would not quote a carriage return within a value."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, line: str) -> None:
        self._out.write(line[:-2] + "\n")


def normal_rows(table: Table, written: Normalised) -> Iterator[tuple[int, list[str]]]:
    """The line on which each row of data begins and its cells, in their original spelling.

    Left out are preamble, footer and blank lines, and, if `source.tables` says so, further tables. A row with too few
    or too many cells is arranged by what stands in the other rows where that is certain (see `csv_repair`); else it is
    filled up with empty values, or keeps its surplus at its end.

    Args:
        written: counts what became of the rows, up to the one that came last.

    Raises: as `csv_records.open_csv`.
    """
    profile: list[list[str]] = []
    first: list[RowBlock] = []
    for block in table.blocks:
        first.append(block)
        profile += (row for row in _trimmed(block, table) if len(row) == table.width)
        if len(profile) >= PROFILED_ROWS:
            break
    # The last rows do not tell what data looks like: they may be the footer.
    is_short = len(profile) < PROFILED_ROWS
    told = profile[: max(len(profile) // 2, len(profile) - MAX_FOOTER_ROWS)] if is_short else profile
    columns = columns_of(told, table.width)
    repair = Repair(columns, table.dialect)
    held: deque[_Row] = deque()
    for block in chain(first, table.blocks):
        for row in _rows(block, table):
            held.append(row)
            if len(held) > MAX_FOOTER_ROWS:
                yield _normal(held.popleft(), table, repair, written)
    written.footer = footer_rows([row.values for row in held], columns)
    for _ in range(len(held) - written.footer):
        yield _normal(held.popleft(), table, repair, written)


@dataclass(slots=True)
class _Row:
    number: int
    values: list[str]
    raw: str | None
    problem: str | None


def _rows(block: RowBlock, table: Table) -> Iterator[_Row]:
    for index, values in enumerate(_trimmed(block, table)):
        yield _Row(block.numbers[index], values, block.raws.get(index), block.problems.get(index))


def _trimmed(block: RowBlock, table: Table) -> Iterator[list[str]]:
    """The rows without the empty cell that a delimiter at their end makes."""
    if not table.ends_with_delimiter:
        yield from block.rows
        return
    for row in block.rows:
        yield row[:-1] if len(row) == table.width + 1 and not row[-1] else row


def _normal(row: _Row, table: Table, repair: Repair, written: Normalised) -> tuple[int, list[str]]:
    values, size = row.values, len(row.values)
    if size != table.width:
        found = repair.arranged(row.raw) if row.raw is not None else None
        if found is not None:
            written.arranged += 1
            values = found
        elif size < table.width:
            written.padded += 1
            values = values + [""] * (table.width - size)
        else:
            written.long += 1
    if row.problem is not None:
        written.broken += 1
        if len(written.first_broken) < MAX_TOLD:
            written.first_broken.append((row.number, row.problem))
    written.rows += 1
    return row.number, values
