"""Map staged raw files to Parquet with DuckDB: good rows, quarantined rows with reasons, counts.

Each batch of files with the same header is parsed once into a staging table in file order (`rowid` is the order),
already cast; what the parser rejects is collected beside it; every line of every file is accounted for before
anything is written. The staging table spills to disk, so memory stays within `memory_limit` whatever the size.
"""

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets import names
from datalake_assets.errors import NoObjects, OutOfSpace, Unsupported
from datalake_assets.mapping.batch import ReadyFile, batches, load_batch, make_ready
from datalake_assets.mapping.header import check_header
from datalake_assets.mapping.raw_files import StagedFile
from datalake_assets.mapping.result import FileCounts, MappingResult, Reason, merge_reasons, require_few_bad_rows
from datalake_assets.mapping.schema_contract import SchemaContract
from datalake_assets.mapping.spec import QUARANTINE_COLUMNS, Column, MappingSpec
from datalake_assets.mapping.sql import literal

if TYPE_CHECKING:
    import duckdb

DEFAULT_MEMORY_LIMIT = "1GB"
PREPARING_THREADS = 4
_COPY_OPTIONS = "(FORMAT parquet, COMPRESSION zstd)"


def map_files(
    spec: MappingSpec,
    files: Sequence[StagedFile],
    out_dir: Path,
    *,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
    threads: int | None = None,
    fail_on_bad_rows: bool = True,
) -> MappingResult:
    """Map all `files` of one partition into Parquet files under `out_dir/good` and `out_dir/quarantine`.

    `memory_limit` is DuckDB's (`"1GB"`), `threads` its number of threads (default: all cores). With
    `fail_on_bad_rows=False` the caller looks at the result before it calls `require_few_bad_rows` itself.

    Raises:
        NoObjects: `files` is empty.
        EmptyObject: a file without content.
        OutOfSpace: memory or disk is not enough for the files.
        UnreadableObject: a file that is broken, not what its name says, or not CSV that can be told into records.
        WrongHeader: a file without a required column, or with a header that fits no mapped column.
        SchemaChanged: a file has columns that a frozen contract does not know.
        TooManyBadRows: the share of bad rows is above `spec.bad_rows.fail_above`; all files are written nevertheless.
    """
    _require_compiled(spec)
    if not files:
        raise NoObjects("there are no files to map", where=str(out_dir))
    good_dir, quarantine_dir = out_dir / "good", out_dir / "quarantine"
    for folder in (good_dir, quarantine_dir):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mapping-", dir=out_dir) as work:
        prepared = _prepare_all(files, spec, Path(work))
        notes = _check_headers(spec, prepared)
        with _connect(Path(work), memory_limit, threads) as connection:
            contract = SchemaContract(spec)
            writer = _Writer(connection, spec, contract, good_dir, quarantine_dir)
            for batch in batches(prepared):
                with _space_errors(batch, memory_limit, out_dir):
                    writer.write(batch)
            contract.require_unchanged(notes)
            writer.add_columns()
            if not writer.good_files:
                writer.write_empty()
    result = MappingResult(
        rows_good=sum(file.rows_good for file in writer.counts.values()),
        rows_bad=sum(file.rows_bad for file in writer.counts.values()),
        good_files=writer.good_files,
        quarantine_files=writer.quarantine_files,
        files=[writer.counts[file.path] for file in prepared],
        reasons=merge_reasons(writer.reasons),
        notes=[*notes, *contract.notes()],
        evolved=contract.evolved,
    )
    if fail_on_bad_rows:
        require_few_bad_rows(result, spec.bad_rows)
    return result


