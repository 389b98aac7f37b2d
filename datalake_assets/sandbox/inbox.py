"""A Slack-compatible incoming webhook on 127.0.0.1 that keeps what it receives.

It is a thread of the process that runs the sandbox, not a process of its own. Answers are Slack's: 200 `ok`, and
400 `invalid_payload` or `no_text` for what Slack would not take either.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from datalake_assets.sandbox.ports import LOCALHOST

HOOK_PATH = "/services/T00000000/B00000000/sandbox"
MAX_BODY_BYTES = 1_000_000


class Inbox:
    """The receiver.

    Args:
        echo: called with each message's text; the foreground command prints it.
    """

    def __init__(self, port: int, file: Path, echo: Callable[[str], None] | None = None) -> None:
        self._server = _Server(port, file, echo)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="inbox", daemon=True)

    @property
    def url(self) -> str:
        return hook_url(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop receiving; what was answered with `ok` is in the file."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def hook_url(port: int) -> str:
    """The address that an alert is posted to."""
    return f"http://{LOCALHOST}:{port}{HOOK_PATH}"


def read_messages(file: Path, last: int | None = None) -> list[dict[str, Any]]:
    """The received messages, oldest first: `received_at` (ISO, UTC), `text` and the whole `payload`."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines if last is None else lines[-last:]:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # a line that a kill cut off: it was never acknowledged
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, file: Path, echo: Callable[[str], None] | None) -> None:
        self.file = file
        self.echo = echo
        self.lock = threading.Lock()
        super().__init__((LOCALHOST, port), _Handler)

    def keep(self, payload: dict[str, Any]) -> None:
        text = str(payload.get("text") or "")
        line = json.dumps({"received_at": datetime.now(UTC).isoformat(), "text": text, "payload": payload})
        with self.lock:
            # On a line of its own, whatever a killed writer left at the end of the file.
            handle = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "ab") as out:
                size = os.fstat(handle).st_size
                is_cut = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
                out.write((b"\n" if is_cut else b"") + line.encode() + b"\n")
        if self.echo is not None:
            self.echo(text)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 30

    def do_POST(self) -> None:
        if not self.path.startswith("/services/"):
            return self._answer(404, "no_service")
        try:
            length = int(self.headers.get("Content-Length", ""))
            if not 0 < length <= MAX_BODY_BYTES:
                raise ValueError
            payload = json.loads(self.rfile.read(length))
        except ValueError:
            return self._answer(400, "invalid_payload")
        if not isinstance(payload, dict):
            return self._answer(400, "invalid_payload")
        if not payload.get("text") and not payload.get("blocks") and not payload.get("attachments"):
            return self._answer(400, "no_text")
        try:
            self.server.keep(payload)
        except OSError as error:
            print(f"An alert could not be kept: {error}", file=sys.stderr, flush=True)
            return self._answer(500, "server_error")
        return self._answer(200, "ok")

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the message itself is the news."""
