"""Which delimiter and quote make the most sense of a text.

A dialect is right when rows have the same number of fields, when what stands in a column is of one kind, and when the
quotes match. Each candidate is scored by the product of the three, times a small preference for what is usual; the
score of a text without any delimiter is that of its single column.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from datalake_assets.formats.delimited.csv_fields import Dialect
from datalake_assets.formats.delimited.csv_kinds import COMMENT, TYPED, Column, kind_of
from datalake_assets.formats.delimited.csv_lines import LineBlock
from datalake_assets.formats.delimited.csv_rows import RowReader

SCORED_LINES = 400
SCORED_CHARACTERS = 64 * 1024
MAX_SCORED_COLUMNS = 200
SEVERAL_TABLES_SHARE = 0.8
NEARLY_AS_FREQUENT = 0.8
MAX_UNUSUAL_DELIMITERS = 4
_PREFERENCE = {",": 1.0, ";": 1.0, "\t": 1.02, "|": 1.0, " ": 0.8, ":": 0.6}
_UNUSUAL_PREFERENCE = 0.75
# Characters that are part of numbers, dates, names and addresses far more often than they tell fields apart.
_NEVER = set(".-_+/\\()[]{}<>\"'%$€£@?`")
_STRICT = (",", ";", "\t", "|")  # they seldom stand in every line unless they tell fields apart
_SPACES_WITHIN_TEXTS = 0.5
_MARKS_WITHIN_TEXTS = 0.7
_FAR = 0.1
_QUALITY = {"code": 0.9, "word": 0.8, "empty": 0.6, "text": 0.6}
_COMMENT = re.compile(r"\s*#(?:[\s#!]|$)")
_SEVERAL = re.compile(
    r"(?<=[\w\"'])(?:[|;,:~^#*&!=<>§\x1c-\x1f]{2,4}|\s?[|;,:~^#]{1,2}\s|\s[|;~^#]{1,2})(?=[\w\"'$€£+-])"
)


@dataclass(frozen=True)
class Scored:
    """A dialect and what speaks for it: `consistency` of the widths, `quality` of the columns, all from 0 to 1."""

    dialect: Dialect
    score: float
    width: int
    consistency: float
    quality: float
    strays: int
    rows: int


def scored_lines(lines: Sequence[str]) -> list[str]:
    """The lines to judge a text by: the first ones that are no comments."""
    plain = [line for line in lines[: 2 * SCORED_LINES] if not line.lstrip().startswith(COMMENT)]
    if len(plain) * 2 < len(lines[: 2 * SCORED_LINES]):  # values begin so, and few of them like a comment
        plain = [line for line in lines[: 2 * SCORED_LINES] if not _COMMENT.match(line)]
    if len(plain) > 1:
        lines = plain  # comments do not keep to the columns
    size = 0
    for count, line in enumerate(lines):
        size += len(line)
        if count >= SCORED_LINES or (size > SCORED_CHARACTERS and count >= 3):
            return list(lines[:count])
    return list(lines)


def best_dialects(lines: Sequence[str]) -> list[Scored]:
    """The candidates, the best first; one column without a delimiter is always among them."""
    found: dict[str, Scored] = {}
    for delimiter in _delimiters(lines):
        of_delimiter = [_score(lines, Dialect(delimiter, quote)) for quote in _quotes(lines, delimiter)]
        for plain in list(of_delimiter):
            if plain.strays and plain.dialect.quote:
                # An escape explains most of the stray quotes, or it is none.
                of_delimiter += (each for each in _with_escapes(lines, plain) if each.strays <= plain.strays / 2)
            elif plain.dialect.quote and _are_escaped(lines, plain.dialect):
                of_delimiter.insert(0, _score(lines, Dialect(delimiter, plain.dialect.quote, "\\")))
        found[delimiter] = max(of_delimiter, key=lambda scored: scored.score)
    for delimiter, scored in found.items():
        if any(_is_stricter(found[other], scored) for other in _STRICT if other in found):
            factor = _SPACES_WITHIN_TEXTS if delimiter == " " else _MARKS_WITHIN_TEXTS
            found[delimiter] = replace(scored, score=scored.score * factor)
    return sorted(found.values(), key=lambda scored: -scored.score)


def _is_stricter(scored: Scored, other: Scored) -> bool:
    """Whether a delimiter takes all lines apart alike, the header as well, where another one does not by far."""
    is_far = scored.consistency > other.consistency + (_FAR if other.dialect.delimiter in _STRICT else 0)
    return scored.width > 1 and scored.consistency >= 0.98 and is_far


def single_column(lines: Sequence[str]) -> Scored:
    """What speaks for a text that has no delimiter at all."""
    column = Column.of(line.strip().strip('"') for line in lines[1:] or lines)
    quality = _quality(column)
    text = "\n".join(lines)
    absent = next((delimiter for delimiter in ",;\t|\x1f" if delimiter not in text), "\x1e")
    return Scored(Dialect(absent), 0.4 * quality, 1, 1.0, quality, 0, len(lines))


def _delimiters(lines: Sequence[str]) -> list[str]:
    text = "\n".join(lines)
    counts = Counter(text)
    found = [delimiter for delimiter in _PREFERENCE if counts[delimiter]]
    if sum(kind_of(line) in ("date", "time", "timestamp", "money") for line in lines) >= 0.6 * len(lines):
        found = [delimiter for delimiter in found if delimiter not in " :"]  # they stand within one value
    half = len(lines) / 2
    unusual = [
        letter
        for letter in sorted(counts)
        if not letter.isalnum()
        and letter not in _NEVER
        and letter not in _PREFERENCE
        and letter not in "\r\n\0"
        and counts[letter] >= half
        and sum(letter in line for line in lines) >= 0.8 * len(lines)
    ]
    found += sorted(unusual, key=lambda letter: -counts[letter])[:MAX_UNUSUAL_DELIMITERS]
    several = Counter(match for line in lines[:100] for match in _SEVERAL.findall(line))
    for text_, count in sorted(several.items(), key=lambda pair: (-pair[1], pair[0])):
        if count >= min(100, len(lines)) * 0.5 and len(text_) > 1 and text_ not in found and len(found) < 16:
            found.append(text_)
    return found


def _quotes(lines: Sequence[str], delimiter: str) -> list[str]:
    """The quotes that stand where a quoted value would begin."""
    found = [quote for quote in ('"', "'") if any(_begins(line, quote, delimiter) for line in lines)]
    return [*found, ""] if found else ['"']


def _begins(line: str, quote: str, delimiter: str) -> bool:
    return quote in line and (line.startswith(quote) or delimiter + quote in line or f"{delimiter} {quote}" in line)


def _are_escaped(lines: Sequence[str], dialect: Dialect) -> bool:
    """Whether a backslash stands before each quote that neither begins nor ends a value."""
    quote, delimiter = re.escape(dialect.quote), re.escape(dialect.delimiter[-1])
    inner = re.compile(f"(?<=([^{quote}{delimiter}])){quote}(?=[^{quote}{re.escape(dialect.delimiter[0])}])")
    before = [match.group(1) for line in lines if dialect.quote in line for match in inner.finditer(line)]
    return bool(before) and set(before) == {"\\"}


def _with_escapes(lines: Sequence[str], scored: Scored) -> Iterator[Scored]:
    """The same dialect with each character before a stray quote as the escape."""
    quote, delimiter = scored.dialect.quote, scored.dialect.delimiter
    before = Counter(
        line[at - 1]
        for line in lines
        for at in (match.start() for match in re.finditer(re.escape(quote), line))
        if at and not line[at - 1].isalnum() and line[at - 1] not in delimiter + quote + " .!?)]:\r\n"
        and line[at - 1].isascii() and line[at - 1].isprintable()
    )  # fmt: skip
    for escape in sorted(before, key=lambda letter: (letter != "\\", -before[letter], letter))[:2]:
        if escape == "\\" or before[escape] > 1:
            yield _score(lines, Dialect(delimiter, quote, escape))


def _score(lines: Sequence[str], dialect: Dialect) -> Scored:
    rows, strays = _read(lines, dialect, 0)
    widths = Counter(map(len, rows))
    if not rows or max(widths) == 1:
        return Scored(dialect, 0.0, 1, 0.0, 0.0, strays, len(rows))
    width = _main_width(rows, widths)
    if strays:
        # Quotes out of place are mended by the usual width; rows that cannot be mended still count as such.
        rows, strays = _read(lines, dialect, width)
        widths = Counter(map(len, rows))
    # Two tables in one file have a width each: what counts is that a row is as wide as the one before it.
    alike = sum(len(row) == len(before) > 1 for before, row in pairwise(rows)) / max(1, len(rows) - 1)
    consistency = max(widths[width] / len(rows), SEVERAL_TABLES_SHARE * alike)
    used = min(width, MAX_SCORED_COLUMNS)
    # The first row may be a header, which says nothing about its column.
    told = rows[1:] or rows
    columns = [Column.of(row[index] for row in told if index < len(row)) for index in range(used)]
    quality = sum(map(_quality, columns)) / used
    cells = [cell for row in rows for cell in row[1:used] if cell]
    if cells:
        quality *= 1 - 0.6 * sum(map(_is_still_quoted, cells)) / len(cells)
        quality *= 1 - 0.15 * sum(cell[0] == " " for cell in cells) / len(cells)
        if dialect.quote != "'":
            quality *= 1 - 0.3 * sum(any('"' in cell for cell in row) for row in rows) / len(rows)
    preference = _PREFERENCE.get(dialect.delimiter, _UNUSUAL_PREFERENCE if len(dialect.delimiter) == 1 else 0.97)
    if not dialect.quote:
        preference *= 0.97
    if dialect.delimiter == " " and not any(column.main in TYPED for column in columns):
        preference *= 0.6  # words of a text
    score = (0.15 + 0.85 * consistency) * quality * (1 - 0.5 / width) * preference
    score *= 1 - 0.3 * min(1.0, strays / len(rows))
    return Scored(dialect, score, width, consistency, quality, strays, len(rows))


def _main_width(rows: Sequence[Sequence[str]], widths: Counter[int]) -> int:
    """The width of most rows; of several that are about as frequent, the one that comes first in the file."""
    most = max(count for width, count in widths.items() if width > 1)
    return next(len(row) for row in rows if len(row) > 1 and widths[len(row)] >= NEARLY_AS_FREQUENT * most)


def _read(lines: Sequence[str], dialect: Dialect, width: int) -> tuple[list[list[str]], int]:
    reader = RowReader(iter([LineBlock(1, list(lines))]), dialect, width=width)
    return [row for block in reader.blocks() for row in block.rows], reader.strays


def _is_still_quoted(cell: str) -> bool:
    return len(cell) > 2 and cell[0] == cell[-1] and cell[0] in "\"'"


def _quality(column: Column) -> float:
    return 1.0 if column.main in TYPED else _QUALITY.get(column.main, 0.6)
