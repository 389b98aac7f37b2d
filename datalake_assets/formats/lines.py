"""A stream of text as numbered lines; a line that is too long is cut, never held."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from datalake_assets.formats.batches import SHOWN_CHARACTERS


class Line(NamedTuple):
    """A line without its end; `is_cut` when it was too long and only its beginning is here."""

    number: int
    text: str
    is_cut: bool


def numbered_lines(chunks: Iterable[str], *, limit: int, first: int = 1) -> Iterator[Line]:
    """Lines that end with LF or CR LF, counted from `first`; nothing else ends a line.

    Args:
        limit: characters a line may have; of a longer one the first `SHOWN_CHARACTERS` are given.
    """
    number = first
    rest: list[str] = []
    size = 0
    for chunk in chunks:
        pieces = chunk.split("\n")
        last = pieces.pop()
        for piece in pieces:
            if rest:
                rest.append(piece)
                text, size, rest = "".join(rest), size + len(piece), []
            else:
                text, size = piece, len(piece)
            yield _line(number, text, size > limit)
            number += 1
            size = 0
        if last:
            rest.append(last)
            size += len(last)
            if size > limit:
                rest = ["".join(rest)[:SHOWN_CHARACTERS]]
    if rest:
        yield _line(number, "".join(rest), size > limit)


def _line(number: int, text: str, is_cut: bool) -> Line:
    if is_cut:
        return Line(number, text[:SHOWN_CHARACTERS], is_cut=True)
    return Line(number, text[:-1] if text.endswith("\r") else text, is_cut=False)


def shown(text: str) -> str:
    """A broken text as Arrow takes it: wrong bytes become the replacement character."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
