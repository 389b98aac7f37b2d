"""S3 and Glue in memory, on a clock that tests turn, for programs that are stopped between any two of their calls.

A program runs as a greenlet and hands over before each call that is a gate. While it waits, others go on and hours may
pass. As with AWS, a request is signed before it travels: one that arrives long after is refused.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any, ClassVar

from botocore.exceptions import ClientError
from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.layout import Kind, place_of
from datalake_assets.catalog.manifest import Manifest, RowCounts
from datalake_assets.catalog.versions import LakeObject, Version
from datalake_assets.names import version_prefix
from tests.catalog.conftest import ACCOUNT, FLIGHTS

START = datetime(2026, 1, 1, tzinfo=UTC)
SIGNATURE = timedelta(minutes=5)
WRITES = ("create", "update", "update_table", "delete")


@dataclass(frozen=True)
class Stored:
    body: bytes
    etag: str
    at: datetime
    checksum: str


@dataclass
class FakeAws:
    """One bucket and one table; `gate` is called with each operation and its key before it takes effect."""

    now: datetime = START
    objects: dict[str, Stored] = field(default_factory=dict)
    partitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    table: dict[str, Any] = field(default_factory=dict)
    gate: Callable[[str, str], None] = lambda operation, key: None
    observe: Callable[[str, str, object], None] = lambda operation, key, answer: None

    def arrive(self, operation: str, key: str = "", sign: Callable[[], None] = lambda: None) -> None:
        """A program may be suspended before it signs a request, and the request delayed after that."""
        self.gate(operation, key)
        sign()
        signed = self.now
        if operation in WRITES:
            self.gate(f"{operation} in flight", key)
        if self.now - signed > SIGNATURE:
            raise refusal("InvalidSignatureException", "Signature expired")

    def published(self, partition: str) -> str | None:
        entry = self.partitions.get(partition) if partition else self.table
        version: str | None = (entry or {}).get("Parameters", {}).get("datalake_version")
        return version

    def places(self, table: str, kind: Kind) -> set[str]:
        found = (place_of(table, key) for key in self.objects)
        return {place.version_id for place in found if place and place.kind is kind}


def refusal(code: str, message: str = "refused by the test") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": {}}, "Test")  # type: ignore[typeddict-item]


class FakeS3:
    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str = "", **_: Any) -> Any:
        self._aws.arrive("put", Key)
        if IfNoneMatch and Key in self._aws.objects:
            raise refusal("PreconditionFailed")
        digest = hashlib.sha256(Body).hexdigest()
        self._aws.objects[Key] = Stored(Body, f'"{digest[:8]}"', self._aws.now.replace(microsecond=0), digest)
        self._aws.observe("put", Key, None)
        return {"ETag": self._aws.objects[Key].etag}

    def copy_object(self, *, Bucket: str, Key: str, CopySource: Any, CopySourceIfMatch: str, **_: Any) -> Any:
        self._aws.arrive("copy", Key)
        source = self._aws.objects.get(CopySource["Key"])
        if source is None:
            raise refusal("NoSuchKey")
        self._aws.objects[Key] = Stored(source.body, source.etag, self._aws.now, source.checksum)
        return {}

    def head_object(self, *, Bucket: str, Key: str, **_: Any) -> Any:
        self._aws.arrive("head", Key)
        if Key not in self._aws.objects:
            raise refusal("404")
        stored = self._aws.objects[Key]
        return {"ContentLength": len(stored.body), "ETag": stored.etag, "ChecksumSHA256": stored.checksum}

    def get_object(self, *, Bucket: str, Key: str, **_: Any) -> Any:
        self._aws.arrive("get", Key)
        if Key not in self._aws.objects:
            raise refusal("NoSuchKey")
        body = self._aws.objects[Key].body
        return {"Body": SimpleNamespace(read=lambda: body)}

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, *, Bucket: str, Prefix: str, StartAfter: str = "") -> Iterator[Any]:
        self._aws.arrive("list", Prefix)
        contents = [
            {"Key": key, "Size": len(stored.body), "ETag": stored.etag, "LastModified": stored.at}
            for key, stored in sorted(self._aws.objects.items())
            if key.startswith(Prefix) and key > StartAfter
        ]
        self._aws.observe("list", Prefix, tuple(item["Key"] for item in contents))
        header = {"date": format_datetime(self._aws.now, usegmt=True)}
        yield {"Contents": contents, "ResponseMetadata": {"HTTPHeaders": header}}

    def delete_objects(self, *, Bucket: str, Delete: Any) -> Any:
        self._aws.arrive("delete", Delete["Objects"][0]["Key"])
        for item in Delete["Objects"]:
            self._aws.objects.pop(item["Key"], None)
        return {}


class FakeGlue:
    class exceptions:
        EntityNotFoundException = type("EntityNotFoundException", (ClientError,), {})
        AlreadyExistsException = type("AlreadyExistsException", (ClientError,), {})

    handlers: ClassVar[dict[str, Callable[..., None]]] = {}

    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws
        self.meta = SimpleNamespace(events=self)

    def register(self, _: str, handler: Callable[..., None], unique_id: str) -> None:
        self.handlers[unique_id] = handler

    def _arrive(self, operation: str, key: str = "") -> None:
        def sign() -> None:
            for handler in self.handlers.values():
                handler()

        self._aws.arrive(operation, key, sign)

    def get_table(self, **_: Any) -> Any:
        self._arrive("get_table")
        return {"Table": dict(self._aws.table)}

    def update_table(self, *, TableInput: Any, VersionId: str, **_: Any) -> None:
        self._arrive("update_table")
        if VersionId != self._aws.table["VersionId"]:
            raise refusal("ConcurrentModificationException")
        self._aws.table = {**TableInput, "VersionId": str(int(VersionId) + 1)}
        self._aws.observe("update_table", "", None)

    def batch_get_partition(self, *, PartitionsToGet: Any, **_: Any) -> Any:
        self._arrive("compare")
        wanted = [each["Values"][0] for each in PartitionsToGet]
        found = [self._aws.partitions[key] for key in wanted if key in self._aws.partitions]
        self._aws.observe("compare", "", tuple(each["Parameters"].get("datalake_version") for each in found))
        return {"Partitions": found}

    def batch_create_partition(self, *, PartitionInputList: Any, **_: Any) -> Any:
        self._arrive("create")
        errors = []
        for each in PartitionInputList:
            if each["Values"][0] in self._aws.partitions:
                detail = {"ErrorCode": "AlreadyExistsException", "ErrorMessage": "exists"}
                errors.append({"PartitionValues": each["Values"], "ErrorDetail": detail})
            else:
                self._aws.partitions[each["Values"][0]] = each
        self._aws.observe("create", "", len(errors))
        return {"Errors": errors}

    def batch_update_partition(self, *, Entries: Any, **_: Any) -> Any:
        self._arrive("update")
        for each in Entries:
            self._aws.partitions[each["PartitionValueList"][0]] = each["PartitionInput"]
        self._aws.observe("update", "", None)
        return {}


class FakeSession:
    account = ACCOUNT

    def __init__(self, aws: FakeAws) -> None:
        self._clients = {"s3": FakeS3(aws), "glue": FakeGlue(aws)}

    def client(self, service: str, _: str | None = None, **options: Any) -> Any:
        return self._clients[service]


def fake_table(aws: FakeAws, *, is_partitioned: bool = True) -> GlueTable:
    columns = [{"Name": column.name, "Type": column.glue_type} for column in FLIGHTS.columns]
    aws.table = {
        "Name": "flights",
        "VersionId": "0",
        "PartitionKeys": [{"Name": "dt", "Type": "date"}] if is_partitioned else [],
        "StorageDescriptor": {"Columns": columns, "Location": "s3://test-lake/flights/_unpublished/"},
    }
    return GlueTable(FakeSession(aws), "flights", threads=1)  # type: ignore[arg-type]


def uploaded(table: GlueTable, partition: str, version: str, *, objects: int = 2, run_id: str = "run") -> Manifest:
    """A version with so many objects, each with its version's name in it."""
    s3 = table.session.client("s3")
    made = []
    for number in range(objects):
        key = f"{version_prefix(table.name, partition, version)}part-{number:05d}.parquet"
        body = f"{version} {number}".encode()
        s3.put_object(Bucket=table.bucket, Key=key, Body=body)
        digest = hashlib.sha256(body).hexdigest()
        made.append(LakeObject(key, len(body), digest, f'"{digest[:8]}"', number + 1))
    whole = Version(table.name, partition, version, tuple(made))
    return Manifest(whole, (), RowCounts(whole.row_count, whole.row_count, 0), FLIGHTS.columns, run_id, START)


