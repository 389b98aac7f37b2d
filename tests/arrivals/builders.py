"""Builders of the values that the tests of arrivals speak of."""

import datetime as dt
import hashlib
import json
from typing import Any

from datalake_assets.arrivals.order import Arrival
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.partitions import Daily
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.arrivals.sources import ArrivalSource, RawObject

NOON = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
SOURCE = "flights/flights"
DAY = "2013-01-01"


def at(seconds: float) -> dt.datetime:
    """Some seconds after noon."""
    return NOON + dt.timedelta(seconds=seconds)


def etag_of(content: str) -> str:
    return hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()


def key_of(name: str = "a", day: str = DAY) -> str:
    return f"flights/dt={day}/{name}.csv.gz"


def event(
    name: str = "a", content: str = "1", seconds: float = 0, *, day: str = DAY, deleted: bool = False, **more: Any
) -> Arrival:
    """What a notification tells of `flights/dt=<day>/<name>.csv.gz`."""
    told: dict[str, Any] = {
        "bucket": "raw", "key": key_of(name, day), "source_id": SOURCE, "partition": day, "etag": etag_of(content),
        "size": len(content), "event_at": at(seconds), "is_deleted": deleted,
    }  # fmt: skip
    return Arrival(**{**told, **more})


def listed(name: str = "a", content: str = "1", seconds: float = 0, *, day: str = DAY) -> RawObject:
    """What a listing shows of the same object."""
    return RawObject("raw", key_of(name, day), etag_of(content), len(content), at(seconds))


def notification(key: str = "flights/dt=2013-01-01/a.csv.gz", **more: Any) -> str:
    """A message as S3 sends it; `key` is already encoded."""
    told: dict[str, Any] = {"key": key, "size": 3, "eTag": "e", "sequencer": "0055AED6DCD90281E5"}
    record = {
        "eventTime": "2026-01-05T12:00:00.123Z",
        "eventName": more.pop("event_name", "ObjectCreated:Put"),
        "s3": {"bucket": {"name": more.pop("bucket", "raw")}, "object": {**told, **more}},
    }
    return json.dumps({"Records": [record]})


def state(partition: str = DAY, **more: Any) -> PartitionState:
    """A partition of the ledger that changed at noon and was never requested, read an hour later."""
    values: dict[str, Any] = {
        "source_id": SOURCE, "partition": partition, "changed_seq": 7, "objects": 1, "bytes": 10,
        "newest_event_at": NOON, "first_changed_at": NOON, "last_changed_at": NOON, "requested_seq": None,
        "requested_at": None, "run_key": None, "attempts": 0, "published_seq": 0, "published_version": None,
        "published_at": None, "read_at": at(3600),
    }  # fmt: skip
    return PartitionState(**{**values, **more})


FLIGHTS = ArrivalSource(
    source_id=SOURCE,
    table="flights",
    patterns=(KeyPattern.parse("flights/dt={partition}/*.csv.gz", Daily(dt.date(2013, 1, 1))),),
    asset_key=("flights", "raw", "flights"),
    lake_asset_key=("flights", "lake", "flights"),
    settle_seconds=0,
)
AIRLINES = ArrivalSource(
    source_id="flights/airlines",
    table="airlines",
    patterns=(KeyPattern.parse("airlines/*.csv"),),
    asset_key=("flights", "raw", "airlines"),
    lake_asset_key=("flights", "lake", "airlines"),
    settle_seconds=0,
)
SOURCES = (FLIGHTS, AIRLINES)
