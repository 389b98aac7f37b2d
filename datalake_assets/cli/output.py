"""What commands print: a table for people, the same as plain aligned text for pipes, and JSON for programs."""

import dataclasses
import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from rich.console import Console

json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
GAP = 2
MIN_PROSE = 24


@dataclasses.dataclass(frozen=True)
class Column:
    """A heading and how its cells are shown.

    Args:
        align: numbers right, text left.
        is_prose: sentences, which a narrow terminal may wrap.
        is_extra: left out where the terminal is too narrow for all; pipes and JSON have it.
    """

    heading: str
    align: Literal["left", "right"] = "left"
    is_prose: bool = False
    is_extra: bool = False


def number(heading: str, *, is_extra: bool = False) -> Column:
    """A column of numbers."""
    return Column(heading, "right", is_extra=is_extra)


def extra(heading: str) -> Column:
    """A column of text that a narrow terminal can do without."""
    return Column(heading, is_extra=True)


def prose(heading: str) -> Column:
    """A column of sentences."""
    return Column(heading, is_prose=True)


def show_table(columns: Sequence[Column | str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows: drawn on a terminal, one aligned line for each row where the output is piped."""
    shaped = [Column(each) if isinstance(each, str) else each for each in columns]
    cells = [[_one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in aligned(shaped, cells):
            click.echo(line)
        return
    target = console()
    kept = fitting(shaped, cells, target.width)
    _draw([shaped[n] for n in kept], [[row[n] for n in kept] for row in cells], target)
    if left_out := [column.heading for n, column in enumerate(shaped) if n not in kept]:
        target.print(f"[dim]a wider terminal also shows: {', '.join(left_out)}[/]")


def aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """The heading and the rows as lines of equal columns, two spaces between them."""
    texts = [[column.heading for column in columns], *(list(row) for row in rows)]
    widths = [max(len(row[n]) for row in texts) for n in range(len(columns))]
    return [
        (" " * GAP)
        .join(
            cell.rjust(width) if column.align == "right" else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        )
        .rstrip()
        for row in texts
    ]


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Which columns a terminal of this width shows, by their place: extra ones give way, the last one first."""
    kept = list(range(len(columns)))
    needed = [_width(column, [row[n] for row in rows]) for n, column in enumerate(columns)]
    for n in reversed(range(len(columns))):
        if sum(needed[each] for each in kept) + GAP * len(kept) <= width:
            break
        if columns[n].is_extra:
            kept.remove(n)
    return kept


def _width(column: Column, cells: Sequence[str]) -> int:
    """What a column needs: its cells whole, its heading in as many lines as it has words, sentences 24 characters."""
    longest_word = max(map(len, column.heading.split()), default=0)
    longest_cell = max(map(len, cells), default=0)
    return max(longest_word, min(longest_cell, MIN_PROSE) if column.is_prose else longest_cell)


def _draw(columns: Sequence[Column], rows: Sequence[Sequence[str]], target: "Console") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    for n, column in enumerate(columns):
        least = _width(column, [row[n] for row in rows])
        table.add_column(column.heading, justify=column.align, overflow="fold", min_width=least)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    target.print(table)


def console() -> "Console":
    """The terminal, without the colours that rich gives to whatever looks like a number."""
    from rich.console import Console

    return Console(highlight=False)


def show_json(value: Any) -> None:
    """Print dataclasses, dates and the rest as JSON; times are in UTC."""
    click.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    return str(value)


def show_errors(failed: Mapping[str, str]) -> None:
    """Print what failed to the error stream, the same error of several once.

    Args:
        failed: what was tried → why it failed.
    """
    names: dict[str, list[str]] = {}
    for name, error in failed.items():
        names.setdefault(error, []).append(name)
    for error, same in names.items():
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        click.echo(f"Error: {same[0]}{more}: {error}", err=True)


def size(number_of_bytes: int) -> str:
    """`1.2 MB`, in powers of a thousand."""
    value = float(number_of_bytes)
    for unit in _UNITS:
        if value < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """`1 partition`, `2,000 partitions`."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """`12 s`, `4 min`, `3 h`, `2 d`: as exact as anybody needs."""
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(seconds, 0) / divisor:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def moment(value: dt.datetime | None) -> str:
    """`2026-01-31 14:05` in UTC; a dash for never."""
    if value is None:
        return "–"
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC)
    return f"{value:%Y-%m-%d %H:%M}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
