"""One client's connection: log in, then pass messages both ways, each direction in a task of its own."""

import asyncio
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from datalake_assets.sandbox.redshift import wire
from datalake_assets.sandbox.redshift.backend import READ_BYTES, Backend, LoginRefused, QueryFailed, connect, login
from datalake_assets.sandbox.redshift.loading import run_copy
from datalake_assets.sandbox.redshift.refusals import raising_sql
from datalake_assets.sandbox.redshift.replies import Asked, Expected, Replies
from datalake_assets.sandbox.redshift.tokens import words
from datalake_assets.sandbox.redshift.translate import MAX_STATEMENT_BYTES, TOO_LARGE, Translated, redacted, translate

if TYPE_CHECKING:
    from datalake_assets.sandbox.redshift.copy.objects import S3

Log = Callable[[dict[str, Any]], None]

# What redshift_connector and the JDBC and ODBC drivers say at login that PostgreSQL would not understand.
_REDSHIFT_STARTUP_KEYS = words(
    """
    client_protocol_version driver_version os_version driver_discovery_version plugin_name idp_type provider_name
    identity_namespace token_type idc_client_display_name
    """
)
# A Redshift session's settings, where PostgreSQL's own differ: docs/redshift-gateway.md says why each.
_SESSION_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "default_transaction_isolation": "repeatable read",
    # A query whose client or gateway is gone ends, also where a cancel request came too early for it. Milliseconds.
    "client_connection_check_interval": "1000",
}
_STARTUP_LIMIT_BYTES = 64 * 1024
_LOGIN_TIMEOUT_SECONDS = 30
_MESSAGE_LIMIT_BYTES = MAX_STATEMENT_BYTES + 1024 * 1024
_PIECE_BYTES = 256 * 1024
_OWN = b"redshift_gateway"  # the name of the gateway's own statements and portals
_TEXT_OIDS = frozenset((25, 705, 1043))
_ASKED: dict[bytes, Asked] = {b"B": "bind", b"D": "describe", b"E": "execute", b"C": "close", b"S": "sync"}


