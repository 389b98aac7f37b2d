"""Publish one partition in a process of its own and print its peak memory: `python -m … DAY`."""

import json
import resource
import sys

import dagster as dg

from datalake_assets import definitions

KILOBYTE = 1024


def main(day: str) -> None:
    """Print `{"success": …, "peak_bytes": …, "idle_bytes": …}`: at the end, and before the run."""
    job = definitions.flights.resolve_job_def("flights")
    lake = dg.AssetKey(["flights", "lake", "flights"])
    # What a run imports anyway is not the file's doing.
    import boto3  # noqa: F401
    import duckdb  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sqlalchemy.dialects.postgresql.psycopg2  # noqa: F401

    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
    with dg.DagsterInstance.ephemeral() as instance:
        part = job.get_subset(asset_selection={lake})
        result = part.execute_in_process(instance=instance, partition_key=day, raise_on_error=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
    print(json.dumps({"success": result.success, "peak_bytes": peak, "idle_bytes": idle}))


if __name__ == "__main__":
    main(sys.argv[1])
