"""Texts within Spark SQL: literals, and regular expressions for a whole value."""

from collections.abc import Callable

SPACE = r"[ \t\n\x0B\f\r]"
# What DuckDB's regular expressions call a space; its casts know one more.
REGEX_SPACE = r"[ \t\n\f\r]"


def literal(text: str) -> str:
    """A string literal; Spark knows escapes in it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def spaced(pattern: str) -> str:
    """The pattern for a whole value with spaces around it."""
    # Not $, which Java also finds before a line feed at the end.
    return rf"\A{REGEX_SPACE}*{pattern}{REGEX_SPACE}*\z"


def part(text: str, pattern: str, group: int) -> str:
    """What a group of the pattern holds; the empty text where it holds nothing or the whole does not match."""
    return f"regexp_extract({text}, {literal(pattern)}, {group})"


def with_parts(text: str, pattern: str, groups: int, value: Callable[[list[str]], str]) -> str:
    """A value made of what the groups of the pattern hold (empty where nothing), NULL if the whole does not match.

    The text is taken apart once: SQL has no other name for a value in the middle of an expression than a lambda's.
    No group may hold a bar.
    """
    groups_between_bars = "|".join(f"${group}" for group in range(1, groups + 1))
    parts = f"split(regexp_replace({text}, {literal(pattern)}, {literal(groups_between_bars)}), '[|]')"
    made = value([f"found[{group}]" for group in range(groups)])
    return f"CASE WHEN {text} RLIKE {literal(pattern)} THEN transform(array({parts}), found -> {made})[0] END"
