"""Failed runs of all locations become messages to people."""

import dagster as dg

from datalake_assets.alerts.sensor import build_alert_sensor


@dg.definitions
def alerting() -> dg.Definitions:
    """The sensor that records and delivers alerts."""
    return dg.Definitions(sensors=[build_alert_sensor()])