def _require_compiled(spec: MappingSpec) -> None:
    """Refuse words that this engine does not know: none may pass without a meaning."""
    new = {"time_zone", "null_values", "decimal", "thousands", "on_conflict", "mask"}
    words = {type(column).__name__ for column in spec.columns} - {"Column"}
    for column in spec.columns:
        words |= new & column.model_fields_set
        if isinstance(column, Column) and (column.type.is_nested or isinstance(column.format, tuple)):
            words.add("nested types" if column.type.is_nested else "format")
        if isinstance(column, Column) and column.format in ("iso", "epoch_s", "epoch_ms"):
            words.add(f"format: {column.format}")
    words |= {word for word in ("explode", "children", "deduplicate") if getattr(spec, word)}
    if words:
        raise Unsupported(f"the mapping does not do {', '.join(sorted(words))} yet", where="columns")


def _prepare_all(files: Sequence[StagedFile], spec: MappingSpec, work: Path) -> list[ReadyFile]:
    # Plain numbered names: the parser takes some characters of a path for a pattern.
    targets = [work / f"raw-{number:08d}.csv" for number in range(len(files))]
    with ThreadPoolExecutor(PREPARING_THREADS) as pool:
        return list(pool.map(lambda pair: make_ready(pair[0], spec.source, pair[1]), zip(files, targets, strict=True)))


def _check_headers(spec: MappingSpec, files: Sequence[ReadyFile]) -> list[str]:
    """Check each header; return a note for each optional column that some files lack."""
    checked: dict[tuple[str, ...], list[str]] = {}
    lacking: dict[str, list[str]] = {}
    for file in files:
        if file.header is None:
            continue  # each record says its own
        if file.header not in checked:
            checked[file.header] = check_header(spec, file.header, file.uri)
        for name in checked[file.header]:
            lacking.setdefault(name, []).append(file.uri)
    return [
        f"optional column {name!r} is missing in {len(uris)} of {len(files)} files and NULL there, first in {uris[0]}"
        for name, uris in lacking.items()
    ]


def _connect(work: Path, memory_limit: str, threads: int | None) -> "duckdb.DuckDBPyConnection":
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute(f"SET memory_limit = {literal(memory_limit)}")
    connection.execute(f"SET temp_directory = {literal(str(work / 'spill'))}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = true")
    # Statistics would make a column without nulls REQUIRED in the Parquet file: the schema must not hang on the data.
    connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    return connection


