"""The HTTP server in front of moto: one request at a time, connections kept open, nothing acknowledged unwritten.

moto is written for one thread: two threads can both pass a conditional write. One lock around each request makes it
as atomic as AWS is, and costs nothing in a process that the interpreter's own lock serializes anyway.
"""

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import ThreadedWSGIServer

from datalake_assets.sandbox.aws import fidelity, glue, identity, s3, sqs
from datalake_assets.sandbox.aws.guests import refuse_guest
from datalake_assets.sandbox.aws.journal import Journal
from datalake_assets.sandbox.aws.recording import Recorder
from datalake_assets.sandbox.aws.strangers import refuse_stranger
from datalake_assets.sandbox.ports import LOCALHOST

PARTS = (s3, sqs, glue, identity)
HEALTH_PATH = "/sandbox-health"
BACKLOG = 512
HOP_HEADERS = {"connection", "transfer-encoding"}


class AwsServer(ThreadedWSGIServer):
    """moto on a port of 127.0.0.1, with its state in a file."""

    request_queue_size = BACKLOG
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, journal: Journal, access_key: str) -> None:
        self.access_key = access_key
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.RLock()
        self.recorder = Recorder(journal)
        fidelity.apply(self.lock)
        for part in PARTS:
            part.restore(journal)
        for part in PARTS:
            part.record(self.recorder)
        super().__init__(LOCALHOST, port, self.moto, handler=Handler)

    def answer(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        """Run one request to its end: what it changed is on disk when this returns."""
        answered: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            answered.append((status, headers))

        with self.lock:
            try:
                parts: Iterable[bytes] = self.moto(environ, start_response)
                body = b"".join(parts)
                with contextlib.suppress(AttributeError):
                    parts.close()  # type: ignore[attr-defined]
            finally:
                try:
                    self.recorder.flush()
                except Exception as error:  # noqa: BLE001 - whatever it is, memory is now ahead of the disk
                    print(f"The state cannot be written, so the server ends: {error}", file=sys.stderr, flush=True)
                    os._exit(1)
        status, headers = answered[-1]
        return status, headers, body


class Handler(MotoRequestHandler):
    """HTTP/1.1 with connections that stay open, which werkzeug's own handler never does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: AwsServer

    def handle_expect_100(self) -> bool:
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def run_wsgi(self) -> None:
        """Answer one request: read the whole body first, send the whole answer in one piece."""
        environ = self.make_environ()
        length = int(environ.get("CONTENT_LENGTH") or 0)
        stream = environ["wsgi.input"]
        body = stream.read() if environ.get("wsgi.input_terminated") else stream.read(length)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        status, headers, answer = self._answer(environ)
        code, _, reason = status.partition(" ")
        # A HEAD request's Content-Length is the object's and stands in the headers; every other one is counted here.
        is_bodyless = self.command == "HEAD" or code in ("204", "304")
        left_out = {"date", *HOP_HEADERS} if is_bodyless else {"date", "content-length", *HOP_HEADERS}
        # As every AWS service: what depends on the age of an object compares it with this clock.
        lines = [f"HTTP/1.1 {code} {reason}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in headers if name.lower() not in left_out]
        if not is_bodyless:
            lines.append(f"Content-Length: {len(answer)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.wfile.write(head if is_bodyless else head + answer)

    def _answer(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        path = environ["PATH_INFO"]
        if path == HEALTH_PATH:
            return "200 OK", [], b"ok"
        if path.startswith("/moto-api"):
            # Its reset would empty the memory and leave the file as it was.
            return "404 Not Found", [], b"moto's own pages are switched off in the sandbox"
        if (refusal := refuse_stranger(environ, self.server.access_key)) is not None:
            return refusal
        if (refusal := refuse_guest(environ)) is not None:
            return refusal
        try:
            return self.server.answer(environ)
        except Exception as error:  # noqa: BLE001 - as AWS does: a failed request is not a failed server
            import traceback

            traceback.print_exc()
            text = f"moto failed on this request: {type(error).__name__}: {error}"
            return f"500 {HTTPStatus.INTERNAL_SERVER_ERROR.phrase}", [("Content-Type", "text/plain")], text.encode()

    def log_request(self, *_: Any) -> None:
        """Say nothing: a request is not news."""


def serve(port: int, file: Path, access_key: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    journal = Journal(file)
    server = AwsServer(port, journal, access_key)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)
    with server.lock:
        journal.close()
