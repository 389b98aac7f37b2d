"""Split one record of a delimited text into its fields.

Two readings: the strict one of RFC 4180 (with apostrophes, backslashes and delimiters of several characters as well),
and a lenient one for records with quotes that are out of place. The lenient one asks which reading of the quotes needs
the fewest of them to be plain characters, given how many fields the other records of the file have.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datalake_assets.formats.source_format import SourceFormat

MAX_LENIENT_PIECES = 1_000  # a record of more delimiters than that is not worth a search
MAX_LENIENT_SPANS = 4_000
MAX_LENIENT_CHARACTERS = 256 * 1024
_STRAY_COST = 2  # a quote that is a plain character
_ADJACENT_COST = 1  # ... although a delimiter stands beside it

Outcome = Literal["whole", "open", "bad"]


@dataclass(frozen=True)
class Dialect:
    """How fields are told apart: `quote` is empty when values are never quoted; `escape` None means doubled quotes."""

    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None

    @classmethod
    def of(cls, source: "SourceFormat") -> "Dialect":
        return cls(source.delimiter, source.quote, source.escape)

    @property
    def has_escape(self) -> bool:
        """Whether another character than the quote itself escapes."""
        return self.escape is not None and self.escape != self.quote

    @property
    def is_plain(self) -> bool:
        """Whether Python's csv module reads it exactly as this module does."""
        return len(self.delimiter) == 1 and not self.has_escape

    @cached_property
    def _escaped(self) -> re.Pattern[str]:
        escape = re.escape(self.escape or "")
        return re.compile(f"{escape}({re.escape(self.quote)}|{escape})|{re.escape(self.quote * 2)}")

    @cached_property
    def _escaped_outside(self) -> re.Pattern[str]:
        marks = "|".join(re.escape(mark) for mark in (self.delimiter, self.quote, self.escape) if mark)
        return re.compile(f"{re.escape(self.escape or '')}({marks})", re.DOTALL)

    def unescaped(self, inner: str) -> str:
        """The value of what stands between two quotes."""
        if not self.has_escape:
            return inner.replace(self.quote * 2, self.quote) if self.quote in inner else inner
        if self.escape not in inner and self.quote not in inner:  # type: ignore[operator]
            return inner
        return self._escaped.sub(lambda match: match.group(1) or self.quote, inner)

    def unescaped_outside(self, text: str) -> str:
        """The value of an unquoted field: an escape takes the meaning from a delimiter, a quote and itself."""
        if not self.has_escape or self.escape not in text:  # type: ignore[operator]
            return text
        return self._escaped_outside.sub(lambda match: match.group(1), text)


@dataclass(slots=True)
class Fields:
    """A record taken apart: the values, and which of them stood in quotes."""

    values: list[str]
    quoted: list[bool]


def split_strictly(text: str, dialect: Dialect) -> tuple[Outcome, Fields]:
    """Take a record apart by the rules.

    Spaces around a quoted value are no part of it. A quote within an unquoted value is a plain character.

    Returns:
        `whole` and the fields; `open` if the text ends within quotes; `bad` if a closing quote has no delimiter
        behind it. The fields are then those before that place.
    """
    delimiter, quote = dialect.delimiter, dialect.quote
    if not quote or quote not in text:
        values = _split_unquoted(text, dialect)
        return "whole", Fields(values, [False] * len(values))
    found = Fields([], [])
    blank = "" if delimiter.startswith(" ") else " "
    position, size = 0, len(text)
    while True:
        start = position
        while blank and text.startswith(blank, start):
            start += 1
        if text.startswith(quote, start):
            end = closing_quote(text, start + 1, dialect)
            after = end + 1
            while blank and text.startswith(blank, after):
                after += 1
            if end >= 0 and (after == size or text.startswith(delimiter, after)):
                found.values.append(dialect.unescaped(text[start + 1 : end]))
                found.quoted.append(True)
                if after == size:
                    return "whole", found
                position = after + len(delimiter)
                continue
            if start == position:
                return ("open" if end < 0 else "bad"), found
        end = _next_delimiter(text, position, dialect)
        found.values.append(dialect.unescaped_outside(text[position:] if end < 0 else text[position:end]))
        found.quoted.append(False)
        if end < 0:
            return "whole", found
        position = end + len(delimiter)


def closing_quote(text: str, position: int, dialect: Dialect) -> int:
    """Where the quoted value that begins at `position` ends; -1 if it does not."""
    quote, escape = dialect.quote, dialect.escape if dialect.has_escape else None
    while True:
        end = text.find(quote, position)
        if end < 0:
            return -1
        if escape:
            before = end
            while before > position and text[before - 1] == escape:
                before -= 1
            if (end - before) % 2:
                position = end + 1
                continue
        if not text.startswith(quote, end + 1):
            return end
        position = end + 2


