"""Texts within Spark SQL: literals, regular expressions for a whole value, JSON."""

SPACE = r"[ \t\n\x0B\f\r]"
# What DuckDB's regular expressions call a space; its casts know one more.
REGEX_SPACE = r"[ \t\n\f\r]"


def literal(text: str) -> str:
    """A string literal; Spark knows escapes in it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def literals(texts: "tuple[str, ...] | list[str]") -> str:
    """A list of string literals."""
    return ", ".join(literal(text) for text in texts)


def spaced(pattern: str) -> str:
    """The pattern for a whole value with spaces around it."""
    # Not $, which Java also finds before a line feed at the end.
    return rf"\A{REGEX_SPACE}*{pattern}{REGEX_SPACE}*\z"


def json_text(text: str) -> str:
    """A text that is not NULL as a JSON string."""
    array = f"to_json(array({text}))"
    return f"substr({array}, 2, length({array}) - 2)"


def part(text: str, pattern: str, group: int) -> str:
    """What a group of the pattern holds; the empty text where it holds nothing or the whole does not match."""
    return f"regexp_extract({text}, {literal(pattern)}, {group})"
