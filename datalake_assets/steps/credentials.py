"""The credentials of an account for the programs of its steps: handed out when asked for, fresh each time.

Variables with keys would be read by a step that never calls AWS, and end after an hour in one that does. Every SDK of
AWS asks an address on this machine instead if two variables say so, as it does in a container, and asks again before
the keys end.
"""

import hmac
import http.server
import json
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.sessions import session
from datalake_assets.errors import PlatformError

log = logging.getLogger(__name__)

_TOKEN_BYTES = 32


@contextmanager
def served_credentials(location: str) -> Iterator[dict[str, str]]:
    """Serve the credentials of a location's role for as long as the block lasts; yields the variables that lead there.

    Nothing is asked of AWS before a program asks here. The address answers on this machine only, and only to who knows
    the token.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    server = _Server(location, token)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{server.server_port}/",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
            # A profile of whoever runs this machine comes before the address: hide it.
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, location: str, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.location = location
        self.token = token


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer with the keys, as the metadata address of a container does."""
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), self.server.token.encode()):
            self._answer(403, {"code": "AccessDenied", "message": "the token is missing or wrong"})
            return
        try:
            self._answer(200, _keys(self.server.location))
        except PlatformError as error:
            log.error("no credentials for a step: %s", error)
            self._answer(500, {"code": type(error).__name__, "message": str(error)})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: each request would be a line in the step's log."""


def _keys(location: str) -> dict[str, Any]:
    with aws_errors(f"account {location}"):
        credentials = session(location)._session().get_credentials()
        keys = credentials.get_frozen_credentials()
    return {
        "AccessKeyId": keys.access_key,
        "SecretAccessKey": keys.secret_key,
        "Token": keys.token,
        "Expiration": credentials._expiry_time.isoformat(),
    }
