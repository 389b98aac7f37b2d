"""The platform as a hostile user drives it: land files, run jobs in process, look at what readers see."""

import csv
import gzip
import io
import json
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import dagster as dg

from datalake_assets import definitions
from datalake_assets.accounts import sessions
from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.accounts.sessions import session
from datalake_assets.arrivals.conditions import RunConditions
from datalake_assets.arrivals.sensor import build_arrival_sensor
from datalake_assets.arrivals.sources import ArrivalSource
from datalake_assets.components.declarations import read_declarations
from datalake_assets.components.lake_pipeline import build_arrival_source
from datalake_assets.project import LOCATIONS_FOLDER
from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.warehouse.connection import connect
from tests.conftest import forget_accounts
from tests.integration.runs import Run

if TYPE_CHECKING:
    import pandas as pd

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
FLIGHTS_HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
    "origin,dest,air_time,distance,hour,minute,time_hour"
)
Place = tuple[str, int]
"""A raw record: the URI of its file and the number of its line."""


def forget() -> None:
    """Drop what this process has cached of its environment, as a run of its own process would not have it."""
    # Closed here, not by the garbage collector, which complains of open sockets at any later moment.
    for client in (*session("flights")._clients.values(), sessions._platform_sts()):
        client.close()
    forget_accounts()
    boto3.DEFAULT_SESSION = None


class ReadersSession(boto3.Session):
    """The session of an independent client, which keeps its clients: awswrangler makes new ones for each call."""

    def __init__(self) -> None:
        credentials = session("flights")._session().get_credentials().get_frozen_credentials()
        super().__init__(
            credentials.access_key,
            credentials.secret_key,
            credentials.token,
            region_name=registry().account("flights").region,
        )
        self._kept: dict[str, Any] = {}

    def client(self, service_name: str, **options: Any) -> Any:  # type: ignore[override]
        if service_name not in self._kept:
            self._kept[service_name] = super().client(service_name, **options)  # type: ignore[call-overload]
        return self._kept[service_name]


@cache
def location() -> dg.Definitions:
    found: dg.Definitions = definitions.flights
    return found


@cache
def _sources() -> list[ArrivalSource]:
    """What the arrival sensor watches, without the time to settle, and as often as the tests of an hour want it."""
    declared = read_declarations(LOCATIONS_FOLDER / "flights")
    often = RunConditions(max_runs_per_hour=3600)
    return [
        replace(build_arrival_source("flights", each.spec), settle_seconds=0.0, conditions=often) for each in declared
    ]


def asset(layer: str, table: str) -> dg.AssetKey:
    return dg.AssetKey(["flights", layer, table])


def flight(day: str, number: object, **changed: object) -> str:
    """One good line of a flights file; `changed` replaces raw columns."""
    values: dict[str, object] = dict(
        zip(
            FLIGHTS_HEADER.split(","),
            (*map(int, day.split("-")), 810, 800, 10, 1005, 1000, 5, "B6", number, "N1", "JFK", "BOS", 45, 187, 8, 0,
             f"{day}T13:00:00Z"),
            strict=True,
        )
    )  # fmt: skip
    return ",".join(map(str, (values | changed).values()))


def flights_text(day: str, rows: int = 3, *, first: int = 1, lines: Iterable[str] = ()) -> str:
    """A flights file of a day: numbered good lines, then `lines`."""
    good = [flight(day, number) for number in range(first, first + rows)]
    return "\n".join([FLIGHTS_HEADER, *good, *lines]) + "\n"


def flights_file(day: str, rows: int = 3, *, first: int = 1, lines: Iterable[str] = ()) -> bytes:
    return gzip.compress(flights_text(day, rows, first=first, lines=lines).encode(), mtime=0)


