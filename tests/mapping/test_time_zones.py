"""Local times become UTC as the time zone database says, on the days that clocks change too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pytest

from datalake_assets.mapping.sql_values import from_zone

# The clocks of each change within these days: by an hour, by half an hour, by two, and across midnight.
CHANGES = [
    ("Europe/Berlin", datetime(2024, 3, 30)),
    ("Europe/Berlin", datetime(2024, 10, 26)),
    ("America/New_York", datetime(2024, 11, 2)),
    ("Australia/Lord_Howe", datetime(2024, 4, 6)),
    ("Australia/Lord_Howe", datetime(2024, 10, 5)),
    ("Antarctica/Troll", datetime(2024, 3, 30)),
    ("America/Havana", datetime(2024, 3, 9)),
    ("Asia/Kolkata", datetime(2024, 5, 1)),
]


def expected(local: datetime, zone: ZoneInfo) -> datetime | None:
    """The earlier of two, none for a time that is skipped."""
    utc = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return utc.replace(tzinfo=None) if utc.astimezone(zone).replace(tzinfo=None) == local else None


@pytest.mark.parametrize(("name", "day"), CHANGES)
def test_a_local_time_becomes_utc(name: str, day: datetime) -> None:
    times = [day + timedelta(minutes=15 * step) for step in range(3 * 96)]
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE times AS SELECT unnest(?::TIMESTAMP[]) AS local", [times])
        found = connection.execute(f"SELECT {from_zone('local', name)} FROM times").fetchall()
    assert [each for (each,) in found] == [expected(local, ZoneInfo(name)) for local in times]
