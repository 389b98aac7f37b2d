"""A table of the warehouse as its pipeline declares it, and the DDL that brings it there."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from datalake_assets.errors import ConfigurationError
from datalake_assets.names import identifier, quoted
from datalake_assets.warehouse.connection import WarehouseConnection
from datalake_assets.warehouse.retries import retrying
from datalake_assets.warehouse.sql import redshift_type, text_literal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WarehouseColumn:
    """One column with its Redshift type, for example `varchar(256)`."""

    name: str
    type: str
    comment: str = ""

    def __post_init__(self) -> None:
        identifier(self.name, what="column")
        redshift_type(self.type)


@dataclass(frozen=True, slots=True)
class WarehouseTable:
    """A Redshift table that lake versions are loaded into.

    Args:
        schema, name: where it is.
        columns: those of the Parquet files in the files' order, for COPY of Parquet goes by place, not by name.
        partition_column: the column that the partition key fills; it is not in the files. None: unpartitioned.
        dist: the distribution key; without one Redshift chooses.
        sort: the compound sort key.
        key: the columns that identify a row, for `merge_table`.
    """

    schema: str
    name: str
    columns: tuple[WarehouseColumn, ...]
    partition_column: WarehouseColumn | None = None
    dist: str | None = None
    sort: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    comment: str = ""

    def __post_init__(self) -> None:
        identifier(self.schema, what="schema")
        identifier(self.name, what="table")
        names = [column.name for column in self.all_columns]
        if not self.columns or len(set(names)) != len(names):
            raise ConfigurationError(f"the columns of {self.label} are none or not unique: {', '.join(names)}")
        wrong = [name for name in (self.dist, *self.sort, *self.key) if name is not None and name not in names]
        if wrong:
            raise ConfigurationError(
                f"dist, sort or key of {self.label} names unknown columns: {', '.join(wrong)}",
                expected="one of " + ", ".join(names),
            )

    @property
    def label(self) -> str:
        """`lake.flights`, for messages."""
        return f"{self.schema}.{self.name}"

    @property
    def sql_name(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def all_columns(self) -> tuple[WarehouseColumn, ...]:
        """The files' columns, then the partition column."""
        return (*self.columns, self.partition_column) if self.partition_column else self.columns


def ensure_table(
    connection: WarehouseConnection, table: WarehouseTable, *, when_created: Callable[[], object] | None = None
) -> None:
    """Create the table or add the columns it lacks; columns that are no longer declared stay.

    Nothing is written if nothing differs.

    Args:
        when_created: called in the transaction that creates the table.

    Raises:
        ConfigurationError: a column of the table has another type than declared.
    """
    retrying(lambda: _ensure_once(connection, table, when_created))


def _ensure_once(
    connection: WarehouseConnection, table: WarehouseTable, when_created: Callable[[], object] | None
) -> None:
    existing = existing_columns(connection, table.schema, table.name)
    if not existing:
        with connection.transaction():
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(table.schema)}")
            connection.execute(create_table_sql(table))
            if table.comment:
                connection.execute(f"COMMENT ON TABLE {table.sql_name} IS {text_literal(table.comment)}")
            for column in table.all_columns:
                _comment(connection, table, column)
            if when_created is not None:
                when_created()
        log.info("created table %s in the warehouse", table.label)
        return

    changed = [
        f"{column.name} is {existing[column.name]}, declared {redshift_type(column.type)}"
        for column in table.all_columns
        if column.name in existing and existing[column.name] != redshift_type(column.type)
    ]
    if changed:
        raise ConfigurationError(
            f"the type of a loaded column cannot change: {'; '.join(changed)}",
            where=f"{connection.where} {table.label}",
            expected="the type that the table has",
            todo="Give the column a new name, or drop the warehouse table and load its partitions again",
        )
    missing = [column for column in table.all_columns if column.name not in existing]
    if missing:
        with connection.transaction():
            for column in missing:
                connection.execute(f"ALTER TABLE {table.sql_name} ADD COLUMN {_column_sql(column)}")
                _comment(connection, table, column)
        log.info("added %s to %s", ", ".join(column.name for column in missing), table.label)


def existing_columns(connection: WarehouseConnection, schema: str, name: str) -> dict[str, str]:
    """The columns of a table and their types in the platform's spelling; empty if there is no such table."""
    answer = connection.execute(
        "SELECT column_name, data_type, character_maximum_length, numeric_precision, numeric_scale "
        "FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        (schema, name),
    )
    return {str(column): _spelled(str(kind), *sizes) for column, kind, *sizes in answer.rows}


def create_table_sql(table: WarehouseTable) -> str:
    """The CREATE TABLE statement with its distribution and sort keys."""
    lines = ",\n  ".join(_column_sql(column) for column in table.all_columns)
    sql = f"CREATE TABLE IF NOT EXISTS {table.sql_name} (\n  {lines}\n)"
    if table.dist:
        sql += f"\nDISTKEY ({quoted(table.dist)})"
    if table.sort:
        sql += f"\nSORTKEY ({', '.join(quoted(name) for name in table.sort)})"
    return sql


def _column_sql(column: WarehouseColumn) -> str:
    return f"{quoted(column.name)} {redshift_type(column.type)}"


def _comment(connection: WarehouseConnection, table: WarehouseTable, column: WarehouseColumn) -> None:
    if column.comment:
        target = f"{table.sql_name}.{quoted(column.name)}"
        connection.execute(f"COMMENT ON COLUMN {target} IS {text_literal(column.comment)}")


def _spelled(kind: str, length: int | None, precision: int | None, scale: int | None) -> str:
    if kind in ("character varying", "character", "varchar", "char") and length:
        return redshift_type(f"{kind}({length})")
    if kind in ("numeric", "decimal"):
        return redshift_type(f"{kind}({precision},{scale})")
    try:
        return redshift_type(kind)
    except ConfigurationError:
        return kind  # a type we never declare: it differs from whatever is declared
