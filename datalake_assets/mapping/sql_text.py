"""Texts in SQL."""

from collections.abc import Sequence

# The fastest level writes files that are about two percent larger in five sixths of the time.
COPY_OPTIONS = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"


def literal(text: str) -> str:
    """A string literal; standard quoting is complete because DuckDB knows no escapes in it."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Sequence[str]) -> str:
    """A list of string literals, for IN or a list value."""
    return ", ".join(literal(text) for text in texts)
