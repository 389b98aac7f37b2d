"""The rows that every contender ingests: orders of ten days, one row in a thousand with a mistake."""

from pathlib import Path

FIRST_DAY = "2026-01-01"
# Target columns: name and type, in the order of the files.
COLUMNS = {
    "order_id": "bigint",
    "ordered_at": "timestamp",
    "customer_id": "int",
    "city": "varchar",
    "quantity": "int",
    "price": "decimal(12,2)",
    "weight_kg": "double",
    "is_gift": "boolean",
    "delivery_date": "date",
    "note": "varchar",
}
BAD_EVERY = 1_000


def days(number: int) -> list[str]:
    """The partition keys."""
    import datetime as dt

    first = dt.date.fromisoformat(FIRST_DAY)
    return [str(first + dt.timedelta(each)) for each in range(number)]


def _mistake(kind: int) -> str:
    return f"i % {BAD_EVERY} = 7 AND (i // {BAD_EVERY}) % 3 = {kind}"


def write(folder: Path, rows: int, number_of_days: int) -> dict[str, Path]:
    """Write one CSV a day and return the paths by day; the same call writes the same bytes.

    Every thousandth row has a mistake: a text for a number, a date that is none, or a surplus field, in turns.
    """
    import duckdb

    connection = duckdb.connect()
    per_day = rows // number_of_days
    paths = {}
    for number, day in enumerate(days(number_of_days)):
        path = folder / f"{day}.csv"
        first = number * per_day
        # Written as one text column without quotes, so that a row can have a field too many.
        connection.execute(f"""
COPY (
  SELECT concat_ws(',',
    i, strftime(TIMESTAMP '{day} 00:00:00' + to_milliseconds((i * 7919) % 86400000), '%Y-%m-%d %H:%M:%S.%g'),
    (i * 2654435761) % 900000,
    ['Berlin', 'Hamburg', 'München', 'Köln', 'Frankfurt am Main', 'Wien', 'Zürich'][1 + (i * 31) % 7],
    CASE WHEN {_mistake(0)} THEN 'several' ELSE CAST(1 + (i * 17) % 40 AS VARCHAR) END,
    printf('%.2f', ((i * 104729) % 1000000) / 100.0), printf('%.3f', ((i * 1299709) % 500000) / 1000.0),
    CASE WHEN i % 3 = 0 THEN 'true' ELSE 'false' END,
    CASE WHEN {_mistake(1)} THEN '2026-02-30' ELSE CAST(DATE '{day}' + CAST(i % 9 AS INTEGER) AS VARCHAR) END,
    'order ' || md5(CAST(i AS VARCHAR)))
    || CASE WHEN {_mistake(2)} THEN ',surplus' ELSE '' END AS line
  FROM range({first}, {first + per_day}) AS rows(i))
TO '{path}' (FORMAT csv, HEADER false, QUOTE '', DELIMITER '\x01', ESCAPE '')""")
        body = path.read_bytes()
        path.write_bytes((",".join(COLUMNS) + "\n").encode() + body)
        paths[day] = path
    return paths
