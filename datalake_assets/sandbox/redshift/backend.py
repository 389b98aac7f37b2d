"""A connection to PostgreSQL, logged in with the user and password the client gave."""

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from datalake_assets.sandbox.redshift import wire

READ_BYTES = 256 * 1024
_CONNECT_TIMEOUT_SECONDS = 10


class LoginRefused(Exception):
    """PostgreSQL refused the login; `answer` is its ErrorResponse, as a whole frame."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(wire.error_fields(answer[5:]).get("M", "login refused"))
        self.answer = answer


class QueryFailed(Exception):
    """A query of the gateway's own failed; `fields` are those of the ErrorResponse."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields.get("M", "query failed"))
        self.fields = fields


@dataclass
class Backend:
    """A logged-in connection and what the server said at login: parameters, process id and secret key."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: list[tuple[bytes, bytes]] = field(default_factory=list)
    key_data: bytes = b""

    async def query(self, sql: str) -> list[list[str | None]]:
        """Run a query of the gateway's own, on a connection that no client uses, and return its rows as text.

        Raises:
            QueryFailed: the server reported an error.
        """
        self.writer.write(wire.frame(b"Q", sql.encode() + b"\0"))
        await self.writer.drain()
        rows: list[list[str | None]] = []
        failure: QueryFailed | None = None
        while True:
            kind, body = await read_frame(self.reader)
            if kind == b"D":
                rows.append(wire.data_row(body))
            elif kind == b"E":
                failure = QueryFailed(wire.error_fields(body))
            elif kind == b"Z":
                if failure:
                    raise failure
                return rows

    def close(self) -> None:
        """Say goodbye without waiting for an answer."""
        if not self.writer.is_closing():
            self.writer.write(wire.TERMINATE)
            self.writer.close()


async def read_frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read one message: its type and body."""
    kind, length = wire.HEADER.unpack(await reader.readexactly(5))
    return kind, await reader.readexactly(length - 4)


def without_delay(writer: asyncio.StreamWriter) -> None:
    """Turn Nagle's algorithm off: the protocol is small requests and small answers."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def connect(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a TCP connection to PostgreSQL."""
    reader, writer = await asyncio.wait_for(
        asyncio.open_connection(host, port, limit=READ_BYTES * 2), _CONNECT_TIMEOUT_SECONDS
    )
    without_delay(writer)
    return reader, writer


async def login(host: str, port: int, parameters: Mapping[str, str], password: str) -> Backend:
    """Connect and log in; return when the server is ready for queries.

    Raises:
        LoginRefused: wrong user, password or database, or another refusal of the server.
        OSError: PostgreSQL does not answer.
    """
    reader, writer = await connect(host, port)
    backend = Backend(reader, writer)
    try:
        writer.write(wire.startup(parameters))
        await _authenticate(backend, parameters["user"], password)
        while True:
            kind, body = await read_frame(reader)
            if kind == b"Z":
                return backend
            if kind == b"E":
                raise LoginRefused(wire.frame(kind, body))
            if kind == b"K":
                backend.key_data = body
            backend.greeting.append((kind, body))
    except BaseException:
        writer.close()
        raise


async def _authenticate(backend: Backend, user: str, password: str) -> None:
    from scramp import ScramClient  # type: ignore[import-untyped]

    scram: ScramClient | None = None
    while True:
        kind, body = await read_frame(backend.reader)
        if kind == b"E":
            raise LoginRefused(wire.frame(kind, body))
        if kind != b"R":
            continue
        (code,) = struct.unpack_from("!i", body)
        if code == 0:
            return
        if code == 3:
            answer = password.encode() + b"\0"
        elif code == 10:
            mechanisms = [name.decode() for name in body[4:].rstrip(b"\0").split(b"\0")]
            scram = ScramClient([name for name in mechanisms if not name.endswith("-PLUS")], user, password)
            first = scram.get_client_first().encode()
            answer = b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first
        elif code == 11 and scram is not None:
            scram.set_server_first(body[4:].decode())
            answer = scram.get_client_final().encode()
        elif code == 12 and scram is not None:
            scram.set_server_final(body[4:].decode())
            continue
        else:
            refusal = wire.error("28000", f"PostgreSQL asks for authentication method {code}", severity="FATAL")
            raise LoginRefused(refusal)
        backend.writer.write(wire.frame(b"p", answer))
