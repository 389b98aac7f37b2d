"""What an attempt does: one function for each way into the platform, with arguments and results that can be pickled."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.faults.tables import LOCATION, SPECS, definitions, pipeline, sources

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def ingest_partitions(table: str, partitions: Sequence[str], run_id: str) -> list[tuple[str, str, str]]:
    """One run without Dagster; what became of each partition, as (kind, partition, version or error)."""
    from datalake_assets.ingest.outcomes import Failed
    from datalake_assets.ingest.run import ingest

    return [
        (
            type(outcome).__name__,
            outcome.partition,
            f"{type(outcome.error).__name__}: {outcome.error}" if isinstance(outcome, Failed) else outcome.version,
        )
        for outcome in ingest(pipeline(table), list(partitions), run_id=run_id)
    ]


def drain_queue() -> bool:
    """Drain the arrivals queue; False if it had more."""
    from datalake_assets.accounts.sessions import session
    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.queue import drain
    from datalake_assets.arrivals.sources import Matcher

    aws = session(LOCATION)
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=aws.account.arrivals_queue)["QueueUrl"]
    done = drain(sqs, url, Matcher(sources()), Ledger(), location=LOCATION, bucket=aws.account.raw_bucket)
    return done.is_empty


def sweep_bucket() -> Any:
    """Compare the whole bucket with the ledger."""
    from datalake_assets.accounts.sessions import session
    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.sweep import sweep

    aws = session(LOCATION)
    return sweep(aws.client("s3"), aws.account.raw_bucket, sources(), Ledger(), location=LOCATION)


def run_job(home: str, table: str, partitions: Sequence[str], run_id: str) -> bool:
    """One run of the pipeline's own job, its events in Dagster's real storage."""
    import dagster as dg

    tags = {RANGE_START: partitions[0], RANGE_END: partitions[-1]} if partitions[0] else {}
    with dg.DagsterInstance.from_config(home) as instance:
        return (
            definitions()
            .resolve_job_def(table)
            .execute_in_process(instance=instance, tags=tags, raise_on_error=False, run_id=run_id)
            .success
        )


def tick(home: str, cursor: str | None) -> tuple[str | None, list[tuple[str, str, dict[str, str]]]]:
    """One tick of the arrival sensor: its new cursor and what it asks for, as (run key, job, tags)."""
    import dagster as dg

    from datalake_assets.arrivals import requests
    from datalake_assets.arrivals.sensor import build_arrival_sensor

    requests.LOST_AFTER_SECONDS = 0  # a request that never became a run is asked for again at once
    repository = definitions().get_repository_def()
    sensor = build_arrival_sensor(LOCATION, sources(), jobs=[repository.get_job(s.table) for s in sources()])
    with (
        dg.DagsterInstance.from_config(home) as instance,
        dg.build_sensor_context(
            instance=instance, cursor=cursor, repository_def=repository, sensor_name=f"{LOCATION}_arrivals"
        ) as context,
    ):
        result = sensor.evaluate_tick(context)
        return result.cursor, [
            (str(request.run_key), str(request.job_name), dict(request.tags)) for request in result.run_requests or []
        ]


def roll_back(home: str, table: str, partition: str, to: str, run_id: str) -> list[str]:
    """Restore a version, as `datalake rollback` does: lake, Dagster, warehouse; the names of what came of it."""
    import dagster as dg

    from datalake_assets.components.pipelines import DeclaredPipeline
    from datalake_assets.components.upkeep.restoring import roll_back as restore

    with dg.DagsterInstance.from_config(home) as instance:
        return [
            type(outcome).__name__
            for outcome in restore(
                DeclaredPipeline(LOCATION, SPECS[table]),
                partition,
                to=to,
                reason="a test wants it",
                requested_by="test",
                run_id=f"rollback-{run_id}",
                report=instance.report_runless_asset_event,
            )
        ]


def load_what_is_behind(table: str, partitions: Sequence[str], run_id: str) -> list[str]:
    """What the hourly job does: load what the lake shows and the warehouse does not hold."""
    from datalake_assets.ingest.behind import load_behind

    return [type(outcome).__name__ for outcome in load_behind(pipeline(table), partitions, run_id=run_id)]


def torn_partitions(table: str, now: datetime) -> list[str]:
    """The partitions whose child tables are newer than their records."""
    from datalake_assets.ingest.torn import torn

    return torn(pipeline(table), now=now)


def vacuum_table(table: str, partitions: Sequence[str], keep_versions: int, grace_seconds: float) -> Any:
    """Vacuum some partitions; what a killed run has left is removed as soon as all else."""
    from datalake_assets.accounts.sessions import session
    from datalake_assets.catalog.glue import GlueTable
    from datalake_assets.catalog.vacuum import vacuum

    grace = timedelta(seconds=grace_seconds)
    return vacuum(
        GlueTable(session(LOCATION), table),
        keep_versions=keep_versions,
        grace=grace,
        partitions=partitions,
        unfinished_grace=grace,
    )


def dagster_home(folder: Path) -> str:
    """A Dagster home whose storage is the sandbox's."""
    import shutil

    from datalake_assets.project import INSTANCE_CONFIG

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(INSTANCE_CONFIG, folder / "dagster.yaml")
    return str(folder)
