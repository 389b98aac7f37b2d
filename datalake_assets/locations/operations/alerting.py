"""Failed runs of all locations, and what is wrong with raw objects, become messages to people."""

import dagster as dg

from datalake_assets.alerts.sensor import build_alert_sensor
from datalake_assets.components.arrival_alerts import build_arrival_alert_sensor


@dg.definitions
def alerting() -> dg.Definitions:
    """The sensors that record and deliver alerts."""
    return dg.Definitions(sensors=[build_alert_sensor(), build_arrival_alert_sensor()])
