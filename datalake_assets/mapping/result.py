"""What came out of a mapping: files, counts, reasons; and the decision whether too many rows are bad."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datalake_assets.errors import TooManyBadRows
from datalake_assets.mapping.spec import BadRows, OutputColumn

REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class FileCounts:
    """The rows of one raw file; `rows_in == rows_good + rows_bad`."""

    uri: str
    rows_good: int
    rows_bad: int

    @property
    def rows_in(self) -> int:
        return self.rows_good + self.rows_bad


@dataclass(frozen=True, slots=True)
class Reason:
    """How often rows were set aside for one reason, and the first such row.

    `column` is the target column, None when the record as a whole is broken. A row with two reasons counts in both.
    """

    column: str | None
    reason: str
    count: int
    example_uri: str
    example_row: int
    example_value: str | None

    def __str__(self) -> str:
        subject = "record" if self.column is None else self.column
        value = "" if self.example_value is None else f" {self.example_value!r}"
        return f"{subject}{value} {self.reason} ({self.count}x, first {self.example_uri} row {self.example_row})"


@dataclass(frozen=True, slots=True)
class ChildRows:
    """The rows of one child table: at least one Parquet file, though it may have no rows."""

    table: str
    rows: int
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class MappingResult:
    """All raw records are in the good files or in the quarantine files, by `_source_file` and `_source_row`.

    `good_files` holds at least one file, though it may have no rows; `quarantine_files` is empty when no row is bad.
    `rows_good` are those in the good files: not one for each record if the table is exploded. `reasons` are sorted by
    count, `notes` are sentences for people.
    """

    rows_good: int
    rows_bad: int
    good_files: list[Path]
    quarantine_files: list[Path]
    files: list[FileCounts]
    reasons: list[Reason]
    notes: list[str] = field(default_factory=list)
    evolved: tuple[OutputColumn, ...] = ()
    """Columns that all good files have behind the declared ones, because `on_schema_change` is evolve."""
    rows_duplicate: int = 0
    """Good rows that `deduplicate` dropped."""
    children: tuple[ChildRows, ...] = ()

    @property
    def rows_in(self) -> int:
        """Rows before any was dropped: one for each record, or for each element of an exploded table."""
        return self.rows_good + self.rows_bad + self.rows_duplicate

    @property
    def records_in(self) -> int:
        return sum(file.rows_in for file in self.files)

    @property
    def bad_share(self) -> float:
        """Of the records, from 0 to 1; 0 when there are none at all."""
        return self.rows_bad / self.records_in if self.records_in else 0.0


def require_few_bad_rows(result: MappingResult, bad_rows: BadRows) -> None:
    """Raise `TooManyBadRows` with the top reasons when more rows are in quarantine than the pipeline allows."""
    if result.bad_share <= bad_rows.fail_above:
        return
    uris = [file.uri for file in result.files if file.rows_bad]
    raise TooManyBadRows(
        f"{result.rows_bad} of {result.records_in} rows ({result.bad_share:.2%}) are bad: {_top(result.reasons)}",
        where=uris[0] if len(uris) == 1 else f"{len(uris)} of {len(result.files)} files",
        expected=f"at most {bad_rows.fail_above:.6g} of the rows as bad_rows.fail_above says",
        todo="Mend the files or the mapping; nothing was published.",
    )


def _top(reasons: Sequence[Reason]) -> str:
    shown = "; ".join(str(reason) for reason in reasons[:REASONS_SHOWN])
    more = len(reasons) - REASONS_SHOWN
    return f"{shown}; and {more} more reasons" if more > 0 else shown


def merge_reasons(reasons: Sequence[Reason]) -> list[Reason]:
    """One entry per column and reason, most frequent first, with the example that came first."""
    merged: dict[tuple[str | None, str], Reason] = {}
    for new in reasons:
        key = (new.column, new.reason)
        old = merged.get(key)
        merged[key] = (
            new
            if old is None
            else Reason(
                old.column, old.reason, old.count + new.count, old.example_uri, old.example_row, old.example_value
            )
        )
    return sorted(merged.values(), key=lambda reason: (-reason.count, reason.column or "", reason.reason))
