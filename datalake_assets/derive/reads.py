"""Which tables a query reads, and which partitions of them one partition of its result needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datalake_assets.accounts.registry import Account, registry
from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.errors import InvalidQuery
from datalake_assets.explore.lake import Lake, LakeTable, ListedTable
from datalake_assets.names import PARTITION_COLUMN
from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.model import Span

TableId = tuple[str, str]
"""Location and name of a lake table."""

SPAN = Span()  # only what overlaps in time


@dataclass(frozen=True)
class Read:
    """One table that a query reads.

    Attributes:
        location: of the account that owns it.
        calendar: its partitions.
        span: which of them are needed.
        is_required: whether the result waits for all of them; otherwise one that is missing has no rows.
        columns: as its pipeline declares them, without the partition column.
    """

    location: str
    table: str
    calendar: Calendar
    columns: tuple[CatalogColumn, ...]
    span: Span = SPAN
    is_required: bool = True

    @property
    def id(self) -> TableId:
        return (self.location, self.table)

    @property
    def name(self) -> str:
        """`core_data/listings`."""
        return f"{self.location}/{self.table}"

    @property
    def keys(self) -> tuple[CatalogColumn, ...]:
        """Its partition column, if it has one."""
        return (CatalogColumn(PARTITION_COLUMN, "date"),) if self.calendar.every else ()

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in (*self.columns, *self.keys))

    def needed(self, own: Calendar, partition: str) -> list[str] | None:
        """The partitions that one partition of the result needs; None for whatever is published.

        Args:
            own: the partitions of the result.
        """
        if own.every is None or self.calendar.every is None:
            return None
        return self.calendar.overlapping(*own.stretch(partition, last=self.span.last, offset=self.span.offset))

    def as_empty(self) -> LakeTable:
        """The table as it is declared, without a single row."""
        return LakeTable(registry().account(self.location), self.table, self.columns, self.keys, ())


class PinnedTables:
    """The tables of one query, at the versions that were looked up; no statement reaches another one.

    Args:
        location: whose tables need no account before their name.
    """

    def __init__(self, location: str, tables: Mapping[TableId, LakeTable]) -> None:
        self._names = Lake(location)
        self._tables = tables

    @property
    def default(self) -> Account | None:
        return self._names.default

    def table(self, path: Sequence[str], /) -> LakeTable:
        """The table of this name.

        Raises:
            InvalidQuery: it is not declared.
        """
        if (found := self._tables.get(self.id_of(path))) is None:
            raise InvalidQuery(
                f"the table {'.'.join(path)} is not among those of `reads`",
                expected=" or ".join(f"{location}.{table}" for location, table in self._tables),
                todo=f"Add {'/'.join(self.id_of(path))} to `reads`, or mend the name",
            )
        return found

    def id_of(self, path: Sequence[str]) -> TableId:
        """Location and name of the table that a statement names; raises InvalidQuery for an unknown account."""
        names = [part.lower() for part in path]
        return (self._names.account_of(names).name, names[-1])

    def has(self, path: Sequence[str], /) -> bool:
        try:
            return self.id_of(path) in self._tables
        except InvalidQuery:
            return False

    def databases(self) -> list[Account]:
        return self._names.databases()

    def tables(self, database: str | None = None, /) -> list[ListedTable]:
        raise InvalidQuery("SHOW is no query that makes rows of a table", expected="SELECT")
