"""The load ledger: which version of which partition a warehouse table holds.

One row for each table and partition, written in the transaction that replaces the partition's rows: ledger and table
agree at every moment. `_load_ledger` is in the tables' own schema.
"""

from dataclasses import dataclass
from datetime import datetime

from datalake_assets.names import partition_key, quoted, version_id
from datalake_assets.warehouse.connection import WarehouseConnection
from datalake_assets.warehouse.table import WarehouseColumn, WarehouseTable, ensure_table, existing_columns

LEDGER = "_load_ledger"


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """What the warehouse holds of one partition; `loaded_at` is in UTC."""

    partition: str
    version: str
    manifest_uri: str
    rows: int
    loaded_at: datetime
    run_id: str


def ledger_table(schema: str) -> WarehouseTable:
    """The ledger of a schema."""
    return WarehouseTable(
        schema=schema,
        name=LEDGER,
        columns=(
            WarehouseColumn("table_name", "varchar(63)"),
            WarehouseColumn("partition_key", "varchar(200)", "empty for a table without partitions"),
            WarehouseColumn("version", "varchar(80)", "the lake's version, which sorts by time"),
            WarehouseColumn("manifest", "varchar(2048)", "the list of objects that COPY read"),
            WarehouseColumn("rows", "bigint"),
            WarehouseColumn("loaded_at", "timestamp", "UTC"),
            WarehouseColumn("run_id", "varchar(80)"),
        ),
        comment="Which version of each partition the tables of this schema hold, written with the rows themselves",
    )


def ensure_ledger(connection: WarehouseConnection, schema: str) -> None:
    """Create the schema's ledger if it is not there."""
    ensure_table(connection, ledger_table(schema))


def lock_ledger(connection: WarehouseConnection, schema: str) -> None:
    """Let no other load into the schema's tables write until this transaction ends.

    It has to be the transaction's first statement: Redshift takes the snapshot at the first one that reads or writes,
    so whoever waited here sees what the one before committed. Readers of the tables themselves never wait.
    """
    connection.execute(f"LOCK TABLE {quoted(schema)}.{quoted(LEDGER)}")


def loaded_version(connection: WarehouseConnection, table: WarehouseTable, partition: str) -> LoadedVersion | None:
    """What the ledger says about one partition; None if it was never loaded."""
    found = _read(connection, table, " AND partition_key = %s", (partition_key(partition),))
    return found.get(partition)


def forget_loads(connection: WarehouseConnection, table: WarehouseTable) -> None:
    """Forget what a table held that somebody has dropped since, within the caller's transaction."""
    connection.execute(f"DELETE FROM {quoted(table.schema)}.{quoted(LEDGER)} WHERE table_name = %s", (table.name,))


def record_load(connection: WarehouseConnection, table: WarehouseTable, loaded: LoadedVersion) -> None:
    """Replace the ledger's row of a partition, within the caller's transaction."""
    ledger = f"{quoted(table.schema)}.{quoted(LEDGER)}"
    connection.execute(
        f"DELETE FROM {ledger} WHERE table_name = %s AND partition_key = %s", (table.name, loaded.partition)
    )
    connection.execute(
        f'INSERT INTO {ledger} (table_name, partition_key, version, manifest, "rows", loaded_at, run_id) '
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            table.name,
            loaded.partition,
            version_id(loaded.version),
            loaded.manifest_uri,
            loaded.rows,
            loaded.loaded_at,
            loaded.run_id,
        ),
    )


def status(connection: WarehouseConnection, table: WarehouseTable) -> dict[str, LoadedVersion]:
    """The version of each partition that the warehouse holds, by partition key; empty before the first load."""
    if not existing_columns(connection, table.schema, LEDGER):
        return {}
    return _read(connection, table, "", ())


def _read(
    connection: WarehouseConnection, table: WarehouseTable, condition: str, parameters: tuple[str, ...]
) -> dict[str, LoadedVersion]:
    answer = connection.execute(
        f'SELECT partition_key, version, manifest, "rows", loaded_at, run_id '
        f"FROM {quoted(table.schema)}.{quoted(LEDGER)} WHERE table_name = %s{condition} ORDER BY partition_key",
        (table.name, *parameters),
    )
    return {str(row[0]): LoadedVersion(*row) for row in answer.rows}
