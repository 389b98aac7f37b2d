r"""Grok patterns: regular expressions built from named parts, as in `%{IP:client} %{NUMBER:bytes:int}`.

`%{PATTERN}` stands for a named pattern, `%{PATTERN:name}` captures what it matches as a column, `%{PATTERN:name:type}`
also says its type. Regular expressions stand between them, with `(?<name>…)` for a capture of one's own. A pattern
describes the whole line. Two captures of one name are one column: the first that matched is its value.
"""

import difflib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from datalake_assets.errors import ConfigurationError
from datalake_assets.formats.grok_patterns import PATTERNS

# A pattern can need time of the square of a line's length and more: no line of a log is longer than this.
MAX_LINE_CHARACTERS = 64 * 1024
_MAX_NESTING = 30
_MAX_EXPANDED_CHARACTERS = 200_000

# The words for types in grok, and what they are called here.
TYPES = {
    "int": "int",
    "integer": "int",
    "long": "bigint",
    "bigint": "bigint",
    "short": "smallint",
    "smallint": "smallint",
    "byte": "smallint",
    "float": "double",
    "double": "double",
    "boolean": "boolean",
    "string": "varchar",
    "varchar": "varchar",
    "date": "date",
    "timestamp": "timestamp",
}
_REFERENCE = re.compile(r"%\{([^{}:]*)(?::([^{}:]*))?(?::([^{}:]*))?\}")
_OWN_CAPTURE = re.compile(r"(?<!\\)\(\?P?<(?![=!])([^>]*)>")
_CLASSES = {
    "[:alpha:]": "A-Za-z",
    "[:digit:]": "0-9",
    "[:alnum:]": "A-Za-z0-9",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:space:]": r"\s",
    "[:xdigit:]": "0-9A-Fa-f",
    "[:punct:]": r"!-/:-@\[-`{-~",
    "[:word:]": r"\w",
}
_OPEN_ENDS = ("GREEDYDATA", "DATA", "MULTILINEDATA")


@dataclass(frozen=True)
class Grok:
    """A compiled pattern.

    `names` are the columns in their order, `types` those that were declared, by name. `open_end` is the column that
    takes the rest of the line, if the pattern ends so: lines that belong to the record before go there.
    """

    expression: re.Pattern[str]
    names: tuple[str, ...]
    types: dict[str, str]
    open_end: int | None
    groups: tuple[tuple[int, ...], ...]
    is_plain: bool

    def values(self, line: str) -> tuple[str | None, ...] | None:
        """The values of a line, null where a column matched nothing; None when the line does not match."""
        match = self.expression.fullmatch(line)
        if match is None:
            return None
        if self.is_plain:
            return match.groups()
        found = match.groups()
        return tuple(next((found[one] for one in group if found[one] is not None), None) for group in self.groups)


def compile_grok(pattern: str, patterns: Mapping[str, str] | None = None, *, where: str | None = None) -> Grok:
    """Compile a grok pattern.

    Args:
        patterns: own named patterns; they come before the built-in ones of the same name.
        where: what an error names as its place.

    Raises:
        ConfigurationError: an unknown pattern or type, patterns that contain each other, a broken expression, or a
            pattern that captures nothing.
    """
    return _compiled(pattern, tuple(sorted((patterns or {}).items())), where)


@lru_cache(maxsize=64)
def _compiled(pattern: str, patterns: tuple[tuple[str, str], ...], where: str | None) -> Grok:
    return _Compiler(PATTERNS | dict(patterns), where).compile(pattern)


