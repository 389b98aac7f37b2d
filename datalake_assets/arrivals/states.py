"""The ledger's rows in SQL: read states of objects, write their changes and what these mean for partitions."""

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from datalake_assets.arrivals.order import Arrival

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

Place = tuple[str, str]  # bucket, key
Change = tuple[Arrival | None, Arrival]  # the state before, if any, and the new one

_COLUMNS = {
    "bucket": "text", "key": "text", "source_id": "text", "partition": "text", "etag": "text", "size": "bigint",
    "event_at": "timestamptz", "sequencer": "text", "version_id": "text", "is_deleted": "boolean", "origin": "text",
    "listed_at": "timestamptz", "is_marker": "boolean",
}  # fmt: skip
FIELDS = tuple(_COLUMNS)  # in the order of `Arrival`
SELECTED = ", ".join(FIELDS)


def is_visible_change(change: Change) -> bool:
    """Whether a partition's data differ: not for a repeated state, nor for the burial of what was never there."""
    before, after = change
    return not after.is_deleted if before is None else not after.has_content_of(before)


def lock_buckets(connection: "Connection", buckets: Iterable[str]) -> None:
    """Wait for our turn to write these buckets' rows, until the transaction ends."""
    from sqlalchemy import text

    for bucket in sorted(buckets):
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:bucket, 7))"), {"bucket": bucket})


def known_states(connection: "Connection", places: list[Place]) -> dict[Place, Arrival]:
    """The states of these objects, as far as there are any."""
    from sqlalchemy import text

    if not places:
        return {}
    rows = connection.execute(
        text(
            f"SELECT {SELECTED} FROM arrival_object JOIN "
            "unnest(CAST(:buckets AS text[]), CAST(:keys AS text[])) AS u(bucket, key) USING (bucket, key)"
        ),
        {"buckets": [bucket for bucket, _ in places], "keys": [key for _, key in places]},
    )
    return {(row[0], row[1]): Arrival(*row) for row in rows}


def live_rows(
    connection: "Connection", bucket: str, prefix: str, after: str, upto: str | None, limit: int
) -> "list[Row[Any]]":
    """At most `limit` objects below a prefix that are not deleted, in key order."""
    from sqlalchemy import text

    return list(
        connection.execute(
            text(
                f"SELECT {SELECTED} FROM arrival_object WHERE bucket = :bucket AND key > :after AND key >= :prefix "
                "AND starts_with(key, :prefix) AND (CAST(:upto AS text) IS NULL OR key <= :upto) AND NOT is_deleted "
                "ORDER BY key LIMIT :limit"
            ),
            {"bucket": bucket, "prefix": prefix, "after": after, "upto": upto, "limit": limit},
        ).all()
    )


def write(connection: "Connection", changes: list[Change]) -> None:
    """Write new states of objects and what they mean for their partitions; the caller holds the buckets' locks."""
    from sqlalchemy import text

    changes = sorted(changes, key=lambda change: change[1].place)
    repeated = [after for before, after in changes if before is not None and after.has_content_of(before)]
    if repeated:
        # Numbered anew: of a run that began before, it is not known whether it saw this state or one in between.
        connection.execute(
            text(f"""
                UPDATE arrival_object o SET event_at = u.event_at, sequencer = u.sequencer,
                    version_id = u.version_id, listed_at = u.listed_at, changed_seq = nextval('arrival_change_seq')
                FROM {_unnested(_COLUMNS)} WHERE (o.bucket, o.key) = (u.bucket, u.key)
            """),
            _columns(repeated),
        )
    new = [(before, after) for before, after in changes if before is None or not after.has_content_of(before)]
    if not new:
        return
    seqs = connection.execute(
        text("SELECT nextval('arrival_change_seq') FROM generate_series(1, :n)"), {"n": len(new)}
    ).scalars()
    numbered = list(zip(seqs, new, strict=True))
    replaced = ", ".join(f"{name} = excluded.{name}" for name in FIELDS if name not in ("bucket", "key"))
    connection.execute(
        text(f"""
            WITH told AS (SELECT * FROM {_unnested({**_COLUMNS, "seq": "bigint"})}),
            history AS (
                INSERT INTO arrival_history ({SELECTED}, changed_seq, recorded_at)
                SELECT {", ".join(f"o.{name}" for name in FIELDS)}, o.changed_seq, o.recorded_at
                FROM arrival_object o JOIN told USING (bucket, key)
            )
            INSERT INTO arrival_object ({SELECTED}, changed_seq, recorded_at)
            SELECT {SELECTED}, seq, clock_timestamp() FROM told
            ON CONFLICT (bucket, key) DO UPDATE SET {replaced},
                changed_seq = excluded.changed_seq, recorded_at = excluded.recorded_at
        """),
        {**_columns([after for _, (_, after) in numbered]), "seq": [seq for seq, _ in numbered]},
    )
    _touch_partitions(connection, [(seq, change) for seq, change in numbered if is_visible_change(change)])


