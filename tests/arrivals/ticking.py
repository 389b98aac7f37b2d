"""A location whose arrival sensor is ticked by hand, on a bucket and a queue in moto."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from datalake_assets.arrivals.conditions import RunConditions
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.listing import list_partition
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.arrivals.run_tags import requested_partitions
from datalake_assets.arrivals.sensor import build_arrival_sensor
from datalake_assets.arrivals.sources import ArrivalSource
from datalake_assets.names import UNPARTITIONED
from tests.arrivals.builders import AIRLINES, FLIGHTS, SOURCES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FLIGHTS_KEY = dg.AssetKey(["flights", "lake", "flights"])
RAW_KEY = dg.AssetKey(["flights", "raw", "flights"])
AIRLINES_KEY = dg.AssetKey(["flights", "lake", "airlines"])
DAILY = dg.DailyPartitionsDefinition("2013-01-01")


class Platform:
    """A location with its sensor, its instance and its bucket, as the daemon would drive it."""

    def __init__(self, s3: "S3Client", bucket: str, instance: dg.DagsterInstance) -> None:
        self.s3, self.bucket, self.instance = s3, bucket, instance
        self.ledger = Ledger()
        self.seen: list[list[str]] = []
        self.fails = False
        self.sources: Sequence[ArrivalSource] = SOURCES
        self.definitions = self._definitions()
        self.sensor = self.definitions.get_repository_def().get_sensor_def("flights_arrivals")
        self.cursor: str | None = None

    def _definitions(self) -> dg.Definitions:
        @dg.asset(
            key=FLIGHTS_KEY,
            deps=[RAW_KEY],
            partitions_def=DAILY,
            backfill_policy=dg.BackfillPolicy.single_run(),
            check_specs=[dg.AssetCheckSpec("quarantine", asset=FLIGHTS_KEY)],
        )
        def flights(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
            partitions = requested_partitions(context.run.tags, context.partition_keys)
            self.seen.append(partitions)
            if self.fails:
                raise RuntimeError("the warehouse is down")
            begun = self.ledger.last_change()
            for partition in partitions:
                context.log_event(dg.AssetMaterialization(FLIGHTS_KEY, partition=partition))
                objects = list_partition(self.s3, self.bucket, FLIGHTS.patterns, partition)
                self.ledger.mark_published(
                    FLIGHTS.source_id, partition, objects=objects, version=context.run_id, begun_seq=begun
                )
            return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="quarantine", passed=True)])

        @dg.asset(key=AIRLINES_KEY)
        def airlines() -> None:
            objects = list_partition(self.s3, self.bucket, AIRLINES.patterns, UNPARTITIONED)
            self.ledger.mark_published(AIRLINES.source_id, UNPARTITIONED, objects=objects, version="v")

        raw = dg.AssetSpec(RAW_KEY, partitions_def=DAILY)
        return dg.Definitions(assets=[raw, flights, airlines], sensors=[build_arrival_sensor("flights", self.sources)])

    def declare(self, marker: str | None = None, *, starts_runs: bool = True, **words: Any) -> None:
        """Declare words of `trigger.arrivals` for the flights, or that their trigger starts the runs."""
        pattern = KeyPattern.parse(marker, FLIGHTS.partitions, is_marker=True) if marker else None
        flights = replace(FLIGHTS, marker=pattern, conditions=RunConditions(**words), starts_runs=starts_runs)
        self.sources = (flights, AIRLINES)
        self.definitions = self._definitions()
        self.sensor = self.definitions.get_repository_def().get_sensor_def("flights_arrivals")

    def land(self, *keys: str, body: bytes = b"x") -> None:
        for key in keys:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def tick(self) -> Any:
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.definitions.get_repository_def(),
            sensor_name="flights_arrivals",
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        return result

    def run(self, request: dg.RunRequest, *, raises: bool = True) -> dg.ExecuteInProcessResult:
        assert request.job_name is not None
        job = self.definitions.get_repository_def().get_job(request.job_name)
        subset = job.get_subset(
            asset_selection=set(request.asset_selection or []) or None,
        )
        tags = {**request.tags, "dagster/run_key": str(request.run_key)}
        return subset.execute_in_process(instance=self.instance, tags=tags, raise_on_error=raises)

    def partitions_with_data(self, key: dg.AssetKey) -> set[str]:
        return set(self.instance.get_materialized_partitions(key))
