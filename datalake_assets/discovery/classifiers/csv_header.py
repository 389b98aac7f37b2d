"""Where the table of a delimited text begins, and what its columns are called.

Rows of data are told from others by what stands in the columns of most rows: a column of numbers, dates or codes is an
anchor, and a row that fits the anchors is data. The row of names above the longest run of data is the header; what is
above that is preamble. In a table of nothing but texts the first full row is taken for the header.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from datalake_assets.formats.delimited.csv_block import RowBlock
from datalake_assets.formats.delimited.csv_fields import Dialect, split_strictly
from datalake_assets.formats.delimited.csv_kinds import TYPED, Column, columns_of, kind_of
from datalake_assets.formats.delimited.csv_repair import OTHER_DELIMITERS

SEARCHED_ROWS = 60  # a table begins within them
PROFILED_ROWS = 500
MAX_HEADER_ROWS = 5
BROKEN_ROWS = 3  # that may stand directly below the header
MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class Layout:
    """Where things are: lines to skip, rows of the header, the index of the first row of data.

    `names` are set when the file's header cannot be used as it is (another width or delimiter than the rows have).
    """

    skip_rows: int
    header: int
    first: int
    certainty: float
    reason: str
    names: tuple[str, ...] = ()


def find_layout(block: RowBlock, width: int, dialect: Dialect) -> Layout:
    """Find the header of the rows of a text; `width` is how many fields most of them have."""
    rows = block.rows
    whole = [row for row in rows if len(row) == width and any(row)]
    if len(whole) == 1:
        return _of_one_row(block, width)
    # The first rows may be something else than data, and so may the last ones.
    told = whole[max(1, len(whole) // 4) : len(whole) - len(whole) // 8]
    columns = columns_of(told[:PROFILED_ROWS], width)
    table = _Rows(rows, columns, width)
    start = table.first_data()
    if start is None:
        return _of_texts(block, table, width)
    header = _header_above(block, table, start)
    if header is not None:
        return header
    replaced = _mended_names(block, start, width, dialect, columns)
    if (
        start
        and len(rows[start - 1]) == width - 1
        and columns[-1].main == "empty"
        and (not replaced or not replaced[3])
    ):
        # Rows end with a delimiter, and the header does not.
        header = _header_above(block, _Rows(rows, columns[:-1], width - 1), start)
        if header is not None:
            return header
    if replaced is not None:
        names, why, certainty, _ = replaced
        return Layout(block.numbers[start] - 1, 0, start, certainty, why, names)
    skip = block.numbers[start] - 1 if start else 0
    certainty = 0.5 + 0.5 * table.fit(rows[start])
    return Layout(skip, 0, start, certainty, "the first row is data like the others, so the names are generated")


class _Rows:
    """Rows compared with what the columns usually hold."""

    def __init__(self, rows: Sequence[Sequence[str]], columns: Sequence[Column], width: int) -> None:
        self.rows = rows
        self.columns = columns
        self.width = width
        self.anchors = [
            index
            for index, column in enumerate(columns)
            if column.filled and (column.main in TYPED or (column.shape is not None and column.main != "word"))
        ]

    def fit(self, row: Sequence[str]) -> float:
        """The share of the anchors with a value that a row fits; 0 if it has none."""
        held = [index for index in self.anchors if index < len(row) and row[index].strip()]
        return sum(self.columns[index].fits(row[index]) for index in held) / len(held) if held else 0.0

    def is_data(self, row: Sequence[str]) -> bool:
        if self.has_years(row) or self.has_running_numbers(row):
            return False
        if len(row) == self.width:
            return self.fit(row) > 0.5
        # What is left of a delimiter too many or too few is where it should be.
        held = [index for index in self.anchors if index < len(row) and row[index].strip()][:3]
        fitting = [index for index in held if self.columns[index].fits(row[index])]
        return len(row) > 1 and len(fitting) >= min(2, len(self.anchors)) and fitting[:2] == held[:2]

    def is_names(self, row: Sequence[str]) -> bool:
        """Whether a row may be (a part of) a header: nothing in it fits a column that holds something recognisable."""
        cells = [(index, cell) for index, cell in enumerate(row) if cell.strip()]
        # One cell is a title if it is the first, and the group or the unit of a column if it is another.
        if not cells or any(len(cell) > MAX_NAME_CHARACTERS for _, cell in cells):
            return False
        if len(cells) == 1 and self.width > 1 and cells[0][0] == 0:
            return False
        if self.has_years(row) or self.has_running_numbers(row):
            return True
        held = [index for index, _ in cells if index in self.anchors]
        if held and self.fit(row) > 0.34:
            return False
        typed = [index for index, cell in cells if kind_of(cell) in TYPED]
        return len(typed) * 2 <= len(cells) and sum(index not in self.anchors for index in typed) * 3 <= len(cells)

    def has_years(self, row: Sequence[str]) -> bool:
        """Whether the numbers of a row are years in order, over columns that hold other numbers."""
        numbers = [(index, cell.strip()) for index, cell in enumerate(row) if kind_of(cell) == "integer"]
        if len(numbers) < 2 or not all(len(text) == 4 and 1800 <= int(text) <= 2200 for _, text in numbers):
            return False
        years = [int(text) for _, text in numbers]
        # Below groups of columns they come again with each group.
        years = years[: years.index(years[0], 1)] if years[0] in years[1:] else years
        if [text for _, text in numbers] != [str(year) for year in years] * (len(numbers) // len(years)):
            return False
        if years != sorted(set(years)) and years != sorted(set(years), reverse=True):
            return False
        return all(self.columns[index].shapes.get("9", 0) == 0 or not self._holds_years(index) for index, _ in numbers)

    def has_running_numbers(self, row: Sequence[str]) -> bool:
        """Whether a row is a text over other texts and 1, 2, 3 … over numbers that do not count up."""
        if len(row) != self.width or not row[0].strip() or kind_of(row[0]) in TYPED or self.columns[0].fits(row[0]):
            return False
        places = [index for index, cell in enumerate(row) if kind_of(cell) == "integer"]
        if not _count_up([row[index].strip() for index in places]):
            return False
        held = [other for other in self.rows[-20:] if len(other) == self.width and other is not row]
        return not any(_count_up([other[index].strip() for index in places]) for other in held)

    def _holds_years(self, index: int) -> bool:
        held = [row[index].strip() for row in self.rows[-20:] if len(row) == self.width]
        years = [text for text in held if len(text) == 4 and text.isdigit() and 1800 <= int(text) <= 2200]
        return len(years) * 2 > len(held)

    def first_data(self) -> int | None:
        """The first row of the longest table; None if nothing tells data from names."""
        if not self.anchors:
            return None
        is_data = [self.is_data(row) for row in self.rows]
        begins: list[int] = []
        for index in range(min(SEARCHED_ROWS, len(is_data))):
            following = is_data[index : index + 4]
            if not is_data[index] or sum(following) * 2 < len(following):
                continue
            if not begins or (index and not is_data[index - 1] and self.is_full_names(self.rows[index - 1])):
                if begins and self._is_one_table(is_data, begins[-1], index):
                    continue  # a damaged row, of texts only because its cells stand elsewhere
                begins.append(index)
        if not begins:
            return next((index for index, data in enumerate(is_data) if data), None)
        ends = [*begins[1:], len(self.rows)]
        return max(zip(begins, ends, strict=True), key=lambda pair: (sum(is_data[pair[0] : pair[1]]), -pair[0]))[0]

    def _is_one_table(self, is_data: Sequence[bool], begin: int, index: int) -> bool:
        """Whether the rows before one that may be a header are data of the same columns."""
        fitting = sum(is_data[at] and self.fit(self.rows[at]) > 0.9 for at in range(begin, index - 1))
        return fitting > 1 and fitting >= 0.8 * (index - 1 - begin)

    def is_full_names(self, row: Sequence[str]) -> bool:
        cells = [cell.strip() for cell in row]
        return len(cells) == self.width and all(cells[:-1]) and len(set(cells)) == len(cells) and self.is_names(row)


def _header_above(block: RowBlock, table: _Rows, start: int) -> Layout | None:
    """The header directly above the first row of data."""
    rows, width = block.rows, table.width
    bottom = start - 1
    while bottom >= 0 and not any(cell.strip() for cell in rows[bottom]):
        bottom -= 1  # a row without values between the names and the data
    # Rows of another width below the header are broken rows of data, those with a first cell only head a group of rows.
    lost = bottom
    while bottom > 0 and bottom > lost - BROKEN_ROWS and (len(rows[bottom]) != width or _is_heading(rows[bottom])):
        if table.is_full_names(rows[bottom - 1]) or table.has_years(rows[bottom - 1]):
            bottom -= 1
            start = bottom + 1
            break
        bottom -= 1
    else:
        bottom = lost
    if bottom < 0 or len(rows[bottom]) < width or not table.is_names(rows[bottom]):
        return None
    row = rows[bottom]
    if len(row) > width and (len(row) > 2 * width or not all(cell.strip() for cell in row)):
        return None
    filled = [cell for cell in row[:width] if cell.strip()]
    if len(filled) * 2 < width and not (bottom and len(rows[bottom - 1]) == width):
        return None
    top = bottom
    while top > 0 and bottom - top + 1 < MAX_HEADER_ROWS and _belongs(block, table, top - 1, bottom):
        top -= 1
    if top < bottom and table.is_full_names(rows[top]) and _is_sparser(rows[bottom], rows[top]):
        bottom, start = top, top + 1
    count = bottom - top + 1
    between = start - bottom - 1
    if between:
        if count > 1 or any(rows[bottom + 1]):
            return None
        count += between  # rows without values name nothing
    held = [index for index in table.anchors if index < len(row) and row[index].strip()]
    certainty = 0.6 + 0.4 * len(held) / max(1, len(table.anchors)) * (1 - table.fit(row))
    above = f"{block.numbers[top] - 1} lines of preamble, then " if block.numbers[top] > 1 else ""
    told = "a row of names" if count == 1 else f"{count} rows of names"
    return Layout(
        block.numbers[top] - 1, count, start, certainty, f"{above}{told} over columns that hold something else"
    )


def _count_up(numbers: Sequence[str]) -> bool:
    """Whether at least three whole numbers follow one another."""
    if len(numbers) < 3 or not all(number.isdecimal() and len(number) < 10 for number in numbers):
        return False
    return all(int(after) - int(before) == 1 for before, after in pairwise(numbers))


def _is_heading(row: Sequence[str]) -> bool:
    return bool(row and row[0].strip()) and not any(cell.strip() for cell in row[1:])


def _is_sparser(row: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a row below complete names has a first value but lacks others: data; units begin where numbers do."""
    return bool(row[0].strip()) and sum(map(bool, map(str.strip, row))) < sum(map(bool, map(str.strip, names)))


