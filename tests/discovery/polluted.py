"""Tables of many kinds, and the ways in which people spoil the files they write them to.

Each pollution gives the bytes of a file and the table that a careful reader still sees in it.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

ROWS = 24


@dataclass(frozen=True)
class Written:
    """A file and the table in it."""

    content: bytes
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Source:
    """A table and how it is usually written."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    delimiter: str = ","

    @property
    def width(self) -> int:
        return len(self.names)

    def lines(self, *, quote: str = '"', escape: str | None = None, quote_all: bool = False) -> list[str]:
        """The records as text, header first; one of several lines is one element."""
        told = []
        for record in (self.names, *self.rows):
            out = io.StringIO(newline="")
            csv.writer(
                out,
                delimiter=self.delimiter,
                quotechar=quote,
                doublequote=escape is None,
                escapechar=escape,
                quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
                lineterminator="\r\n",  # else a line feed within a value would not be quoted
            ).writerow(record)
            told.append(out.getvalue().removesuffix("\r\n"))
        return told

    def written(self, lines: list[str], end: str = "\n", encoding: str = "utf-8", last: str | None = None) -> Written:
        text = end.join(lines) + (end if last is None else last)
        return Written(text.encode(encoding), self.names, self.rows)


def _table(names: str, row: Callable[[int], tuple[object, ...]], delimiter: str = ",") -> Source:
    return Source(tuple(names.split("|")), tuple(tuple(map(str, row(n))) for n in range(ROWS)), delimiter)


_WORDS = ("harbour", "meadow", "lantern", "copper", "thistle", "anchor", "velvet", "ember")
_CITIES = ("Köln", "München", "Düsseldorf", "Saarbrücken", "Göttingen", "Würzburg")


def _sentence(n: int) -> str:
    first, second, third = (_WORDS[(n * step + step) % 8] for step in (1, 3, 5))
    quoted = f', "{third}" they called it' if n % 3 == 0 else ""
    return f"The {first}, the {second} and a {third}{quoted}."


@cache
def sources() -> dict[str, Source]:
    return {
        "numbers": _table("x|y|z|t", lambda n: (n * 17 % 101, f"{n * 0.37:.2f}", -n * n, f"{n / 7:.4f}")),
        "texts": _table(
            "author|title|review",
            lambda n: (_WORDS[n % 8].title(), f"{_WORDS[n * 3 % 8]} and {_WORDS[n * 5 % 8]} {n}", _sentence(n)),
        ),
        "decimal_commas": _table(
            "Artikel;Menge;Preis;Bestellt".replace(";", "|"),
            lambda n: (f"A{n:03d}", n + 1, f"{n * 3},{n * 7 % 100:02d}", f"{n + 1:02d}.03.2025"),
            ";",
        ),
        "genomics": _table(
            "chrom|start|end|name|score|strand",
            lambda n: (f"chr{n % 22 + 1}", n * 1543, n * 1543 + 200, f"rs{n * 7919}", n % 10 / 10, "+-"[n % 2]),
            "\t",
        ),
        "pipes_with_gaps": _table(
            "station|reading|remark|checked_by",
            lambda n: (f"ST-{n:02d}", n * 3 if n % 4 != 1 else "", "" if n % 3 else "reset", "" if n % 5 else "kp"),
            "|",
        ),
        "wide": _table(
            "id|" + "|".join(f"m{k:02d}" for k in range(1, 60)),
            lambda n: (1000 + n, *((n * k) % 97 for k in range(1, 60))),
        ),
        "two_columns": _table("key|value", lambda n: (f"{_WORDS[n % 8]}_{n}", n * 11)),
        "german": _table(
            "Straße|Größe|Ort|Änderung",
            lambda n: (f"{_WORDS[n % 8].title()}weg {n}", f"{n % 4} größer", _CITIES[n % 6], f"{n + 1:02d}.11.2024"),
            ";",
        ),
        "timestamps": _table(
            "logged_at|took|level|host",
            lambda n: (f"2025-06-{n + 1:02d} {n:02d}:30:05", f"00:01:1{n % 10}", "IW"[n % 2], f"10.0.0.{n}"),
        ),
        "json_cells": _table(
            "event|payload|at",
            lambda n: (n, json.dumps({"user": _WORDS[n % 8], "tags": ["a", n]}), f"2025-01-{n + 1:02d}T08:00:00Z"),
        ),
        "urls": _table(
            "page|hits|referrer",
            lambda n: (f"https://example.org/{_WORDS[n % 8]}?id={n}&sort=a,b", n * 5 + 1, f"https://ref.example.net/{n}"),
        ),
        "lines_in_cells": _table(
            "ticket|opened|body",
            lambda n: (f"T-{400 + n}", f"2024-12-{n + 1:02d}", f"Hi,\n{_sentence(n)}\n\nBye" if n % 2 else "closed"),
        ),
    }  # fmt: skip


