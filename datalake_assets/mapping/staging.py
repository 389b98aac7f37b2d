"""Parse a batch of prepared files into the tables `staged` and `broken`, and account for every line of every file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datalake_assets.errors import UnreadableObject
from datalake_assets.mapping.raw_files import CARRIAGE_RETURN, PreparedFile
from datalake_assets.mapping.spec import MappingSpec
from datalake_assets.mapping.sql import compile_staging, literal, literals

if TYPE_CHECKING:
    import duckdb

MAX_RECORD_BYTES = 4 * 1024 * 1024
MIN_RECORD_BYTES = 64 * 1024
RECORDS_PER_BUFFER = 8
# Never in a file: nulls are decided in SQL, so that the quarantine shows each value as it was written.
_NO_NULL_TEXT = "\x1a\x1fnull\x1f\x1a"

OPEN_QUOTE = "has a quote that is not closed or ends within a value"
NOT_DECODABLE = "is not valid in the encoding of the file"
_REASONS = f"""CASE error_type
    WHEN 'MISSING COLUMNS' THEN 'has too few fields'
    WHEN 'TOO MANY COLUMNS' THEN 'has too many fields'
    WHEN 'UNQUOTED VALUE' THEN {literal(OPEN_QUOTE)}
    WHEN 'INVALID ENCODING' THEN {literal(NOT_DECODABLE)}
    WHEN 'LINE SIZE OVER MAXIMUM' THEN 'is longer than {MAX_RECORD_BYTES} bytes'
    ELSE 'is not readable: ' || lower(CAST(error_type AS VARCHAR)) END"""


@dataclass(frozen=True, slots=True)
class FileRows:
    """What one file of the batch became: `staged` rows from `first_rowid` on, and `broken` records beside them."""

    index: int
    uri: str
    base: int
    first_rowid: int
    staged: int
    broken: int
    has_shifts: bool

    @property
    def rows_in(self) -> int:
        return self.staged + self.broken


def stage(
    connection: "duckdb.DuckDBPyConnection",
    spec: MappingSpec,
    batch: Sequence[PreparedFile],
    *,
    count_newlines: bool = False,
) -> None:
    """Fill the tables `staged` and `broken` from files that have the same header and line end.

    Raises:
        duckdb.InvalidInputException: the parser gave up on a file as a whole, for example on its line ends.
    """
    for table in ("rejects", "reject_scans"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    query = compile_staging(
        spec,
        batch[0].header,
        _reader(spec, batch),
        uris=[file.uri for file in batch],
        restore=_placeholders(batch),
        count_newlines=batch[0].line_end if count_newlines else None,
        check_nul=any(file.has_nul for file in batch),
    )
    create = f"CREATE OR REPLACE TABLE staged AS {query.sql}"
    _require_file_order(connection, create)
    connection.execute(create)
    raw = f"trim(csv_line, {literal(chr(10) + chr(13))})"
    restored = f"replace(any_value({raw}), {literal(CARRIAGE_RETURN)}, chr(13))"
    # Records are counted with the header as the first, also where there is none.
    header = 1 - spec.source.header
    newlines = f"length(raw) - length(replace(raw, chr({ord(batch[0].line_end)}), ''))"
    paths = ", ".join(f"({number}, {literal(str(file.path))})" for number, file in enumerate(batch))
    # One record can be rejected for several reasons.
    connection.execute(f"""
