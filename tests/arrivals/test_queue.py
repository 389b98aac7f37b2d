import json
import socket
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote_plus

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from datalake_assets.accounts import sessions
from datalake_assets.arrivals import queue as queue_module
from datalake_assets.arrivals.dead_letters import DeadLetters
from datalake_assets.arrivals.events import parse_message
from datalake_assets.arrivals.ledger import Ledger, Recorded
from datalake_assets.arrivals.queue import DrainResult, drain
from datalake_assets.arrivals.sources import Matcher
from datalake_assets.arrivals.states import lock_buckets
from datalake_assets.database.engine import transaction
from datalake_assets.errors import BadInput, ConcurrentChange, ConfigurationError, Throttled, Unavailable
from tests.arrivals.builders import SOURCE, SOURCES, at, key_of, notification

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

MATCHER = Matcher(SOURCES)


class Queue:
    """An SQS queue in memory: what was received stays until it is deleted, and comes again after `redeliver`."""

    def __init__(self, *bodies: str) -> None:
        self.waiting = deque(bodies)
        self.received: dict[str, str] = {}
        self.calls = 0
        self.fails_with: Exception | None = None
        self.loses_deletes = False
        self._lock = threading.Lock()

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, WaitTimeSeconds: int) -> dict[str, Any]:
        with self._lock:
            self.calls += 1
            if self.fails_with:
                raise self.fails_with
            taken = [self.waiting.popleft() for _ in range(min(MaxNumberOfMessages, len(self.waiting)))]
            messages = []
            for body in taken:
                handle = f"{self.calls}-{len(self.received)}"
                self.received[handle] = body
                messages.append({"Body": body, "ReceiptHandle": handle})
            return {"Messages": messages} if messages else {}

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        assert len({entry["Id"] for entry in Entries}) == len(Entries) <= 10
        with self._lock:
            if not self.loses_deletes:
                for entry in Entries:
                    self.received.pop(entry["ReceiptHandle"])
        return {}

    def redeliver(self) -> None:
        self.waiting.extend(self.received.values())
        self.received.clear()


def drained(queue: Queue, ledger: Ledger, **more: Any) -> DrainResult:
    return drain(cast("SQSClient", queue), "queue", MATCHER, ledger, location="flights", **more)


def test_messages_are_recorded_and_then_deleted(ledger: Ledger) -> None:
    queue = Queue(*(notification(key_of(str(n))) for n in range(137)))
    result = drained(queue, ledger)
    assert (result.messages, result.recorded, result.is_empty) == (137, Recorded(added=137), True)
    assert (queue.waiting, queue.received) == (deque(), {})


def test_an_idle_queue_costs_one_call(ledger: Ledger) -> None:
    queue = Queue()
    assert drained(queue, ledger) == DrainResult()
    assert queue.calls == 1


def test_messages_that_come_again_change_nothing(ledger: Ledger) -> None:
    queue = Queue(*(notification(key_of(str(n))) for n in range(25)))
    queue.loses_deletes = True
    drained(queue, ledger)
    (before,) = ledger.partition_states([SOURCE])
    queue.redeliver()
    queue.loses_deletes = False
    assert drained(queue, ledger).recorded == Recorded(unchanged=25)
    assert ledger.partition_states([SOURCE])[0].changed_seq == before.changed_seq
    assert queue.received == {}


def test_nothing_is_deleted_that_was_not_recorded() -> None:
    from datalake_assets.database.engine import engine

    queue = Queue(notification())
    with pytest.raises(Unavailable):
        drained(queue, Ledger(engine("postgresql+psycopg2://a:b@127.0.0.1:1/none")))
    assert len(queue.received) == 1


