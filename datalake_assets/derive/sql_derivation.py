"""A table that is made of other lake tables by a query, of any account that grants them.

The result of one partition is written to one Parquet file on local disk; from there on it is what a raw Parquet file
is: cast to the declared types, bad rows set aside, checked, published, loaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from datalake_assets.accounts.grants import require_grant
from datalake_assets.catalog.manifest import RawInput
from datalake_assets.derive.query import column_mistakes, run_query
from datalake_assets.derive.reads import Read, TableId
from datalake_assets.errors import InvalidQuery, NoObjects
from datalake_assets.explore.lake import Lake, LakeTable
from datalake_assets.ingest.derivation import ColumnSource
from datalake_assets.mapping.raw_files import StagedFile
from datalake_assets.names import asset_key, version_prefix
from datalake_assets.triggers.calendars import Calendar

MAX_NAMED_PARTITIONS = 10


@dataclass(frozen=True)
class SqlDerivation:
    """How one table is made.

    Attributes:
        location: whose role reads, and whose tables need no account before their name.
        sql: one query; `$partition` is the day it is asked for.
        columns: the names that its result has, in any order.
        calendar: the partitions of the result.
    """

    location: str
    name: str
    sql: str
    columns: tuple[str, ...]
    calendar: Calendar
    reads: tuple[Read, ...]

    @property
    def is_partitioned(self) -> bool:
        return self.calendar.every is not None

    @property
    def uri(self) -> str:
        """What messages and `_source_file` call the result; a row's number in it is its `_source_row`."""
        return f"sql:{self.location}/{self.name}"

    def snapshot(self, partition: str) -> "SqlSnapshot":
        """Look up the versions that a partition is made of now, one or two Glue calls for each table.

        Raises:
            AccessDenied: the registry has no grant for a table; the message has the line to add.
            NoObjects: a partition that is needed is not published.
            TransientError: Glue does not answer.
        """
        lake = Lake(self.location, reader=self.location)
        missing: list[str] = []
        tables: dict[TableId, LakeTable] = {}
        for read in self.reads:
            require_grant(self.location, read.location, read.table)
            wanted = read.needed(self.calendar, partition)
            table = _published(lake, read, wanted)
            if read.is_required:
                there = {each.key for each in table.partitions}
                if wanted is None and not there:
                    missing.append(read.name)
                elif lacking := [key for key in wanted or () if key not in there]:
                    missing.append(f"{read.name} {_listed(lacking)}")
            tables[read.id] = table
        if missing:
            raise NoObjects(
                f"not published yet: {'; '.join(missing)}",
                where=f"{self.location}/{self.name} {partition}".rstrip(),
                todo="Materialize them first; or declare `required: false` for a table whose days may be missing",
            )
        return SqlSnapshot(self, partition, tables)

    def column_lineage(self) -> Mapping[str, Sequence[ColumnSource]]:
        """Which columns of which lake tables each column hangs on; empty for SQL beyond the parser."""
        return self._lineage

    @cached_property
    def _lineage(self) -> Mapping[str, Sequence[ColumnSource]]:
        from sqlglot.errors import SqlglotError

        from datalake_assets.derive.lineage import column_sources

        tables = {read.id: read.column_names for read in self.reads}
        try:
            found = column_sources(self.sql, self.columns, tables, dialect="duckdb", default=self.location)
        except SqlglotError:
            return {}  # DuckDB understands more than this parser: the rows are there, only their origin is not told
        return {
            column: [(tuple(asset_key(location, "lake", table)), name) for (location, table), name in sources]
            for column, sources in found.items()
        }


@dataclass(frozen=True)
class SqlSnapshot:
    """The versions that one partition is made of."""

    derivation: SqlDerivation
    partition: str
    tables: Mapping[TableId, LakeTable]

    @property
    def inputs(self) -> tuple[RawInput, ...]:
        """One for each version: `key` is the URI of its folder, `etag` its id."""
        return tuple(
            RawInput(
                key=f"s3://{table.account.lake_bucket}/{version_prefix(table.name, each.key, each.version_id)}",
                etag=each.version_id,
                size=each.bytes,
            )
            for table in self.tables.values()
            for each in table.partitions
        )

    def stage(self, folder: Path, *, memory_limit: str, threads: int) -> StagedFile:
        """Run the query and write its rows to a Parquet file; see `ingest.derivation.Snapshot`."""
        import pyarrow as pa
        from pyarrow import parquet

        made = self.derivation
        path = folder / "rows.parquet"
        with run_query(
            made.location,
            made.name,
            made.sql,
            self.tables,
            self.partition,
            memory_limit=memory_limit,
            threads=threads,
        ) as result:
            if mistakes := column_mistakes(made.columns, result.columns):
                raise InvalidQuery("; ".join(mistakes), expected=f"the columns {', '.join(made.columns)}")
            schema = pa.schema([field.with_name(field.name.lower()) for field in result.schema])
            try:
                # Dictionaries and statistics cost time and serve nobody: the file is read once.
                writer = parquet.ParquetWriter(
                    path, schema, compression="lz4", use_dictionary=False, write_statistics=False
                )
            except pa.ArrowNotImplementedError as error:
                raise InvalidQuery(
                    f"a column has a type that cannot be stored: {error}", todo="Cast it to the declared type"
                ) from error
            with writer:
                for batch in result.batches():
                    writer.write_batch(batch.rename_columns(schema.names))
        return StagedFile(path, made.uri)


def _published(lake: Lake, read: Read, wanted: Sequence[str] | None) -> LakeTable:
    """The table with the partitions that are needed and there; without any before its first publication."""
    try:
        return lake.table(read.id) if wanted is None else lake.partitions_of(read.id, wanted)
    except InvalidQuery:
        return read.as_empty()


def _listed(partitions: Sequence[str]) -> str:
    more = len(partitions) - MAX_NAMED_PARTITIONS
    return ", ".join(partitions[:MAX_NAMED_PARTITIONS]) + (f" and {more} more" if more > 0 else "")
