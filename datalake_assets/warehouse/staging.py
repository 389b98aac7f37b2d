"""COPY a version's objects into a temporary table, which no other session sees and which ends with its connection.

It happens before the transaction that replaces rows, so that the lock is held for the replacement only and not for
the minutes that a COPY may take. A failed COPY has touched nothing.
"""

import logging

from datalake_assets.errors import RowCountMismatch, Unavailable
from datalake_assets.names import quoted
from datalake_assets.warehouse.connection import WarehouseConnection
from datalake_assets.warehouse.sql import redshift_type, role_literal, s3_literal
from datalake_assets.warehouse.table import WarehouseTable

log = logging.getLogger(__name__)

STAGE = '"_datalake_stage"'  # temporary: each session has its own


def stage(
    connection: WarehouseConnection, table: WarehouseTable, *, manifest_uri: str, iam_role: str, expected_rows: int
) -> None:
    """Copy the manifest's objects into the session's stage and count them.

    Raises:
        RowCountMismatch: the objects have other rows than the lake counted.
        StatementFailed: COPY refused the objects, for example because their columns are not the table's.
    """
    columns = ", ".join(f"{quoted(column.name)} {redshift_type(column.type)}" for column in table.columns)
    drop_stage(connection)  # of a load that was cut off
    connection.execute(f"CREATE TEMP TABLE {STAGE} ({columns})")
    connection.execute(
        f"COPY {STAGE} FROM {s3_literal(manifest_uri)} IAM_ROLE {role_literal(iam_role)} FORMAT AS PARQUET MANIFEST"
    )
    staged = int(connection.execute(f"SELECT count(*) FROM {STAGE}").rows[0][0])
    if staged != expected_rows:
        raise RowCountMismatch(
            f"COPY loaded {staged} rows",
            where=f"{table.label} from {manifest_uri}",
            expected=f"the {expected_rows} rows that the lake published",
            todo="The warehouse still holds the version before; publish the partition again",
        )
    log.info("copied %d rows for %s from %s", staged, table.label, manifest_uri)


def drop_stage(connection: WarehouseConnection) -> None:
    """Drop the session's stage, if there is one; a lost connection has dropped it already."""
    try:
        connection.execute(f"DROP TABLE IF EXISTS {STAGE}")
    except Unavailable:
        log.debug("the stage is gone with the connection to %s", connection.where)
