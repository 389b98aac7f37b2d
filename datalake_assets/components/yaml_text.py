"""YAML in the house style, written so that comments and one-line entries come out as a person would write them.

Whatever came from data is quoted or escaped here: a column called `- {x: y}` stays a text, a comment stays a comment.
"""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

LINE_CHARACTERS = 118
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./@ -]*(?<! )|[a-z]+:[a-z][a-z0-9-]*")
_ESCAPED = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029\ufeff\xa0\xad]")


def flow(value: Any) -> str:
    """A value on one line: `{from: price, to: price_eur, type: "decimal(12,2)"}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(str(key))}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(flow(each) for each in value) + "]"
    if isinstance(value, str):
        return text(value)
    return json.dumps(value)


def text(value: str) -> str:
    """A text, in quotes unless it reads the same without them."""
    if _PLAIN.fullmatch(value) and yaml.safe_load(value) == value:
        return value
    # JSON's escapes are YAML's too, except that YAML knows no surrogate pairs and counts more characters as line ends.
    return _ESCAPED.sub(_escape, json.dumps(value, ensure_ascii=False))


def comment(words: str, *, indent: int) -> list[str]:
    """Lines of a comment, wrapped."""
    start = " " * indent + "# "
    shown = _ESCAPED.sub(_escape, " ".join(words.split()))
    return textwrap.wrap(
        shown,
        width=LINE_CHARACTERS,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
