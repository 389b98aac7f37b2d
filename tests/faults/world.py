"""One sandbox with a history: readers may see of a partition what the bucket held at any time, and nothing else."""

import contextlib
import csv
import io
import json
import random
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from datalake_assets.failpoints import FAILPOINTS
from datalake_assets.sandbox.sandbox import Sandbox
from tests.faults import tasks
from tests.faults.compare import Outsider, differences
from tests.faults.expected import Content, Table, parse, together
from tests.faults.killing import Attempt, Work, forkserver, wait_for
from tests.faults.tables import table

HEADER = ("id", "city", "amount", "seen", "batch")
CITIES = ("Köln, Deutz", "", 'the "Big" Apple', "two\nlines", "Łódź", " spaces ")

reached: set[str] = set()
"""The failpoints that have killed an attempt in this session."""


def points(*prefixes: str, without: Iterable[str] = ()) -> list[str]:
    """The declared failpoints whose names start like this."""
    return [name for name in FAILPOINTS if name.startswith(prefixes) and name not in set(without)]


def csv_text(rows: int, *, batch: int, bad: int = 0, first: int = 1) -> bytes:
    """A raw file: good rows with some odd texts, and `bad` ones whose amount is no number."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for number in range(first, first + rows + bad):
        amount = "oops" if number >= first + rows else f"{batch * 1000 + number}.25"
        seen = (datetime(2013, 1, 1) + timedelta(minutes=number)).isoformat(sep=" ")
        writer.writerow([number, CITIES[number % len(CITIES)], amount, seen, batch])
    return out.getvalue().encode()


def json_lines(rows: int, *, batch: int, bad: int = 0, first: int = 1) -> bytes:
    """A raw file of posts with none to two comments each; `bad` ones have a comment whose stars are no number."""
    lines = []
    for number in range(first, first + rows + bad):
        stars: list[Any] = [batch, number][: (batch + number) % 3]
        comments = [{"stars": each, "likes": [{"user": f"{batch}-{n}"} for n in range(number % 3)]} for each in stars]
        if number >= first + rows:
            comments = [{"stars": 1, "likes": [{"user": "lost"}]}, {"stars": "many"}]
        record = {"id": number, "title": f"{CITIES[number % len(CITIES)]} {batch}", "comments": comments}
        lines.append(json.dumps(record))
    return "".join(f"{line}\n" for line in lines).encode()


@dataclass
class Partition:
    """What lies in the bucket of one partition, and every state that it has had."""

    files: dict[str, Content]
    states: list[Content]


class World:
    """The sandbox's flights account with the tables of this suite."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.environment = sandbox.environment()
        self.home = tasks.dagster_home(folder / "dagster")
        self.outsider = Outsider()
        self.random = random.Random(0)
        self._context = forkserver()
        self._next_day = date(2013, 1, 1)
        self._partitions: dict[tuple[str, str], Partition] = {}
        self._attempts: list[Attempt] = []
        self._batch = 0
        self._watching: Outsider | None = None

    def close(self) -> None:
        for each in (self.outsider, self._watching):
            if each is not None:
                each.close()

    # Raw

    def days(self, count: int = 3) -> list[str]:
        """Days in a row that no other scenario has used."""
        first = self._next_day
        self._next_day += timedelta(count + 1)
        return [str(first + timedelta(n)) for n in range(count)]

    def put(self, name: str, partition: str, file: str, body: bytes) -> None:
        """Land or overwrite a file."""
        of = table(name)
        key = of.prefix(partition) + file
        state = self._state(name, partition)
        state.files[key] = parse(of, f"s3://{self.outsider.account.raw_bucket}/{key}", body)
        state.states.append(together(list(state.files.values())))
        self.outsider.s3.put_object(Bucket=self.outsider.account.raw_bucket, Key=key, Body=body)

    def delete(self, name: str, partition: str, file: str) -> None:
        key = table(name).prefix(partition) + file
        state = self._state(name, partition)
        del state.files[key]
        state.states.append(together(list(state.files.values())))
        self.outsider.s3.delete_object(Bucket=self.outsider.account.raw_bucket, Key=key)

    def land(self, name: str, partitions: Sequence[str]) -> None:
        """A new batch of two files for each partition, one of them with bad rows; overwrites the batch before."""
        self._batch += 1
        suffix = table(name).suffix
        write = json_lines if suffix == ".jsonl" else csv_text
        for partition in partitions:
            self.put(name, partition, f"a{suffix}", write(3, batch=self._batch, bad=1))
            self.put(name, partition, f"b{suffix}", write(2, batch=self._batch, first=11))

    def _state(self, name: str, partition: str) -> Partition:
        return self._partitions.setdefault((name, partition), Partition({}, []))

    @contextlib.contextmanager
    def watched(self, name: str, partitions: Sequence[str]) -> Iterator[None]:
        """Read partitions in a loop meanwhile; fails if any reader saw anything but a whole state of the bucket."""
        watcher = Watcher(self._second_outsider(), table(name), {each: self._state(name, each) for each in partitions})
        try:
            yield
        finally:
            watcher.stop()
        assert watcher.errors == []
        assert watcher.reads

    def _second_outsider(self) -> Outsider:
        if self._watching is None:
            self._watching = Outsider()
        return self._watching

    def states(self, name: str, partition: str) -> list[Content]:
        """What the bucket has held of a partition, in this order; landing adds a state for each of its two files."""
        return self._state(name, partition).states

    # Attempts

    def attempt(self, work: Work, *arguments: Any, failpoints: str = "") -> Attempt:
        """Start work in a process of its own."""
        folder = self.folder / f"attempt-{uuid.uuid4().hex[:12]}"
        folder.mkdir()
        attempt = Attempt(self._context, folder, self.environment, work, arguments, failpoints)
        self._attempts.append(attempt)
        return attempt

    def killed_at(self, point: str, work: Work, *arguments: Any, hit: int = 1) -> None:
        """Let an attempt run into a failpoint that kills it."""
        self.attempt(work, *arguments, failpoints=f"{point}=kill@{hit}").must_be_killed()
        reached.add(point)

    def held_at(self, point: str, work: Work, *arguments: Any, hit: int = 1) -> tuple[Attempt, Path]:
        """An attempt that has come to a failpoint, and the file that lets it go on."""
        gate = self.gate()
        attempt = self.attempt(work, *arguments, failpoints=f"{point}=wait@{hit}:{gate}")
        attempt.must_reach(point)
        return attempt, gate

    def over_or_blocked(self, attempt: Attempt) -> None:
        """Wait until an attempt has ended, or waits for a lock that another one holds."""
        with contextlib.closing(self._superuser()) as connection, connection.cursor() as cursor:

            def is_blocked() -> bool:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
                return bool(cursor.fetchone()[0])  # type: ignore[index]

            wait_for(lambda: attempt.is_over or is_blocked(), "the end of an attempt, or its wait for a lock")

    def _superuser(self) -> Any:
        assert self.sandbox._postgres is not None
        return self.sandbox._postgres.connect()

    def gate(self) -> Path:
        """A file that holds attempts until it is made."""
        return self.folder / f"go-{uuid.uuid4().hex[:12]}"

    def end_attempts(self) -> None:
        """Nothing of a test goes on after it."""
        for attempt in self._attempts:
            if not attempt.is_over:
                attempt.kill()
        self._attempts.clear()

    # What a restart does

    def new_run_id(self) -> str:
        return str(uuid.uuid4())

    def drain(self) -> None:
        """Drain until nothing is in flight any more: what a killed drain had received comes again."""

        def is_empty() -> bool:
            return tasks.drain_queue() and self.messages() == 0

        wait_for(is_empty, "an empty queue")

    def messages(self) -> int:
        """Messages in the queue, those in flight included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.outsider.sqs.get_queue_attributes(QueueUrl=self._queue_url(), AttributeNames=names)
        return sum(int(answer["Attributes"][each]) for each in names)

    def take_messages(self) -> list[str]:
        """Take everything out of the queue, and return the bodies."""
        sqs, url = self.outsider.sqs, self._queue_url()
        bodies: list[str] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies += [message["Body"] for message in messages]
            entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        return bodies

    def send_messages(self, bodies: Sequence[str]) -> None:
        for at in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[at : at + 10])]
            self.outsider.sqs.send_message_batch(QueueUrl=self._queue_url(), Entries=entries)

    def _queue_url(self) -> str:
        url: str = self.outsider.sqs.get_queue_url(QueueName=self.outsider.account.arrivals_queue)["QueueUrl"]
        return url

    @contextlib.contextmanager
    def platform_database(self) -> Iterator[Any]:
        """A cursor in the platform database."""
        import psycopg2

        url = self.environment["DATALAKE_DATABASE_URL"].replace("+psycopg2", "")
        with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            yield cursor

    def recover(self, name: str, partitions: Sequence[str]) -> None:
        """What the platform does after a crash: drain, then a new run of what is dirty, as the sensor asks for it."""
        self.drain()
        dirty = self.dirty(name, partitions)
        if not dirty:
            return
        outcomes = tasks.ingest_partitions(name, dirty, self.new_run_id())
        assert [each for each in outcomes if each[0] == "Failed"] == []
        self.drain()
        assert self.dirty(name, partitions) == [], "one run after a crash is enough"

    def dirty(self, name: str, partitions: Sequence[str]) -> list[str]:
        _, states = self.outsider.ledger(table(name))
        return [each for each in partitions if each in states and states[each][0]]

    # What readers see

    def assert_whole(self, name: str, partitions: Sequence[str]) -> None:
        """Lake and warehouse show each partition as the bucket was at some time, or do not show it yet."""
        assert_whole(self.outsider, table(name), {each: self._state(name, each).states for each in partitions})

    def assert_equal(self, name: str, partitions: Sequence[str]) -> None:
        """Raw objects, lake, quarantine, warehouse and ledgers agree row by row."""
        assert differences(self.outsider, table(name), partitions) == []


def assert_whole(reader: Outsider, of: Table, states: dict[str, list[Content]]) -> None:
    """What readers see of each partition now is one of its states."""
    warehouse = reader.warehouse(of, list(states))
    for partition, allowed in states.items():
        lake = reader.lake(of, partition)
        rows = [state.good for state in allowed]
        assert lake is None or lake in rows, f"{of.name} {partition}: the lake shows {lake}"
        bad = reader.quarantine(of, partition)
        assert not bad or bad in [state.bad for state in allowed], f"{of.quarantine} {partition} shows {bad}"
        for name, elements in reader.children(of, partition).items():
            known = [state.children.get(name, {}) for state in allowed]
            assert elements in known, f"{name} {partition} shows {elements}"
        loaded = warehouse[partition]
        assert not loaded or loaded in rows, f"{of.name} {partition}: the warehouse shows {loaded}"


WATCH_SECONDS = 0.1


class Watcher:
    """A reader in a loop."""

    def __init__(self, reader: Outsider, of: Table, partitions: dict[str, Partition]) -> None:
        self.reads = 0
        self.errors: list[str] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(reader, of, partitions), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self, reader: Outsider, of: Table, partitions: dict[str, Partition]) -> None:
        while not self.errors:
            try:
                # The lists themselves: a state is added before the bucket shows it.
                assert_whole(reader, of, {each: found.states for each, found in partitions.items()})
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is told
                self.errors.append(f"{type(error).__name__}: {error}")
            self.reads += 1
            # Not without a pause: what is watched needs the machine, too.
            if self._ends.wait(WATCH_SECONDS):
                return
