"""Arrivals at scale: messages into the ledger, sweeps, sensor ticks, memory, and the runs that a storm of files costs.

    python -m benchmarks.arrivals [--quick] [--objects 1000000]

Ledger and sweep work on the sandbox's PostgreSQL. Queue and listing are doubles that cost nothing, so that what is
measured is ours; the sandbox's own queue is measured beside a bare loop that receives and deletes the same messages,
because its speed falls with its depth.
"""

import argparse
import datetime as dt
import itertools
import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from benchmarks._report import at_least, goal, print_report

PARTITIONS = 1_000
FIRST_DAY = dt.date(2020, 1, 1)
CREATED_AT = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
BUCKET = "datalake-flights-raw"
SOURCE = "flights/storm"

GOAL_LEDGER_PER_SECOND = 5_000
GOAL_TICK_SECONDS = 20.0
GOAL_MEMORY_RATIO = 1.3
GOAL_RUNS = 100
GOAL_QUEUE_RATIO = 1.5


def sources() -> list[Any]:
    """One daily source of many small files."""
    from datalake_assets.arrivals.partitions import Daily
    from datalake_assets.arrivals.pattern import KeyPattern
    from datalake_assets.arrivals.sources import ArrivalSource

    return [
        ArrivalSource(
            source_id=SOURCE,
            table="storm",
            patterns=(KeyPattern.parse("storm/dt={partition}/*.csv", Daily(FIRST_DAY)),),
            asset_key=("flights", "raw", "storm"),
            lake_asset_key=("flights", "lake", "storm"),
            settle_seconds=0,
        )
    ]


def days() -> list[str]:
    """The partitions, in order."""
    return [str(FIRST_DAY + dt.timedelta(n)) for n in range(PARTITIONS)]