def _belongs(block: RowBlock, table: _Rows, index: int, bottom: int) -> bool:
    """Whether the row `index` belongs to the header that begins below it.

    It does if it says the same as the header, fills its gaps, begins with an empty cell as groups of columns do, or is
    as full in a table too wide for pairs of key and value; but not over a blank line.
    """
    row, below = block.rows[index], block.rows[bottom]
    if index + 1 in block.gaps or len(row) != table.width or not table.is_names(row):
        return False
    cells, names = [cell.strip() for cell in row], [cell.strip() for cell in below]
    if cells == names:
        return True
    filled = sum(map(bool, cells))
    if filled == 1 or not cells[0]:
        return not cells[0]
    gaps = [place for place, name in enumerate(names) if not name or names.count(name) > 1]
    if gaps and any(cells[place] or any(cells[:place]) for place in gaps):
        return True
    return filled >= 0.75 * table.width if table.width >= 4 else filled == table.width == 3


def _of_one_row(block: RowBlock, width: int) -> Layout:
    index = next(index for index, row in enumerate(block.rows) if len(row) == width and any(row))
    row = block.rows[index]
    typed = sum(kind_of(cell) in TYPED for cell in row)
    skip = block.numbers[index] - 1 if index else 0
    numbers = [cell.strip() for cell in row if kind_of(cell) == "integer"]
    if typed * 3 > len(row) and not (typed == len(numbers) < len(row) and _count_up(numbers)):
        return Layout(skip, 0, index, 0.6, "the only row is data, so the names are generated")
    return Layout(skip, 1, index + 1, 0.7, "the only row is one of names")


