"""SQS: queues and the messages in them.

A message is written when it arrives and forgotten when it is deleted. That it was received and is invisible for a
while is not kept: after a restart it is delivered again, which SQS allows at any time.
"""

import pickle
from collections.abc import Iterator
from threading import Condition
from typing import Any

from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from datalake_assets.sandbox.aws.journal import Journal, ResourceId
from datalake_assets.sandbox.aws.recording import Recorder, Touch, rebuilt

QUEUE, MESSAGE = "sqs.queue", "sqs.message"
_NOT_KEPT = (
    "_messages",
    "_pending_messages",
    "deleted_messages",
    "_messages_lock",
    "dead_letter_queue",
    "lambda_event_source_mappings",
)


def record(recorder: Recorder) -> None:
    """Report every change from now on."""
    for method, name in (
        ("create_queue", "name"),
        ("set_queue_attributes", "queue_name"),
        ("delete_queue", "queue_name"),
        ("purge_queue", "queue_name"),
        ("tag_queue", "queue_name"),
        ("untag_queue", "queue_name"),
        ("remove_permission", "queue_name"),
    ):
        recorder.wrap(SQSBackend, method, _queue_named(name))
    recorder.wrap(SQSBackend, "add_permission", _permitted)
    recorder.wrap(Queue, "add_message", _added)
    recorder.wrap(Queue, "delete_message", _deleted)


def restore(journal: Journal) -> None:
    """Put everything back as it was."""
    for resource, body in journal.read(QUEUE):
        queue = rebuilt(Queue, pickle.loads(body))  # type: ignore[type-abstract]
        queue._messages, queue._pending_messages, queue.deleted_messages = [], set(), set()
        queue._messages_lock = Condition()
        queue.dead_letter_queue, queue.lambda_event_source_mappings = None, {}
        sqs_backends[resource.account][resource.region].queues[queue.name] = queue
    for backends in sqs_backends.values():
        for backend in backends.values():
            for queue in backend.queues.values():
                if queue.redrive_policy:
                    queue._setup_dlq(queue.redrive_policy)
    for resource, body in journal.read(MESSAGE):
        queue_name, message = pickle.loads(body)
        sqs_backends[resource.account][resource.region].queues[queue_name]._messages.append(message)


def _queue_named(parameter: str) -> Any:
    def touches(backend: SQSBackend, *args: Any, **kwargs: Any) -> Iterator[Touch]:
        return _queue(backend, args[0] if args else kwargs[parameter])

    return touches


def _permitted(backend: SQSBackend, region_name: str, queue_name: str, *_: Any, **__: Any) -> Iterator[Touch]:
    return _queue(backend, queue_name)


def _queue(backend: SQSBackend, name: str) -> Iterator[Touch]:
    def body() -> bytes | None:
        queue = backend.queues.get(name)
        if queue is None:
            return None
        state = {key: value for key, value in queue.__dict__.items() if key not in _NOT_KEPT}
        return pickle.dumps(state, pickle.HIGHEST_PROTOCOL)

    yield ResourceId(QUEUE, backend.account_id, backend.region_name, (name,)), body
    if queue := backend.queues.get(name):
        # For a queue that is deleted or purged.
        for message in queue._messages:
            yield _message(queue, message)


def _message(queue: Queue, message: Message) -> Touch:
    def body() -> bytes | None:
        holder = sqs_backends[queue.account_id][queue.region].queues.get(queue.name)
        if holder is None or not any(message is each for each in reversed(holder._messages)):
            return None
        return pickle.dumps((queue.name, message), pickle.HIGHEST_PROTOCOL)

    return ResourceId(MESSAGE, queue.account_id, queue.region, (message.id,)), body


def _added(queue: Queue, message: Message) -> Iterator[Touch]:
    # A queue that drops the message as a duplicate does not hold it at the end, and then nothing is written.
    yield _message(queue, message)


def _deleted(queue: Queue, receipt_handle: str) -> Iterator[Touch]:
    for message in queue._messages:
        if message.receipt_handle == receipt_handle or message.had_receipt_handle(receipt_handle):
            yield _message(queue, message)