Pollution = Callable[[Source], Written]


def _with(lines: list[str], at: int, *more: str) -> list[str]:
    return [*lines[:at], *more, *lines[at:]]


def _preamble(source: Source) -> Written:
    return source.written(["Quarterly export", "created by the reporting job", "", *source.lines()])


def _preamble_as_wide(source: Source) -> Written:
    fill = source.delimiter * (source.width - 1)
    return source.written([f"Quarterly export{fill}", f"Reporting job{fill}", fill, *source.lines()])


def _footer(source: Source) -> Written:
    return source.written([*source.lines(), "", "Source: the reporting job, all rights reserved"])


def _footer_as_wide(source: Source) -> Written:
    fill = source.delimiter * (source.width - 1)
    return source.written([*source.lines(), fill, f"Source: the reporting job{fill}"])


def _total(source: Source) -> Written:
    last = ["Total", *("" for _ in source.names[1:-1]), "4711"]
    return source.written([*source.lines(), source.delimiter.join(last)])


def _no_header(source: Source) -> Written:
    names = tuple(f"column_{number}" for number in range(1, source.width + 1))
    return Written(source.written(source.lines()[1:]).content, names, source.rows)


def _two_headers(source: Source) -> Written:
    units = source.delimiter.join(f"unit{'abcdefghij'[k % 10]}{'klmnopqrst'[k // 10]}" for k in range(source.width))
    names = tuple(f"{name} {unit}" for name, unit in zip(source.names, units.split(source.delimiter), strict=True))
    return Written(source.written(_with(source.lines(), 1, units)).content, names, source.rows)


