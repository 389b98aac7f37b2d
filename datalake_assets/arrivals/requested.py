"""What the ledger remembers of requested runs; each function works within its caller's transaction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datalake_assets.arrivals.requests import PartitionsRun

if TYPE_CHECKING:
    from sqlalchemy import Connection

RECENT_SECONDS = 3600


def remember(connection: "Connection", requests: Sequence[PartitionsRun]) -> list[PartitionsRun]:
    """Write down those requests whose partitions are still as they were read, and return them.

    A partition that was requested or published since then, by a second sensor or by a run, leaves its whole request
    out: whoever looks again decides anew. A request made again under its run key is the same request: its time moves,
    and nothing else.
    """
    from sqlalchemy import text

    if not requests:
        return []
    columns: dict[str, list[Any]] = {name: [] for name in ("n", "source", "partition", "seq", "key", "attempt")}
    columns |= {name: [] for name in ("known_key", "known_at", "known_published")}
    for n, request in enumerate(requests):
        for state in request.states:
            row = (n, request.source_id, state.partition, state.changed_seq, request.run_key, request.attempt)
            known = (state.run_key, state.requested_at, state.published_seq)
            for values, value in zip(columns.values(), (*row, *known), strict=True):
                values.append(value)
    held = connection.execute(
        text("""
            WITH asked AS (
                SELECT * FROM unnest(CAST(:n AS int[]), CAST(:source AS text[]), CAST(:partition AS text[]),
                    CAST(:seq AS bigint[]), CAST(:key AS text[]), CAST(:attempt AS int[]),
                    CAST(:known_key AS text[]), CAST(:known_at AS timestamptz[]), CAST(:known_published AS bigint[]))
                    AS u(n, source_id, partition, seq, run_key, attempt, known_key, known_at, known_published)
            ), locked AS (
                SELECT a.*, (p.run_key, p.requested_at, p.published_seq)
                    IS NOT DISTINCT FROM (a.known_key, a.known_at, a.known_published) AS is_as_read
                FROM arrival_partition p JOIN asked a USING (source_id, partition)
                ORDER BY source_id, partition FOR UPDATE OF p
            ), held AS (
                SELECT n, clock_timestamp() AS at FROM locked GROUP BY n HAVING bool_and(is_as_read)
            )
            UPDATE arrival_partition p SET
                requested_at = h.at,
                run_key = l.run_key,
                requested_seq = CASE WHEN p.run_key = l.run_key THEN p.requested_seq ELSE l.seq END,
                attempts = CASE WHEN p.run_key = l.run_key THEN p.attempts ELSE l.attempt END,
                recent_requests = CASE WHEN p.run_key = l.run_key THEN p.recent_requests ELSE array_append(
                    ARRAY(SELECT r FROM unnest(p.recent_requests) AS r
                          WHERE r > h.at - make_interval(secs => :kept) ORDER BY r), h.at) END
            FROM locked l JOIN held h USING (n)
            WHERE p.source_id = l.source_id AND p.partition = l.partition
            RETURNING l.n
        """),
        {**columns, "kept": RECENT_SECONDS},
    ).scalars()
    numbers = set(held)
    return [request for n, request in enumerate(requests) if n in numbers]


def runs_of_the_last_hour(connection: "Connection", source_ids: Sequence[str]) -> dict[str, int]:
    """How many runs each source has requested that were the last one of at least one partition."""
    from sqlalchemy import text

    rows = connection.execute(
        text("""
            SELECT source_id, count(DISTINCT run_key) FROM arrival_partition
            WHERE source_id = ANY(:sources) AND requested_at > clock_timestamp() - make_interval(secs => :kept)
            GROUP BY source_id
        """),
        {"sources": list(source_ids), "kept": RECENT_SECONDS},
    ).all()
    return {source_id: int(count) for source_id, count in rows}
