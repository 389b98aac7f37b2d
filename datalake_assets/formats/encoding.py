"""From bytes to text: which encoding a text is in, and decoding it piece by piece."""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from datalake_assets.errors import UnreadableObject

# A byte order mark decides; the longer ones first, as UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What a file in UTF-16 has at least of: Western text is every other byte NUL, CJK text still has its separators.
_MIN_NUL_SHARE = 0.1
_MAX_CONTROL_SHARE = 0.02
_TEXT_CONTROLS = b"\t\n\r\x0b\x0c\x1b\x1a\x08\x1c\x1d\x1e\x1f\x01\x02\x03"
_OTHER_CONTROLS = bytes(set(range(32)) - set(_TEXT_CONTROLS)) + b"\x7f"
_WRONG_BYTE = re.compile("[\udc80-\udcff]")
_MIN_RIGHT_CHARACTERS = 4  # of UTF-8, for each byte that is wrong in it
_CP1252_PRINTABLE = frozenset(range(0x80, 0xA0)) - {0x81, 0x8D, 0x8F, 0x90, 0x9D}


@dataclass(frozen=True, slots=True)
class DetectedEncoding:
    """The encoding of a text, how certain that is (0 to 1), and why. An empty name: these bytes are no text."""

    name: str
    certainty: float
    reason: str

    @property
    def is_text(self) -> bool:
        return bool(self.name)


def detect_encoding(head: bytes, *, is_complete: bool = False) -> DetectedEncoding:
    """Tell the encoding from the beginning of a text.

    In this order: a byte order mark, valid UTF-8, NULs at every other byte (UTF-16), else one byte a character: what
    reads as Windows-1252 is taken for it, otherwise Latin-1. Control characters that no text has mean binary data.

    Args:
        head: the first bytes, decompressed.
        is_complete: whether that is all; else a character may be cut at the end.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return DetectedEncoding(name, 1.0, f"begins with the byte order mark of {name.upper()}")
    if not head:
        return DetectedEncoding("", 1.0, "there are no bytes")
    nuls = head.count(0)
    if not nuls and _is_utf8(head, is_complete):
        if len(head) - len(head.translate(None, _OTHER_CONTROLS)) > len(head) * _MAX_CONTROL_SHARE:
            return DetectedEncoding("", 0.9, "holds control characters that no text has")
        return DetectedEncoding("utf-8", 1.0 if not head.isascii() else 0.99, "every byte is valid UTF-8")
    if nuls:
        return _utf16(head, nuls, is_complete) or _with_nuls(head, nuls, is_complete)
    return _nearly_utf8(head, is_complete) or _one_byte(head)


def decoded(
    chunks: Iterable[bytes], encoding: str, uri: str, *, errors: Literal["strict", "surrogateescape"] = "strict"
) -> Iterator[str]:
    """Decode a stream of bytes; a byte order mark at its beginning is dropped.

    With `errors="surrogateescape"` a byte that is wrong in the encoding becomes a lone surrogate (U+DC80 … U+DCFF),
    so that a reader can set its record aside; see `is_decodable`. It is for encodings of bytes, as UTF-8.

    Raises:
        UnreadableObject: bytes that are no text in `encoding`.
    """
    name = codecs.lookup(encoding).name
    may_escape = not name.startswith(("utf-16", "utf-32"))
    decoder = codecs.getincrementaldecoder(name)(errors if may_escape else "strict")
    position = 0
    is_first = True
    try:
        for chunk in chunks:
            if position == 0 and chunk and may_escape:
                _refuse_other_marks(chunk, name, uri)
            text = decoder.decode(chunk)
            position += len(chunk)
            if is_first and text:
                text = text.removeprefix("\ufeff")
                is_first = False
            if text:
                yield text
        if text := decoder.decode(b"", final=True):
            yield text
    except UnicodeError as error:
        raise UnreadableObject(
            f"the object is not text in {name}: {error} (after byte {position:,})",
            where=uri,
            todo="Set source.encoding to the encoding of the files.",
        ) from error


def is_decodable(text: str) -> bool:
    """Whether a text that `decoded` gave with `surrogateescape` holds no wrong byte."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_other_marks(chunk: bytes, encoding: str, uri: str) -> None:
    if encoding.startswith("utf-8") or encoding in ("ascii", "iso8859-1", "cp1252"):
        for mark, name in _MARKS[1:]:
            if chunk.startswith(mark):
                raise UnreadableObject(
                    f"the object is {name.upper()} text",
                    where=uri,
                    expected=f"text in {encoding}",
                    todo=f"Set source.encoding to {name}.",
                )


