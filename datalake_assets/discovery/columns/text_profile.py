"""What the texts of one column look like, counted: it merges over files and goes to JSON and back."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from datalake_assets.discovery.columns.moments import FIRST_COMPACT_YEAR, LAST_COMPACT_YEAR
from datalake_assets.discovery.columns.shapes import (
    EXAMPLE_CHARACTERS,
    LETTERS,
    MAX_EXAMPLES,
    NULL_TOKENS,
    WORDS,
    ShapeCount,
    moment_key,
    number_shape,
)

MAX_TOKENS = 32  # spellings of null in one column; more are text
MAX_FAMILIES = 64  # of date formats in one column; more are text

# A column of plain integers is checked at once: most columns are, and one by one costs twenty times as much.
_ONLY_INTEGERS = re.compile(r"(?:(?:-?[1-9]\d{0,17}|0)\n)*+")
_QUICK_FROM = 32


@dataclass(slots=True)
class TextProfile:
    """Counts of one column's texts.

    Attributes:
        count: values that are neither null nor empty, null tokens included.
        nulls: nulls, empty texts and those that mean null by declaration.
        tokens: possible spellings of null → how often; whether they mean null depends on the other values.
        words: spellings of booleans in lower case → how often.
        numbers: by shape, see `shapes`.
        moments: by family: mask of the formats that read the value → how often; `compact` ones are integers too.
        seen: examples and place of each word and, under `family\\1mask`, of each way to read a moment.
        text: everything else.
    """

    count: int = 0
    nulls: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    words: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, ShapeCount] = field(default_factory=dict)
    moments: dict[str, dict[int, int]] = field(default_factory=dict)
    seen: dict[str, ShapeCount] = field(default_factory=dict)
    text: ShapeCount = field(default_factory=ShapeCount)
    longest: int = 0
    examples: list[str] = field(default_factory=list)

    def add(
        self, values: Iterable[str | None], *, null_values: Sequence[str] = ("",), where: str | None = None
    ) -> None:
        """Count values; `where` is the URI of their object."""
        counted = Counter(values)
        self.nulls += counted.pop(None, 0)
        for text in null_values:
            self.nulls += counted.pop(text, 0)
        if not counted:
            return
        texts: dict[str, int] = counted  # type: ignore[assignment]
        self.count += sum(texts.values())
        self.longest = max(self.longest, max(map(len, texts)))
        for text in texts:
            if len(self.examples) >= MAX_EXAMPLES:
                break
            if (shown := text[:EXAMPLE_CHARACTERS]) not in self.examples:
                self.examples.append(shown)
        is_quick = len(texts) >= _QUICK_FROM and _ONLY_INTEGERS.fullmatch("\n".join(texts) + "\n") is not None
        if is_quick and self._add_integers(texts, where):
            return
        for text, count in texts.items():
            self._add(text, count, where)

    def _add_integers(self, texts: dict[str, int], where: str | None) -> bool:
        """Count plain integers; False when they could be dates."""
        numbers = [int(text) for text in texts]
        least, greatest = min(numbers), max(numbers)
        in_range = greatest >= FIRST_COMPACT_YEAR * 10_000 and least < (LAST_COMPACT_YEAR + 1) * 10**10
        if in_range and {len(text) for text in texts} & {8, 12, 14}:
            return False
        shape = self.numbers.setdefault("int", ShapeCount())
        first = list(texts)[: MAX_EXAMPLES - len(shape.examples)]
        shape.examples += first
        shape.count += sum(texts.values())
        shape.where = shape.where or where
        shape.add_number(max(len(str(abs(least))), len(str(abs(greatest)))), 0)
        shape.add_range(least, greatest)
        return True

    def _add(self, text: str, count: int, where: str | None) -> None:
        bare = text.strip()
        lower = bare.lower() if len(bare) <= 12 else ""
        if not bare or lower in NULL_TOKENS:
            if text in self.tokens or len(self.tokens) < MAX_TOKENS:
                self.tokens[text] = self.tokens.get(text, 0) + count
            else:
                self.text.add(text, count, where)
            return
        if lower in WORDS or lower in LETTERS:
            self.words[lower] = self.words.get(lower, 0) + count
            self._example(lower, text, count, where)
            return
        if (number := number_shape(bare)) is not None:
            shape, int_digits, scale = number
            found = self.numbers.setdefault(shape, ShapeCount())
            found.add(text, count, where)
            found.add_number(int_digits, scale)
            if shape == "int":
                value = int(bare)
                found.add_range(value, value)
                if int_digits in (8, 12, 14) and (key := moment_key(bare)) is not None:
                    self._moment("compact\0" + key[0], key[1], text, count, where)
            return
        if (key := moment_key(bare)) is not None and (key[0] in self.moments or len(self.moments) < MAX_FAMILIES):
            self._moment(key[0], key[1], text, count, where)
            return
        self.text.add(text, count, where)

    def _moment(self, key: str, mask: int, text: str, count: int, where: str | None) -> None:
        masks = self.moments.setdefault(key, {})
        masks[mask] = masks.get(mask, 0) + count
        self._example(f"{key}\1{mask}", text, count, where)

    def _example(self, key: str, text: str, count: int, where: str | None) -> None:
        self.seen.setdefault(key, ShapeCount()).add(text, count, where)

    def merge(self, other: "TextProfile") -> None:
        """Add the counts of another file's column to these."""
        self.count += other.count
        self.nulls += other.nulls
        self.longest = max(self.longest, other.longest)
        for mine, others in ((self.tokens, other.tokens), (self.words, other.words)):
            for text, count in others.items():
                mine[text] = mine.get(text, 0) + count
        for shapes, other_shapes in ((self.numbers, other.numbers), (self.seen, other.seen)):
            for key, shape in other_shapes.items():
                shapes.setdefault(key, ShapeCount()).merge(shape)
        for key, masks in other.moments.items():
            mine_masks = self.moments.setdefault(key, {})
            for mask, count in masks.items():
                mine_masks[mask] = mine_masks.get(mask, 0) + count
        self.text.merge(other.text)
        self.examples += [each for each in other.examples if each not in self.examples]
        del self.examples[MAX_EXAMPLES:]

    def as_json(self) -> dict[str, Any]:
        data = {
            "count": self.count,
            "nulls": self.nulls,
            "longest": self.longest,
            "tokens": self.tokens,
            "words": self.words,
            "numbers": {key: shape.as_json() for key, shape in self.numbers.items()},
            "moments": {key: [[m, n] for m, n in masks.items()] for key, masks in self.moments.items()},
            "seen": {key: shape.as_json() for key, shape in self.seen.items()},
            "text": self.text.as_json() if self.text.count else None,
            "examples": self.examples,
        }
        return {key: value for key, value in data.items() if value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "TextProfile":
        return cls(
            count=data.get("count", 0),
            nulls=data.get("nulls", 0),
            longest=data.get("longest", 0),
            tokens=dict(data.get("tokens", {})),
            words=dict(data.get("words", {})),
            numbers={key: ShapeCount.from_json(each) for key, each in data.get("numbers", {}).items()},
            moments={key: dict(masks) for key, masks in data.get("moments", {}).items()},
            seen={key: ShapeCount.from_json(each) for key, each in data.get("seen", {}).items()},
            text=ShapeCount.from_json(data["text"]) if data.get("text") else ShapeCount(),
            examples=list(data.get("examples", [])),
        )
