"""An outbox in a throw-away PostgreSQL, and a channel that misbehaves on request."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy

from datalake_assets.database.migrate import migrate
from tests.database.conftest import empty_database_url, postgres_server

__all__ = ["empty_database_url", "postgres_server"]


@pytest.fixture
def outbox(empty_database_url: str) -> Iterator[sqlalchemy.Engine]:
    migrate(empty_database_url)
    engine = sqlalchemy.create_engine(empty_database_url)
    yield engine
    engine.dispose()


@dataclass
class Channel:
    """A webhook that keeps what it accepted and answers as it is told to, 200 by default."""

    url: str
    accepted: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)


@pytest.fixture
def channel() -> Iterator[Channel]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers = made.answers.pop(0) if made.answers else (200, {})
            if status == 200:
                made.accepted.append(body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Channel(f"http://127.0.0.1:{server.server_address[1]}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