def _is_utf8(head: bytes, is_complete: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=is_complete)
    except UnicodeDecodeError:
        return False
    return True


def _nearly_utf8(head: bytes, is_complete: bool) -> DetectedEncoding | None:
    """UTF-8 with single wrong bytes: other encodings hardly ever look like several characters of UTF-8."""
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(head, final=is_complete)
    wrong = sum(map(text.count, set(_WRONG_BYTE.findall(text))))
    right = len(text) - len(text.encode("ascii", "ignore")) - wrong
    if right < _MIN_RIGHT_CHARACTERS or wrong * _MIN_RIGHT_CHARACTERS > right:
        return None
    if len(head) - len(head.translate(None, _OTHER_CONTROLS)) > len(head) * _MAX_CONTROL_SHARE:
        return None
    return DetectedEncoding(
        "utf-8", 0.8, f"valid UTF-8 but for {wrong} wrong bytes among {right} characters beyond ASCII"
    )


def _utf16(head: bytes, nuls: int, is_complete: bool) -> DetectedEncoding | None:
    even, odd = head[::2].count(0), head[1::2].count(0)
    if nuls < len(head) * _MIN_NUL_SHARE or min(even, odd) * 20 > max(even, odd):
        return None
    name = "utf-16-le" if odd > even else "utf-16-be"
    try:
        text = codecs.getincrementaldecoder(name)().decode(head, final=is_complete)
    except UnicodeDecodeError:
        return None
    controls = sum(text.count(chr(one)) for one in _OTHER_CONTROLS)
    if controls > len(text) * _MAX_CONTROL_SHARE or not text:
        return None
    half = "second" if name == "utf-16-le" else "first"
    return DetectedEncoding(name, 0.95, f"the {half} byte of nearly every pair is NUL")


def _with_nuls(head: bytes, nuls: int, is_complete: bool) -> DetectedEncoding:
    # A stray NUL in a cell is a fault of one record; more of them are binary data.
    others = len(head) - len(head.translate(None, _OTHER_CONTROLS)) - nuls
    if (nuls + others) * 200 <= len(head) and _is_utf8(head, is_complete):
        return DetectedEncoding("utf-8", 0.8, f"valid UTF-8 with {nuls} NUL characters")
    return DetectedEncoding("", 0.95, f"holds {nuls} NUL bytes, which is binary data")


def _one_byte(head: bytes) -> DetectedEncoding:
    controls = len(head) - len(head.translate(None, _OTHER_CONTROLS))
    high = [byte for byte in set(head) if byte >= 0x80]
    count = sum(head.count(byte) for byte in high)
    if controls > len(head) * 0.005:
        return DetectedEncoding("", 0.95, "holds control characters that no text has")
    if count > len(head) * 0.3:
        # Text of another alphabet in one of its own encodings (cp1251, Shift JIS …), or no text at all.
        return _by_frequency(head)
    if any(byte in _CP1252_PRINTABLE for byte in high):
        undefined = [byte for byte in high if 0x80 <= byte < 0xA0 and byte not in _CP1252_PRINTABLE]
        if not undefined:
            return DetectedEncoding("cp1252", 0.8, "not UTF-8; holds bytes that only Windows-1252 has as characters")
        return _by_frequency(head)
    if any(0x80 <= byte < 0xA0 for byte in high):
        return _by_frequency(head)
    return DetectedEncoding("latin-1", 0.8, "not UTF-8; every byte is a character of Latin-1")


def _by_frequency(head: bytes) -> DetectedEncoding:
    from charset_normalizer import from_bytes

    best = from_bytes(head[: 64 * 1024], enable_fallback=False, preemptive_behaviour=True).best()
    if best is None or best.chaos > 0.1 or best.coherence < 0.2:
        return DetectedEncoding("", 0.7, "is no text in any encoding that could be told")
    return DetectedEncoding(best.encoding, 0.6, f"reads as {best.encoding} by the frequency of its letters")
