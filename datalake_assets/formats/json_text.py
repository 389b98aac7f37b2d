"""JSON taken apart as text: where a value ends, whether it is valid, how deep it is nested.

Values keep their original spelling, so nothing here hands on what a parser made of them: `json` only tells where a
value ends and that it is valid, at the speed of C. What it cannot parse is measured with a scanner that calls itself
never and holds nothing of what is too long.
"""

import json
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from datalake_assets.formats.batches import MAX_DEPTH, MAX_RECORD_CHARACTERS, SHOWN_CHARACTERS
from datalake_assets.formats.encoding import is_decodable

_SPACE = re.compile(r"[ \t\r\n]*")
_STRUCTURE = re.compile(r'[{}\[\]"]')
_SCALAR_END = re.compile(r"[,\]}\s]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
FOLLOWED = "is followed by something else on its line"
_KINDS = {"[": "an array", '"': "a text", "t": "a boolean", "f": "a boolean", "n": "null"}


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_int=len, parse_float=len)
_decode = _DECODER.raw_decode


class Value(NamedTuple):
    """One value as it is written; `reason` says why it is no valid record. A long one is cut."""

    text: str
    reason: str | None


def why_no_record(text: str) -> str | None:
    """Why a text is no JSON object of a bearable size, as the end of a sentence; None when it is one."""
    if len(text) > MAX_RECORD_CHARACTERS:
        return f"is longer than {MAX_RECORD_CHARACTERS >> 20} MB"
    if not is_decodable(text):
        return "holds bytes that are no text in the encoding of the file"
    if is_too_deep(text):
        return f"is nested more than {MAX_DEPTH} levels deep"
    try:
        value, end = _decode(text, 0)
    except RecursionError:
        return f"is nested more than {MAX_DEPTH} levels deep"
    except ValueError as error:
        return f"is no valid JSON: {_told(error, text)}"
    if end != len(text) and text[end:].strip():
        return FOLLOWED
    return _why_no_object(text, value)


