"""What a sandbox's state folder says about itself, from any process."""

from typing import Any

from datalake_assets.sandbox.inbox import read_messages
from datalake_assets.sandbox.ports import is_listening
from datalake_assets.sandbox.processes import is_same
from datalake_assets.sandbox.state import StateFolder

LAST_MESSAGES = 5


def status(state: StateFolder) -> dict[str, Any]:
    """Return what runs where.

    Keys: `state` (path), `is_made`, `is_running`, `is_ready`, `pid`, `services` (name to `port` and `is_listening`),
    `messages` (the last alerts, oldest first).
    """
    running = state.running()
    is_running = state.is_locked() and is_same(running)
    ports: dict[str, int] = running.get("ports", {}) if is_running else {}
    return {
        "state": str(state.path),
        "is_made": state.is_complete(),
        "is_running": is_running,
        "is_ready": is_running and bool(running.get("ready")),
        "pid": running.get("pid") if is_running else None,
        "services": {name: {"port": port, "is_listening": is_listening(port)} for name, port in ports.items()},
        "messages": read_messages(state.inbox_file, LAST_MESSAGES),
    }
