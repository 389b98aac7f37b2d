"""Drain the arrivals queue into the ledger: record, commit, and only then delete the messages.

A crash at any point repeats work and never loses it: a message that was recorded but not deleted comes again and
changes nothing. A message that nobody understands becomes a dead letter and is deleted, so that it blocks no other.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.arrivals.dead_letters import DeadLetters, Unexpected
from datalake_assets.arrivals.deadline import within
from datalake_assets.arrivals.events import ObjectEvent, parse_message
from datalake_assets.arrivals.ledger import Ledger, Recorded
from datalake_assets.arrivals.order import Arrival
from datalake_assets.arrivals.sources import Match, Matcher, NoMatch
from datalake_assets.errors import BadInput
from datalake_assets.failpoints import failpoint

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MESSAGES_PER_CALL = 10  # the most that SQS gives or deletes at once
RECEIVERS = 8
DEADLINE_SECONDS = 10.0
GRACE_SECONDS = 4.0
STATEMENT_SECONDS = 5.0
MAX_MESSAGES = 20_000


@dataclass(frozen=True)
class DrainResult:
    """What one drain did; `is_empty` means that the queue had no more messages to give."""

    messages: int = 0
    objects: int = 0
    ignored: int = 0
    recorded: Recorded = field(default_factory=Recorded)
    unexpected: int = 0
    poison: int = 0
    new_dead_letters: int = 0
    is_empty: bool = True


def drain(
    sqs: "SQSClient",
    queue_url: str,
    matcher: Matcher,
    ledger: Ledger,
    *,
    location: str,
    bucket: str | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
    grace_seconds: float = GRACE_SECONDS,
    max_messages: int = MAX_MESSAGES,
    clock: Callable[[], float] = time.monotonic,
) -> DrainResult:
    """Take messages from the queue until it is empty, the deadline has come or `max_messages` were taken.

    An idle queue costs one receive call. With messages waiting, several threads receive at once; each round is recorded
    in one go and then deleted.

    Args:
        bucket: the bucket whose keys `matcher` knows; objects of other buckets are unexpected. None takes any bucket.
        deadline_seconds: after that no round begins.
        grace_seconds: how long after the deadline the last round may take; then it is left to itself.

    Raises:
        Unavailable, Throttled: SQS or the database did not answer, or not in time; what was recorded stays, the rest
            comes again.
        ConcurrentChange: somebody else writes the bucket's rows for long.
    """
    return within(
        deadline_seconds + grace_seconds,
        partial(
            _drain,
            sqs,
            queue_url,
            matcher,
            Ledger(ledger.database, statement_seconds=STATEMENT_SECONDS),
            DeadLetters(ledger.database, statement_seconds=STATEMENT_SECONDS),
            location,
            bucket,
            clock() + deadline_seconds,
            max_messages,
            clock,
        ),
        what=f"drain of {queue_url}",
    )


def _drain(
    sqs: "SQSClient",
    queue_url: str,
    matcher: Matcher,
    ledger: Ledger,
    dead_letters: DeadLetters,
    location: str,
    bucket: str | None,
    deadline: float,
    max_messages: int,
    clock: Callable[[], float],
) -> DrainResult:
    total = DrainResult()
    with ThreadPoolExecutor(RECEIVERS, thread_name_prefix="arrivals") as pool:
        width = 1  # receivers of a round: one tells whether there is anything at all
        while total.messages < max_messages and clock() < deadline:
            calls = min(width, -(-(max_messages - total.messages) // MESSAGES_PER_CALL))
            futures = [pool.submit(_receive, sqs, queue_url) for _ in range(calls)]
            messages = [message for future in futures for message in future.result()]
            if not messages:
                return total
            failpoint("drain.received")
            done = _record(messages, matcher, ledger, dead_letters, location, bucket)
            list(pool.map(lambda batch: _delete(sqs, queue_url, batch), _batches(messages)))
            failpoint("drain.deleted")
            total = _sum(total, done)
            # A round grows with what it finds, so that a backlog is recorded in large transactions.
            width = min(width * 2, RECEIVERS * 4) if len(messages) >= calls * MESSAGES_PER_CALL // 2 else 1
    return _sum(total, DrainResult(is_empty=False))


def _receive(sqs: "SQSClient", queue_url: str) -> Sequence[Any]:
    with aws_errors(queue_url):
        answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=MESSAGES_PER_CALL, WaitTimeSeconds=0)
    return answer.get("Messages", [])


def _delete(sqs: "SQSClient", queue_url: str, messages: Sequence[Any]) -> None:
    with aws_errors(queue_url):
        # Entries that fail inside the answer come again as messages and change nothing: no need to look.
        sqs.delete_message_batch(
            QueueUrl=queue_url,
            Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)],
        )


def _batches(messages: list[Any]) -> list[list[Any]]:
    # A message may come twice within a round: its second receipt is as good, but ids within a call must differ.
    return [messages[at : at + MESSAGES_PER_CALL] for at in range(0, len(messages), MESSAGES_PER_CALL)]


def _record(
    messages: list[Any], matcher: Matcher, ledger: Ledger, dead_letters: DeadLetters, location: str, bucket: str | None
) -> DrainResult:
    letters: list[Unexpected] = []
    arrivals: list[Arrival] = []
    gone: list[tuple[str, str]] = []
    objects = ignored = unexpected = poison = 0
    for message in messages:
        try:
            events = parse_message(message["Body"])
        except BadInput as error:
            poison += 1
            letters.append(Unexpected(location, "poison_message", str(error), body=message["Body"]))
            continue
        for event in events:
            objects += 1
            found = (
                matcher.match(event.key)
                if bucket in (None, event.bucket)
                else NoMatch(f"it is in another bucket than {bucket}")
            )
            if found is None:
                ignored += 1
            elif isinstance(found, Match):
                arrivals.append(_arrival(event, found))
            elif event.is_deleted:
                gone.append((event.bucket, event.key))
            else:
                unexpected += 1
                letters.append(
                    Unexpected(location, "unexpected_key", found.reason, event.bucket, event.key, found.source_id)
                )
    recorded = ledger.record(arrivals, matcher.texts)
    failpoint("drain.recorded")
    new = dead_letters.record(letters)
    failpoint("drain.lettered")
    # Few messages ever have letters; arrivals may have had one before their pattern was mended.
    dead_letters.resolve([*gone, *((a.bucket, a.key) for a in arrivals)])
    return DrainResult(len(messages), objects, ignored, recorded, unexpected, poison, new)


def _arrival(event: ObjectEvent, match: Match) -> Arrival:
    return Arrival(
        event.bucket,
        event.key,
        match.source_id,
        match.partition,
        event.etag,
        event.size,
        event.event_at,
        event.sequencer,
        event.version_id,
        event.is_deleted,
        is_marker=match.is_marker,
    )


def _sum(a: DrainResult, b: DrainResult) -> DrainResult:
    return DrainResult(
        a.messages + b.messages,
        a.objects + b.objects,
        a.ignored + b.ignored,
        a.recorded + b.recorded,
        a.unexpected + b.unexpected,
        a.poison + b.poison,
        a.new_dead_letters + b.new_dead_letters,
        a.is_empty and b.is_empty,
    )