def _of_texts(block: RowBlock, table: _Rows, width: int) -> Layout:
    """The first full row of a table of nothing but texts is the header, unless its values stand in the rows below."""
    rows = block.rows
    start = next(index for index, row in enumerate(rows) if len(row) == width)
    if start and len(rows[start - 1]) == width - 1 and table.columns[-1].main == "empty":
        # Rows end with a delimiter, and the header does not.
        return Layout(block.numbers[start - 1] - 1 if start > 1 else 0, 1, start, 0.75, "rows end with a delimiter")
    top = next(
        (
            index
            for index, row in enumerate(rows[:SEARCHED_ROWS])
            if len(row) == width and sum(1 for cell in row if cell.strip()) >= max(1, width - 1)
        ),
        start,
    )
    row = [cell.strip() for cell in rows[top]]
    skip = block.numbers[top] - 1 if top else 0
    below = [other for other in rows[top + 1 :] if len(other) == width]
    again = sum(
        any(other[index].strip() == cell for other in below[:PROFILED_ROWS]) for index, cell in enumerate(row) if cell
    )
    is_repeated = row in [[cell.strip() for cell in other] for other in below[:PROFILED_ROWS]]
    typed = sum(kind_of(cell) in TYPED for cell in row)
    if typed or len(set(row)) < len(row) or not all(row[:-1]) or (again * 2 > width and not is_repeated):
        return Layout(skip, 0, top, 0.55, "the first row looks like the others, so the names are generated")
    if any(len(cell) > MAX_NAME_CHARACTERS for cell in row):
        return Layout(skip, 0, top, 0.5, "the first row is too long for names, so they are generated")
    certainty = 0.75 if not again else 0.6
    return Layout(skip, 1, top + 1, certainty, "all columns hold texts: the first full row is taken for the names")


