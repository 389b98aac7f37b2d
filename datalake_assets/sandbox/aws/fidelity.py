"""Where moto differs from AWS in a way that the platform would notice, and where it is slow for no reason."""

import itertools
import time
from typing import Any, Protocol
from urllib.parse import quote_plus

from moto.core.exceptions import JsonRESTError
from moto.core.model_instances import model_data
from moto.glue.responses import GlueResponse
from moto.s3 import notifications
from moto.sqs.models import Message, Queue, SQSBackend

from datalake_assets.sandbox.aws import guests


class Lock(Protocol):
    """What is needed of the server's lock."""

    def acquire(self) -> object: ...
    def release(self) -> None: ...


class ConcurrentModification(JsonRESTError):
    """Glue's answer to an update of a table version that is not the current one any more."""

    def __init__(self) -> None:
        super().__init__("ConcurrentModificationException", "Update table failed due to concurrent modifications.")


def apply(lock: Lock) -> None:
    """Mend moto in this process.

    Args:
        lock: the server's, which a long poll of a queue must not hold while it waits.
    """
    _forget_instances()
    _check_table_version()
    _number_the_events()
    _tell_the_owner_of_the_bucket()
    _wait_without_the_lock(lock)
    guests.apply(_replace)
    _replace(SQSBackend, "is_message_valid_based_on_retention_period", _is_retained)


def _replace(owner: object, name: str, function: object) -> None:
    if not hasattr(owner, name):
        raise AttributeError(f"{owner!r} has no {name} any more: moto has changed, and what is mended here with it")
    setattr(owner, name, function)


class _Forgetful(list[Any]):
    def append(self, _: object) -> None:
        return


def _forget_instances() -> None:
    # moto lists every instance it ever made, overwritten objects with their bytes included, for its own web page.
    for classes in model_data.values():
        for model in classes.values():
            model.instances_tracked = _Forgetful()  # type: ignore[attr-defined]


def _check_table_version() -> None:
    update = GlueResponse.update_table

    def update_table(self: GlueResponse) -> Any:
        if expected := self.parameters.get("VersionId"):
            table = self.glue_backend.get_table(self.parameters["DatabaseName"], self.parameters["TableInput"]["Name"])
            if str(table._current_version) != str(expected):
                raise ConcurrentModification
        return update(self)

    _replace(GlueResponse, "update_table", update_table)


def _number_the_events() -> None:
    # Hexadecimal and growing, as S3 promises for the events of one key, also over a restart.
    numbers = itertools.count(time.time_ns())
    make = notifications._get_s3_event

    def make_event(event_name: str, bucket: Any, key: Any, notification_id: str) -> dict[str, list[dict[str, Any]]]:
        event = make(event_name, bucket, key, notification_id)
        described = event["Records"][0]["s3"]["object"]
        described["key"] = quote_plus(key.name, safe="/")  # moto encodes the slashes as well
        described["sequencer"] = f"{next(numbers):018X}"
        if bucket.is_versioned:
            described["versionId"] = key.version_id
        return event

    _replace(notifications, "_get_s3_event", make_event)


def _tell_the_owner_of_the_bucket() -> None:
    # moto looks for the queue in the account that wrote, and finds none where another account owns the bucket.
    send = notifications.send_event

    def send_event(_writer: str, event_name: notifications.S3NotificationEvent, bucket: Any, key: Any) -> None:
        send(bucket.account_id, event_name, bucket, key)

    _replace(notifications, "send_event", send_event)


def _wait_without_the_lock(lock: Lock) -> None:
    wait = Queue.wait_for_messages

    def wait_for_messages(self: Queue, timeout: int) -> None:
        lock.release()
        try:
            wait(self, timeout)
        finally:
            lock.acquire()

    _replace(Queue, "wait_for_messages", wait_for_messages)


def _is_retained(self: SQSBackend, queue_name: str, message: Message) -> bool:
    # The original reads all attributes of the queue for it, which counts all messages three times for each message.
    period: int = self.get_queue(queue_name).message_retention_period  # type: ignore[attr-defined]
    return bool(period + message.sent_timestamp / 1000 > time.time())  # type: ignore[operator]
