import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote_plus

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from datalake_assets.arrivals.dead_letters import DeadLetters
from datalake_assets.arrivals.events import parse_message
from datalake_assets.arrivals.ledger import Ledger, Recorded
from datalake_assets.arrivals.queue import DrainResult, drain
from datalake_assets.arrivals.sources import Matcher
from datalake_assets.errors import BadInput, ConfigurationError, Throttled, Unavailable
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
