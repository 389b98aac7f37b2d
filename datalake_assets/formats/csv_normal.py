"""Write a messy delimited file as a plain one: a header line, then every row of data, each as wide as the header."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from datalake_assets.formats.csv_footer import MAX_FOOTER_ROWS, footer_rows
from datalake_assets.formats.csv_kinds import columns_of
from datalake_assets.formats.csv_records import Table, open_table, readable
from datalake_assets.formats.csv_repair import Repair
from datalake_assets.formats.csv_rows import RowBlock
from datalake_assets.formats.encoding import is_decodable
from datalake_assets.formats.source_format import SourceFormat

if TYPE_CHECKING:
    import _csv

PROFILED_ROWS = 1_000


@dataclass
class Normalised:
    """What `write_normalised` has written.

    `rows` are the rows of data; of them `arranged` had their cells put under the right columns, `padded` were filled up
    with empty values at their end, and `long` keep the surplus there. `footer` rows at the end were left out.
    """

    names: tuple[str, ...] = ()
    rows: int = 0
    arranged: int = 0
    padded: int = 0
    long: int = 0
    footer: int = 0


def write_normalised(path: Path, source: SourceFormat, out: TextIO, *, uri: str) -> Normalised:
    """Write the data of a delimited file as CSV with commas, doubled quotes and line feeds, in its original spelling.

    Left out are preamble, footer and blank lines, and, if `source.tables` says so, further tables. A row with too few
    or too many cells is arranged by what stands in the other rows where that is certain (see `csv_repair`); else it is
    filled up with empty values, or keeps its surplus at its end.

    Args:
        out: opened with `newline=""` or as good as that.

    Raises: as `csv_records.open_csv`.
    """
    table = open_table(path, source, uri=uri)
    written = Normalised(table.names)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.names)
    blocks = table.blocks
    profile: list[list[str]] = []
    first: list[RowBlock] = []
    for block in blocks:
        first.append(block)
        profile += (row for row in _trimmed(block, table) if len(row) == table.width)
        if len(profile) >= PROFILED_ROWS:
            break
    # The last rows do not tell what data looks like: they may be the footer.
    is_short = len(profile) < PROFILED_ROWS
    told = profile[: max(len(profile) // 2, len(profile) - MAX_FOOTER_ROWS)] if is_short else profile
    columns = columns_of(told, table.width)
    repair = Repair(columns, table.dialect)

    def rows() -> Iterator[tuple[list[str], str | None]]:
        for part in (first, blocks):
            for block in part:
                for index, row in enumerate(_trimmed(block, table)):
                    yield row, block.raws.get(index)

    held: list[tuple[list[str], str | None]] = []
    for row in rows():
        held.append(row)
        if len(held) > 2_000:
            _write(held[:-MAX_FOOTER_ROWS], writer, table, repair, written)
            held = held[-MAX_FOOTER_ROWS:]
    written.footer = footer_rows([row for row, _ in held], columns)
    _write(held[: len(held) - written.footer], writer, table, repair, written)
    return written


def _trimmed(block: RowBlock, table: Table) -> Iterator[list[str]]:
    """The rows without the empty cell that a delimiter at their end makes."""
    if not table.ends_with_delimiter:
        yield from block.rows
        return
    for row in block.rows:
        yield row[:-1] if len(row) == table.width + 1 and not row[-1] else row


def _write(
    rows: "list[tuple[list[str], str | None]]", writer: "_csv.Writer", table: Table, repair: Repair, written: Normalised
) -> None:
    width = table.width
    for row, raw in rows:
        size = len(row)
        if size != width:
            found = repair.arranged(raw) if raw is not None else None
            if found is not None:
                written.arranged += 1
                row = found
            elif size < width:
                written.padded += 1
                row = row + [""] * (width - size)
            else:
                written.long += 1
        written.rows += 1
        if not is_decodable("".join(row)):
            row = [readable(cell) for cell in row]
        writer.writerow(row)
