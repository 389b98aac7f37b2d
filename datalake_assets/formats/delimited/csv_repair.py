"""Put the cells of a row that has too few or too many of them under the right columns, if that is certain.

A delimiter too many or too few, an unquoted delimiter in a text, a row that is written with another delimiter: all
leave most cells intact, and what stands in the other rows tells where they belong. Every way to arrange the cells has
a cost; one is taken only if each cell then fits its column and no other arrangement is as cheap.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from datalake_assets.formats.delimited.csv_fields import Dialect, Fields, split_leniently, split_strictly
from datalake_assets.formats.delimited.csv_kinds import TYPED, Column, kind_of

OTHER_DELIMITERS = (",", ";", "\t", "|", " ")
MIN_PROFILED_ROWS = 5
MIN_ANCHORS = 2  # cells of a recognisable kind that must stand under columns of that kind
MIN_REPEATED = 3  # times that each value of a column stands in it, from which on another one is unusual
MIN_LENGTH = 3  # of texts that are all equally long
MAX_COLUMNS = 100
MAX_SURPLUS = 24
MAX_SPLIT_CHARACTERS = 64
MAX_QUOTES = 40
_CHANGE = 2  # a piece merged, dropped, added or split
_UNUSUAL = 1  # a cell that no other of its column resembles, but which may be
_MISFIT = 1_000

Arrangement = tuple[int, tuple[str, ...]]


class Repair:
    """What the whole rows of a file look like, to arrange the others by."""

    def __init__(self, columns: Sequence[Column], dialect: Dialect, rows: Sequence[Sequence[str]] = ()) -> None:
        """Learn from `columns` and, if they are given, the `rows` of data that these are the columns of."""
        self._columns = list(columns)
        self._rows = rows
        self._dialect = dialect
        profiled = max((sum(column.kinds.values()) for column in columns), default=0)
        self._is_able = profiled >= MIN_PROFILED_ROWS and 1 < len(columns) <= MAX_COLUMNS
        self._is_anchor = [column.main in TYPED or column.shape is not None for column in columns]
        self._fits: dict[tuple[int, str], int] = {}

    def arranged(self, raw: str) -> list[str] | None:
        """The cells of a row, as many as there are columns; None when it is not certain where they belong."""
        if not self._is_able:
            return None
        self._fits.clear()
        ways = [self._arranged(raw, self._dialect), self._parted_at_quote(raw)]
        found = sorted((way for way in ways if way is not None), key=lambda way: way[0])
        if found:
            is_certain = len(found) == 1 or found[0][0] < found[1][0] or found[0][1] == found[1][1]
            return list(found[0][1]) if is_certain else None
        # A row that was written with another delimiter has next to none of the file's.
        if raw.count(self._dialect.delimiter) >= len(self._columns) - 1:
            return None
        for delimiter in OTHER_DELIMITERS:
            if delimiter in (self._dialect.delimiter, self._dialect.quote) or delimiter not in raw:
                continue
            way = self._arranged(raw, Dialect(delimiter, self._dialect.quote, self._dialect.escape))
            if way is not None:
                return list(way[1])
        return None

    def rejoined(self, row: Sequence[str], raw: str | None = None) -> list[str] | None:
        """The cells of a row that has as many as it should, but because one lost and one quoted delimiter make up.

        Args:
            raw: its text, if it was kept.
        """
        quote, delimiter = self._dialect.quote, self._dialect.delimiter
        # A single stray quote in a value that fits otherwise is no sign of a lost delimiter.
        is_single = sum(cell.count(quote) % 2 for cell in row) == 1
        fits = all(
            column.fits(cell) or (is_single and column.fits(cell.replace(quote, "")))
            for column, cell in zip(self._columns, row, strict=True)
        )
        if not self._is_able or (fits and not self._opens_within(row)):
            return None
        cells = (f"{quote}{cell.replace(quote, quote * 2)}{quote}" if delimiter in cell else cell for cell in row)
        self._fits.clear()
        found = self._parted_at_quote(raw if raw is not None else delimiter.join(cells))
        return None if found is None else list(found[1])

    def _opens_within(self, row: Sequence[str]) -> bool:
        """Whether a quote opens in the middle of one cell and closes at the end of a later one.

        It stands between a text and a letter then; marks of inches and the like stand behind digits.
        """
        quote = self._dialect.quote
        odd = [cell for cell in row if cell.count(quote) % 2]
        if len(odd) != 2 or odd[0].startswith(quote) or odd[1].startswith(quote) or not odd[1].endswith(quote):
            return False
        at = odd[0].find(quote)
        return odd[0][at + 1 : at + 2].isalnum() and not odd[0][at - 1].isdigit() and not odd[0][at - 1].isspace()

    def _arranged(self, raw: str, dialect: Dialect) -> Arrangement | None:
        outcome, fields = split_strictly(raw, dialect)
        if outcome != "whole":
            lenient = split_leniently(raw, dialect, None)
            if lenient is None:
                return None
            fields = lenient[1]
        count, width = len(fields.values), len(self._columns)
        if not width - 1 <= count <= width + MAX_SURPLUS:
            return None
        best = self._best(fields, dialect)
        if not best or best[0][0] >= _MISFIT or (len(best) > 1 and best[1][0] <= best[0][0]):
            return None
        # Without columns of a kind that tells: an empty cell too many, where no row has an empty one, is certain too.
        is_without_gaps = not any(column.kinds["empty"] for column in self._columns)
        is_emptied = is_without_gaps and list(best[0][1]) == [value for value in fields.values if value]
        return best[0] if is_emptied or self._anchored(best[0][1]) >= MIN_ANCHORS else None

    def _parted_at_quote(self, raw: str) -> Arrangement | None:
        """The cells of a row that lacks the delimiter before or behind a quote."""
        quote, delimiter = self._dialect.quote, self._dialect.delimiter
        if not quote or not 0 < raw.count(quote) <= MAX_QUOTES:
            return None
        found: list[Arrangement] = []
        for at in (match.start() for match in re.finditer(re.escape(quote), raw)):
            if at and not raw.endswith(delimiter, 0, at):
                found += self._if_whole(raw[:at] + delimiter + raw[at:])
            if at and at + 1 < len(raw) and not raw.startswith((delimiter, quote), at + 1):
                found += self._if_whole(raw[: at + 1] + delimiter + raw[at + 1 :])
        return found[0] if found and all(other[1] == found[0][1] for other in found) else None

    def _if_whole(self, raw: str) -> list[Arrangement]:
        outcome, fields = split_strictly(raw, self._dialect)
        if outcome != "whole" or len(fields.values) != len(self._columns):
            return []
        cost = _CHANGE + sum(self._cost(index, value) for index, value in enumerate(fields.values))
        # Where few columns are of a kind that tells, the quotes tell by themselves.
        if cost >= _MISFIT or self._anchored(fields.values) < min(MIN_ANCHORS, sum(self._is_anchor)):
            return []
        return [(cost, tuple(fields.values))]

    def _anchored(self, values: Sequence[str]) -> int:
        """How many cells are of the recognisable kind that their column holds."""
        return sum(
            1
            for index, value in enumerate(values)
            if value in self._habits[index].values
            or (value and self._is_anchor[index] and self._columns[index].fits(value))
        )

    def _best(self, fields: Fields, dialect: Dialect) -> list[Arrangement]:
        """The two cheapest different arrangements: reached[pieces used][columns filled]."""
        count, width = len(fields.values), len(self._columns)
        lacking, surplus = max(0, width - count), max(0, count - width)
        reached: list[dict[int, list[Arrangement]]] = [{} for _ in range(count + 1)]
        reached[0][0] = [(0, ())]
        for used in range(count + 1):
            for filled in range(max(0, used - surplus), min(width, used + lacking) + 1):
                here = reached[used].get(filled)
                if not here:
                    continue
                for next_used, next_filled, cost, values in self._steps(fields, dialect, used, filled, surplus):
                    if next_filled > width or next_filled < next_used - surplus:
                        continue
                    there = reached[next_used].setdefault(next_filled, [])
                    for before, texts in here:
                        _keep(there, (before + cost, texts + values))
        return reached[count].get(width, [])

    def _steps(
        self, fields: Fields, dialect: Dialect, used: int, filled: int, surplus: int
    ) -> Iterator[tuple[int, int, int, tuple[str, ...]]]:
        """Ways to go on: pieces used, columns filled, cost, cells."""
        values, quoted = fields.values, fields.quoted
        count, width = len(values), len(self._columns)
        is_short = count < width
        if is_short and filled < width:
            yield used, filled + 1, _CHANGE + self._cost(filled, ""), ("",)
        if used == count:
            return
        value = values[used]
        if surplus and not value and not quoted[used]:
            yield used + 1, filled, _CHANGE, ()
        if filled == width:
            return
        yield used + 1, filled + 1, self._cost(filled, value), (value,)
        if is_short and filled + 1 < width:
            for left, right in self._splits(value, quoted[used], filled):
                cost = _CHANGE + self._cost(filled, left) + self._cost(filled + 1, right)
                yield used + 1, filled + 2, cost, (left, right)
        if surplus and self._columns[filled].main not in TYPED and value and not quoted[used]:
            text = value
            for end in range(used + 1, min(count, used + surplus + 1)):
                if quoted[end] or (not values[end] and dialect.delimiter != " "):
                    break
                text += dialect.delimiter + values[end]
                if not values[end]:
                    continue
                yield end + 1, filled + 1, _CHANGE * (end - used) + self._cost(filled, text), (text,)

    def _cost(self, index: int, value: str) -> int:
        key = (index, value)
        cost = self._fits.get(key)
        if cost is None:
            cost = self._fits[key] = self._cost_anew(index, value)
        return cost

    def _cost_anew(self, index: int, value: str) -> int:
        column = self._columns[index]
        if not value:
            return 0 if column.kinds["empty"] else _UNUSUAL
        if column.main == "empty":
            return _UNUSUAL * 2
        if not column.fits(value):
            return _MISFIT
        is_usual = column.main not in TYPED or column.kinds[kind_of(value)]
        return _UNUSUAL * (not is_usual) + _UNUSUAL * (not self._habits[index].is_kept_by(value))

    @cached_property
    def _habits(self) -> list["_Habit"]:
        if not self._rows:
            return [_Habit() for _ in self._columns]
        whole = [row for row in self._rows if len(row) == len(self._columns)]
        return [_Habit.of(cells) for cells in zip(*whole, strict=True)]

    def _splits(self, value: str, is_quoted: bool, index: int) -> Iterator[tuple[str, str]]:
        """A cell taken apart into two, because the delimiter between them is missing.

        Behind the longest beginning that fits a column of numbers, dates, codes …, or before the longest end that does.
        """
        if is_quoted:
            return
        size = len(value)
        if self._is_anchor[index]:
            habit, next_habit = self._habits[index], self._habits[index + 1]
            if habit.length and habit.length < size:
                left, right = value[: habit.length], value[habit.length :]
                if self._columns[index].fits(left) and self._columns[index + 1].fits(right):
                    yield left, right
                    return
            if next_habit.length and next_habit.length < size:
                left, right = value[: -next_habit.length], value[-next_habit.length :]
                if self._columns[index].fits(left) and self._columns[index + 1].fits(right):
                    yield left, right
                    return
            if self._columns[index].fits(value):
                return
            for at in range(min(size - 1, MAX_SPLIT_CHARACTERS), 0, -1):
                if (
                    self._columns[index].fits(value[:at])
                    and kind_of(value[:at]) != "empty"
                    and self._columns[index + 1].fits(value[at:])
                ):
                    yield value[:at], value[at:]
                    return
        elif self._is_anchor[index + 1]:
            for at in range(max(1, size - MAX_SPLIT_CHARACTERS), size):
                right = value[at:]
                if self._columns[index + 1].fits(right) and self._columns[index + 1].kinds[kind_of(right)]:
                    yield value[:at], right
                    return


@dataclass(frozen=True)
class _Habit:
    """What a column holds beyond its kind: texts of one length, or the same few values again and again."""

    length: int = 0
    values: frozenset[str] = frozenset()

    @classmethod
    def of(cls, cells: Sequence[str]) -> "_Habit":
        filled = [cell for cell in cells if cell]
        values = frozenset(filled)
        lengths = set(map(len, values))
        length = lengths.pop() if len(lengths) == 1 and len(values) >= MIN_PROFILED_ROWS else 0
        is_few = len(filled) >= MIN_REPEATED and len(values) * MIN_REPEATED <= len(filled)
        return cls(length if length >= MIN_LENGTH else 0, values if is_few else frozenset())

    def is_kept_by(self, value: str) -> bool:
        return (not self.length or len(value) == self.length) and (not self.values or value in self.values)


def _keep(best: list[Arrangement], found: Arrangement) -> None:
    """Keep the two cheapest arrangements with different cells."""
    for position, other in enumerate(best):
        if other[1] == found[1]:
            if found[0] < other[0]:
                best[position] = found
                best.sort(key=lambda each: each[0])
            return
    best.append(found)
    best.sort(key=lambda each: each[0])
    del best[2:]
