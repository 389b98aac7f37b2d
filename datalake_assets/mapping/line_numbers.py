"""The line on which each record begins, for a parser that tells only the lines of records it rejected.

A good record's line is its place among the good records of its file plus a shift: the lines of all rejected and blank
ones before it, and the line breaks within earlier values. The shift changes at few places, so it is kept per bucket
of `BUCKET_ROWS` rows with the changes inside, and a hash join finds it without sorting the rows.

Tables read: `staged` (one row per good record in the order of the files, `file_index`, `newlines`), `broken` (one row
per rejected record: `file_index`, `record` = the parser's count of records with the header as 1, `newlines`) and
`files` (`file_index`, `uri`, `base` = line of the first record after the header, `first_rowid`, `staged_rows`).
"""

from collections.abc import Sequence

from datalake_assets.mapping.sql import literals

BUCKET_ROWS = 256

# An event shifts every staged row of its file from `ordinal` on by `extra` lines.
CREATE_EVENTS = """
CREATE OR REPLACE TABLE events AS
SELECT file_index, staged.rowid - first_rowid + 1 AS ordinal, newlines AS extra, NULL AS record
FROM staged JOIN files USING (file_index) WHERE newlines > 0
UNION ALL
SELECT file_index,
       record - 1 - row_number() OVER (PARTITION BY file_index ORDER BY record) AS ordinal,
       1 + newlines AS extra, record
FROM broken
"""

CREATE_BROKEN_LINES = """
CREATE OR REPLACE TABLE broken_lines AS
SELECT file_index, record, CAST(base + ordinal + before AS BIGINT) AS line FROM (
    SELECT file_index, record, ordinal, coalesce(sum(extra) OVER (
        PARTITION BY file_index ORDER BY ordinal, record NULLS FIRST ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS before
    FROM events
) JOIN files USING (file_index) WHERE record IS NOT NULL
"""

CREATE_SHIFTS = f"""
CREATE OR REPLACE TABLE shifts AS
WITH changes AS (SELECT file_index, ordinal, sum(extra) AS extra FROM events GROUP BY ALL),
filled AS (
    SELECT file_index, ordinal // {BUCKET_ROWS} AS bucket, sum(extra) AS total,
           list(struct_pack(ordinal := ordinal, extra := extra)) AS inside
    FROM changes GROUP BY ALL
),
buckets AS (
    SELECT file_index, unnest(range(0, staged_rows // {BUCKET_ROWS} + 1)) AS bucket
    FROM files WHERE file_index IN (SELECT file_index FROM events)
)
SELECT file_index, bucket, inside, coalesce(sum(total) OVER (
    PARTITION BY file_index ORDER BY bucket ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
), 0) AS before
FROM buckets LEFT JOIN filled USING (file_index, bucket)
"""

_SHIFT = """CAST(coalesce(before + coalesce(list_sum(list_transform(
    list_filter(inside, lambda change: change.ordinal <= staged.rowid - first_rowid), lambda change: change.extra)), 0
), 0) AS BIGINT)"""

CREATE_NUMBERED = f"""
CREATE OR REPLACE VIEW numbered AS
SELECT staged.*, uri, CAST(base + staged.rowid - first_rowid + {_SHIFT} AS BIGINT) AS source_row
FROM staged JOIN files USING (file_index)
LEFT JOIN shifts ON shifts.file_index = staged.file_index
                AND shifts.bucket = (staged.rowid - first_rowid) // {BUCKET_ROWS}
"""


def create_numbered_plainly(uris: Sequence[str], offsets: Sequence[int]) -> str:
    """The same view for files without a rejected record, a blank line or a line break in a value.

    It joins nothing, so the rows keep their order. `offsets` are what to add to a `rowid` in the files of `uris`.
    """
    # Not a plain literal even for one file: that would make the column REQUIRED in the Parquet file.
    index = "[CAST(file_index AS BIGINT) + 1]"
    uri, offset = f"[{literals(uris)}]{index}", f"[{', '.join(map(str, offsets))}]{index}"
    return (
        "CREATE OR REPLACE VIEW numbered AS "
        f"SELECT *, {uri} AS uri, CAST(rowid + {offset} AS BIGINT) AS source_row FROM staged"
    )
