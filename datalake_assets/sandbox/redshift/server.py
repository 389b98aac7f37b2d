"""The gateway's listening side: accept clients on 127.0.0.1, one session each, until told to stop."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from datalake_assets.errors import ConfigurationError
from datalake_assets.sandbox.redshift.backend import READ_BYTES, without_delay
from datalake_assets.sandbox.redshift.copy.objects import S3
from datalake_assets.sandbox.redshift.session import Session

HOST = "127.0.0.1"
_STOP_SECONDS = 10


class _ClientProtocol(asyncio.StreamReaderProtocol):
    """Tells at once when the client closes its end, also while nobody reads from it."""

    def __init__(self, reader: asyncio.StreamReader, connected: Callable[..., Any], gone: asyncio.Event) -> None:
        super().__init__(reader, connected, asyncio.get_running_loop())
        self._gone = gone

    def eof_received(self) -> bool | None:
        self._gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        super().connection_lost(exc)


class Gateway:
    """A Redshift front end for one PostgreSQL server.

    `async with Gateway(...)` or `serve()` runs it in the current loop; `with Gateway(...)` in a thread of its own,
    which is what tests want. Port 0 takes a free one; `port` tells which.
    """

    def __init__(
        self, *, postgres_host: str, postgres_port: int, listen_port: int = 0, log_file: Path | None = None
    ) -> None:
        self.port = listen_port
        self._postgres = (postgres_host, postgres_port)
        self._s3 = S3()
        self._log_path = log_file
        self._log_file: IO[str] | None = None
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    async def start(self) -> None:
        """Accept clients from now on.

        Raises:
            ConfigurationError: the port is in use, or the log file cannot be written.
        """
        loop = asyncio.get_running_loop()
        if self._log_path is not None:
            try:
                self._log_file = self._log_path.open("a", buffering=1, encoding="utf-8")
            except OSError as error:
                raise ConfigurationError(
                    f"the log file cannot be written: {error.strerror}", where=str(self._log_path)
                ) from error
        try:
            self._server = await loop.create_server(self._protocol, HOST, self.port)
        except OSError as error:
            self._close_log()
            raise ConfigurationError(
                f"the Redshift gateway cannot listen: {error.strerror or error}",
                where=f"{HOST}:{self.port}",
                expected="a free port",
                todo="Stop what uses the port or choose another --listen-port.",
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse new clients, end the sessions, close all connections."""
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        self._close_log()

    def _protocol(self) -> _ClientProtocol:
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        reader = asyncio.StreamReader(limit=READ_BYTES, loop=loop)

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            without_delay(writer)
            session = Session(reader, writer, postgres=self._postgres, s3=self._s3, gone=gone, log=self._log)
            task = loop.create_task(session.run())
            self._sessions.add(task)
            task.add_done_callback(self._sessions.discard)

        return _ClientProtocol(reader, connected, gone)

    def _log(self, entry: dict[str, Any]) -> None:
        if self._log_file is not None:
            self._log_file.write(json.dumps(entry, ensure_ascii=False, default=str) + "\n")

    def _close_log(self) -> None:
        if self._log_file is not None:
            self._log_file.close()
            self._log_file = None

    def __enter__(self) -> "Gateway":
        ready = threading.Event()
        failure: list[BaseException] = []

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._stopping = asyncio.Event()
            try:
                await self.start()
            except ConfigurationError as error:
                failure.append(error)
                return
            finally:
                ready.set()
            await self._stopping.wait()
            await self.stop()

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), name="redshift-gateway", daemon=True)
        self._thread.start()
        ready.wait()
        if failure:
            self._thread.join()
            raise failure[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stopping is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_STOP_SECONDS)
