"""Load a reference table: make it equal to the newest version of its source, touching only the rows that differ.

A reference table's version is a full snapshot. Rows that are gone from it are deleted, rows that changed are replaced,
new ones are inserted; who reads the table by key never misses a row that is in both versions.
"""

from datalake_assets.errors import AuditFailed, ConfigurationError
from datalake_assets.names import UNPARTITIONED, quoted
from datalake_assets.warehouse.connection import WarehouseConnection
from datalake_assets.warehouse.ledger import loaded_version
from datalake_assets.warehouse.load import LoadResult, PartitionLoad, load_version, newer, prepare, skipped
from datalake_assets.warehouse.sql import columns_sql
from datalake_assets.warehouse.staging import STAGE
from datalake_assets.warehouse.table import WarehouseTable

MAX_EXAMPLES = 5


def merge_table(
    connection: WarehouseConnection,
    table: WarehouseTable,
    load: PartitionLoad,
    *,
    iam_role: str,
    run_id: str,
) -> LoadResult:
    """Make an unpartitioned table hold exactly the version's rows, by its key.

    Redshift enforces no keys, so they are checked here, on the version alone.

    Raises:
        AuditFailed: a key is null or occurs twice in the version; nothing changed.
        ConfigurationError: the table has no key, or has partitions.
        Others as `load_partition`.
    """
    if not table.key or table.partition_column is not None or load.partition != UNPARTITIONED:
        raise ConfigurationError(
            "only an unpartitioned table with a key can be merged",
            where=table.label,
            expected="`key` columns and no partition column",
        )

    prepare(connection, table)
    if held := newer(loaded_version(connection, table, UNPARTITIONED), load):
        return skipped(table, load, held)

    def replace_rows() -> tuple[int, int]:
        _check_keys(connection, table, load)
        return _merge(connection, table)

    return load_version(connection, table, load, iam_role=iam_role, run_id=run_id, replace_rows=replace_rows)


def _check_keys(connection: WarehouseConnection, table: WarehouseTable, load: PartitionLoad) -> None:
    names = ", ".join(table.key)
    is_null = " OR ".join(f"{quoted(name)} IS NULL" for name in table.key)
    nulls = int(connection.execute(f"SELECT count(*) FROM {STAGE} WHERE {is_null}").rows[0][0])
    if nulls:
        raise AuditFailed(
            f"{nulls} rows have no value in the key ({names})",
            where=f"{table.label} from {load.manifest_uri}",
            expected="a value in every row",
            todo="Declare the column as required, so that such rows go to the quarantine",
        )
    keys = columns_sql(list(table.key))
    twice = connection.execute(
        f"SELECT {keys}, count(*) FROM {STAGE} GROUP BY {keys} HAVING count(*) > 1 ORDER BY {keys} LIMIT {MAX_EXAMPLES}"
    ).rows
    if twice:
        examples = ", ".join(f"{'/'.join(map(str, key))} ({count} times)" for *key, count in twice)
        raise AuditFailed(
            f"the key ({names}) is not unique: {examples}",
            where=f"{table.label} from {load.manifest_uri}",
            expected="one row for each key",
            todo="Mend the source, or declare the columns that make a row unique",
        )


def _merge(connection: WarehouseConnection, table: WarehouseTable) -> tuple[int, int]:
    name = table.sql_name
    columns = columns_sql([column.name for column in table.columns])
    same_key = " AND ".join(f"{STAGE}.{quoted(key)} = {name}.{quoted(key)}" for key in table.key)
    # A null key in the table was never merged by us; it is not in the version either.
    vanished = connection.execute(
        f"DELETE FROM {name} WHERE NOT EXISTS (SELECT 1 FROM {STAGE} WHERE {same_key})"
    ).row_count
    changed = 0
    if differs := _differs(table):
        changed = connection.execute(f"DELETE FROM {name} USING {STAGE} WHERE {same_key} AND ({differs})").row_count
    inserted = connection.execute(
        f"INSERT INTO {name} ({columns}) SELECT {columns_sql([c.name for c in table.columns], alias='staged')} "
        f"FROM {STAGE} AS staged LEFT JOIN {name} AS held ON "
        + " AND ".join(f"staged.{quoted(key)} = held.{quoted(key)}" for key in table.key)
        + f" WHERE held.{quoted(table.key[0])} IS NULL"
    ).row_count
    return inserted, vanished + changed


def _differs(table: WarehouseTable) -> str:
    """Whether two rows of one key differ in another column; Redshift has no IS DISTINCT FROM."""
    parts = []
    for column in table.columns:
        if column.name not in table.key:
            held, staged = f"{table.sql_name}.{quoted(column.name)}", f"{STAGE}.{quoted(column.name)}"
            parts.append(
                f"{held} <> {staged} OR ({held} IS NULL AND {staged} IS NOT NULL)"
                f" OR ({held} IS NOT NULL AND {staged} IS NULL)"
            )
    return " OR ".join(parts)
