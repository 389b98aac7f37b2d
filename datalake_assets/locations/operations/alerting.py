"""Failed runs of all locations, and raw objects that fit no pipeline, become messages to people."""

import dagster as dg

from datalake_assets.alerts.sensor import build_alert_sensor
from datalake_assets.components.dead_letter_alerts import build_dead_letter_sensor


@dg.definitions
def alerting() -> dg.Definitions:
    """The sensors that record and deliver alerts."""
    return dg.Definitions(sensors=[build_alert_sensor(), build_dead_letter_sensor()])
