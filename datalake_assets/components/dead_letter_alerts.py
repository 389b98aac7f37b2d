"""Objects that belong to no pipeline, and messages that nobody can read, become one alert each time some are new."""

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from datalake_assets.arrivals.dead_letters import DeadLetter

MAX_NAMED = 10
BATCH = 100
MAX_BODY_CHARACTERS = 100


def build_dead_letter_sensor() -> dg.SensorDefinition:
    """Return the sensor that tells people about new dead letters of all locations, in one message a tick.

    The message is in the outbox, under a key made of the letters it names, before the cursor moves: a tick that dies
    is repeated and changes nothing.
    """

    @dg.sensor(
        name="dead_letters",
        minimum_interval_seconds=10,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tell people about objects under unexpected keys and unreadable messages, once each.",
    )
    def dead_letters(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from datalake_assets.alerts.message import compose_notice
        from datalake_assets.alerts.outbox import record
        from datalake_assets.arrivals.dead_letters import dead_letters_after

        last = int(context.cursor) if context.cursor else 0
        found = dead_letters_after(last, limit=BATCH)
        if not found:
            return dg.SkipReason("no new dead letters")
        lines = [f"{each.location}: {_label(each)}: {each.reason}" for each in found[:MAX_NAMED]]
        if len(found) > MAX_NAMED:
            lines.append(f"and {len(found) - MAX_NAMED} more")
        noun = "object or message that fits" if len(found) == 1 else "objects or messages that fit"
        payload = compose_notice(f"{len(found)} {noun} no pipeline", lines)
        record("dead_letters", f"dead_letters:{found[0].id}-{found[-1].id}", payload)
        context.update_cursor(str(found[-1].id))
        return dg.SkipReason(f"{len(found)} new dead letters recorded")

    return dead_letters


def _label(letter: "DeadLetter") -> str:
    if letter.key is not None:
        return f"s3://{letter.bucket}/{letter.key}"
    return f"message {(letter.body or '')[:MAX_BODY_CHARACTERS]!r}"