def _split_unquoted(text: str, dialect: Dialect) -> list[str]:
    if not dialect.has_escape or dialect.escape not in text:  # type: ignore[operator]
        return text.split(dialect.delimiter)
    values, position = [], 0
    while True:
        end = _next_delimiter(text, position, dialect)
        values.append(dialect.unescaped_outside(text[position:] if end < 0 else text[position:end]))
        if end < 0:
            return values
        position = end + len(dialect.delimiter)


def _next_delimiter(text: str, position: int, dialect: Dialect) -> int:
    end = text.find(dialect.delimiter, position)
    if not dialect.has_escape:
        return end
    start = position
    while end >= 0:
        before = end
        while before > start and text[before - 1] == dialect.escape:
            before -= 1
        if (end - before) % 2 == 0:
            return end
        end = text.find(dialect.delimiter, end + 1)
    return end


def split_leniently(text: str, dialect: Dialect, width: int | None) -> tuple[int, Fields] | None:
    """Take a record apart although its quotes do not match: how many had to be plain characters, and the fields.

    Every delimiter is either one or stands within quotes; among all readings with `width` fields (any number if None)
    the one with the fewest stray quotes is taken, and of those the one that leaves the most delimiters standing.

    Returns:
        None when no reading has that many fields, more than one cell is damaged, or the record is too long to search.
    """
    quote = dialect.quote
    pieces = text.split(dialect.delimiter)
    count = len(pieces)
    if count > MAX_LENIENT_PIECES or len(text) > MAX_LENIENT_CHARACTERS or (width is not None and count < width):
        return None
    opens = [piece.lstrip(" ").startswith(quote) for piece in pieces]
    closes = [piece.rstrip(" ").endswith(quote) for piece in pieces]
    starts = [index for index in range(count) if opens[index]]
    ends = [index for index in range(count) if closes[index]]
    if len(starts) * len(ends) > MAX_LENIENT_SPANS:
        return None
    # best[end][fields] = (cost, -fields, first piece of the last field, whether it is quoted)
    best: list[dict[int, tuple[int, int, bool]]] = [{} for _ in range(count + 1)]
    best[0][0] = (0, 0, False)
    most = count if width is None else width
    for end in range(count):
        spans = [(end, False, _STRAY_COST * pieces[end].count(quote) if opens[end] else 0)]
        if closes[end]:
            for start in starts:
                if start > end:
                    break
                cost = _quoted_cost(dialect.delimiter.join(pieces[start : end + 1]), dialect)
                if cost is not None:
                    spans.append((start, True, cost))
        row = best[end + 1]
        for start, is_quoted, cost in spans:
            for fields, (before, _, _) in best[start].items():
                if fields < most and (fields + 1 not in row or before + cost < row[fields + 1][0]):
                    row[fields + 1] = (before + cost, start, is_quoted)
    reached = best[count]
    if width is None:
        if not reached:
            return None
        width = min(reached, key=lambda fields: (reached[fields][0], -fields))
    if width not in reached:
        return None
    total = reached[width][0]
    found = Fields([], [])
    end, fields = count, width
    while fields:
        _, start, is_quoted = best[end][fields]
        piece = dialect.delimiter.join(pieces[start:end])
        found.values.append(dialect.unescaped(piece.strip(" ")[1:-1]) if is_quoted else piece)
        found.quoted.append(is_quoted)
        end, fields = start, fields - 1
    found.values.reverse()
    found.quoted.reverse()
    # A quote that opens a cell, and one within a later cell, are rather a pair with a delimiter too few beside it.
    bare = [value for value, is_quoted in zip(found.values, found.quoted, strict=True) if not is_quoted]
    opening = next((index for index, value in enumerate(bare) if value.startswith(quote)), len(bare))
    if any(quote in value for value in bare[opening + 1 :]):
        return None
    return total, found


def _quoted_cost(text: str, dialect: Dialect) -> int | None:
    """What it costs to read a text as one quoted value; None if it cannot be one."""
    text = text.strip(" ")
    if len(text) < 2:
        return None
    inner = text[1:-1]
    quote = dialect.quote
    if quote not in inner:
        return 0
    inner = dialect._escaped.sub("", inner) if dialect.has_escape else inner.replace(quote * 2, "")
    strays = inner.count(quote)
    if not strays:
        return 0
    delimiter = dialect.delimiter
    beside = inner.count(quote + delimiter) + inner.count(delimiter + quote)
    return _STRAY_COST * strays + _ADJACENT_COST * beside
