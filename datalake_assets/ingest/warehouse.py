"""Load published versions into the warehouse, each in a transaction of its own."""

import time
from collections import deque
from collections.abc import Iterator, Mapping

from datalake_assets.accounts.sessions import session
from datalake_assets.catalog.manifest import read_manifest, redshift_manifest
from datalake_assets.errors import Unavailable
from datalake_assets.ingest.outcomes import Failed, Loaded
from datalake_assets.ingest.pipeline import Pipeline


def load_versions(pipeline: Pipeline, versions: Mapping[str, str], run_id: str) -> Iterator[Loaded | Failed]:
    """Load the published version of each partition once: one that the warehouse shows already is skipped.

    Args:
        versions: partition → version id.
    """
    from datalake_assets.accounts.secrets import warehouse_secret
    from datalake_assets.warehouse.connection import connect
    from datalake_assets.warehouse.load import PartitionLoad, load_partition, prepare
    from datalake_assets.warehouse.merge import merge_table

    table = pipeline.warehouse
    if table is None or not versions:
        return
    account = session(pipeline.location)
    s3, bucket = account.client("s3"), account.account.lake_bucket
    load = load_partition if pipeline.is_partitioned else merge_table
    waiting = deque(versions.items())
    try:
        with connect(warehouse_secret(pipeline.location)) as connection:
            prepare(connection, table)
            while waiting:
                partition, version = waiting[0]
                begin = time.monotonic()
                try:
                    manifest = read_manifest(s3, bucket, pipeline.name, partition, version)
                    result = load(
                        connection,
                        table,
                        PartitionLoad(
                            partition=partition,
                            version=version,
                            manifest_uri=redshift_manifest(s3, bucket, manifest),
                            expected_rows=manifest.version.row_count,
                        ),
                        iam_role=account.account.role,
                        run_id=run_id,
                    )
                except Unavailable:
                    raise  # the connection is of no more use: all that waits fails with it
                except Exception as error:  # noqa: BLE001 - also a mistake in the code stops its own partition only
                    yield Failed(partition, error)
                else:
                    seconds = time.monotonic() - begin
                    yield Loaded(partition, result.version, result.rows, result.skipped, seconds)
                waiting.popleft()
    except Exception as error:  # noqa: BLE001 - whatever it is, the run is told which partitions are not loaded
        yield from (Failed(partition, error) for partition, _ in waiting)
