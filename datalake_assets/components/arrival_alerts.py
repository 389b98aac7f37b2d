"""What people should hear about arrivals becomes an alert each time some of it is new.

That is objects that belong to no pipeline, messages that nobody can read, late files, and partitions held back because
they ran too often.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from datalake_assets.arrivals.dead_letters import DeadLetter
    from datalake_assets.arrivals.notices import RecordedNotice

MAX_NAMED = 10
BATCH = 100
MAX_BODY_CHARACTERS = 100


def build_arrival_alert_sensor() -> dg.SensorDefinition:
    """Return the sensor that tells people about the arrivals of all locations, in one message a tick.

    The message is in the outbox, under a key made of what it names, before the cursor moves: a tick that dies in
    between is repeated and changes nothing, unless more came meanwhile; then people read of the first part twice.
    """

    @dg.sensor(
        name="arrival_alerts",
        minimum_interval_seconds=10,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tell people about unexpected keys, unreadable messages, late files and partitions held back, once "
        "each.",
    )
    def arrival_alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from datalake_assets.alerts.message import compose_notice
        from datalake_assets.alerts.outbox import record
        from datalake_assets.arrivals.dead_letters import dead_letters_after
        from datalake_assets.arrivals.notices import notices_after

        last_letter, last_notice = _cursor(context.cursor)
        letters = dead_letters_after(last_letter, limit=BATCH)
        notices = notices_after(last_notice, limit=BATCH)
        if not letters and not notices:
            return dg.SkipReason("nothing new about arrivals")
        payload = compose_notice(_title(letters, notices), _lines(letters, notices))
        last_letter = letters[-1].id if letters else last_letter
        last_notice = notices[-1].id if notices else last_notice
        record("arrivals", f"arrivals:{_span(letters)}:{_span(notices)}", payload)
        context.update_cursor(json.dumps({"dead_letter": last_letter, "notice": last_notice}))
        return dg.SkipReason(f"{len(letters)} dead letters and {len(notices)} notices recorded")

    return arrival_alerts


def _cursor(text: str | None) -> tuple[int, int]:
    """The last dead letter and the last notice that were told."""
    if not text:
        return 0, 0
    known = json.loads(text)
    return int(known["dead_letter"]), int(known["notice"])


def _title(letters: "Sequence[DeadLetter]", notices: "Sequence[RecordedNotice]") -> str:
    late = sum(notice.kind == "late" for notice in notices)
    parts = []
    if letters:
        noun = "object or message that fits" if len(letters) == 1 else "objects or messages that fit"
        parts.append(f"{len(letters)} {noun} no pipeline")
    if late:
        parts.append(f"{late} {'partition' if late == 1 else 'partitions'} with late files")
    if held := len(notices) - late:
        parts.append(f"{held} {'partition' if held == 1 else 'partitions'} held back")
    return ", ".join(parts)


def _lines(letters: "Sequence[DeadLetter]", notices: "Sequence[RecordedNotice]") -> list[str]:
    """At most `MAX_NAMED` lines, of both kinds where there are both, and how many are left out."""
    told = [f"{each.location}: {_label(each)}: {each.reason}" for each in letters]
    noticed = [f"{f'{each.source_id} {each.partition}'.rstrip()}: {each.reason}" for each in notices]
    of_letters = max(MAX_NAMED // 2, MAX_NAMED - len(noticed))
    named = told[:of_letters] + noticed[: MAX_NAMED - len(told[:of_letters])]
    if more := len(told) + len(noticed) - len(named):
        named.append(f"and {more} more")
    return named


def _label(letter: "DeadLetter") -> str:
    if letter.key is not None:
        return f"s3://{letter.bucket}/{letter.key}"
    return f"message {(letter.body or '')[:MAX_BODY_CHARACTERS]!r}"


def _span(found: "Sequence[DeadLetter] | Sequence[RecordedNotice]") -> str:
    return f"{found[0].id}-{found[-1].id}" if found else ""