def keys(objects: int) -> Iterator[str]:
    """All keys in the order of a listing."""
    for day in days():
        for number in range(objects // PARTITIONS):
            yield f"storm/dt={day}/part-{number:07d}.csv"


class FreeQueue:
    """An SQS client whose queue costs nothing: one message for each object, made when it is asked for."""

    def __init__(self, objects: int) -> None:
        self._keys = keys(objects)
        self.deleted = 0

    def receive_message(self, **_: Any) -> dict[str, Any]:
        """Up to ten messages."""
        found = list(itertools.islice(self._keys, 10))
        return {"Messages": [{"Body": notification(key), "ReceiptHandle": key} for key in found]} if found else {}

    def delete_message_batch(self, **call: Any) -> dict[str, Any]:
        """Count what is done."""
        self.deleted += len(call["Entries"])
        return {}


class LockedQueue(FreeQueue):
    """The same for several receiving threads."""

    def __init__(self, objects: int) -> None:
        import threading

        super().__init__(objects)
        self._lock = threading.Lock()

    def receive_message(self, **more: Any) -> dict[str, Any]:
        """Up to ten messages, to one thread at a time."""
        with self._lock:
            return super().receive_message(**more)


class FreeBucket:
    """An S3 client whose listings cost nothing but their objects."""

    def __init__(self, objects: int) -> None:
        self._objects = objects

    def list_objects_v2(self, **call: Any) -> dict[str, Any]:
        """A page of a thousand objects; a token is the number of the next one."""
        first = int(call.get("ContinuationToken", 0))
        per_day = self._objects // PARTITIONS
        page = [
            f"storm/dt={FIRST_DAY + dt.timedelta(n // per_day)}/part-{n % per_day:07d}.csv"
            for n in range(first, min(first + 1_000, self._objects))
        ]
        is_last = first + 1_000 >= self._objects
        return {
            "Contents": [{"Key": key, "ETag": '"e"', "Size": 3, "LastModified": CREATED_AT} for key in page],
            "IsTruncated": not is_last,
            **({} if is_last else {"NextContinuationToken": str(first + 1_000)}),
            "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(dt.datetime.now(dt.UTC), usegmt=True)}},
        }


def notification(key: str) -> str:
    """What S3 tells of a new object."""
    return json.dumps(
        {
            "Records": [
                {
                    "eventTime": "2026-01-05T12:00:00.123Z",
                    "eventName": "ObjectCreated:Put",
                    "s3": {
                        "bucket": {"name": BUCKET},
                        "object": {"key": key.replace("=", "%3D"), "size": 3, "eTag": "e"},
                    },
                }
            ]
        }
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of wall time, and the result."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def drain_all(sqs: Any, queue_url: str) -> tuple[int, float]:
    """Drain until the queue is empty, as one sensor tick after the other does; the messages and the longest drain."""
    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.queue import drain
    from datalake_assets.arrivals.sources import Matcher

    matcher, ledger, messages, longest = Matcher(sources()), Ledger(), 0, 0.0
    while True:
        seconds, done = timed(lambda: drain(sqs, queue_url, matcher, ledger, location="flights", bucket=BUCKET))
        messages, longest = messages + done.messages, max(longest, seconds)
        if done.is_empty:
            return messages, longest


def empty_ledger() -> None:
    """Remove everything that arrivals have recorded."""
    from sqlalchemy import text

    from datalake_assets.database.engine import engine, transaction
    from datalake_assets.database.tables import metadata

    names = ", ".join(name for name in metadata.tables if name.startswith("arrival_"))
    with transaction(engine()) as connection:
        connection.execute(text(f"TRUNCATE {names}"))


def measure_ledger(objects: int) -> float:
    """Objects a second that `Ledger.record` takes when they are new."""
    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.order import Arrival

    empty_ledger()
    ledger, found = Ledger(), keys(objects)

    def record() -> None:
        while batch := list(itertools.islice(found, 10_000)):
            ledger.record(Arrival(BUCKET, key, SOURCE, key[9:19], "e", 3, CREATED_AT) for key in batch)

    return objects / timed(record)[0]


def sweep_rate(objects: int) -> float:
    """Objects a second that a sweep compares."""
    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.sweep import sweep

    bucket: Any = FreeBucket(objects)
    seconds, result = timed(
        lambda: sweep(bucket, BUCKET, sources(), Ledger(), location="flights", requests_per_second=1e9)
    )
    if result.listed != objects:
        raise RuntimeError(f"the sweep listed {result.listed} of {objects} objects")
    return objects / seconds


def measure_storm() -> tuple[int, float, int]:
    """Tick the real sensor until every partition of the ledger is published: runs, longest tick, ticks."""
    import dagster as dg

    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.run_tags import RANGE_END_TAG, RANGE_START_TAG, requested_partitions
    from datalake_assets.arrivals.sensor import build_arrival_sensor

    ledger, runs, ticks, longest, cursor = Ledger(), 0, 0, 0.0, None
    every_day = days()
    job = dg.GraphDefinition(name="storm").to_job()
    sensor = build_arrival_sensor("flights", [_with_target(each) for each in sources()], jobs=[job])
    with dg.DagsterInstance.ephemeral() as instance:
        while ledger.partition_states([SOURCE]):
            context = dg.build_sensor_context(instance=instance, cursor=cursor)
            seconds, found = timed(lambda: sensor(context))  # noqa: B023
            ticks, longest, cursor = ticks + 1, max(longest, seconds), found.cursor
            for request in found.run_requests or ():
                runs += 1
                first = every_day.index(request.tags[RANGE_START_TAG])
                last = every_day.index(request.tags[RANGE_END_TAG])
                for day in requested_partitions(request.tags, every_day[first : last + 1]):
                    _publish(ledger, day)
            if ticks > 10 * PARTITIONS:
                raise RuntimeError("the storm does not end")
    return runs, longest, ticks


def _with_target(source: Any) -> Any:
    from dataclasses import replace

    return replace(source, target="storm")


def _publish(ledger: Any, day: str) -> None:
    """What a run does to the ledger: publish what is there."""
    from datalake_assets.arrivals.sources import RawObject

    begun = ledger.last_change()
    objects = [
        RawObject(each.bucket, each.key, each.etag, each.size, each.event_at)
        for batch in ledger.live_objects(BUCKET, f"storm/dt={day}/")
        for each in batch
    ]
    ledger.mark_published(SOURCE, day, objects=objects, version="20260105T120000000000Z-run", begun_seq=begun)


def peak_megabytes(objects: int) -> float:
    """The peak memory of a fresh process that drains and sweeps so many objects."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_drain_and_sweep, (objects,))


def _drain_and_sweep(objects: int) -> float:
    drain_all(LockedQueue(objects), "queue")
    sweep_rate(objects)
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def measure_sandbox_queue(messages: int) -> dict[str, float]:
    """The sandbox's queue drained by us, and received and deleted by a bare loop of as many threads."""
    from concurrent.futures import ThreadPoolExecutor

    from datalake_assets.accounts.sessions import session
    from datalake_assets.arrivals.queue import RECEIVERS

    sqs = session("flights").client("sqs")
    url = sqs.create_queue(QueueName="benchmark")["QueueUrl"]

    def fill() -> None:
        found = keys(messages)
        while batch := list(itertools.islice(found, 10)):
            entries: list[Any] = [{"Id": str(n), "MessageBody": notification(key)} for n, key in enumerate(batch)]
            sqs.send_message_batch(QueueUrl=url, Entries=entries)

    def take() -> int:
        taken = 0
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            entries: list[Any] = [
                {"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(found)
            ]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)
            taken += len(found)
        return taken

    def take_bare() -> int:
        with ThreadPoolExecutor(RECEIVERS) as pool:
            return sum(pool.map(lambda _: take(), range(RECEIVERS)))

    rates = []
    for work in (take_bare, lambda: drain_all(sqs, url)[0]):
        fill()
        seconds, taken = timed(work)
        if taken < messages:
            raise RuntimeError(f"{taken} of {messages} messages were taken")
        rates.append(messages / seconds)
    sqs.delete_queue(QueueUrl=url)
    return {"bare_per_second": round(rates[0]), "drained_per_second": round(rates[1])}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 objects")
    parser.add_argument("--objects", type=int, default=100_000, help="100,000 by default; 1,000,000 takes some minutes")
    arguments = parser.parse_args()
    objects = 20_000 if arguments.quick else max(arguments.objects // PARTITIONS, 1) * PARTITIONS

    from datalake_assets.sandbox.sandbox import Sandbox, any_free_ports

    logging.disable(logging.INFO)  # a tick names each run that it requests
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder) / "state", ports=any_free_ports()) as sandbox:
        os.environ.update(sandbox.environment())
        try:
            figures, goals = measure(objects)
        finally:
            from datalake_assets.database.engine import engine

            engine().dispose()
    sandbox.state.delete()
    print_report("arrivals", figures, goals)


def measure(objects: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """All figures and goals for so many objects."""
    ledger_rate = measure_ledger(objects)
    empty_ledger()
    seconds, (messages, longest_drain) = timed(lambda: drain_all(LockedQueue(objects), "queue"))
    if messages != objects:
        raise RuntimeError(f"{messages} of {objects} messages were drained")
    unchanged = sweep_rate(objects)
    runs, longest_tick, ticks = measure_storm()
    empty_ledger()
    missing = sweep_rate(objects)
    empty_ledger()
    small = peak_megabytes(max(objects // 10, PARTITIONS))
    empty_ledger()
    large = peak_megabytes(objects)
    queue = measure_sandbox_queue(1_000)
    figures = {
        "objects": objects,
        "partitions": PARTITIONS,
        "ledger_objects_per_second": round(ledger_rate),
        "drained_messages_per_second": round(objects / seconds),
        "swept_unchanged_per_second": round(unchanged),
        "swept_missing_per_second": round(missing),
        "sandbox_queue": queue,
        "storm": {"runs": runs, "ticks": ticks},
        "peak_megabytes": {"a_tenth": round(small), "all": round(large)},
    }
    goals = {
        "ledger alone, objects/s": at_least(ledger_rate, GOAL_LEDGER_PER_SECOND),
        "drain of a queue that costs nothing, messages/s": at_least(objects / seconds, GOAL_LEDGER_PER_SECOND / 2),
        "bare sandbox queue / drained, x": goal(
            queue["bare_per_second"] / queue["drained_per_second"], GOAL_QUEUE_RATIO
        ),
        "longest drain, s": goal(longest_drain, GOAL_TICK_SECONDS),
        "longest tick, s": goal(longest_tick, GOAL_TICK_SECONDS),
        "memory, all / a tenth of the objects, x": goal(large / small, GOAL_MEMORY_RATIO),
        f"runs of a storm over {PARTITIONS} partitions": goal(runs, GOAL_RUNS),
    }
    return figures, goals


if __name__ == "__main__":
    main()
