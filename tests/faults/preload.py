"""What every attempt imports: done once in the process that forks them, so that one that is killed costs little."""

import boto3  # noqa: F401
import dagster  # noqa: F401
import duckdb  # noqa: F401
import psycopg2  # noqa: F401
import pyarrow.parquet  # noqa: F401
import redshift_connector  # noqa: F401
import sqlalchemy.dialects.postgresql.psycopg2  # noqa: F401
import tenacity  # noqa: F401

import datalake_assets.arrivals.queue
import datalake_assets.arrivals.sensor
import datalake_assets.arrivals.sweep
import datalake_assets.components.lake_pipeline
import datalake_assets.components.materialize
import datalake_assets.ingest.run
import datalake_assets.warehouse.load
import datalake_assets.warehouse.merge  # noqa: F401
import tests.faults.tasks  # noqa: F401