@contextmanager
def _space_errors(batch: Sequence[ReadyFile], memory_limit: str, out_dir: Path) -> Iterator[None]:
    """Tell a machine that is too small from files that are broken."""
    import duckdb

    where = batch[0].uri + (f" and {len(batch) - 1} more files" if len(batch) > 1 else "")
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise OutOfSpace(
            f"DuckDB ran out of memory: {_first_line(error)}",
            where=where,
            expected=f"{memory_limit} to be enough, with what spills to the disk of {out_dir}",
            todo="Raise DATALAKE_MEMORY_LIMIT, or free space on that disk",
        ) from error
    except duckdb.IOException as error:
        raise OutOfSpace(
            f"DuckDB cannot read or write its files: {_first_line(error)}",
            where=where,
            expected=f"a writable disk with room for the files, unpacked, in {out_dir}",
            todo="Free space there, or set TMPDIR to a larger disk",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


class _Writer:
    """Writes batch after batch and adds up what they held."""

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        spec: MappingSpec,
        contract: SchemaContract,
        good_dir: Path,
        quarantine_dir: Path,
    ) -> None:
        self._connection = connection
        self._spec = spec
        self._contract = contract
        self._good_dir = good_dir
        self._quarantine_dir = quarantine_dir
        self.good_files: list[Path] = []
        self.quarantine_files: list[Path] = []
        self.counts: dict[Path, FileCounts] = {}
        self.reasons: list[Reason] = []

    def write(self, batch: list[ReadyFile]) -> None:
        rows = load_batch(self._connection, self._spec, batch)
        self._contract.observe(self._connection, batch)
        bad = self._collect_bad()
        for file, row in zip(batch, rows, strict=True):
            rows_bad = bad.get(row.index, 0)
            self.counts[file.path] = FileCounts(file.uri, row.rows_in - rows_bad, rows_bad)
            file.path.unlink()
        if sum(self.counts[file.path].rows_good for file in batch):
            self.good_files.append(self._copy_good(len(self.good_files)))
        if bad:
            self.quarantine_files.append(self._copy_quarantine(len(self.quarantine_files)))
            self._collect_reasons()

    def add_columns(self) -> None:
        """Give files that were written early the columns that were found later, so that all are alike."""
        for path in self.good_files:
            if query := self._contract.lacks_columns(path):
                wider = path.with_suffix(".wider")
                self._connection.execute(f"COPY ({query}) TO {literal(str(wider))} {_COPY_OPTIONS}")
                wider.replace(path)

    def write_empty(self) -> None:
        """A file without rows that has the schema: a table's readers need one."""
        columns = ", ".join(
            f"CAST(NULL AS {column.type.duckdb}) AS {names.quoted(column.name)}"
            for column in self._spec.output_columns()
        )
        self.good_files.append(self._copy(f"SELECT {columns} WHERE false", self._good_dir, 0))

    def _collect_bad(self) -> dict[int, int]:
        """Gather quarantined rows and broken records in the table `bad`; return their number by file."""
        self._connection.execute("""
CREATE OR REPLACE TABLE bad AS
SELECT file_index, uri, source_row, failures, raw FROM numbered WHERE failures IS NOT NULL
UNION ALL
SELECT file_index, uri, source_row,
       list_transform(reasons, lambda why:
           struct_pack("column" := NULL::VARCHAR, reason := why, "value" := NULL::VARCHAR)),
       raw
FROM broken_rows""")
        counts = self._connection.execute("SELECT file_index, count(*) FROM bad GROUP BY file_index").fetchall()
        return dict(counts)

    def _collect_reasons(self) -> None:
        found = self._connection.execute("""
SELECT failure."column", failure.reason, count(*), arg_min(uri, place), arg_min(source_row, place),
       arg_min(coalesce(failure."value", ''), place)
FROM (SELECT uri, source_row, (file_index, source_row) AS place, unnest(failures) AS failure FROM bad)
GROUP BY ALL""").fetchall()
        self.reasons += [
            Reason(column, reason, count, uri, row, value or None) for column, reason, count, uri, row, value in found
        ]

    def _copy_good(self, number: int) -> Path:
        columns = [f"t{position} AS {names.quoted(c.to)}" for position, c in enumerate(self._spec.columns)]
        columns += [
            f"{self._contract.rescued_sql} AS {names.quoted(names.RESCUED_COLUMN)}",
            f"uri AS {names.quoted(names.SOURCE_FILE_COLUMN)}",
            f"source_row AS {names.quoted(names.SOURCE_ROW_COLUMN)}",
            *self._contract.evolved_sql,
        ]
        return self._copy(f"SELECT {', '.join(columns)} FROM numbered WHERE failures IS NULL", self._good_dir, number)

    def _copy_quarantine(self, number: int) -> Path:
        # concat_ws leaves out the value where there is none.
        sentence = """concat_ws(' ', coalesce(failure."column", 'record'),
                               chr(39) || failure."value" || chr(39), failure.reason)"""
        values = [
            f"array_to_string(list_transform(failures, lambda failure: {sentence}), '; ')",
            """nullif(array_to_string(list_transform(failures, lambda failure: failure."column"), ', '), '')""",
            "raw",
            "uri",
            "source_row",
        ]
        columns = [
            f"{value} AS {names.quoted(column.name)}" for value, column in zip(values, QUARANTINE_COLUMNS, strict=True)
        ]
        query = f"SELECT {', '.join(columns)} FROM bad ORDER BY file_index, source_row"
        return self._copy(query, self._quarantine_dir, number)

    def _copy(self, query: str, folder: Path, number: int) -> Path:
        path = folder / f"part-{number:05d}.parquet"
        self._connection.execute(f"COPY ({query}) TO {literal(str(path))} {_COPY_OPTIONS}")
        return path
