"""What kind of statement a text is, told without parsing it: for engines whose own parser is far away."""

import re

from datalake_assets.errors import InvalidQuery

READING = ("select", "with", "values", "show", "describe", "desc", "explain")
# Strings, quoted names and comments, so that no word or semicolon within one of them counts.
_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))|(?P<text>'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z)|`[^`]*(?:`|\Z))"""
    r"""|(?P<word>\w+)|(?P<end>;)|(?P<other>\S)""",
    re.DOTALL,
)
READ_ONLY = "a query that reads: SELECT, WITH, DESCRIBE, SHOW TABLES or EXPLAIN"


def require_reading(sql: str) -> str:
    """Return the one statement of a text, without what ends it, if it only reads by its first word.

    Raises:
        InvalidQuery: the text is empty, holds several statements, or one that would change something.
    """
    body = without_end(sql)
    word = first_word(body)
    if not word:
        raise InvalidQuery("there is no statement", expected=READ_ONLY)
    if word not in READING:
        raise InvalidQuery(f"{word.upper()} is not a statement that this command runs", expected=READ_ONLY)
    return body


def without_end(sql: str) -> str:
    """The one statement of a text, without the semicolon that ends it.

    Raises:
        InvalidQuery: another statement follows.
    """
    ended_at = None
    for token in _TOKEN.finditer(sql):
        if token.lastgroup == "end":
            ended_at = token.start() if ended_at is None else ended_at
        elif token.lastgroup != "comment" and ended_at is not None:
            raise InvalidQuery(f"there is more than one statement, expected one\n\n{marked(sql, token.start())}")
    return sql if ended_at is None else sql[:ended_at]


def first_word(sql: str) -> str:
    """The first word of a statement in lower case, behind comments and brackets; '' if it begins with none."""
    for token in _TOKEN.finditer(sql):
        if token.lastgroup != "comment" and token[0] != "(":
            return token[0].lower()
    return ""


def word_after_comments(sql: str, word: str) -> int | None:
    """Where the rest of a statement begins that starts with this word; None for any other."""
    for token in _TOKEN.finditer(sql):
        if token.lastgroup != "comment":
            return token.end() if token[0].lower() == word else None
    return None


def marked(sql: str, at: int) -> str:
    """The line of a place with a mark below it, as parsers show it."""
    begin = sql.rfind("\n", 0, at) + 1
    line = sql[begin:].split("\n", 1)[0]
    label = f"LINE {sql.count(chr(10), 0, at) + 1}: "
    return f"{label}{line}\n{' ' * (len(label) + at - begin)}^"
