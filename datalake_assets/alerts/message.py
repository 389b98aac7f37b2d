"""What an alert says, as text and as Slack blocks.

Data never pages anybody: whatever comes from a run is escaped, so that `<!channel>` in an error text is only text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Slack's limits are 3,000 characters for the text of a section and 40,000 for the fallback text.
MAX_CAUSE_CHARACTERS = 1_500
MAX_FIELD_CHARACTERS = 300
MAX_TEXT_CHARACTERS = 3_000

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
    text = f"{escape(what)} ({escape(place)}): {cause}"
    return {
        "text": text[:MAX_TEXT_CHARACTERS],
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
    body = "\n".join(_limited(line, MAX_FIELD_CHARACTERS) for line in lines)[:MAX_TEXT_CHARACTERS]
    head = _limited(title, MAX_FIELD_CHARACTERS)
    return {"text": f"{head}\n{body}"[:MAX_TEXT_CHARACTERS], "blocks": [_section(f"*{head}*"), _section(body or " ")]}


def _limited(text: str, limit: int) -> str:
    # Shortened before it is escaped: half an entity would be shown as it stands.
    return escape(shorten(text, limit))


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _fields(facts: Sequence[tuple[str, str | None]]) -> list[dict[str, str]]:
    return [
        {"type": "mrkdwn", "text": f"*{name}*\n{_limited(value, MAX_FIELD_CHARACTERS)}"}
        for name, value in facts
        if value
    ]