CREATE OR REPLACE TABLE broken AS
SELECT *, {newlines} AS newlines, raw IN ('', {literal(batch[0].blank_line)}) AS is_blank FROM (
    SELECT file_index, line + {header} AS record, {restored} AS raw, list_sort(list(DISTINCT {_REASONS})) AS reasons
    FROM rejects JOIN reject_scans USING (scan_id, file_id)
    JOIN (VALUES {paths}) AS paths(file_index, path) ON path = file_path
    GROUP BY file_index, line)""")


def _require_file_order(connection: "duckdb.DuckDBPyConnection", create: str) -> None:
    """Refuse a plan that may mix up the rows: row numbers would be wrong without anybody noticing.

    An IN with five values once turned into a join, and the rows came out in another order on files above 8 MB.
    """
    ((_, text),) = connection.execute(f"EXPLAIN (FORMAT json) {create}").fetchall()
    operators = _operators(json.loads(text))
    # One thread keeps the order by itself, and has an operator of its own for that.
    keeping = {"BATCH_CREATE_TABLE_AS"} if _threads(connection) > 1 else {"BATCH_CREATE_TABLE_AS", "CREATE_TABLE_AS"}
    if operators[0] not in keeping or set(operators[1:]) - {"PROJECTION", "READ_CSV"}:
        raise RuntimeError("DuckDB plans to read the files out of order; the mapping's SQL must be a plain projection")


def _threads(connection: "duckdb.DuckDBPyConnection") -> int:
    ((threads,),) = connection.execute("SELECT current_setting('threads')").fetchall()
    return int(threads)


def _operators(plan: list[dict[str, Any]]) -> list[str]:
    return [name for node in plan for name in (str(node["name"]).strip(), *_operators(node["children"]))]


def _reader(spec: MappingSpec, batch: Sequence[PreparedFile]) -> str:
    source = spec.source
    columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(batch[0].header)))
    escape = source.quote if source.escape is None else source.escape
    # Small files get small buffers: there is one for each file that is open.
    record = min(MAX_RECORD_BYTES, max(max(file.path.stat().st_size for file in batch) + 1, MIN_RECORD_BYTES))
    return (
        f"read_csv([{literals([str(file.path) for file in batch])}], columns = {{{columns}}}, "
        f"auto_detect = false, header = {source.header == 1}, "
        f"delim = {literal(source.delimiter)}, quote = {literal(source.quote)}, escape = {literal(escape)}, "
        f"nullstr = {literal(_NO_NULL_TEXT)}, strict_mode = true, null_padding = false, "
        f"compression = 'none', max_line_size = {record}, buffer_size = {record * RECORDS_PER_BUFFER}, "
        f"store_rejects = true, rejects_table = 'rejects', rejects_scan = 'reject_scans', "
        f"rejects_limit = 0, rejects_line_size_limit = {MAX_RECORD_BYTES})"
    )


def _placeholders(batch: Sequence[PreparedFile]) -> list[tuple[str, str]]:
    if not any(file.is_rewritten for file in batch):
        return []
    return [(batch[0].blank_line, ""), (CARRIAGE_RETURN, "\r")]


def account(
    connection: "duckdb.DuckDBPyConnection", batch: Sequence[PreparedFile], *, newlines_counted: bool = False
) -> list[FileRows] | None:
    """Compare the lines of each file with the records found in it; None when line breaks in values must be counted.

    Raises:
        UnreadableObject: lines are left over even then. The parser lost them, as it does behind a quote that is never
            closed; or no record of the file is valid in its encoding.
    """
    staged = {
        index: (first, count, newlines)
        for index, first, count, newlines in connection.execute(
            "SELECT file_index, min(rowid), count(*), CAST(sum(newlines) AS BIGINT) FROM staged GROUP BY file_index"
        ).fetchall()
    }
    broken = {
        index: tuple(counts)
        for index, *counts in connection.execute(f"""
SELECT file_index, count(*) FILTER (NOT is_blank), count(*) FILTER (is_blank), CAST(sum(newlines) AS BIGINT),
       count(*) FILTER (list_contains(reasons, {literal(NOT_DECODABLE)})),
       max(record) FILTER (list_contains(reasons, {literal(OPEN_QUOTE)})), max(record), arg_max(newlines, record)
FROM broken GROUP BY file_index""").fetchall()
    }
    rows = []
    for index, file in enumerate(batch):
        first, count, newlines = staged.get(index, (0, 0, 0))
        bad, blank, bad_newlines, undecodable, quote_record, last_record, last_newlines = broken.get(
            index, (0, 0, 0, 0, None, None, 0)
        )
        found = file.header_lines + count + newlines + bad + blank + bad_newlines
        if found != file.lines and not newlines_counted:
            return None
        # A quote that stays open takes all lines after it into one record: too much to be a single bad row.
        lost = file.lines - found
        if not lost and last_newlines and quote_record == last_record == 1 + count + bad + blank:
            lost = last_newlines
        if lost:
            raise UnreadableObject(
                f"{abs(lost)} of {file.lines} lines cannot be told apart into records"
                + (f"; a quote is not closed near record {quote_record}" if quote_record else ""),
                where=file.uri,
                expected="a closing quote for each opening one",
                todo="Mend the file, or set source.quote to '' if quotes mean nothing in it.",
            )
        if bad and not count and undecodable == bad:
            raise UnreadableObject(
                f"none of its {bad} records is valid utf-8",
                where=file.uri,
                todo="Set source.encoding to the encoding of the files, for example latin-1.",
            )
        base = file.first_line + file.header_lines
        rows.append(FileRows(index, file.uri, base, first, count, bad, has_shifts=bool(bad + blank + newlines)))
    return rows