def _unnested(types: dict[str, str]) -> str:
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in types.items())
    return f"unnest({arrays}) AS u({', '.join(types)})"


def _columns(states: list[Arrival]) -> dict[str, list[Any]]:
    return {name: [getattr(state, name) for state in states] for name in FIELDS}


def _touch_partitions(connection: "Connection", numbered: list[tuple[int, Change]]) -> None:
    """Add up what the changes mean for each partition, and write one row for each."""
    from sqlalchemy import text

    if not numbered:
        return
    touched: dict[tuple[str, str], _Sum] = {}
    for seq, (before, after) in numbered:
        for state, sign in ((before, -1), (after, 1)):
            if state is not None:
                touched.setdefault((state.source_id, state.partition), _Sum(state.event_at)).add(state, seq, sign)
    rows = sorted(touched.items())
    types = {
        "source_id": "text", "partition": "text", "seq": "bigint", "objects": "bigint", "bytes": "bigint",
        "markers": "bigint", "event_at": "timestamptz",
    }  # fmt: skip
    # What a marker says is no change of the data: the number stays, and a clean partition stays clean.
    connection.execute(
        text(f"""
            INSERT INTO arrival_partition AS p (source_id, partition, changed_seq, objects, bytes, markers,
                newest_event_at, first_changed_at, last_changed_at)
            SELECT source_id, partition, seq, objects, bytes, markers, event_at, clock_timestamp(), clock_timestamp()
            FROM {_unnested(types)}
            ON CONFLICT (source_id, partition) DO UPDATE SET
                changed_seq = greatest(p.changed_seq, excluded.changed_seq),
                objects = p.objects + excluded.objects,
                bytes = p.bytes + excluded.bytes,
                markers = p.markers + excluded.markers,
                newest_event_at = CASE WHEN excluded.changed_seq = 0 THEN p.newest_event_at
                                  WHEN p.changed_seq = 0 THEN excluded.newest_event_at
                                  ELSE greatest(p.newest_event_at, excluded.newest_event_at) END,
                first_changed_at = CASE WHEN excluded.changed_seq = 0 OR p.changed_seq > p.published_seq
                                   THEN p.first_changed_at ELSE excluded.first_changed_at END,
                last_changed_at = CASE WHEN excluded.changed_seq = 0 THEN p.last_changed_at
                                  ELSE excluded.last_changed_at END
        """),
        {
            "source_id": [source for (source, _), _ in rows],
            "partition": [partition for (_, partition), _ in rows],
            **{name: [getattr(total, name) for _, total in rows] for name in _Sum.__slots__},
        },
    )


class _Sum:
    """What a batch changes in one partition; `seq` is 0 if only its markers changed."""

    __slots__ = ("bytes", "event_at", "markers", "objects", "seq")

    def __init__(self, event_at: dt.datetime) -> None:
        self.seq = self.objects = self.bytes = self.markers = 0
        self.event_at = event_at

    def add(self, state: Arrival, seq: int, sign: int) -> None:
        self.event_at = max(self.event_at, state.event_at)
        if state.is_marker:
            self.markers += 0 if state.is_deleted else sign
            return
        self.seq = max(self.seq, seq)
        if not state.is_deleted:
            self.objects += sign
            self.bytes += sign * state.size
