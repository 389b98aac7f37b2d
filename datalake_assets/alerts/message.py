"""What an alert says, as text and as Slack blocks.

Data never pages anybody: whatever comes from a run is escaped, so that `<!channel>` in an error text is only text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Slack's limits are 3,000 characters for the text of a section and 40,000 for the fallback text.
MAX_CAUSE_CHARACTERS = 2_000
MAX_FIELD_CHARACTERS = 300

Payload = Mapping[str, Any]


@dataclass(frozen=True)
class FailedRun:
    """What is worth knowing about a failed run.

    Args:
        status: FAILED, TIMED_OUT or ABORTED.
        cause: the root exception in one line.
        attempts: how often it was tried, retries included.
    """

    run_id: str
    job: str
    location: str
    status: str
    partition: str | None
    step: str | None
    cause: str
    owner: str | None
    reason: str | None
    attempts: int
    ui_url: str


def escape(text: str) -> str:
    """Replace the three characters that Slack's markup starts with."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shorten(text: str, limit: int) -> str:
    """Cut a text in its middle: the start names the error, the end what to do about it."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    return f"{text[:head]} … {text[len(text) - (limit - head - 3) :]}"


def compose(failed: FailedRun) -> Payload:
    """Return the message for a failed run: `text` for clients without blocks, and `blocks`."""
    what = f"{failed.job} {failed.status.lower().replace('_', ' ')}"
    place = f"location {failed.location}" + (f", partition {failed.partition}" if failed.partition else "")
    url = f"{failed.ui_url.rstrip('/')}/runs/{failed.run_id}"
    cause = _limited(failed.cause, MAX_CAUSE_CHARACTERS)
    facts = [
        ("Location", failed.location),
        ("Partition", failed.partition),
        ("Step", failed.step),
        ("Owner", failed.owner),
        ("Started because", failed.reason),
        ("Attempts", str(failed.attempts) if failed.attempts > 1 else None),
    ]
    repair = "Mend the cause, then choose *Re-execute* on the run's page; nothing has to be cleaned up first."
    text = f"{_limited(what, MAX_FIELD_CHARACTERS)} ({_limited(place, MAX_FIELD_CHARACTERS)}): {cause}"
    return {
        "text": text,
        "blocks": [
            _section(f":red_circle: *{_limited(what, MAX_FIELD_CHARACTERS)}*"),
            {"type": "section", "fields": _fields(facts)},
            # A code block holds no markup; its own end mark is broken up.
            _section("```" + cause.replace("```", "'''") + "```"),
            _section(f"{repair}\n<{url}|Open the run>"),
        ],
    }


def compose_notice(title: str, lines: Sequence[str]) -> Payload:
    """Return a plain message of a title and some lines, for what is not a failed run."""
    head, body = _limited(title, MAX_FIELD_CHARACTERS), _limited("\n".join(lines), MAX_CAUSE_CHARACTERS)
    return {"text": f"{head}\n{body}", "blocks": [_section(f"*{head}*"), _section(body or " ")]}


def _limited(text: str, limit: int) -> str:
    """Escape a text and keep it within `limit`; it is cut before it is escaped, so that no entity is cut in half."""
    size = limit
    while len(escaped := escape(shorten(text, size))) > limit:
        size = size * limit // len(escaped)
    return escaped


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _fields(facts: Sequence[tuple[str, str | None]]) -> list[dict[str, str]]:
    return [
        {"type": "mrkdwn", "text": f"*{name}*\n{_limited(value, MAX_FIELD_CHARACTERS)}"}
        for name, value in facts
        if value
    ]
