"""What PostgreSQL answers, matched with what was asked, so that the gateway can ask questions of its own in between.

Every message with an answer leaves an `Expected` in a queue. The answers come back in the same order; those of the
gateway's own questions are kept from the client, and an error clears the queue up to the next Sync, as in the server.
"""

import asyncio
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from datalake_assets.sandbox.redshift import wire
from datalake_assets.sandbox.redshift.backend import QueryFailed

Asked = Literal["parse", "bind", "describe", "execute", "close", "sync", "query"]

# The answer that completes each kind of message; describing a statement is complete with its rows, not its parameters.
_COMPLETED_BY: dict[Asked, bytes] = {
    "parse": b"1",
    "bind": b"2",
    "describe": b"Tn",
    "execute": b"CIs",
    "close": b"3",
    "sync": b"Z",
    "query": b"Z",
}
_DATA_ROW = ord("D")
_ASYNCHRONOUS = b"NSA"
_SERVER_VERSION = wire.frame(b"S", b"server_version\x008.0.2\x00")
_JSONB_OID, _SUPER_OID = struct.pack("!i", 3802), struct.pack("!i", 4000)


@dataclass(slots=True, eq=False)
class Expected:
    """One message that PostgreSQL has yet to answer.

    Args:
        mute: the client did not ask, so it hears nothing, unless it goes wrong.
        rows: where the rows of a question of the gateway's own go.
        done: set when it is answered: True, or `QueryFailed` if the gateway asked for itself.
        tag: what to call the command in CommandComplete, instead of PostgreSQL's word.
        error: the ErrorResponse to send instead of PostgreSQL's.
        copying: set when PostgreSQL waits for the rows of a COPY (True) or never will (False).
    """

    kind: Asked
    mute: bool = False
    rows: list[list[str | None]] | None = None
    done: "asyncio.Future[bool] | None" = None
    tag: bytes | None = None
    error: bytes | None = None
    copying: "asyncio.Future[bool] | None" = None
    failed_with: dict[str, str] = field(default_factory=dict)


class Replies:
    """The queue of unanswered messages and the filter that PostgreSQL's answers pass through."""

    def __init__(self) -> None:
        self.expected: deque[Expected] = deque()
        self.backslash_escapes = True
        self._is_skipping = False  # after an error, until the next Sync
        self._passing = 0  # bytes of a row too long for one read

    def expect(self, expected: Expected) -> Expected:
        """Note a message that is about to be sent."""
        if self._is_skipping:
            if expected.kind != "sync":
                self._fail(expected, {"M": "skipped after an error"})
                return expected
            self._is_skipping = False
        self.expected.append(expected)
        return expected

    def abandon(self) -> None:
        """The connection is gone: nobody will be answered."""
        while self.expected:
            self._fail(self.expected.popleft(), {"C": "08006", "M": "the connection to PostgreSQL was lost"})

    def filter(self, buffer: bytearray) -> bytes:
        """Take the complete messages out of `buffer` and return what the client is to see of them."""
        shown: list[bytes] = []
        position, kept, size = 0, 0, len(buffer)
        if self._passing:
            position = min(self._passing, size)
            self._passing -= position
        while size - position >= 5:
            kind = buffer[position]
            end = position + 1 + int.from_bytes(buffer[position + 1 : position + 5], "big")
            is_plain_row = kind == _DATA_ROW and not (self.expected and self.expected[0].mute)
            if end > size:
                if is_plain_row:
                    self._passing = end - size
                    position = size
                break
            if not is_plain_row:
                if position > kept:
                    shown.append(bytes(buffer[kept:position]))
                shown.append(self._answer(bytes(buffer[position : position + 1]), bytes(buffer[position + 5 : end])))
                kept = end
            position = end
        if position > kept:
            shown.append(bytes(buffer[kept:position]))
        del buffer[:position]
        return b"".join(shown)

    def _answer(self, kind: bytes, body: bytes) -> bytes:
        """Settle one message and return what the client sees instead of it."""
        head = self.expected[0] if self.expected else None
        if kind in _ASYNCHRONOUS:
            return self._asynchronous(kind, body, head)
        if head is None:
            return wire.frame(kind, body)
        if kind == b"E":
            return self._error(body, head)
        if kind == b"G":
            if head.copying is not None and not head.copying.done():
                head.copying.set_result(True)
            return b""
        if kind == b"D" and head.rows is not None:
            head.rows.append(wire.data_row(body))
        shown = b"" if head.mute and not (kind == b"T" and head.kind == "describe") else self._shown(kind, body, head)
        if kind in _COMPLETED_BY[head.kind]:
            self.expected.popleft()
            if head.done is not None and not head.done.done():
                head.done.set_result(True)
        return shown

    def _shown(self, kind: bytes, body: bytes, head: Expected) -> bytes:
        if kind == b"T" and _JSONB_OID in body:
            body = _with_super_columns(body)
        if kind == b"C" and head.tag is not None:
            body = head.tag + b"\0"
        return wire.frame(kind, body)

    def _asynchronous(self, kind: bytes, body: bytes, head: Expected | None) -> bytes:
        if kind == b"S":
            if body.startswith(b"server_version\0"):
                return _SERVER_VERSION
            if body.startswith(b"standard_conforming_strings\0"):
                self.backslash_escapes = body.endswith(b"off\0")
        if kind == b"N" and head is not None and head.mute:
            return b""
        return wire.frame(kind, body)

    def _error(self, body: bytes, head: Expected) -> bytes:
        fields = wire.error_fields(body)
        shown = head.error or wire.frame(b"E", body)
        if fields.get("V", fields.get("S")) in ("FATAL", "PANIC") or head.kind in ("query", "sync"):
            return shown
        while self.expected and self.expected[0].kind != "sync":
            self._fail(self.expected.popleft(), fields)
        self._is_skipping = not self.expected
        return shown

    @staticmethod
    def _fail(expected: Expected, fields: dict[str, str]) -> None:
        expected.failed_with = fields
        if expected.copying is not None and not expected.copying.done():
            expected.copying.set_result(False)
        if expected.done is not None and not expected.done.done():
            expected.done.set_exception(QueryFailed(fields))


def _with_super_columns(body: bytes) -> bytes:
    """A RowDescription in which jsonb columns are of Redshift's type SUPER."""
    changed = bytearray(body)
    position = 2
    while position < len(body):
        position = body.index(b"\0", position) + 1 + 6
        if body[position : position + 4] == _JSONB_OID:
            changed[position : position + 4] = _SUPER_OID
        position += 12
    return bytes(changed)
