"""What the text of a cell looks like: a number, a date, an address, a text.

Only used to tell which reading of a file makes sense, and where its header, its footer and a shifted row are. Types of
columns are inferred elsewhere, from far more rows.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

MONTHS = r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zäé]{0,6}\.?"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s?[ap]\.?m\.?)?"
_DATE = (
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})"
    rf"|\d{{1,2}}[-\s.]*{MONTHS}[-\s,.]*\d{{2,4}}|{MONTHS}[-\s]*\d{{1,2}}[\s,]+\d{{4}})"
)
_ZONE = r"\s?(?:z|utc|gmt|[+-]\d{2}:?\d{2})?"
_CURRENCY = r"(?:[$€£¥]|usd|eur|gbp|chf)"
_KINDS = re.compile(
    r"\s*(?:"
    r"(?P<integer>[+-]?\d+)"
    r"|(?P<decimal>[+-]?(?:\d+[.,]\d*|[.,]\d+|\d{1,3}(?:[,.'\u00a0 ]\d{3})+(?:[.,]\d+)?)(?:e[+-]?\d+)?"
    r"|[+-]?\d+e[+-]?\d+)"
    rf"|(?P<time>{_TIME})"
    rf"|(?P<date>{_DATE})"
    rf"|(?P<timestamp>{_DATE}(?:t|\s+|,\s*){_TIME}{_ZONE}|\d{{8}}t\d{{6}}z?)"
    rf"|(?P<money>[-+(]?\s?{_CURRENCY}\s?[-+]?\d[\d.,' ]*\)?|[-+]?\d[\d.,' ]*\s?{_CURRENCY})"
    r"|(?P<percent>[+-]?\d+(?:[.,]\d+)?\s?%)"
    r"|(?P<boolean>true|false|yes|no)"
    r"|(?P<null>n/?a|null|none|nan|-+|\\n|\?)"
    r"|(?P<url>(?:https?|ftp|s3)://\S+|www\.\S+)"
    r"|(?P<email>[^\s@,;]+@[^\s@,;]+\.[a-z]{2,})"
    r"|(?P<uuid>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
    r"|(?P<address>\d{1,3}(?:\.\d{1,3}){3})"
    r"|(?P<code>(?=[^\s]*\d)(?=[^\s]*[a-z])[a-z0-9][a-z0-9_\-/.:#]*)"
    r"|(?P<word>[^\W\d][\w'’\-]*)"
    r")\s*",
    re.IGNORECASE,
)
TYPED = frozenset(
    (
        "integer",
        "decimal",
        "time",
        "date",
        "timestamp",
        "money",
        "percent",
        "boolean",
        "url",
        "email",
        "uuid",
        "address",
    )
)
COMMENT = "#"  # what a line of comment begins with
NUMERIC = frozenset(("integer", "decimal", "money", "percent"))
_LONGEST = 200
_SHAPED = 40
_CACHED_CELLS = 16_384


def kind_of(text: str) -> str:
    """The kind of one cell: `empty`, `text`, or the name of a group above."""
    if not text or text.isspace():
        return "empty"
    if len(text) > _LONGEST:
        return "url" if text.startswith(("http://", "https://")) and " " not in text else "text"
    return _kind_of(text)


@lru_cache(_CACHED_CELLS)
def _kind_of(text: str) -> str:
    match = _KINDS.fullmatch(text)
    return match.lastgroup or "text" if match else "text"


def shape_of(text: str) -> str:
    """The characters of a short text by class: `RI-3895` is `A-9`, lengths are left out."""
    return _shape_of(text[:_SHAPED])


@lru_cache(_CACHED_CELLS)
def _shape_of(text: str) -> str:
    return _LETTERS.sub("A", _DIGITS.sub("9", text))


_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Column:
    """What the cells of a column look like: how many there are, of which kinds, which shapes."""

    kinds: Counter[str]
    shapes: Counter[str]
    longest: int

    @classmethod
    def of(cls, cells: Iterable[str]) -> "Column":
        cells = list(cells)
        return cls(
            Counter(map(kind_of, cells)),
            Counter(shape_of(cell) for cell in cells if cell and len(cell) <= _SHAPED),
            max(map(len, cells), default=0),
        )

    @cached_property
    def filled(self) -> int:
        return sum(self.kinds.values()) - self.kinds["empty"] - self.kinds["null"]

    @cached_property
    def main(self) -> str:
        """The kind nearly all cells have, `empty`, or `text` where they differ."""
        if not self.filled:
            return "empty"
        kinds = {kind: count for kind, count in self.kinds.items() if kind not in ("empty", "null")}
        kind = max(sorted(kinds), key=lambda name: kinds[name])
        if kinds[kind] >= self._nearly_all:
            return kind
        if sum(kinds.get(name, 0) for name in NUMERIC) >= 0.9 * self.filled:
            return "decimal"
        if sum(kinds.get(name, 0) for name in ("date", "timestamp", "time")) >= 0.9 * self.filled:
            return "timestamp"
        return "text"

    @cached_property
    def shape(self) -> str | None:
        """The shape nearly all cells have, if it says more than letters or digits."""
        if not self.shapes:
            return None
        shape = max(sorted(self.shapes), key=lambda name: self.shapes[name])
        return shape if self.shapes[shape] >= self._nearly_all and len(shape) > 1 and self.filled > 2 else None

    @property
    def _nearly_all(self) -> float:
        """Nine of ten; one odd cell is no reason to doubt a short column either."""
        return min(0.9 * self.filled, max(self.filled - 1, 0.8 * self.filled))

    def fits(self, cell: str) -> bool:
        """Whether a cell may stand in this column; in a column of text everything may."""
        kind = kind_of(cell)
        if kind == "empty" or self.main == "empty":
            return True
        # What is there once may be the very cell in question.
        is_usual = self.kinds[kind] > max(1, 0.02 * self.filled)
        if kind == "null":
            return is_usual
        if self.main in TYPED:
            return kind == self.main or (kind in NUMERIC and self.main in NUMERIC) or is_usual
        return self.shape is None or self.shape == shape_of(cell)


def columns_of(rows: Sequence[Sequence[str]], width: int) -> list[Column]:
    """The columns of the rows that have exactly `width` cells."""
    whole = [row for row in rows if len(row) == width]
    return (
        [Column.of(column) for column in zip(*whole, strict=True)] if whole else [Column.of(()) for _ in range(width)]
    )


def looks_like_header(row: Sequence[str], columns: Sequence[Column]) -> bool:
    """Whether a row is made of names, and not of what stands in the columns.

    Names are not empty (a last one may be), not numbers, dates or addresses, and differ from one another; in at least
    one column something else than such a text must be usual.
    """
    cells = [cell.strip() for cell in row]
    if not cells or not all(cells[:-1]) or not any(cells) or len(set(cells)) < len(cells):
        return False
    if any(kind_of(cell) in TYPED for cell in cells):
        return False
    return any(not column.fits(cell) for cell, column in zip(cells, columns, strict=False) if column.main != "empty")