def is_complete(aws: FakeAws, version: str, objects: int, partition: str) -> bool:
    """Whether a version has so many objects, all of one origin: its own, or the version that it restores."""
    inner = f"dt={partition}/" if partition else ""
    found = [stored for key, stored in aws.objects.items() if key.startswith(f"flights/{inner}v={version}/")]
    origins = {stored.body.split()[0] for stored in found}
    is_sound = all(hashlib.sha256(stored.body).hexdigest() == stored.checksum for stored in found)
    return is_sound and len(origins) == 1 and len(found) == objects


class Killed(BaseException):
    """What SIGKILL is to a process: nothing catches it."""


class Program:
    """A function that stops before each call that is a gate, until it is told to go on."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.error: Exception | None = None
        self.result: object = None
        self.waits_for: tuple[str, str] | None = ("start", "")
        self.seen: list[tuple[str, Any]] = []

        def run() -> None:
            try:
                self.result = work()
            except Killed:
                pass
            except Exception as error:  # noqa: BLE001 - the test looks at it
                self.error = error

        self._greenlet = greenlet(run)

    @property
    def is_done(self) -> bool:
        return self.waits_for is None

    def step(self) -> None:
        """Go on until the next gate or the end."""
        found = self._greenlet.switch()
        self.waits_for = None if self._greenlet.dead else found

    def kill(self) -> None:
        if self.waits_for == ("start", ""):
            self.waits_for = None
            return
        self._greenlet.throw(Killed)
        self.waits_for = None

    def finish(self) -> None:
        while not self.is_done:
            self.step()

    def go_to(self, operation: str, key: str = "") -> None:
        """Go on until right before such a call."""
        while not (self.waits_for and self.waits_for[0] == operation and key in self.waits_for[1]):
            assert not self.is_done, f"it ended ({self.error!r}) without {operation} {key}"
            self.step()


class Programs:
    """Lets programs run in turns on one fake AWS; `is_gate` chooses the calls before which they stop."""

    def __init__(self, aws: FakeAws, is_gate: Callable[[str, str], bool] = lambda operation, key: True) -> None:
        self._by_greenlet: dict[greenlet, Program] = {}
        self._is_gate = is_gate
        aws.gate, aws.observe = self._gate, self._observe

    def add(self, work: Callable[[], object]) -> Program:
        program = Program(work)
        self._by_greenlet[program._greenlet] = program
        return program

    def _gate(self, operation: str, key: str) -> None:
        current = getcurrent()
        if current in self._by_greenlet and self._is_gate(operation, key):
            assert current.parent is not None
            current.parent.switch((operation, key))

    def _observe(self, operation: str, key: str, answer: object) -> None:
        program = self._by_greenlet.get(getcurrent())
        if program and self._is_gate(operation, key):
            program.seen.append((operation, answer))
