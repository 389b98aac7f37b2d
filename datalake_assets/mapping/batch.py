"""Load a batch of raw files that are read alike, so that the engine need not know how they are written.

After `load_batch` the connection has

* the view `numbered`: the staged rows in the order of the files, with `uri` and `source_row` beside the columns of
  `sql.StagingQuery`;
* the view `broken_rows`: `file_index`, `uri`, `source_row`, `reasons` (VARCHAR[]), `raw` of the records that could not
  be told into fields.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.errors import UnreadableObject
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.mapping import line_numbers, normalised_staging
from datalake_assets.mapping.normalised import NormalisedFile, normalise
from datalake_assets.mapping.raw_files import PreparedFile, StagedFile, has_blank_lines, is_plain, prepare, rewrite
from datalake_assets.mapping.spec import MappingSpec
from datalake_assets.mapping.sql import literal
from datalake_assets.mapping.staging import FileRows, account, stage

if TYPE_CHECKING:
    import duckdb

MAX_BATCH_BYTES = 2 * 1024**3
MAX_BATCH_FILES = 2_000

# A raw file that the engine can stage: text that DuckDB parses, or records that were parsed before.
ReadyFile = PreparedFile | NormalisedFile


def make_ready(file: StagedFile, source: SourceFormat, target: Path) -> ReadyFile:
    """Make a raw file readable under the path `target`, whatever it is written in.

    Raises:
        EmptyObject: no bytes, or nothing but blank lines.
        UnreadableObject: broken or undeclared compression, another encoding or format than declared.
    """
    return prepare(file, source, target) if is_plain(file, source) else normalise(file, source, target)


def batches(files: Sequence[ReadyFile]) -> Iterator[list[ReadyFile]]:
    """Files that are read alike, in their order, up to a number of files and bytes at once."""
    alike: dict[tuple[object, ...], list[ReadyFile]] = {}
    for file in files:
        alike.setdefault(file.read_alike, []).append(file)
    for same in alike.values():
        batch: list[ReadyFile] = []
        size = 0
        for file in same:
            if batch and (size + file.size > MAX_BATCH_BYTES or len(batch) >= MAX_BATCH_FILES):
                yield batch
                batch, size = [], 0
            batch.append(file)
            size += file.size
        yield batch


def load_batch(
    connection: "duckdb.DuckDBPyConnection", spec: MappingSpec, batch: Sequence[ReadyFile]
) -> list[FileRows]:
    """Stage a batch, account for all its records and number them; return the counts of each file, in the same order.

    Raises:
        UnreadableObject: lines that cannot be told into records, or a parser that gave up.
        WrongHeader: no record of a file has any of the mapped fields.
    """
    normalised = [file for file in batch if isinstance(file, NormalisedFile)]
    if normalised:
        return normalised_staging.load(connection, spec, normalised)
    return _load_text(connection, spec, [file for file in batch if isinstance(file, PreparedFile)])


def _load_text(connection: "duckdb.DuckDBPyConnection", spec: MappingSpec, batch: list[PreparedFile]) -> list[FileRows]:
    batch = _staged(connection, spec, batch)
    rows = account(connection, batch)
    if rows is None and any(_hides_blank_lines(file) for file in batch):
        batch = _staged(connection, spec, [rewrite(file) if _hides_blank_lines(file) else file for file in batch])
        rows = account(connection, batch)
    if rows is None:
        # There are line breaks within values: read again and count them.
        stage(connection, spec, batch, count_newlines=True)
        rows = account(connection, batch, newlines_counted=True)
        assert rows is not None
    _number(connection, rows)
    return rows


def _hides_blank_lines(file: PreparedFile) -> bool:
    """Whether the parser dropped lines without a trace."""
    return not file.is_rewritten and has_blank_lines(file.path)


def _staged(
    connection: "duckdb.DuckDBPyConnection", spec: MappingSpec, batch: list[PreparedFile]
) -> list[PreparedFile]:
    import duckdb

    try:
        stage(connection, spec, batch)
    except duckdb.InvalidInputException as error:
        odd = [file for file in batch if not file.is_rewritten]
        odd = [file for file in odd if file.has_mixed_line_ends or has_blank_lines(file.path)]
        if not odd:
            raise _unreadable(error, batch) from error
        # The parser takes some mixtures of line ends and not others; only the latter are worth a rewrite.
        batch = [rewrite(file) if file in odd else file for file in batch]
        try:
            stage(connection, spec, batch)
        except duckdb.InvalidInputException as again:
            raise _unreadable(again, batch) from again
    return batch


def _unreadable(error: Exception, batch: Sequence[PreparedFile]) -> UnreadableObject:
    text = str(error)
    uri = next((file.uri for file in batch if str(file.path) in text), batch[0].uri)
    return UnreadableObject(f"the parser gave up: {text.splitlines()[0]}", where=uri, todo="Mend the file.")


def _number(connection: "duckdb.DuckDBPyConnection", rows: list[FileRows]) -> None:
    """Define the views `numbered` and `broken_rows`."""
    values = ", ".join(
        f"({row.index}, {literal(row.uri)}, {row.base}, {row.first_rowid}, {row.staged})" for row in rows
    )
    connection.execute(
        "CREATE OR REPLACE TABLE files AS SELECT * FROM "
        f"(VALUES {values}) AS files(file_index, uri, base, first_rowid, staged_rows)"
    )
    # Events come from broken records and counted line breaks; both empty is the common case.
    connection.execute(line_numbers.CREATE_EVENTS)
    connection.execute(line_numbers.CREATE_BROKEN_LINES)
    connection.execute("""
CREATE OR REPLACE VIEW broken_rows AS SELECT file_index, uri, line AS source_row, reasons, raw
FROM broken JOIN broken_lines USING (file_index, record) JOIN files USING (file_index) WHERE NOT is_blank""")
    if any(row.has_shifts for row in rows):
        connection.execute(line_numbers.CREATE_SHIFTS)
        connection.execute(line_numbers.CREATE_NUMBERED)
    else:
        offsets = [row.base - row.first_rowid for row in rows]
        connection.execute(line_numbers.create_numbered_plainly([row.uri for row in rows], offsets))