def test_a_poison_message_becomes_a_dead_letter_and_blocks_nothing(ledger: Ledger, dead_letters: DeadLetters) -> None:
    queue = Queue("not json", notification(), '{"Records": [{"eventName": "ObjectCreated:Put"}]}', "not json")
    result = drained(queue, ledger)
    assert (result.poison, result.new_dead_letters, result.recorded.added) == (3, 2, 1)
    assert queue.received == {}
    letters = {letter.body: letter for letter in dead_letters.unresolved("flights")}
    assert "it is not JSON" in letters["not json"].reason
    assert {letter.kind for letter in letters.values()} == {"poison_message"}


def test_an_unexpected_key_is_kept_with_its_reason_until_it_is_deleted(
    ledger: Ledger, dead_letters: DeadLetters
) -> None:
    key = "flights/dt=2013-13-45/a.csv.gz"
    assert drained(Queue(notification(key)), ledger).unexpected == 1
    assert drained(Queue(notification(key)), ledger).new_dead_letters == 0
    (letter,) = dead_letters.unresolved()
    assert (letter.key, letter.source_id, letter.seen) == (key, SOURCE, 2)
    drained(Queue(notification(key, event_name="ObjectRemoved:Delete")), ledger)
    assert dead_letters.unresolved() == []


def test_a_dead_letter_is_resolved_when_the_pattern_was_mended(ledger: Ledger, dead_letters: DeadLetters) -> None:
    from datalake_assets.arrivals.dead_letters import Unexpected

    dead_letters.record([Unexpected("flights", "unexpected_key", "no pattern", "raw", key_of())])
    drained(Queue(notification(key_of())), ledger)
    assert dead_letters.unresolved() == []


def test_objects_of_another_bucket_are_unexpected(ledger: Ledger) -> None:
    assert drained(Queue(notification(bucket="lake")), ledger, bucket="raw").unexpected == 1


def test_markers_and_the_test_event_leave_no_trace(ledger: Ledger, dead_letters: DeadLetters) -> None:
    queue = Queue(
        notification("flights/_SUCCESS"), '{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw"}'
    )
    result = drained(queue, ledger)
    assert (result.messages, result.ignored, result.poison) == (2, 1, 0)
    assert dead_letters.unresolved() == []


def test_a_drain_stops_at_its_limits_and_says_so(ledger: Ledger) -> None:
    queue = Queue(*(notification(key_of(str(n))) for n in range(200)))
    assert (drained(queue, ledger, max_messages=50).is_empty, len(queue.waiting)) == (False, 150)
    seconds = iter(range(100))
    result = drained(queue, ledger, deadline_seconds=2, clock=lambda: next(seconds))
    assert result.messages > 0
    assert not result.is_empty


def test_a_drain_ends_in_time_when_the_queue_hangs(ledger: Ledger) -> None:
    answered = threading.Event()

    class Hanging(Queue):
        def receive_message(self, **request: Any) -> dict[str, Any]:
            answered.wait(60)
            return {}  # the thread that is left to itself must not write into the next test's ledger

    with pytest.raises(Unavailable, match="did not end within"):
        drained(Hanging(notification()), ledger, deadline_seconds=0.1, grace_seconds=0.1)
    answered.set()


def test_a_drain_ends_in_time_when_somebody_holds_the_bucket_and_nothing_is_deleted(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "STATEMENT_SECONDS", 0.2)
    queue = Queue(notification())
    assert ledger.database is not None
    with transaction(ledger.database) as connection:
        lock_buckets(connection, ["raw"])
        with pytest.raises(ConcurrentChange):
            drained(queue, ledger)
    assert len(queue.received) == 1
    queue.redeliver()
    assert drained(queue, ledger).recorded.added == 1


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_never_answers_ends_a_drain_in_time(
    ledger: Ledger, aws: None, silent_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "QUICK_READ_SECONDS", 0.2)
    sqs = boto3.client("sqs", endpoint_url=silent_url, config=sessions.quick_config())
    with pytest.raises(Unavailable, match="Read timeout"):
        drain(sqs, f"{silent_url}/queue", MATCHER, ledger, location="flights")


