"""Rows on the standard output: as a table for people, as CSV and JSON lines for programs, always while they are read.

CSV is that of RFC 4180 with line feeds at the ends of lines: one header line, then one record for each row. Null and
the empty text are both an empty field, nested values are JSON text.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

import click

Cells = Sequence[str | None]
Item = TypeVar("Item")

CHUNK_ROWS = 500
MEASURED_ROWS = 200  # rows of a table that decide the widths of its columns
MAX_CELL_CHARACTERS = 60
MIN_CELL_CHARACTERS = 10  # narrower than this, columns are left out instead
_GAP = 2
_NO_CHARACTER = re.compile("[\ud800-\udfff]")


class Output:
    """The standard output as UTF-8, whatever the locale says."""

    def __init__(self) -> None:
        self._stream = click.get_binary_stream("stdout")
        self.has_replaced = False

    def write(self, text: str) -> None:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            # Bytes that are no text in the file's encoding come as lone surrogates.
            self.has_replaced = True
            data = _NO_CHARACTER.sub("\ufffd", text).encode()
        self._stream.write(data)
        self._stream.flush()


def write_csv(header: Sequence[str], blocks: Iterable[list[Cells]], output: Output) -> None:
    """The header line and one record for each row."""
    if header:
        output.write(csv_text([header]))
    for block in blocks if header else ():
        for start in range(0, len(block), CHUNK_ROWS):
            output.write(csv_text(block[start : start + CHUNK_ROWS]))


def csv_text(rows: Sequence[Cells]) -> str:
    """Rows as CSV with line feeds at the ends of lines."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(rows)
    text = written.getvalue()
    if "\r" not in text:
        return text
    # With "\n" as its line end, the writer leaves a carriage return within a value unquoted.
    lines: list[str] = []
    csv.writer(_Lines(lines), lineterminator="\r\n").writerows(rows)
    return "".join(line[:-2] + "\n" for line in lines)


class _Lines:
    def __init__(self, lines: list[str]) -> None:
        self.write: Callable[[str], None] = lines.append


def write_json(blocks: Iterable[list[str]], output: Output) -> None:
    """One JSON text a line."""
    for block in blocks:
        for start in range(0, len(block), CHUNK_ROWS):
            output.write("\n".join(block[start : start + CHUNK_ROWS]) + "\n")


def json_object(keys: Sequence[str], values: Sequence[str]) -> str:
    """A JSON object of keys and values that are JSON texts already."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in zip(keys, values, strict=True)) + "}"


def json_text(value: str | None) -> str:
    return "null" if value is None else json.dumps(value, ensure_ascii=False)


def unique(names: Sequence[str]) -> list[str]:
    """Names that can be the keys of an object: a repeated one gets a number, an empty one its position."""
    taken = set(names)
    found: list[str] = []
    for at, name in enumerate(names, start=1):
        candidate, number = name or f"column_{at}", 2
        while candidate in found or (candidate != name and candidate in taken):
            candidate, number = f"{name or f'column_{at}'}_{number}", number + 1
        found.append(candidate)
    return found


def write_table(header: Sequence[str], blocks: Iterable[list[Cells]], output: Output) -> list[str]:
    """Aligned columns, on a terminal cut to its width; the first rows decide the widths.

    Returns:
        The names of the columns for which the terminal is too narrow.
    """
    if not header:
        return []
    names = [printable(name) for name in header]
    rows = ([printable(cell) for cell in row] for block in blocks for row in block)
    first = list(islice(rows, MEASURED_ROWS))
    if sys.stdout.isatty():
        return _draw(names, first, rows)
    widths = natural_widths(names, first)
    for chunk in chunks(chain([names, ["-" * width for width in widths]], first, rows)):
        output.write("".join(_line(cells, widths) for cells in chunk))
    return []


def natural_widths(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """What each column needs, up to `MAX_CELL_CHARACTERS`."""
    return [
        min(max(len(row[at]) if at < len(row) else 0 for row in chain([names], rows)), MAX_CELL_CHARACTERS)
        for at in range(len(names))
    ]


def fitted_widths(widths: Sequence[int], available: int) -> list[int]:
    """Widths that fit side by side: the widest columns give way first, then the last ones are left out."""
    for count in range(len(widths), 0, -1):
        kept, room = list(widths[:count]), available - _GAP * (count - 1)
        least = [min(width, MIN_CELL_CHARACTERS) for width in kept]
        if sum(least) > room and count > 1:
            continue
        while sum(kept) > room and max(kept) > 1:
            kept[kept.index(max(kept))] -= 1
        return kept
    return []


def printable(text: str | None) -> str:
    """A value on one line, of bounded length, in which nothing commands the terminal."""
    if not text:
        return ""
    if len(text) > MAX_CELL_CHARACTERS * 4:
        text = text[: MAX_CELL_CHARACTERS * 4]
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _ESCAPES.get(each, f"\\x{ord(each):02x}") for each in text)


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\u00a0": " "}


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    cut = (_cut(cell, width).ljust(width) for cell, width in zip(cells, widths, strict=False))
    return (" " * _GAP).join(cut).rstrip() + "\n"


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: max(width - 1, 0)] + "…"


def _draw(names: Sequence[str], first: Sequence[Sequence[str]], rest: Iterator[list[str]]) -> list[str]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from datalake_assets.cli.output import console

    target = console()
    widths = fitted_widths(natural_widths(names, first), target.width)
    for number, chunk in enumerate(chain([first], chunks(rest))):
        table = Table(
            box=box.SIMPLE_HEAD,  # one space between columns is its own
            pad_edge=False,
            padding=(0, _GAP - 1, 0, 0),
            header_style="bold",
            show_edge=False,
            show_header=number == 0,
        )
        for name, width in zip(names, widths, strict=False):
            table.add_column(Text(name), width=width, no_wrap=True, overflow="ellipsis")
        for row in chunk:
            table.add_row(*(Text(cell) for cell in row[: len(widths)]))
        target.print(table)
    return list(names[len(widths) :])


def chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Lists of at most `CHUNK_ROWS` items."""
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK_ROWS)):
        yield chunk
