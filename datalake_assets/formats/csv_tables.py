"""End the reading of a file where another table begins in it."""

from collections.abc import Iterator, Sequence

from datalake_assets.formats.csv_kinds import Column, columns_of, looks_like_header
from datalake_assets.formats.csv_rows import RowBlock

PROFILED_ROWS = 200
CONFIRMING_ROWS = 2  # rows of another width that must follow the header of a table of another width


def first_table(blocks: Iterator[RowBlock], *, names: Sequence[str], width: int) -> Iterator[RowBlock]:
    """The rows up to the first that begins another table.

    That is a row which repeats the header; or a row of names after a row without any value; or a row of names with
    another number of fields, when the rows after it have another number of fields too.

    Args:
        names: the header's cells.
        width: fields a row usually has.
    """
    told = [name.strip() for name in names]
    columns: list[Column] = []
    seen: list[list[str]] = []
    held: RowBlock | None = None
    for incoming in blocks:
        block = incoming if held is None else _joined(held, incoming)
        held = None
        if len(seen) < PROFILED_ROWS:
            seen += block.rows[: PROFILED_ROWS - len(seen)]
            columns = columns_of(seen, width)
        for index in _suspects(block, told, width):
            row = block.rows[index]
            if [cell.strip() for cell in row] == told:
                yield _until(block, index)
                return
            if len(row) != width:
                after = [len(other) for other in block.rows[index + 1 : index + 1 + CONFIRMING_ROWS]]
                if looks_like_header(row, _unknown(columns, len(row))) and width not in after and len(set(after)) <= 1:
                    if len(after) < CONFIRMING_ROWS:
                        held = block
                        break
                    yield _until(block, index)
                    return
            elif index and not any(block.rows[index - 1]) and looks_like_header(row, columns):
                yield _until(block, index - 1)
                return
        if held is None:
            yield block
    if held is not None:
        yield held


def _suspects(block: RowBlock, told: Sequence[str], width: int) -> list[int]:
    first = told[0] if told else ""
    return [
        index
        for index, row in enumerate(block.rows)
        if index in block.raws
        or row[0].strip() == first
        or (index and not block.rows[index - 1][0] and not any(block.rows[index - 1]))
    ]


def _unknown(columns: Sequence[Column], count: int) -> list[Column]:
    """Columns to compare a row of another width with: the same ones, as far as they go."""
    return list(columns[:count])


def _until(block: RowBlock, index: int) -> RowBlock:
    return RowBlock(
        block.numbers[:index],
        block.rows[:index],
        {key: raw for key, raw in block.raws.items() if key < index},
        {key: why for key, why in block.problems.items() if key < index},
    )


def _joined(first: RowBlock, second: RowBlock) -> RowBlock:
    size = len(first.rows)
    return RowBlock(
        first.numbers + second.numbers,
        first.rows + second.rows,
        first.raws | {index + size: raw for index, raw in second.raws.items()},
        first.problems | {index + size: why for index, why in second.problems.items()},
    )
