"""The inbox takes what Slack takes, and keeps it."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from datalake_assets.sandbox.inbox import HOOK_PATH, Inbox, read_messages
from datalake_assets.sandbox.ports import LOCALHOST, free_ports


class Hook:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "inbox.jsonl"
        (self.port,) = free_ports(1)
        self.heard: list[str] = []
        self.inbox = Inbox(self.port, self.file, self.heard.append)
        self.inbox.start()

    def post(self, body: bytes, path: str = HOOK_PATH) -> tuple[int, str]:
        connection = http.client.HTTPConnection(LOCALHOST, self.port, timeout=5)
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found = (answer.status, answer.read().decode())
        connection.close()
        return found


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Hook]:
    made = Hook(tmp_path)
    yield made
    made.inbox.stop()


def test_a_message_is_kept_and_shown(hook: Hook) -> None:
    payload = {"text": "flights failed", "blocks": [{"type": "section"}]}
    assert hook.post(json.dumps(payload).encode()) == (200, "ok")
    (message,) = read_messages(hook.file)
    assert message["text"] == "flights failed"
    assert message["payload"] == payload
    assert hook.heard == ["flights failed"]


@pytest.mark.parametrize(
    ("body", "answer"),
    [(b"{", "invalid_payload"), (b"[]", "invalid_payload"), (b"", "invalid_payload"), (b"{}", "no_text")],
)
def test_what_slack_refuses_is_refused(hook: Hook, body: bytes, answer: str) -> None:
    assert hook.post(body) == (400, answer)
    assert read_messages(hook.file) == []


def test_another_address_is_no_service(hook: Hook) -> None:
    assert hook.post(b'{"text": "x"}', "/elsewhere") == (404, "no_service")


def test_a_line_that_a_kill_cut_off_spoils_no_other(hook: Hook) -> None:
    hook.post(b'{"text": "one"}')
    with hook.file.open("a") as file:
        file.write('{"received_at": "20')
    hook.post(b'{"text": "two"}')
    assert [message["text"] for message in read_messages(hook.file)] == ["one", "two"]
    assert [message["text"] for message in read_messages(hook.file, 1)] == ["two"]
