"""Load a published version of a partition into Redshift, in place of what the table holds of that partition.

The objects are copied into a session's own stage and counted. One transaction then takes the ledger's lock, asks the
ledger, replaces the partition's rows and writes the ledger: table and ledger change together or not at all, so that
repeating a load changes nothing, two loads of a partition follow each other, and an older version never replaces a
newer one.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from datalake_assets.errors import ConfigurationError, RowCountMismatch
from datalake_assets.failpoints import failpoint
from datalake_assets.names import partition_key, quoted, version_id
from datalake_assets.warehouse.connection import WarehouseConnection
from datalake_assets.warehouse.ledger import (
    LoadedVersion,
    ensure_ledger,
    forget_loads,
    loaded_version,
    lock_ledger,
    record_load,
)
from datalake_assets.warehouse.retries import retrying
from datalake_assets.warehouse.sql import columns_sql, redshift_type
from datalake_assets.warehouse.staging import STAGE, drop_stage, stage
from datalake_assets.warehouse.table import WarehouseTable, ensure_table

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PartitionLoad:
    """One version to load: the partition, its COPY manifest and the rows that the lake published."""

    partition: str
    version: str
    manifest_uri: str
    expected_rows: int


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did.

    `version` and `rows` are what the warehouse holds of the partition now; `skipped` says that it held this version or
    a newer one before. `inserted_rows` and `deleted_rows` are those that the table gained and lost; a row that changed
    counts in both.
    """

    version: str
    rows: int
    skipped: bool
    inserted_rows: int = 0
    deleted_rows: int = 0


def load_partition(
    connection: WarehouseConnection,
    table: WarehouseTable,
    load: PartitionLoad,
    *,
    iam_role: str,
    run_id: str,
) -> LoadResult:
    """Make the table hold exactly the version's rows of its partition.

    An unpartitioned table is replaced as a whole; `merge_table` changes only the rows that differ.

    Args:
        iam_role: the ARN that Redshift reads the lake bucket with.

    Raises:
        RowCountMismatch: the objects have other rows than `expected_rows`; nothing changed.
        StatementFailed, ConfigurationError: the objects or the table are not as declared; nothing changed.
        ConcurrentChange: other loads were in the way each time; nothing changed.
        Unavailable: the connection broke; either nothing changed or all did, which the next attempt finds out.
    """
    _check(table, load.partition)
    prepare(connection, table)
    if held := newer(loaded_version(connection, table, load.partition), load):
        return skipped(table, load, held)
    return _load(connection, table, load, iam_role=iam_role, run_id=run_id)


def prepare(connection: WarehouseConnection, table: WarehouseTable) -> None:
    """Bring the ledger and the table there, once for each connection; nothing is written if they are."""
    if table not in connection.prepared:
        ensure_ledger(connection, table.schema)
        ensure_table(connection, table, when_created=lambda: forget_loads(connection, table))
        connection.prepared.add(table)


def load_version(
    connection: WarehouseConnection,
    table: WarehouseTable,
    load: PartitionLoad,
    *,
    iam_role: str,
    run_id: str,
    replace_rows: Callable[[], tuple[int, int]],
) -> LoadResult:
    """Stage a version and run `replace_rows` in the transaction that records it, unless the ledger says not to.

    Args:
        replace_rows: brings the staged rows into the table; returns the rows inserted and deleted.
    """
    version_id(load.version)
    partition_key(load.partition)
    try:
        stage(connection, table, manifest_uri=load.manifest_uri, iam_role=iam_role, expected_rows=load.expected_rows)
        failpoint("load.staged")
        return retrying(lambda: _switch(connection, table, load, run_id, replace_rows))
    finally:
        drop_stage(connection)


def _load(
    connection: WarehouseConnection, table: WarehouseTable, load: PartitionLoad, *, iam_role: str, run_id: str
) -> LoadResult:
    def replace_rows() -> tuple[int, int]:
        return _replace(connection, table, load)

    return load_version(connection, table, load, iam_role=iam_role, run_id=run_id, replace_rows=replace_rows)


def _switch(
    connection: WarehouseConnection,
    table: WarehouseTable,
    load: PartitionLoad,
    run_id: str,
    replace_rows: Callable[[], tuple[int, int]],
) -> LoadResult:
    with connection.transaction():
        lock_ledger(connection, table.schema)
        failpoint("load.locked")
        # Asked again under the lock: another run may have loaded the partition while this one copied.
        if held := newer(loaded_version(connection, table, load.partition), load):
            return skipped(table, load, held)
        inserted, deleted = replace_rows()
        failpoint("load.replaced")
        record_load(
            connection,
            table,
            LoadedVersion(
                partition=load.partition,
                version=load.version,
                manifest_uri=load.manifest_uri,
                rows=load.expected_rows,
                loaded_at=datetime.now(UTC).replace(tzinfo=None),
                run_id=run_id,
            ),
        )
        failpoint("load.recorded")
    failpoint("load.committed")
    log.info(
        "loaded version %s of %s %s: %d rows in, %d out", load.version, table.label, load.partition, inserted, deleted
    )
    return LoadResult(load.version, load.expected_rows, skipped=False, inserted_rows=inserted, deleted_rows=deleted)


def _replace(connection: WarehouseConnection, table: WarehouseTable, load: PartitionLoad) -> tuple[int, int]:
    columns = columns_sql([column.name for column in table.columns])
    if table.partition_column is None:
        deleted = connection.execute(f"DELETE FROM {table.sql_name}").row_count
        inserted = connection.execute(
            f"INSERT INTO {table.sql_name} ({columns}) SELECT {columns} FROM {STAGE}"
        ).row_count
    else:
        name, kind = quoted(table.partition_column.name), redshift_type(table.partition_column.type)
        deleted = connection.execute(
            f"DELETE FROM {table.sql_name} WHERE {name} = CAST(%s AS {kind})", (load.partition,)
        ).row_count
        inserted = connection.execute(
            f"INSERT INTO {table.sql_name} ({columns}, {name}) SELECT {columns}, CAST(%s AS {kind}) FROM {STAGE}",
            (load.partition,),
        ).row_count
    if inserted != load.expected_rows:
        raise RowCountMismatch(
            f"{inserted} rows came out of the stage",
            where=f"{table.label} {load.partition}",
            expected=f"the {load.expected_rows} rows that COPY counted",
        )
    return inserted, deleted


def newer(held: LoadedVersion | None, load: PartitionLoad) -> LoadedVersion | None:
    """What the warehouse holds, if that is the version to load or a newer one."""
    return held if held is not None and held.version >= load.version else None


def skipped(table: WarehouseTable, load: PartitionLoad, held: LoadedVersion) -> LoadResult:
    """The result of a load that had nothing to do."""
    log.info(
        "%s %s holds version %s already, %s is not loaded", table.label, load.partition, held.version, load.version
    )
    return LoadResult(held.version, held.rows, skipped=True)


def _check(table: WarehouseTable, partition: str) -> None:
    if (table.partition_column is None) != (partition == ""):
        raise ConfigurationError(
            f"the partition {partition!r} cannot be loaded",
            where=table.label,
            expected="no partition key" if table.partition_column is None else "a partition key",
        )
    if table.partition_column is not None and table.partition_column.type == "date":
        try:
            date.fromisoformat(partition)
        except ValueError as error:
            raise ConfigurationError(
                f"the partition {partition!r} is not a date", where=table.label, expected="YYYY-MM-DD"
            ) from error