def _grouped_header(source: Source) -> Written:
    groups = ["", *(("Left", "Right")[index * 2 // source.width] for index in range(1, source.width))]
    names = tuple(f"{group} {name}".strip() for group, name in zip(groups, source.names, strict=True))
    return Written(source.written([source.delimiter.join(groups), *source.lines()]).content, names, source.rows)


def _header_only(source: Source) -> Written:
    return Written(source.written(source.lines()[:1]).content, source.names, ())


def _one_row(source: Source) -> Written:
    return Written(source.written(source.lines()[:2]).content, source.names, source.rows[:1])


def _five_rows(source: Source) -> Written:
    return Written(source.written(source.lines()[:6]).content, source.names, source.rows[:5])


def _joined_otherwise(count: int, after: int) -> Pollution:
    """`count` delimiters instead of one behind the cell `after` (from the end, if negative) of one row."""

    def pollution(source: Source) -> Written:
        lines = source.lines()
        alone = [Source(("", cell), (), source.delimiter).lines()[0] for cell in source.rows[5]]
        cells = [text.removeprefix(source.delimiter) for text in alone]
        at = after if after >= 0 else source.width + after
        first, second = source.delimiter.join(cells[: at + 1]), source.delimiter.join(cells[at + 1 :])
        lines[6] = first + source.delimiter * count + second
        return source.written(lines)

    return pollution


def _short_row(source: Source) -> Written:
    lines = source.lines()
    kept = list(source.rows[5][:-1])
    lines[6] = Source(tuple(kept), (), source.delimiter).lines()[0]
    return Written(source.written(lines).content, source.names, (*source.rows[:5], (*kept, ""), *source.rows[6:]))


def _quote_in_cell(source: Source) -> Written:
    lines = source.lines(quote_all=True)
    rows = [list(row) for row in source.rows]
    cell = rows[8][0]
    rows[8][0] = f'{cell[:1]}"{cell[1:]}'
    lines[9] = lines[9].replace(f'"{cell}"', f'"{rows[8][0]}"', 1)
    return Written(source.written(lines).content, source.names, tuple(map(tuple, rows)))


def _quote_in_bare_cell(source: Source) -> Written:
    lines = source.lines()
    rows = [list(row) for row in source.rows]
    cell = rows[8][0]
    if not lines[9].startswith(cell):
        return source.written(lines)
    rows[8][0] = f'{cell[:1]}"{cell[1:]}'
    lines[9] = rows[8][0] + lines[9][len(cell) :]
    return Written(source.written(lines).content, source.names, tuple(map(tuple, rows)))


def _apostrophes(source: Source) -> Written:
    return source.written(source.lines(quote="'", quote_all=True))


def _escapes(source: Source) -> Written:
    return source.written(source.lines(escape="\\", quote_all=True))


def _mixed_ends(source: Source) -> Written:
    lines = source.lines()
    text = "".join(line + ("\r\n" if index % 2 else "\n") for index, line in enumerate(lines))
    return Written(text.encode(), source.names, source.rows)


def _carriage_returns(source: Source) -> Written:
    # Those within a value are read as line feeds.
    lines = [line.replace("\n", "\r") for line in source.lines()]
    return source.written(lines, "\r")


def _trailing_delimiters(source: Source) -> Written:
    return source.written([line + source.delimiter for line in source.lines()])


def _trailing_delimiters_of_rows(source: Source) -> Written:
    first, *others = source.lines()
    return source.written([first, *(line + source.delimiter for line in others)])


def _blank_lines(source: Source) -> Written:
    lines = source.lines()
    return source.written(["", *_with(_with(lines, 12, ""), 5, "", ""), "", ""])


def _comments(source: Source) -> Written:
    return source.written(["# exported by the reporting job", "# do not edit, please", *source.lines()])


def _comments_within(source: Source) -> Written:
    return source.written(_with(source.lines(), 8, "# checked up to here", "# go on below, with care"))


def _other_delimiter(delimiter: str) -> Pollution:
    def pollution(source: Source) -> Written:
        told = Source(source.names, source.rows, delimiter)
        return told.written(told.lines())

    return pollution


POLLUTIONS: dict[str, Pollution] = {
    "plain": lambda source: source.written(source.lines()),
    "quoted": lambda source: source.written(source.lines(quote_all=True)),
    "no_last_line_end": lambda source: source.written(source.lines(), last=""),
    "preamble": _preamble,
    "preamble_as_wide": _preamble_as_wide,
    "footer": _footer,
    "footer_as_wide": _footer_as_wide,
    "total": _total,
    "no_header": _no_header,
    "two_headers": _two_headers,
    "grouped_header": _grouped_header,
    "header_only": _header_only,
    "one_row": _one_row,
    "five_rows": _five_rows,
    "missing_first_delimiter": _joined_otherwise(0, 0),
    "missing_last_delimiter": _joined_otherwise(0, -2),
    "surplus_first_delimiter": _joined_otherwise(2, 0),
    "surplus_last_delimiter": _joined_otherwise(2, -2),
    "delimiter_at_the_end": _joined_otherwise(1, -1),
    "short_row": _short_row,
    "quote_in_cell": _quote_in_cell,
    "quote_in_bare_cell": _quote_in_bare_cell,
    "apostrophes": _apostrophes,
    "escapes": _escapes,
    "crlf": lambda source: source.written(source.lines(), "\r\n"),
    "cr": _carriage_returns,
    "mixed_ends": _mixed_ends,
    "trailing_delimiters": _trailing_delimiters,
    "trailing_delimiters_of_rows": _trailing_delimiters_of_rows,
    "bom": lambda source: source.written(source.lines(), encoding="utf-8-sig"),
    "latin_1": lambda source: source.written(source.lines(), encoding="latin-1"),
    "utf_16": lambda source: source.written(source.lines(), encoding="utf-16"),
    "blank_lines": _blank_lines,
    "comments": _comments,
    "comments_within": _comments_within,
    "semicolons": _other_delimiter(";"),
    "tabs": _other_delimiter("\t"),
    "bars": _other_delimiter("|"),
}  # fmt: skip