def test_two_attempts_of_a_quick_call_end_within_the_time_of_a_tick() -> None:
    attempt = sessions.QUICK_CONNECT_SECONDS + sessions.QUICK_READ_SECONDS
    config = sessions.quick_config()
    assert config.retries == {"mode": "standard", "total_max_attempts": sessions.QUICK_ATTEMPTS}
    assert sessions.QUICK_ATTEMPTS * attempt < 20
    assert queue_module.DEADLINE_SECONDS + queue_module.GRACE_SECONDS < 20


def test_ten_thousand_poison_messages_are_one_dead_letter_each_and_hold_nothing_up(
    ledger: Ledger, dead_letters: DeadLetters
) -> None:
    bodies = [f"poison {n}" for n in range(10_000)]
    for n in range(0, 10_000, 500):
        bodies.insert(n, notification(key_of(str(n))))
    queue = Queue(*bodies)
    queue.loses_deletes = True
    result = drained(queue, ledger, deadline_seconds=60)
    assert (result.poison, result.new_dead_letters, result.recorded.added) == (10_000, 10_000, 20)
    queue.redeliver()
    queue.loses_deletes = False
    again = drained(queue, ledger, deadline_seconds=60)
    assert (again.new_dead_letters, again.recorded, again.is_empty) == (0, Recorded(unchanged=20), True)
    assert dead_letters.count("flights") == 10_000
    assert queue.received == {}


def test_a_batch_of_all_that_can_be_odd_is_recorded_but_for_what_is_none(
    ledger: Ledger, dead_letters: DeadLetters
) -> None:
    start = "flights/dt=2013-01-01/"
    good = [
        start + "x" * (1024 - len(start) - len(".csv.gz")) + ".csv.gz",
        start + "ü" * ((1024 - len(start) - len(".csv.gz")) // 2) + ".csv.gz",
        start + " leading and trailing .csv.gz",
        start + "日本語 🚀 \u202e %41+&=?#.csv.gz",
        start + "line\nbreak\ttab\x01.csv.gz",
        start + "e\u0301.csv.gz",
        start + "é.csv.gz",  # another key than the one before
    ]
    bad_keys = {
        start + "x" * 1024 + ".csv.gz": "more than a key can have",
        start + "nul\x00.csv.gz": "NUL",
        "elsewhere/🚀.csv": "below no source's prefix",
        "flights/dt=2013-02-30/a.csv.gz": "no day of the calendar",
    }
    poison = ["\x00", "\ud800", '"\\ud800"', "x" * 200_000, "{", '{"Records": [{"s3": {}}]}', notification(size="🚀")]
    surrogate = notification("flights/dt=2013-01-01/%ED%A0%80.csv.gz")  # not UTF-8: S3 has no such key
    event_bridge = json.dumps(
        {
            "source": "aws.s3", "detail-type": "Object Created", "time": "2026-01-05T12:00:00Z",
            "detail": {"bucket": {"name": "raw"}, "object": {"key": start + "\ud800.csv.gz", "size": 1, "etag": "e"}},
        }
    )  # fmt: skip
    messages = [notification(quote_plus(key)) for key in [*good, *bad_keys]] + [*poison, surrogate, event_bridge]
    result = drained(Queue(*messages, *messages), ledger)
    assert set(good) <= {o.key for batch in ledger.live_objects("raw", "") for o in batch}
    assert result.is_empty
    letters = dead_letters.unresolved("flights", limit=1_000)
    assert {letter.seen for letter in letters} <= {1, 2}
    for key, reason in bad_keys.items():
        (letter,) = [each for each in letters if each.key == key.replace("\x00", "\\x00")]
        assert reason in letter.reason
    assert sum(letter.kind == "poison_message" for letter in letters) == len(poison)
    assert sum("not valid Unicode" in letter.reason for letter in letters) == 1
    assert drained(Queue(*messages), ledger).new_dead_letters == 0


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (EndpointConnectionError(endpoint_url="http://nowhere"), Unavailable),
        (ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "ReceiveMessage"), Throttled),
        (
            ClientError(
                {"Error": {"Code": "InternalError"}, "ResponseMetadata": {"HTTPStatusCode": 500}},  # type: ignore[typeddict-item]
                "ReceiveMessage",
            ),
            Unavailable,
        ),
        (
            ClientError({"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue"}}, "ReceiveMessage"),
            ConfigurationError,
        ),
    ],
)
def test_a_failing_queue_is_told_by_type(ledger: Ledger, error: Exception, meaning: type[Exception]) -> None:
    queue = Queue()
    queue.fails_with = error
    with pytest.raises(meaning):
        drained(queue, ledger)


