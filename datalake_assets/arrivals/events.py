"""S3's notifications: from the body of a queue message to what happened to which key."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from datalake_assets.errors import BadInput

_MAX_WRAPPERS = 3  # a notification in an SNS envelope in a queue: two would do


@dataclass(frozen=True)
class ObjectEvent:
    """One object that was created or removed."""

    bucket: str
    key: str
    etag: str
    size: int
    event_at: dt.datetime
    sequencer: str | None
    version_id: str | None
    is_deleted: bool


def parse_message(body: str) -> list[ObjectEvent]:
    """Return the objects that a message tells of; none for S3's test event and for events that change no object.

    Accepts what S3 sends, and the same in an SNS envelope or as an EventBridge event.

    Raises:
        BadInput: the message is none of these.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _poison(f"it is not JSON ({error})") from error
    try:
        return list(_events(content))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise _poison(f"it lacks or mistypes {error}") from error


def _events(content: Any, depth: int = 0) -> Iterator[ObjectEvent]:
    if not isinstance(content, dict):
        raise _poison(f"it is a JSON {type(content).__name__}")
    if content.get("Event") == "s3:TestEvent":
        return
    if isinstance(content.get("Records"), list):
        for record in content["Records"]:
            yield from _from_notification(record)
    elif content.get("source") == "aws.s3" and "detail" in content:
        yield from _from_event_bridge(content)
    elif isinstance(content.get("Message"), str) and depth < _MAX_WRAPPERS:
        yield from _events(json.loads(content["Message"]), depth + 1)
    else:
        raise _poison(f"it has the fields {', '.join(sorted(map(str, content)))[:200] or 'of nothing'}")


def _from_notification(record: dict[str, Any]) -> Iterator[ObjectEvent]:
    is_deleted = _is_removal(record["eventName"].removeprefix("s3:"))
    if is_deleted is None:
        return
    told = record["s3"]["object"]
    yield ObjectEvent(
        bucket=_text(record["s3"]["bucket"]["name"]),
        key=unquote_plus(_text(told["key"])),
        etag=_etag(told.get("eTag")),
        size=int(told.get("size") or 0),
        event_at=_time(record["eventTime"]),
        sequencer=_sequencer(told.get("sequencer")),
        # The version of a delete marker is its own: what it deletes is the current version, whichever that is.
        version_id=None if "DeleteMarker" in record["eventName"] else told.get("versionId"),
        is_deleted=is_deleted,
    )


def _from_event_bridge(content: dict[str, Any]) -> Iterator[ObjectEvent]:
    kinds = {"Object Created": False, "Object Deleted": True}
    if content.get("detail-type") not in kinds:
        return
    detail = content["detail"]
    told = detail["object"]
    yield ObjectEvent(
        bucket=_text(detail["bucket"]["name"]),
        key=_text(told["key"]),  # unlike in a notification, the key is not encoded
        etag=_etag(told.get("etag") or told.get("eTag")),
        size=int(told.get("size") or 0),
        event_at=_time(content["time"]),
        sequencer=_sequencer(told.get("sequencer")),
        version_id=None if detail.get("deletion-type") == "Delete Marker Created" else told.get("version-id"),
        is_deleted=kinds[content["detail-type"]],
    )


def _is_removal(name: str) -> bool | None:
    """True for removals, False for creations, None for events that change no object (restores, tags, replication)."""
    if name.startswith(("ObjectRemoved:", "LifecycleExpiration:")):
        return True
    return False if name.startswith("ObjectCreated:") else None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"a name: {value!r}")
    return value


def _etag(value: Any) -> str:
    return str(value or "").strip('"')


def _sequencer(value: Any) -> str | None:
    return str(value).upper() if value else None


def _time(value: Any) -> dt.datetime:
    if isinstance(value, int | float):  # moto's EventBridge
        return dt.datetime.fromtimestamp(value, dt.UTC)
    found = dt.datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _poison(why: str) -> BadInput:
    return BadInput(f"a queue message is no S3 event: {why}", expected="an S3 notification, also in SNS or EventBridge")
