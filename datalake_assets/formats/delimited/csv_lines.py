"""Cut a stream of text into physical lines, in blocks, in bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_LINE_CHARACTERS = 16 * 1024 * 1024
KEPT_CHARACTERS = 1_000  # of a line beyond that
MAX_HELD_BLANK_LINES = 100_000
BLOCK_CHARACTERS = 512 * 1024
DECIDING_CHARACTERS = BLOCK_CHARACTERS  # without a line feed, after which lines end with a carriage return


@dataclass(slots=True)
class LineBlock:
    """Lines without their ends (but with a carriage return before a line feed).

    `first` is the number of the first line in the file, from 1. `cut` holds the indexes of lines that were longer than
    `MAX_LINE_CHARACTERS`: only their beginning is there.
    """

    first: int
    lines: list[str]
    cut: frozenset[int] = frozenset()


def line_end_of(text: str) -> str:
    """What ends the lines of a text: a line feed, unless there is none but a carriage return."""
    return "\r" if "\r" in text and "\n" not in text else "\n"


def line_blocks(chunks: Iterable[str], *, skip: int = 0, skip_footer: int = 0) -> Iterator[LineBlock]:
    """The lines of a text, without its first `skip` and its last `skip_footer` ones.

    Blank lines at the very end are none of the footer, and are dropped with it. What ends a line is decided by the
    first half million characters; the other end of line stays within the lines.
    """
    blocks = _skipped(_cut(_pieces(chunks)), skip)
    return _without_footer(blocks, skip_footer) if skip_footer else blocks


def _pieces(chunks: Iterable[str]) -> Iterator[str]:
    """No chunk longer than a block: a list of lines takes several times the memory of their text."""
    for chunk in chunks:
        for start in range(0, len(chunk), BLOCK_CHARACTERS):
            yield chunk[start : start + BLOCK_CHARACTERS]


def _cut(chunks: Iterator[str]) -> Iterator[LineBlock]:
    end = ""
    rest: list[str] = []
    held = 0
    number = 1
    is_skipping = False
    for chunk in chunks:
        if not end:
            # A carriage return may be part of a quoted value, and a chunk end before the line feed that belongs to it.
            rest.append(chunk)
            held += len(chunk)
            if "\n" not in chunk and held < DECIDING_CHARACTERS:
                continue
            chunk, rest, held = "".join(rest), [], 0
            end = line_end_of(chunk)
        last = chunk.rfind(end)
        if last < 0:
            if not is_skipping:
                rest.append(chunk)
                held += len(chunk)
                if held > MAX_LINE_CHARACTERS:
                    rest, held, is_skipping = ["".join(rest)[:KEPT_CHARACTERS]], 0, True
            continue
        rest.append(chunk[:last])
        if is_skipping:
            kept, rest = rest[0], rest[1:]
            lines = [kept, *"".join(rest).split(end)[1:]]
            yield LineBlock(number, lines, frozenset((0,)))
            is_skipping = False
        else:
            lines = "".join(rest).split(end)
            yield LineBlock(number, lines)
        number += len(lines)
        rest, held = [chunk[last + 1 :]], len(chunk) - last - 1
    text = "".join(rest)
    if text and is_skipping:
        yield LineBlock(number, [rest[0]], frozenset((0,)))
    elif text:
        lines = text.split(end or line_end_of(text))
        yield LineBlock(number, lines if lines[-1] else lines[:-1])


def _skipped(blocks: Iterator[LineBlock], skip: int) -> Iterator[LineBlock]:
    for block in blocks:
        if skip >= len(block.lines):
            skip -= len(block.lines)
            continue
        yield _sliced(block, skip, len(block.lines)) if skip else block
        skip = 0


def _without_footer(blocks: Iterator[LineBlock], count: int) -> Iterator[LineBlock]:
    held: LineBlock | None = None
    for block in blocks:
        if held is not None:
            cut = held.cut | {index + len(held.lines) for index in block.cut}
            block = LineBlock(held.first, held.lines + block.lines, cut)
        size = len(block.lines)
        last = size
        while last and size - last < MAX_HELD_BLANK_LINES and is_blank(block.lines[last - 1]):
            last -= 1
        keep = max(0, last - count)
        if keep:
            yield _sliced(block, 0, keep)
        held = _sliced(block, keep, size)


def _sliced(block: LineBlock, start: int, stop: int) -> LineBlock:
    cut = frozenset(index - start for index in block.cut if start <= index < stop) if block.cut else block.cut
    return LineBlock(block.first + start, block.lines[start:stop], cut)


def is_blank(line: str) -> bool:
    """Whether a line holds nothing at all (a line of spaces may be a value)."""
    return not line or line == "\r"
