"""End the reading of a file where another table begins in it."""

from collections.abc import Iterator, Sequence

from datalake_assets.formats.delimited.csv_block import RowBlock
from datalake_assets.formats.delimited.csv_kinds import TYPED, Column, columns_of, kind_of, looks_like_header

PROFILED_ROWS = 200
PROFILE_STEP = 20
PAGES = 3  # a header that comes again as often stands on each page of one table
CONFIRMING_ROWS = 2  # rows of another width that must follow the header of a table of another width


def first_table(blocks: Iterator[RowBlock], *, names: Sequence[str], width: int) -> Iterator[RowBlock]:
    """The rows up to the first that begins another table.

    That is a row which repeats the header; or a row of names after a blank line or a row without any value; or a row of
    names with another number of fields, when the rows after it have another number of fields too.

    Args:
        names: the header's cells.
        width: fields a row usually has.
    """
    told = [name.strip() for name in names]
    seen: list[list[str]] = []
    profiles: dict[int, list[Column]] = {}

    def columns_before(index: int) -> list[Column]:
        """What the rows before the one in question look like; the rows after it may be another table's."""
        count = min(PROFILED_ROWS, len(seen) + index)
        count = count if count < PROFILE_STEP else count - count % PROFILE_STEP
        if count not in profiles:
            profiles[count] = columns_of([*seen, *block.rows[:index]][:count], width)
        return profiles[count]

    held: RowBlock | None = None
    is_first = True
    for incoming in blocks:
        block = incoming
        if held is not None:
            held.extend(incoming)
            block, held = held, None
        told = [] if _is_on_each_page(block, told) else told
        for index in _suspects(block, told):
            verdict = _begins_table(block, index, told, columns_before(index), width)
            if verdict is None:
                held = block
                break
            if verdict and not (is_first and index == 0):
                yield block.part(0, index)
                return
        if held is None:
            is_first = False
            seen += block.rows[: PROFILED_ROWS - len(seen)]
            yield block
    if held is not None:
        yield held


def _is_on_each_page(block: RowBlock, told: Sequence[str]) -> bool:
    return bool(told) and sum([cell.strip() for cell in row] == told for row in block.rows[:PROFILED_ROWS]) >= PAGES


def _begins_table(
    block: RowBlock, index: int, told: Sequence[str], columns: Sequence[Column], width: int
) -> bool | None:
    """Whether another table begins with a row; None if the rows after it are needed to tell."""
    row = block.rows[index]
    is_apart = index in block.gaps or (index > 0 and not any(block.rows[index - 1]))
    if any(told) and [cell.strip() for cell in row] == told:
        # In tables of nothing but texts values may well be called like their columns.
        return is_apart or looks_like_header(row, columns)
    if len(row) == width:
        return is_apart and looks_like_header(row, columns)
    if not are_names(row):
        return False
    after = [len(other) for other in block.rows[index + 1 : index + 1 + CONFIRMING_ROWS]]
    if width in after or len(set(after)) > 1:
        return False
    if len(after) < CONFIRMING_ROWS and not is_apart:
        return None
    return True


def are_names(row: Sequence[str]) -> bool:
    """Whether a row could be a header by itself: at least two names, none empty, a number or there twice."""
    cells = [cell.strip() for cell in row]
    return (
        len(cells) > 1
        and all(cells)
        and len(set(cells)) == len(cells)
        and not any(kind_of(cell) in TYPED or len(cell) > 100 for cell in cells)
    )


def _suspects(block: RowBlock, told: Sequence[str]) -> list[int]:
    first = told[0] if told else ""
    return [
        index
        for index, row in enumerate(block.rows)
        if index in block.raws
        or index in block.gaps
        or (told and row[0].strip() == first)
        or (index and not block.rows[index - 1][0] and not any(block.rows[index - 1]))
    ]