def is_too_deep(text: str) -> bool:
    """Whether objects and arrays are nested deeper than `MAX_DEPTH`."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    depth = 0
    position = 0
    while found := _STRUCTURE.search(text, position):
        position = found.end()
        character = found.group()
        if character == '"':
            position = _after_string(text, position)
        else:
            depth += 1 if character in "{[" else -1
            if depth > MAX_DEPTH:
                return True
    return False


def _in_string(text: str, position: int) -> int:
    """Where the next quote, backslash or line end is; -1 if there is none. Far faster than a regular expression."""
    quote = text.find('"', position)
    end = quote if quote >= 0 else len(text)
    for character in ("\\", "\n"):
        if (found := text.find(character, position, end)) >= 0:
            quote = end = found
    return quote


def _after_string(text: str, position: int) -> int:
    while (found := _in_string(text, position)) >= 0:
        if text[found] != "\\":
            return found + 1
        position = found + 2
    return len(text)


def _why_no_object(text: str, value: object) -> str | None:
    if not isinstance(value, dict):
        kind = _KINDS.get(text.lstrip()[:1], "a number")
        return f"is {kind}, not an object"
    if _SURROGATE.search(text) and not _has_whole_pairs(text):
        return "holds half a surrogate pair, which is no character"
    return None


def _has_whole_pairs(text: str) -> bool:
    try:
        json.dumps(_DECODER.decode(text), ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _told(error: ValueError, text: str) -> str:
    if isinstance(error, json.JSONDecodeError):
        # Without the place in the record: the quarantine counts reasons, and shows the record beside each.
        if error.msg.startswith("Unterminated string"):
            return "a text in it is not closed"
        if error.pos >= len(text.rstrip()):
            return "it ends in the middle"
        return f"{error.msg[:1].lower()}{error.msg[1:]}"
    return str(error)


class JsonScanner:
    """Reads values one after the other from pieces of text, holding no more than one value and one piece."""

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks = chunks
        self._text = ""
        self._position = 0
        self._at_end = False

    def peek(self) -> str:
        """The next character that is no space, without taking it; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._fill():
                return ""

    def accept(self, character: str) -> bool:
        """Take the next character if it is this one."""
        if self.peek() != character:
            return False
        self._position += 1
        return True

    def skip_commas(self) -> None:
        while self.accept(","):
            pass

    def key(self) -> str | None:
        """Take a text and the colon behind it; None when something else stands there."""
        if self.peek() != '"':
            return None
        value = self.take()
        if value.reason and "not an object" not in value.reason:
            return None
        return str(json.loads(value.text)) if self.accept(":") else None

    def take(self, *, is_kept: bool = True) -> Value:
        """Take one value, be it valid or not.

        Args:
            is_kept: False skips it: however long it is, nothing of it is held.
        """
        character = self.peek()
        begin = self._position
        try:
            value, end = _decode(self._text, begin)
        except (ValueError, RecursionError):
            return self._measured(is_kept)
        # A number may go on in the next piece.
        if end == len(self._text) and character not in '{["' and not self._at_end:
            return self._measured(is_kept)
        text = self._text[begin:end]
        self._position = end
        if not is_kept:
            return Value("", None)
        if len(text) > MAX_RECORD_CHARACTERS or is_too_deep(text) or not is_decodable(text):
            return Value(text[:MAX_RECORD_CHARACTERS], why_no_record(text))
        return Value(text, _why_no_object(text, value))

    def _measured(self, is_kept: bool) -> Value:
        """Find the end of a value piece by piece, then look whether it is valid."""
        parts: list[str] = []
        size = 0
        for part in self._parts():
            size += len(part)
            if is_kept and size <= MAX_RECORD_CHARACTERS:
                parts.append(part)
            elif parts:
                parts = ["".join(parts)[:SHOWN_CHARACTERS]]
                is_kept = False
        text = "".join(parts)
        if size > MAX_RECORD_CHARACTERS:
            return Value(text[:SHOWN_CHARACTERS], f"is longer than {MAX_RECORD_CHARACTERS >> 20} MB")
        return Value(text, why_no_record(text) if text else None)

    def _parts(self) -> Iterator[str]:
        """The pieces of one value up to its end, which is found by its brackets and quotes."""
        if self.peek() not in '{["':
            yield from self._scalar()
            return
        depth = 0
        state: Literal["value", "string", "escape"] = "value"
        begin = position = self._position
        while True:
            text = self._text
            while position < len(text):
                if state == "escape":
                    position, state = position + 1, "string"
                    continue
                if state == "value":
                    match = _STRUCTURE.search(text, position)
                    found = match.start() if match else -1
                else:
                    found = _in_string(text, position)
                if found < 0:
                    position = len(text)
                    break
                position = found + 1
                character = text[found]
                if state == "string":
                    if character == "\n":
                        # No text goes over a line end: this one is never closed. What follows is read again.
                        self._position = position
                        yield text[begin : position - 1]
                        return
                    state = "escape" if character == "\\" else "value"
                elif character == '"':
                    state = "string"
                else:
                    depth += 1 if character in "{[" else -1
                if depth <= 0 and state == "value":
                    self._position = position
                    yield text[begin:position]
                    return
            yield text[begin:]
            self._position = len(text)
            if not self._fill():
                return
            begin = position = self._position

    def _scalar(self) -> Iterator[str]:
        while True:
            # At least one character is taken, so that a stray bracket is not read for ever.
            found = _SCALAR_END.search(self._text, self._position + 1)
            end = found.start() if found else len(self._text)
            yield self._text[self._position : end]
            self._position = end
            if found or not self._fill():
                return
            if _SCALAR_END.match(self._text, self._position):
                return

    def _fill(self) -> bool:
        """Read on; what was taken is forgotten."""
        chunk = next(self._chunks, None)
        if chunk is None:
            self._at_end = True
            return False
        self._text = self._text[self._position :] + chunk
        self._position = 0
        return True
