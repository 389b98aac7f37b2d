from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datalake_assets.catalog.manifest import Manifest, RowCounts, redshift_manifest
from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.catalog.upload import LocalFile, upload_versions
from datalake_assets.warehouse.connection import WarehouseConnection
from datalake_assets.warehouse.load import PartitionLoad, load_partition
from datalake_assets.warehouse.table import WarehouseTable
from tests.sandbox.redshift.conftest import BUCKET, Lake
from tests.warehouse.conftest import ROLE, rows_of


def test_the_list_that_the_catalog_writes_is_what_copy_reads(
    connection: WarehouseConnection, flights: WarehouseTable, lake: Lake, tmp_path: Path
) -> None:
    columns: Any = [("carrier", pa.string()), ("delay", pa.int64())]
    files = []
    for number in range(3):
        path = tmp_path / f"part-{number:05d}.parquet"
        rows = [{"carrier": "AA", "delay": row} for row in range(number)]
        pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(columns)), path)
        files.append(LocalFile(path, number))
    version = upload_versions(lake.s3, BUCKET, "flights", "v1", {"2013-01-01": files})["2013-01-01"]
    manifest = Manifest(
        version=version,
        inputs=(),
        counts=RowCounts(rows_in=3, rows_published=3, rows_quarantined=0),
        columns=(CatalogColumn("carrier", "string"), CatalogColumn("delay", "bigint")),
        run_id="run-1",
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
    )

    uri = redshift_manifest(lake.s3, BUCKET, manifest)
    loaded = load_partition(
        connection,
        flights,
        PartitionLoad("2013-01-01", "v1", uri, manifest.version.row_count),
        iam_role=ROLE,
        run_id="run-1",
    )

    assert loaded.rows == len(rows_of(connection, flights)) == 3