def test_real_s3_notifications_reach_the_ledger(
    s3: "S3Client", sqs: "SQSClient", bucket: str, queue_url: str, ledger: Ledger
) -> None:
    names = ["plain", "with space", "plus+sign", "日本 ü%41", "quote'\"&="]
    for name in names:
        s3.put_object(Bucket=bucket, Key=key_of(name), Body=b"12345")
    s3.delete_object(Bucket=bucket, Key=key_of("plain"))
    result = drain(sqs, queue_url, MATCHER, ledger, location="flights", bucket=bucket)
    assert (result.messages, result.objects) == (7, 6)  # S3 begins with a test event
    found = {o.key: (o.size, o.etag) for batch in ledger.live_objects(bucket, "") for o in batch}
    head = s3.head_object(Bucket=bucket, Key=key_of("with space"))
    assert found == {key_of(name): (5, head["ETag"].strip('"')) for name in names[1:]}
    assert drain(sqs, queue_url, MATCHER, ledger, location="flights").messages == 0


def test_an_sns_envelope_is_opened() -> None:
    (event,) = parse_message(json.dumps({"Type": "Notification", "Message": notification("a+b.csv")}))
    assert event.key == "a b.csv"


def test_an_event_bridge_event_has_its_key_as_it_is() -> None:
    body = {
        "source": "aws.s3", "detail-type": "Object Created", "time": "2026-01-05T12:00:00Z",
        "detail": {
            "bucket": {"name": "raw"},
            "object": {"key": "a+b.csv", "size": 3, "etag": "e", "version-id": "v", "sequencer": "0a"},
        },
    }  # fmt: skip
    (event,) = parse_message(json.dumps(body))
    assert (event.key, event.event_at, event.sequencer, event.version_id) == ("a+b.csv", at(0), "0A", "v")
    (deleted,) = parse_message(json.dumps({**body, "detail-type": "Object Deleted"}))
    assert deleted.is_deleted
    assert parse_message(json.dumps({**body, "detail-type": "Object Tags Added"})) == []


def test_a_delete_marker_deletes_the_current_version_whichever_it_is() -> None:
    (marked,) = parse_message(notification(event_name="ObjectRemoved:DeleteMarkerCreated", versionId="m"))
    assert (marked.is_deleted, marked.version_id) == (True, None)
    (expired,) = parse_message(notification(event_name="LifecycleExpiration:Delete", versionId="v"))
    assert (expired.is_deleted, expired.version_id) == (True, "v")


def test_events_that_change_no_object_are_none() -> None:
    assert parse_message(notification(event_name="ObjectTagging:Put")) == []
    assert parse_message('{"Records": []}') == []


@pytest.mark.parametrize(
    "body",
    ["", "[]", "null", "{}", '{"Records": [1]}', '{"Records": {"a": 1}}', '{"Message": "x"}', "[" * 100_000,
     '{"Message": "{\\"Message\\": \\"{}\\"}"}', notification(key=quote_plus("a")).replace("2026-01", "yesterday"),
     notification(size="many"), notification(key="")],
)  # fmt: skip
def test_a_message_that_is_no_event_is_bad_input(body: str) -> None:
    with pytest.raises(BadInput):
        parse_message(body)
