"""Stage files of records that were parsed before (`normalised`): the tables that the engine expects, one query each.

Records know their place in the raw file, so there are no lines to count: as many rows must come out as were written.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from datalake_assets.errors import WrongHeader
from datalake_assets.mapping import record_paths
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.masks import masked_paths
from datalake_assets.mapping.normalised import NormalisedFile
from datalake_assets.mapping.spec import MappingSpec
from datalake_assets.mapping.sql import compile_staging, literal, literals, record_object
from datalake_assets.mapping.staging import FileRows

if TYPE_CHECKING:
    import duckdb

NOT_VALID_JSON = "is not valid JSON"
REPEATED_MEMBER = "has a member twice"
_NO_BROKEN_ROWS = """
CREATE OR REPLACE VIEW broken_rows AS SELECT 0 AS file_index, '' AS uri, 0::BIGINT AS source_row,
       []::VARCHAR[] AS reasons, '' AS raw WHERE false"""


def load(connection: "duckdb.DuckDBPyConnection", spec: MappingSpec, batch: Sequence[NormalisedFile]) -> list[FileRows]:
    """Define `staged`, `numbered` and `broken_rows` from files with the same raw columns; see `batch`.

    Broken records are staged with their reason as the only failure, so that `broken_rows` is empty.

    Raises:
        WrongHeader: no record of a file has any of the mapped members.
    """
    header = batch[0].names
    paths = wanted_paths(spec) if header is None else list(header)
    query = compile_staging(
        spec,
        paths,
        _nested_source(batch, paths, spec) if header is None else _flat_source(batch),
        uris=[file.uri for file in batch],
        check_nul=True,
        surplus="surplus" if header is None else _extra_members(len(header), spec.source.null_values),
        raw="coalesce(raw, record)" if header is None else _flat_raw(header),
        broken="reason",
        keep=("source_row", "is_mapped"),
    )
    connection.execute(f"CREATE OR REPLACE TABLE staged AS {query.sql}")
    connection.execute(_NO_BROKEN_ROWS)
    # Not a plain literal even for one file: that would make the column REQUIRED in the Parquet file.
    uri = f"[{literals([file.uri for file in batch])}][CAST(file_index AS BIGINT) + 1]"
    connection.execute(f"CREATE OR REPLACE VIEW numbered AS SELECT *, {uri} AS uri FROM staged")
    return _account(connection, batch, paths)


def _account(
    connection: "duckdb.DuckDBPyConnection", batch: Sequence[NormalisedFile], paths: Sequence[str]
) -> list[FileRows]:
    found = {
        index: (first, rows, is_mapped)
        for index, first, rows, is_mapped in connection.execute(
            "SELECT file_index, min(rowid), count(*), bool_or(is_mapped) FROM staged GROUP BY file_index"
        ).fetchall()
    }
    counted = []
    for index, file in enumerate(batch):
        first, rows, is_mapped = found.get(index, (0, 0, None))
        if rows != file.rows:
            raise RuntimeError(f"{file.uri}: {rows} of {file.rows} records were staged")
        if is_mapped is False:
            raise WrongHeader(
                f"none of its {rows} records has any of the mapped members",
                where=file.uri,
                expected=f"some of {', '.join(repr(name) for name in record_paths.top_level(paths)[:12])}",
                todo="Mend the file or the mapping's `from`; is source.records or source.layout right?",
            )
        counted.append(FileRows(index, file.uri, 0, first, rows, 0, has_shifts=False))
    return counted


def _reader(batch: Sequence[NormalisedFile]) -> str:
    return f"read_parquet([{literals([str(file.path) for file in batch])}])"


def _flat_source(batch: Sequence[NormalisedFile]) -> str:
    return f'(SELECT * EXCLUDE ("row"), "row" AS source_row, true AS is_mapped, file_index FROM {_reader(batch)})'


def _extra_members(columns: int, null_values: Sequence[str] = ()) -> str:
    """Surplus texts as members that are called like columns without a name: `"column 4":"x"`; NULL if none is left."""
    nulls = literals(["null", *(json.dumps(text, ensure_ascii=False) for text in null_values)])
    member = f"'\"column ' || (place + {columns}) || '\":' || value"
    # What is NULL is left out by array_to_string.
    member = f"CASE WHEN NOT list_contains([{nulls}], CAST(value AS VARCHAR)) THEN {member} END"
    members = f"array_to_string(list_transform(json_extract(extra, '$[*]'), lambda value, place: {member}), ',')"
    return f"CASE WHEN extra IS NOT NULL THEN nullif({members}, '') END"


def _flat_raw(header: Sequence[str]) -> str:
    whole = record_object(header)
    with_extra = f"left({whole}, length({whole}) - 1) || ',' || {_extra_members(len(header))} || '}}'"
    return f"coalesce(raw, CASE WHEN extra IS NULL OR extra = '[]' THEN {whole} ELSE {with_extra} END)"


def _nested_source(batch: Sequence[NormalisedFile], paths: Sequence[str], spec: MappingSpec) -> str:
    """Texts c0 … of the wanted paths and the members that are left over, each record parsed as seldom as possible."""
    columns = ", ".join(f"found[{number}] AS c{number - 1}" for number in range(1, len(paths) + 1))
    mapped = literals(record_paths.top_level(paths))
    # Records of the other formats were made of objects that have each member once.
    repeats = "false" if spec.source.format != "json" else "len(members) <> len(list_distinct(members))"
    left_over = record_paths.surplus("safe", paths, masked_paths(spec))
    # Every step that names a broken record hides it from the next ones, which would fail on it.
    return f"""(SELECT {columns}, surplus, raw, record, reason, source_row, is_mapped, file_index
FROM (SELECT *, {record_paths.texts("safe", paths)} AS found, {left_over} AS surplus,
             list_has_any(members, [{mapped}]) AS is_mapped
FROM (SELECT * EXCLUDE (reason), {record_paths.protected("whole")} AS safe, coalesce(reason, CASE
             WHEN {repeats} THEN {literal(REPEATED_MEMBER)} END) AS reason
FROM (SELECT *, json_keys(whole) AS members
FROM (SELECT * EXCLUDE (reason), CASE WHEN reason IS NULL THEN record END AS whole, reason
FROM (SELECT raw, record, "row" AS source_row, file_index,
             coalesce(reason, CASE WHEN NOT json_valid(record) THEN {literal(NOT_VALID_JSON)} END) AS reason
FROM {_reader(batch)}))))))"""
