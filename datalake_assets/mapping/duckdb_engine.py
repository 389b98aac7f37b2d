"""Map staged raw files to Parquet with DuckDB: good rows, quarantined rows with reasons, counts.

Each batch of files with the same header is parsed once into a staging table in file order (`rowid` is the order),
already cast; what the parser rejects is collected beside it; every line of every file is accounted for before
anything is written. The staging table spills to disk, so memory stays within `memory_limit` whatever the size.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.errors import ConfigurationError, NoObjects, OutOfSpace
from datalake_assets.mapping.batch import ReadyFile, batches, make_ready
from datalake_assets.mapping.bind import bind_columns
from datalake_assets.mapping.header import check_header
from datalake_assets.mapping.masks import salt_secrets
from datalake_assets.mapping.raw_files import StagedFile
from datalake_assets.mapping.result import ChildRows, MappingResult, merge_reasons, require_few_bad_rows
from datalake_assets.mapping.schema_contract import SchemaContract
from datalake_assets.mapping.spec import MappingSpec
from datalake_assets.mapping.sql import literal
from datalake_assets.mapping.writer import Writer

if TYPE_CHECKING:
    import duckdb

DEFAULT_MEMORY_LIMIT = "1GB"
PREPARING_THREADS = 4


def map_files(
    spec: MappingSpec,
    files: Sequence[StagedFile],
    out_dir: Path,
    *,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
    threads: int | None = None,
    fail_on_bad_rows: bool = True,
    salts: Mapping[str, str] | None = None,
) -> MappingResult:
    """Map all `files` of one partition into Parquet files under `out_dir`: `good`, `quarantine`, `children/<table>`.

    `memory_limit` is DuckDB's (`"1GB"`), `threads` its number of threads (default: all cores). With
    `fail_on_bad_rows=False` the caller looks at the result before it calls `require_few_bad_rows` itself. `salts` has
    the values of the secrets in `masks.salt_secrets(spec)` by name.

    Raises:
        ConfigurationError: a salt is missing, or DuckDB refuses an expression.
        NoObjects: `files` is empty.
        EmptyObject: a file without content.
        OutOfSpace: memory or disk is not enough for the files.
        UnreadableObject: a file that is broken, not what its name says, or not CSV that can be told into records.
        WrongHeader: a file without a required column, or with a header that fits no mapped column.
        SchemaChanged: a file has columns that a frozen contract does not know.
        TooManyBadRows: the share of bad rows is above `spec.bad_rows.fail_above`; all files are written nevertheless.
    """
    if not files:
        raise NoObjects("there are no files to map", where=str(out_dir))
    out_dir.mkdir(parents=True, exist_ok=True)
    duplicates = 0
    with tempfile.TemporaryDirectory(prefix=".mapping-", dir=out_dir) as work:
        prepared = _prepare_all(files, spec, Path(work))
        notes = _check_headers(spec, prepared)
        with _connect(Path(work), memory_limit, threads) as connection:
            _require_bound(spec)
            _keep_salts(connection, spec, salts or {})
            contract = SchemaContract(spec)
            writer = Writer(connection, spec, contract, out_dir)
            for batch in batches(prepared):
                with _space_errors(batch, memory_limit, out_dir):
                    writer.write(batch)
            contract.require_unchanged(notes)
            with _space_errors(prepared, memory_limit, out_dir):
                writer.add_columns()
                if spec.deduplicate is not None and writer.good.files:
                    duplicates = writer.drop_duplicates(spec.deduplicate)
                writer.fill()
    result = MappingResult(
        rows_good=writer.good.rows,
        rows_bad=sum(file.rows_bad for file in writer.counts.values()),
        rows_duplicate=duplicates,
        good_files=writer.good.files,
        quarantine_files=writer.quarantine.files,
        children=tuple(ChildRows(name, table.rows, tuple(table.files)) for name, table in writer.children.items()),
        files=[writer.counts[file.path] for file in prepared],
        reasons=merge_reasons(writer.reasons),
        notes=[*notes, *contract.notes(), *writer.notes()],
        evolved=contract.evolved,
    )
    if fail_on_bad_rows:
        require_few_bad_rows(result, spec.bad_rows)
    return result


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
    connection.execute("SET enable_progress_bar = false")  # on standard output, where Python is interactive
    # Statistics would make a column without nulls REQUIRED in the Parquet file: the schema must not hang on the data.
    connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    return connection


def _require_bound(spec: MappingSpec) -> None:
    """Tell an expression that DuckDB refuses as the mistake of a declaration that it is."""
    for place, text in bind_columns(spec):
        raise ConfigurationError(
            text, where=".".join(map(str, place)), todo="`datalake validate` names all of them, with their lines"
        )


def _keep_salts(connection: "duckdb.DuckDBPyConnection", spec: MappingSpec, salts: Mapping[str, str]) -> None:
    """Put the secrets into variables, so that no statement shows them."""
    for number, name in enumerate(salt_secrets(spec)):
        if name not in salts:
            raise ConfigurationError(
                f"the value of the secret {name!r} is not given", where="salt_secret", todo="Give it to map_files"
            )
        connection.execute(f"SET VARIABLE salt_{number} = ?", [salts[name]])


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