class Platform:
    """One running sandbox, seen from outside."""

    def __init__(self, sandbox: Sandbox, instance: dg.DagsterInstance) -> None:
        self.sandbox = sandbox
        self.instance = instance
        self.account = registry().account("flights")
        self._next_day = date(2013, 1, 12)
        self._next_own_day = date(2020, 1, 1)
        self._sensor_cursor: str | None = None
        self._readers = ReadersSession()

    @property
    def s3(self) -> Any:
        return session("flights").client("s3")

    def close(self) -> None:
        """Close the connections to AWS."""
        for client in self._readers._kept.values():
            client.close()
        forget()

    def leftovers(self) -> list[str]:
        """What runs have left in the temp folder."""
        return sorted(path.name for path in Path(tempfile.gettempdir()).glob("datalake-*"))

    def days(self, count: int) -> list[str]:
        """Days in a row that no other test has used."""
        first = self._next_day
        self._next_day += timedelta(count + 1)  # a gap, so that no sensor puts two tests into one run
        return [str(first + timedelta(n)) for n in range(count)]

    def day(self) -> str:
        return self.days(1)[0]

    def own_day(self) -> str:
        """A day for a pipeline of the tests' own; the flights end with 2013."""
        self._next_own_day += timedelta(2)
        return str(self._next_own_day)

    # Raw

    def put(self, key: str, body: bytes | str) -> str:
        """Land an object; return its URI."""
        data = body.encode() if isinstance(body, str) else body
        self.s3.put_object(Bucket=self.account.raw_bucket, Key=key, Body=data)
        return f"s3://{self.account.raw_bucket}/{key}"

    def put_day(self, day: str, body: bytes | None = None, *, name: str = "flights.csv.gz") -> str:
        return self.put(f"flights/dt={day}/{name}", flights_file(day) if body is None else body)

    def remove(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.account.raw_bucket, Key=key)

    def raw_records(self, prefix: str) -> set[Place]:
        """Every record below a prefix, counted with gzip and csv and nothing of the platform."""
        found: set[Place] = set()
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.account.raw_bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                body = self.s3.get_object(Bucket=self.account.raw_bucket, Key=item["Key"])["Body"].read()
                text = (gzip.decompress(body) if item["Key"].endswith(".gz") else body).decode()
                reader = csv.reader(io.StringIO(text, newline=""))
                next(reader)
                start = reader.line_num
                for record in reader:
                    if record:
                        found.add((f"s3://{self.account.raw_bucket}/{item['Key']}", start + 1))
                    start = reader.line_num
        return found

    # Runs

    def run(
        self,
        job: str,
        partitions: str | Sequence[str] | None = None,
        *,
        assets: Collection[dg.AssetKey] | None = None,
        checks: Collection[dg.AssetCheckKey] | None = None,
        tags: dict[str, str] | None = None,
        instance: dg.DagsterInstance | None = None,
    ) -> Run:
        """Execute a job in this process: one partition (str), a range as the arrival sensor asks (list), or none."""
        found = location().resolve_job_def(job)
        if assets is not None or checks is not None:
            found = found.get_subset(
                asset_selection=set(assets or ()), asset_check_selection=None if checks is None else set(checks)
            )
        wanted = dict(tags or {})
        if partitions is not None and not isinstance(partitions, str):
            wanted |= {RANGE_START: partitions[0], RANGE_END: partitions[-1]}
        result = found.execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "INFO"}}}},
            instance=instance or self.instance,
            partition_key=partitions if isinstance(partitions, str) else None,
            tags=wanted,
            raise_on_error=False,
        )
        return Run(result)

    def tick(self) -> Any:
        """One tick of the arrival sensor, without the time to settle."""
        sources = _sources()
        repository = location().get_repository_def()
        sensor = build_arrival_sensor("flights", sources, jobs=[repository.get_job(s.table) for s in sources])
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self._sensor_cursor,
            repository_def=repository,
            sensor_name="flights_arrivals",
        ) as context:
            result = sensor.evaluate_tick(context)
        self._sensor_cursor = result.cursor
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        return result

    def run_requested(self, request: Any) -> Run:
        """Execute what the sensor asked for, with its tags."""
        return self.run(request.job_name, tags={**request.tags, "dagster/run_key": str(request.run_key)})

    # What readers see

    def lake(
        self, table: str, days: Sequence[str] | None = None, *, columns: Sequence[str] | None = None
    ) -> "pd.DataFrame":
        """The table as an independent client reads it from the catalog."""
        import awswrangler as wr

        wanted = None if days is None else set(days)
        frame: pd.DataFrame = wr.s3.read_parquet_table(
            database=self.account.glue_database,
            table=table,
            columns=None if columns is None else list(columns),
            boto3_session=self._readers,
            partition_filter=None if wanted is None else lambda values: values["dt"] in wanted,
        )
        return frame

    def lake_records(self, table: str, days: Sequence[str] | None = None) -> Counter[Place]:
        frame = self.lake(table, days, columns=["_source_file", "_source_row"])
        return Counter(zip(frame["_source_file"], map(int, frame["_source_row"]), strict=True))

    def quarantine(self, day: str) -> list[dict[str, Any]]:
        """The rows set aside of a day, none if it never had any."""
        if not self.glue_partition("flights_quarantine", day):
            return []
        return self.lake("flights_quarantine", [day]).to_dict("records")  # type: ignore[return-value]

    def glue_partition(self, table: str, day: str) -> dict[str, Any] | None:
        glue = session("flights").client("glue")
        try:
            answer = glue.get_partition(DatabaseName=self.account.glue_database, TableName=table, PartitionValues=[day])
        except glue.exceptions.EntityNotFoundException:
            return None
        return dict(answer["Partition"])

    def glue_location(self, table: str, day: str) -> str:
        """Where the catalog sends readers of a day; '' before its first publication."""
        partition = self.glue_partition(table, day)
        return str(partition["StorageDescriptor"]["Location"]) if partition else ""

    def all_numbers(self, days: Sequence[str]) -> dict[str, tuple[list[int], list[int]]]:
        """`numbers` of many days at once."""
        frame = self.lake("flights", days)
        rows = self.warehouse(
            f"SELECT dt, flight_number FROM lake.flights WHERE dt IN ({', '.join(['%s'] * len(days))})", *days
        )
        return {
            day: (
                sorted(map(int, frame[frame["dt"].astype(str) == day]["flight_number"])),
                sorted(int(number) for found, number in rows if str(found) == day),
            )
            for day in days
        }

    def warehouse(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with connect(warehouse_secret("flights")) as connection:
            return connection.execute(sql, parameters).rows

    def warehouse_records(self, table: str, days: Sequence[str] | None = None) -> Counter[Place]:
        where = "" if days is None else f" WHERE dt IN ({', '.join(['%s'] * len(days))})"
        rows = self.warehouse(f"SELECT _source_file, _source_row FROM lake.{table}{where}", *(days or ()))
        return Counter((str(uri), int(row)) for uri, row in rows)

    def numbers(self, day: str) -> tuple[list[int], list[int]]:
        """The flight numbers of a day: in the lake and in the warehouse."""
        in_lake = (
            sorted(map(int, self.lake("flights", [day])["flight_number"]))
            if self.glue_partition("flights", day)
            else []
        )
        rows = self.warehouse("SELECT flight_number FROM lake.flights WHERE dt = %s ORDER BY 1", day)
        return in_lake, [int(row[0]) for row in rows]

    def drain(self) -> None:
        """Let the arrival ledger hear of everything that was landed, without asking for runs."""
        from datalake_assets.arrivals.ledger import Ledger
        from datalake_assets.arrivals.queue import drain
        from datalake_assets.arrivals.sources import Matcher

        sqs = session("flights").client("sqs")
        url = sqs.get_queue_url(QueueName=self.account.arrivals_queue)["QueueUrl"]
        drained = drain(sqs, url, Matcher(_sources()), Ledger(), location="flights", bucket=self.account.raw_bucket)
        assert drained.is_empty

    def is_dirty(self, source: str, partition: str) -> bool:
        """Whether the arrival ledger has the partition as work."""
        from datalake_assets.arrivals.ledger import Ledger

        return partition in {state.partition for state in Ledger().partition_states([source])}

    def outbox(self, kind: str) -> list[str]:
        """The alerts of a kind, as JSON, delivered or not."""
        from sqlalchemy import text

        from datalake_assets.database.engine import engine

        with engine().connect() as connection:
            rows = connection.execute(text("SELECT * FROM alert_outbox")).mappings().all()
        return [json.dumps(dict(row), default=str) for row in rows if row["dedup_key"].startswith(f"{kind}:")]

    def secret(self) -> dict[str, object]:
        """The account's warehouse secret."""
        answer = session("flights").client("secretsmanager").get_secret_value(SecretId=self.account.warehouse_secret)
        found: dict[str, object] = json.loads(answer["SecretString"])
        return found

    def put_secret(self, text: str) -> None:
        """Replace the account's warehouse secret; runs in this process read it anew."""
        client = session("flights").client("secretsmanager")
        client.put_secret_value(SecretId=self.account.warehouse_secret, SecretString=text)
        warehouse_secret.cache_clear()