def _mended_names(
    block: RowBlock, start: int, width: int, dialect: Dialect, columns: Sequence[Column]
) -> tuple[tuple[str, ...], str, float, bool] | None:
    """The names of a header that has another width than the rows: with a delimiter too many or too few, or another."""
    if start == 0:
        return None
    row = [cell.strip() for cell in block.rows[start - 1]]
    raw = block.raws.get(start - 1)
    if raw is None or len(row) == width:
        return None
    others = [other for other in OTHER_DELIMITERS if other not in (dialect.delimiter, dialect.quote) and other in raw]
    if raw.count(dialect.delimiter) * 2 >= width:
        others = []  # it is written with the file's own
    for other in others:
        outcome, fields = split_strictly(raw, Dialect(other, dialect.quote, dialect.escape))
        cells = [value.strip() for value in fields.values]
        if outcome == "whole" and len(cells) == width and _could_be_names(cells):
            return tuple(cells), f"the header is written with {other!r} between its names", 0.8, True
    if len(row) > width:
        names = [name for name in row if name]
        return (tuple(names), "the header has a delimiter too many", 0.8, True) if len(names) == width else None
    if len(row) < max(2, width / 2) or not _could_be_names(row):
        return None
    quote = dialect.quote
    if quote and len(row) < width:
        parted = [part for name in row for part in _parted(name, quote)]
        if len(parted) == width:
            return tuple(parted), "the header lacks a delimiter", 0.8, True
    names = [*row, *(f"column_{number}" for number in range(len(row) + 1, width + 1))]
    return (
        tuple(names),
        "the header has fewer names than rows have values: which one is missing is not known",
        0.4,
        False,
    )


def _parted(name: str, quote: str) -> list[str]:
    """A name that two have grown together to, apart where a quote stands in it."""
    at = name.find(quote, 1)
    if at < 0 or at == len(name) - 1:
        return [name]
    return [name[:at].removeprefix(quote), name[at + 1 :].removesuffix(quote)]


def _could_be_names(cells: Sequence[str]) -> bool:
    return (
        all(cells)
        and len(set(cells)) == len(cells)
        and not any(kind_of(cell) in TYPED or len(cell) > MAX_NAME_CHARACTERS for cell in cells)
    )