class Session:
    """A client and its backend connection. `gone` is set once the client has closed its end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        postgres: tuple[str, int],
        s3: "S3",
        gone: asyncio.Event,
        log: Log,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.postgres = postgres
        self.s3 = s3
        self.gone = gone
        self.log = log
        self.replies = Replies()
        self.backend: Backend
        self._side: Backend | None = None
        self._parameters: dict[str, str] = {}
        self._password = ""
        self._statements: dict[bytes, Translated] = {}
        self._portals: dict[bytes, Translated] = {}
        self._said_goodbye = False

    async def run(self) -> None:
        """Serve the client until one side ends; both connections are closed then."""
        try:
            async with asyncio.timeout(_LOGIN_TIMEOUT_SECONDS):
                if not await self._log_in():
                    return
            requests = asyncio.create_task(self._pump_requests())
            answers = asyncio.create_task(self._pump_answers())
            try:
                await asyncio.wait({requests, answers}, return_when=asyncio.FIRST_COMPLETED)
                if requests.done() and not self._said_goodbye and self.replies.expected:
                    await self._cancel_query()
            finally:
                for task in (requests, answers):
                    task.cancel()
                for outcome in await asyncio.gather(requests, answers, return_exceptions=True):
                    if isinstance(outcome, Exception) and not isinstance(outcome, (OSError, EOFError)):
                        self.log({"gateway_failure": repr(outcome)})
        except (OSError, EOFError, TimeoutError):
            pass  # the client left before it was logged in
        finally:
            self.replies.abandon()
            for backend in (getattr(self, "backend", None), self._side):
                if backend is not None:
                    backend.close()
            self.writer.close()

    async def _log_in(self) -> bool:
        parameters = await self._startup()
        if parameters is None:
            return False
        self.writer.write(wire.frame(b"R", struct.pack("!i", 3)))
        kind, length = wire.HEADER.unpack(await self.reader.readexactly(5))
        if kind != b"p" or length > _STARTUP_LIMIT_BYTES:
            return False
        self._password = (await self.reader.readexactly(length - 4)).rstrip(b"\0").decode("utf-8", "replace")
        self._parameters = parameters
        if not self._password:
            return await self._refuse("28P01", f'password authentication failed for user "{parameters["user"]}"')
        try:
            self.backend = await login(*self.postgres, {**_SESSION_SETTINGS, **parameters}, self._password)
        except LoginRefused as refusal:
            self.writer.write(refusal.answer)
            await self.writer.drain()
            return False
        except (OSError, EOFError) as error:
            host, port = self.postgres
            return await self._refuse(
                "57P03", f"PostgreSQL at {host}:{port}, behind the gateway, does not answer: {error}"
            )
        self.writer.write(wire.frame(b"R", struct.pack("!i", 0)))
        buffer = bytearray(b"".join(wire.frame(kind, body) for kind, body in self.backend.greeting))
        self.writer.write(self.replies.filter(buffer) + wire.frame(b"Z", b"I"))
        await self.writer.drain()
        return True

    async def _startup(self) -> dict[str, str] | None:
        """Read the client's first messages; None if it only asked for something else."""
        while True:
            length, code = struct.unpack("!ii", await self.reader.readexactly(8))
            if not 8 <= length <= _STARTUP_LIMIT_BYTES:
                return None
            body = await self.reader.readexactly(length - 8)
            if code in (wire.SSL_REQUEST, wire.GSS_REQUEST):
                self.writer.write(b"N")
            elif code == wire.CANCEL_REQUEST:
                await self._forward_cancel(body)
                return None
            elif code >> 16 != 3:
                await self._refuse("08P01", f"unsupported protocol version {code >> 16}.{code & 0xFFFF}")
                return None
            else:
                said = wire.startup_parameters(body)
                parameters = {key: value for key, value in said.items() if key not in _REDSHIFT_STARTUP_KEYS}
                if parameters.get("user"):
                    return parameters
                await self._refuse("28000", "no user name given; the gateway knows users with passwords only")
                return None

    async def _refuse(self, sqlstate: str, message: str) -> bool:
        self.writer.write(wire.error(sqlstate, message, severity="FATAL"))
        await self.writer.drain()
        return False

    async def _forward_cancel(self, key: bytes) -> None:
        _, writer = await connect(*self.postgres)
        writer.write(struct.pack("!ii", len(key) + 8, wire.CANCEL_REQUEST) + key)
        await writer.drain()
        writer.close()

    async def _cancel_query(self) -> None:
        if self.backend.key_data:
            await self._forward_cancel(self.backend.key_data)

    async def _pump_answers(self) -> None:
        buffer = bytearray()
        while data := await self.backend.reader.read(READ_BYTES):
            buffer += data
            if shown := self.replies.filter(buffer):
                self.writer.write(shown)
                await self.writer.drain()
        self.replies.abandon()

    async def _pump_requests(self) -> None:
        while True:
            try:
                header = await self.reader.readexactly(5)
            except asyncio.IncompleteReadError:
                return
            kind, length = wire.HEADER.unpack(header)
            size = length - 4
            if kind == b"X":
                self._said_goodbye = True
                return
            if kind in b"PQ":
                await self._statement(kind, size)
            elif kind == b"B":
                await self._bind(header, size)
            else:
                await self._other(kind, header, await self.reader.readexactly(size))
            await self.backend.writer.drain()

    async def _statement(self, kind: bytes, size: int) -> None:
        """Read a Parse or a Query, translate its SQL and send what it became."""
        if size > _MESSAGE_LIMIT_BYTES:
            # The name is kept, the statement is not: the client goes on to describe it by its name.
            piece = await self.reader.readexactly(_PIECE_BYTES)
            await self._skip(size - len(piece))
            body = piece[: piece.index(b"\0") + 1] + b"\0\0\0" if kind == b"P" else b"\0"
        else:
            body = await self.reader.readexactly(size)
        (name, text), position = wire.c_strings(body, 2) if kind == b"P" else ([b"", body.rstrip(b"\0")], size)
        if size > _MESSAGE_LIMIT_BYTES:
            translated = [Translated(raising_sql(TOO_LARGE))]
        else:
            started = time.perf_counter()
            source = text.decode("utf-8", "surrogateescape")
            translated = translate(source, backslash_escapes=self.replies.backslash_escapes)
            self._log_statement(source, translated, started)
        if kind == b"P":
            self._parse(name, translated, _with_inferred_texts(body[position:]))
        elif all(one.is_plain for one in translated):
            self._send("query", wire.frame(b"Q", _encoded(";".join(one.sql for one in translated)) + b"\0"))
        else:
            await self._simple_query_in_steps(translated)

    def _parse(self, name: bytes, translated: list[Translated], tail: bytes) -> None:
        self._statements.pop(name, None)
        if len(translated) == 1 and not translated[0].is_plain:
            self._statements[name] = translated[0]
        self._send("parse", wire.parse(name, _encoded(";".join(one.sql for one in translated)), tail))

    async def _simple_query_in_steps(self, translated: list[Translated]) -> None:
        """Run a simple query as the extended messages it stands for: one implicit transaction, the same answers."""
        for one in translated:
            self._send("parse", wire.parse(b"", _encoded(one.sql)), mute=True)
            self._send("bind", wire.bind(b"", b""), mute=True)
            self._send("describe", wire.describe_portal(b""), mute=True)
            await self._execute(wire.execute(b""), one)
        self._send("sync", wire.SYNC)

    async def _bind(self, header: bytes, size: int) -> None:
        """Pass a Bind on piece by piece: it may carry the parameters of a large insert."""
        piece = await self.reader.readexactly(min(size, _PIECE_BYTES))
        (portal, name), _ = wire.c_strings(piece, 2)
        self._portals.pop(portal, None)
        if name in self._statements:
            self._portals[portal] = self._statements[name]
        self._send("bind", header + piece)
        left = size - len(piece)
        while left:
            await self.backend.writer.drain()
            piece = await self.reader.readexactly(min(left, _PIECE_BYTES))
            self.backend.writer.write(piece)
            left -= len(piece)

    async def _other(self, kind: bytes, header: bytes, body: bytes) -> None:
        message = header + body
        if kind == b"E" and (special := self._portals.get(body[: body.index(b"\0")])) is not None:
            await self._execute(message, special)
            return
        if kind == b"C":
            (self._statements if body[:1] == b"S" else self._portals).pop(body[1:-1], None)
        if kind in _ASKED:
            self._send(_ASKED[kind], message)
        elif kind == b"F":
            self._send("query", message)
        else:
            self.backend.writer.write(message)

    async def _execute(self, message: bytes, translated: Translated) -> None:
        if translated.copy is not None:
            await run_copy(self, message, translated.copy)
        else:
            self._send("execute", message, tag=translated.tag)
        if translated.commits:
            try:
                await self.ask("COMMIT")
            except QueryFailed:
                return  # the client has been told by the same answer

    def _send(self, kind: Asked, message: bytes, *, mute: bool = False, tag: bytes | None = None) -> Expected:
        expected = self.replies.expect(Expected(kind, mute=mute, tag=tag))
        self.backend.writer.write(message)
        return expected

    async def ask(self, sql: str) -> list[list[str | None]]:
        """Ask a question of the gateway's own inside the client's transaction, and return the rows as text.

        Raises:
            QueryFailed: it failed, or an earlier statement did; the client has received the error.
        """
        expected = Expected("execute", mute=True, rows=[], done=asyncio.get_running_loop().create_future())
        self._send("close", wire.close_portal(_OWN), mute=True)
        self._send("close", wire.close_statement(_OWN), mute=True)
        self._send("parse", wire.parse(_OWN, sql.encode()), mute=True)
        self._send("bind", wire.bind(_OWN, _OWN), mute=True)
        self.replies.expect(expected)
        self.backend.writer.write(wire.execute(_OWN) + wire.FLUSH)
        await self.backend.writer.drain()
        assert expected.done is not None
        assert expected.rows is not None
        await expected.done
        return expected.rows

    async def ask_aside(self, sql: str) -> list[list[str | None]]:
        """Ask on a second connection, whose work outlives a rollback of the client's."""
        if self._side is None:
            parameters = {key: self._parameters[key] for key in ("user", "database") if key in self._parameters}
            parameters["application_name"] = "redshift gateway"
            self._side = await login(*self.postgres, parameters, self._password)
        return await self._side.query(sql)

    def _log_statement(self, source: str, translated: list[Translated], started: float) -> None:
        sql = ";".join(one.sql for one in translated)
        escapes = self.replies.backslash_escapes
        entry = {
            "in": redacted(source, backslash_escapes=escapes),
            "ms": round(1000 * (time.perf_counter() - started), 3),
        }
        if sql != source:
            entry["out"] = redacted(sql, backslash_escapes=escapes)
        self.log(entry)

    async def _skip(self, size: int) -> None:
        while size:
            size -= len(await self.reader.readexactly(min(size, _PIECE_BYTES)))


def _encoded(sql: str) -> bytes:
    return sql.encode("utf-8", "surrogateescape")


def _with_inferred_texts(tail: bytes) -> bytes:
    """Parameter types with texts left to inference: Redshift casts a varchar to a date or number by itself."""
    (count,) = struct.unpack_from("!H", tail)
    oids = struct.unpack_from(f"!{count}i", tail, 2)
    return struct.pack(f"!H{count}i", count, *(0 if oid in _TEXT_OIDS else oid for oid in oids))
