"""Rows as they are handed on: many at once, with their line numbers and what is wrong with some of them."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class RowBlock:
    """Records in the order of the file.

    `numbers` are the physical lines on which they begin. `raws` holds the text of those that have not `width` fields
    or a problem, by their index; `problems` why a record could not be taken apart, as the end of a sentence. `gaps`
    are the indexes of records with a blank line before them.
    """

    numbers: list[int] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    raws: dict[int, str] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)
    gaps: set[int] = field(default_factory=set)

    def part(self, start: int, stop: int) -> "RowBlock":
        """The records from `start` up to `stop`."""
        return RowBlock(
            self.numbers[start:stop],
            self.rows[start:stop],
            {index - start: raw for index, raw in self.raws.items() if start <= index < stop},
            {index - start: why for index, why in self.problems.items() if start <= index < stop},
            {index - start for index in self.gaps if start <= index < stop},
        )

    def extend(self, other: "RowBlock") -> None:
        """Append the records of another block."""
        size = len(self.rows)
        self.numbers += other.numbers
        self.rows += other.rows
        self.raws |= {index + size: raw for index, raw in other.raws.items()}
        self.problems |= {index + size: why for index, why in other.problems.items()}
        self.gaps |= {index + size for index in other.gaps}

    def add(self, number: int, values: list[str], raw: str | None = None, problem: str | None = None) -> None:
        if raw is not None:
            self.raws[len(self.rows)] = raw
        if problem is not None:
            self.problems[len(self.rows)] = problem
        self.numbers.append(number)
        self.rows.append(values)