class _Compiler:
    def __init__(self, patterns: Mapping[str, str], where: str | None) -> None:
        self._patterns = patterns
        self._where = where
        self._columns: list[str] = []  # of each capture, in order
        self._types: dict[str, str] = {}

    def compile(self, pattern: str) -> Grok:
        text = self._expand(pattern, ())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                expression = re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise ConfigurationError(
                f"pattern {_cut(pattern)!r} is no regular expression: {self._told(error, text)}",
                where=self._where,
                todo="Mend it; brackets that are meant as characters need a backslash before them.",
            ) from error
        if not self._columns:
            raise ConfigurationError(
                f"pattern {_cut(pattern)!r} captures nothing",
                where=self._where,
                expected="at least one named capture, for example %{IP:client}",
            )
        names = tuple(dict.fromkeys(self._columns))
        # Captures without a name count too, so groups are found by the names given in `_capture`.
        numbers = [expression.groupindex[f"g{number}"] - 1 for number in range(len(self._columns))]
        groups = tuple(
            tuple(number for number, column in zip(numbers, self._columns, strict=True) if column == name)
            for name in names
        )
        is_plain = expression.groups == len(names) and groups == tuple((number,) for number in range(len(names)))
        return Grok(expression, names, self._types, self._open_end(pattern, names), groups, is_plain)

    def _open_end(self, pattern: str, names: tuple[str, ...]) -> int | None:
        references = list(_REFERENCE.finditer(pattern))
        if not references or pattern[references[-1].end() :].strip("$)?") or references[-1][1] not in _OPEN_ENDS:
            return None
        name = _column(references[-1][2] or "")
        return names.index(name) if name in names else None

    def _expand(self, pattern: str, within: tuple[str, ...]) -> str:
        parts = []
        position = 0
        text = pattern
        for name, value in _CLASSES.items():
            text = text.replace(name, value)
        for found in _REFERENCE.finditer(text):
            parts.append(self._own_captures(text[position : found.start()]))
            position = found.end()
            parts.append(self._referred(found, within))
            if sum(map(len, parts)) > _MAX_EXPANDED_CHARACTERS:
                raise ConfigurationError(f"pattern {_cut(pattern)!r} is too long once expanded", where=self._where)
        parts.append(self._own_captures(text[position:]))
        return "".join(parts)

    def _referred(self, found: re.Match[str], within: tuple[str, ...]) -> str:
        name, column, declared = found.groups()
        if name in within:
            told = " -> ".join((*within, name))
            raise ConfigurationError(f"grok patterns contain each other: {told}", where=self._where)
        if name not in self._patterns or len(within) > _MAX_NESTING:
            near = difflib.get_close_matches(name.upper(), list(self._patterns), n=3)
            raise ConfigurationError(
                f"grok pattern {name!r} is unknown",
                where=self._where,
                expected=f"one of {', '.join(near)}" if near else "a built-in pattern, or one listed under `patterns`",
                todo="Write it as in %{NAME:column}, and its own expression under `patterns`.",
            )
        begin = self._capture(column, declared) if column else "(?:"
        return begin + self._expand(self._patterns[name], (*within, name)) + ")"

    def _own_captures(self, text: str) -> str:
        return _OWN_CAPTURE.sub(lambda found: self._capture(found[1], None), text)

    def _capture(self, column: str, declared: str | None) -> str:
        name = _column(column)
        if not name:
            raise ConfigurationError("a capture has no name", where=self._where, expected="%{PATTERN:name}")
        if declared:
            if declared.lower() not in TYPES:
                raise ConfigurationError(
                    f"column {name!r} has the unknown type {declared!r}",
                    where=self._where,
                    expected=f"one of {', '.join(TYPES)}",
                )
            self._types[name] = TYPES[declared.lower()]
        self._columns.append(name)
        return f"(?P<g{len(self._columns) - 1}>"

    def _told(self, error: Exception, text: str) -> str:
        if isinstance(error, re.error) and error.pos is not None:
            return f"{error.msg} at {text[max(error.pos - 10, 0) : error.pos + 20]!r}"
        return str(error)


def _column(written: str) -> str:
    """A column's name; `[a][b]` is written `a.b`."""
    text = written.strip()
    return text[1:-1].replace("][", ".") if text.startswith("[") and text.endswith("]") else text


def _cut(pattern: str) -> str:
    return pattern if len(pattern) <= 80 else pattern[:77] + "..."
