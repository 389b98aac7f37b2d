"""What a single text looks like: an integer, a number in one of the usual spellings, a date, a boolean, or text."""

import re
from dataclasses import dataclass, field
from typing import Any

from datalake_assets.discovery.columns.moments import MAX_MOMENT_CHARACTERS, moment_of

MAX_EXAMPLES = 5
EXAMPLE_CHARACTERS = 80
# Texts that stand for "no value" in a column of numbers, dates or booleans; compared in lower case.
NULL_TOKENS = frozenset(
    (
        "na", "n/a", "n.a.", "#n/a", "#na", "null", "nil", "none", "nan", "\\n", "-", "--", "---", "–", "—", "?", ".",
        "(null)", "<null>", "<na>", "missing", "#null!", "#div/0!", "#value!", "#ref!",
    )
)  # fmt: skip
# Of these also in a column of text: nothing else is written that way.
TEXT_NULL_TOKENS = frozenset(("\\N", "NULL", "null", "<null>", "(null)", "<NA>"))
WORDS = {"true": "true", "false": "false", "yes": "yes", "no": "no"}
LETTERS = frozenset("ytnf")

# spelling → what stands before a fraction, what between thousands: the ways to write one and the same number.
STYLES: dict[str, tuple[str, str | None, frozenset[str]]] = {
    "dot": (".", None, frozenset(("int", "dot", "dot3", "exp"))),
    "comma": (",", None, frozenset(("int", "comma", "comma3"))),
    "dot,": (".", ",", frozenset(("int", "dot", "dot3", "comma3", "commas", "commas_dot"))),
    "comma.": (",", ".", frozenset(("int", "comma", "comma3", "dot3", "dots", "dots_comma"))),
    "dot ": (".", " ", frozenset(("int", "dot", "dot3", "spaces", "spaces_dot"))),
    "comma ": (",", " ", frozenset(("int", "comma", "comma3", "spaces", "spaces_comma"))),
    "dot'": (".", "'", frozenset(("int", "dot", "dot3", "quotes", "quotes_dot"))),
    "dot_": (".", "_", frozenset(("int", "dot", "dot3", "lows", "lows_dot"))),
}
NUMBER_SHAPES = frozenset().union(*(shapes for _, _, shapes in STYLES.values()))

_NUMBER = re.compile(
    r"""[+-]?(?:
      (?P<int>\d+)
    | (?P<dot>\d*\.\d+|\d+\.)
    | (?P<comma>\d*,\d+)
    | (?P<exp>(?:\d+(?:\.\d*)?|\.\d+)[eE][+-]?\d{1,4})
    | (?P<commas>[1-9]\d{0,2}(?:,\d{3})+)(?P<commas_dot>\.\d+)?
    | (?P<dots>[1-9]\d{0,2}(?:\.\d{3})+)(?P<dots_comma>,\d+)?
    | (?P<spaces>[1-9]\d{0,2}(?:[ \u00a0\u202f]\d{3})+)(?:(?P<spaces_dot>\.\d+)|(?P<spaces_comma>,\d+))?
    | (?P<quotes>[1-9]\d{0,2}(?:['’]\d{3})+)(?P<quotes_dot>\.\d+)?
    | (?P<lows>[1-9]\d{0,2}(?:_\d{3})+)(?P<lows_dot>\.\d+)?
    )""",
    re.VERBOSE,
)
_GROUPED3 = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_HAS_DIGIT = re.compile(r"\d")
MAX_NUMBER_CHARACTERS = 400  # longer digits are no number anybody calculates with


@dataclass(slots=True)
class ShapeCount:
    """All values of one shape within a column."""

    count: int = 0
    examples: list[str] = field(default_factory=list)
    int_digits: int = 0
    scale: int = 0
    least_scale: int = 10**6
    minimum: int | None = None
    maximum: int | None = None
    where: str | None = None

    def add(self, text: str, count: int, where: str | None) -> None:
        self.count += count
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(text[:EXAMPLE_CHARACTERS])
        if self.where is None:
            self.where = where

    def add_number(self, int_digits: int, scale: int) -> None:
        self.int_digits = max(self.int_digits, int_digits)
        self.scale = max(self.scale, scale)
        self.least_scale = min(self.least_scale, scale)

    def add_range(self, least: int, greatest: int) -> None:
        self.minimum = least if self.minimum is None else min(self.minimum, least)
        self.maximum = greatest if self.maximum is None else max(self.maximum, greatest)

    def merge(self, other: "ShapeCount") -> None:
        self.count += other.count
        self.examples += [each for each in other.examples if each not in self.examples]
        del self.examples[MAX_EXAMPLES:]
        self.add_number(other.int_digits, other.scale)
        self.least_scale = min(self.least_scale, other.least_scale)
        if other.minimum is not None and other.maximum is not None:
            self.add_range(other.minimum, other.maximum)
        self.where = self.where or other.where

    def as_json(self) -> list[Any]:
        # Integers beyond 64 bits go as text: not every reader of JSON keeps them.
        ends = [None if each is None else str(each) for each in (self.minimum, self.maximum)]
        return [self.count, self.examples, self.int_digits, self.scale, self.least_scale, *ends, self.where]

    @classmethod
    def from_json(cls, data: list[Any]) -> "ShapeCount":
        count, examples, int_digits, scale, least_scale, minimum, maximum, where = data
        ends = [None if each is None else int(each) for each in (minimum, maximum)]
        return cls(count, list(examples), int_digits, scale, least_scale, ends[0], ends[1], where)


def number_shape(text: str) -> tuple[str, int, int] | None:
    """Shape, digits before and digits after the decimal separator of a text that is a number; None if it is none.

    `zeros` is the shape of integers with leading zeros, which are codes, not quantities.
    """
    if len(text) > MAX_NUMBER_CHARACTERS:
        return None
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    shape = found.lastgroup or "int"
    digits = text.lstrip("+-")
    if shape == "int":
        if len(digits) > 1 and digits[0] == "0":
            return "zeros", len(digits), 0
        return "int", len(digits), 0
    if shape == "exp":
        return "exp", 0, 0
    if shape in ("dot", "comma"):
        whole, _, fraction = digits.partition("." if shape == "dot" else ",")
        if len(whole) > 1 and whole[0] == "0":
            return "zeros", len(whole), len(fraction)
        grouped = _GROUPED3.fullmatch(text) is not None
        return shape + ("3" if grouped else ""), len(whole.lstrip("0")), len(fraction)
    fraction = found.group(shape) if "_" in shape else ""
    whole_digits = sum(letter.isdigit() for letter in digits) - max(len(fraction) - 1, 0)
    return shape, whole_digits, max(len(fraction) - 1, 0)


def moment_key(text: str) -> tuple[str, int] | None:
    """The family of a date or timestamp, as a key, with the mask of formats that read it; None if it is neither.

    The key is `date` or `timestamp`, `iso` or nothing, and the formats, separated by NUL.
    """
    if len(text) > MAX_MOMENT_CHARACTERS or not _HAS_DIGIT.search(text):
        return None
    found = moment_of(text)
    if found is None:
        return None
    return "\0".join((found.kind, "iso" if found.is_iso else "", *found.formats)), found.mask
