"""For a pipeline's own tests: what its declaration makes of some files or rows, without AWS, Dagster or a database.

    mapped = map_files(Path(__file__).parent, "sample.csv")
    assert not mapped.set_aside
    assert mapped.rows[0]["city"] == "Berlin"

    made = run_sql(Path(__file__).parent, {"core_data/listings": [{"id": 1, "dt": "2026-01-01"}]})

It is the code that runs work with, so what a test shows is what a run will do.
"""

import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datalake_assets import names
from datalake_assets.column_types import TargetType
from datalake_assets.errors import ConfigurationError, InvalidQuery

if TYPE_CHECKING:
    import duckdb

    from datalake_assets.derive.reads import Read
    from datalake_assets.derive.sql_derivation import SqlDerivation
    from datalake_assets.mapping.raw_files import StagedFile

PLATFORM_COLUMNS = (names.SOURCE_FILE_COLUMN, names.SOURCE_ROW_COLUMN, names.RESCUED_COLUMN)


@dataclass(frozen=True)
class Mapped:
    """What became of some raw files.

    Args:
        rows: of the table in the order of the files, each column by its name; what the platform adds is left out.
        set_aside: for each reason why rows were put into quarantine a sentence with an example.
        failed_checks: the declared checks that these rows would fail, each as a sentence.
        children: the rows of each child table.
        rescued: the JSON texts of values that no column takes.
        notes: what else people are told.
    """

    rows: list[dict[str, Any]]
    set_aside: list[str]
    failed_checks: list[str]
    children: dict[str, list[dict[str, Any]]]
    rescued: list[str]
    notes: list[str]


def map_files(folder: Path, *files: str | Path, partition: str | None = None) -> Mapped:
    """Map raw files as the LakePipeline in a folder does.

    Args:
        folder: of the pipeline; it has the defs.yaml.
        files: paths, relative ones below the folder; they are mapped as one partition.
        partition: the day that the checks take them for; by default the first one.

    Raises:
        ConfigurationError: the declaration has mistakes, or is none of a LakePipeline.
        BadInput: a file cannot be read at all, or lacks a required column.
    """
    from datalake_assets.mapping.raw_files import StagedFile

    spec = _spec(folder, "LakePipeline")
    paths = [folder / each for each in files]
    staged = [StagedFile(path, f"s3://raw/{spec.name}/{path.name}") for path in paths]  # the ending tells compression
    return _mapped(spec, staged, partition)


def run_sql(folder: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]], *, partition: str | None = None) -> Mapped:
    """Run the query of the SqlPipeline in a folder over given rows.

    Args:
        folder: of the pipeline; it has the defs.yaml, and the folders of the accounts are two levels above.
        tables: rows of what it reads by `account/table`; a column that a row does not name is null, a table that is
            not named has no rows. Every row is there for the query, whatever its `dt`.
        partition: the value of `$partition`; by default the first day.

    Raises:
        ConfigurationError: the declaration has mistakes, or a table or a column is none that it reads.
        InvalidQuery: the query is wrong.
    """
    from datalake_assets.components.sql_reads import build_derivation
    from datalake_assets.mapping.raw_files import StagedFile

    spec = _spec(folder, "SqlPipeline")
    folder = folder.resolve()
    made = build_derivation(folder.parent.name, spec, folder.parent.parent)
    day = partition or (spec.partitions.daily.isoformat() if spec.partitions else "")
    if unknown := sorted(set(tables) - {read.name for read in made.reads}):
        raise ConfigurationError(
            f"it reads no table {unknown[0]!r}",
            where=str(folder),
            expected=" or ".join(read.name for read in made.reads),
        )
    with tempfile.TemporaryDirectory(prefix="datalake-testing-") as work:
        path = Path(work) / "rows.parquet"
        _write_result(made, tables, day, path)
        return _mapped(spec, [StagedFile(path, made.uri)], day)


def _write_result(
    made: "SqlDerivation", tables: Mapping[str, Sequence[Mapping[str, Any]]], day: str, path: Path
) -> None:
    import duckdb
    from pyarrow import parquet

    from datalake_assets.derive.query import PARAMETER, column_mistakes
    from datalake_assets.explore.parsed import parse

    try:
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for read in made.reads:
                _fill(connection, read, tables.get(read.name, ()), is_own=read.location == made.location)
            # DuckDB refuses a value that the query does not ask for.
            is_asked = PARAMETER in parse(connection, made.sql).parameters
            values = {PARAMETER: dt.date.fromisoformat(day)} if is_asked and day else {}
            found = connection.sql(made.sql, params=values or None).to_arrow_table()
    except duckdb.Error as error:
        raise InvalidQuery(str(error), where=made.uri) from error
    if mistakes := column_mistakes(made.columns, found.column_names):
        raise InvalidQuery("; ".join(mistakes), where=made.uri)
    parquet.write_table(found.rename_columns([name.lower() for name in found.column_names]), path)


def _fill(
    connection: "duckdb.DuckDBPyConnection", read: "Read", rows: Sequence[Mapping[str, Any]], *, is_own: bool
) -> None:
    """Make a table with the declared columns; of the own account it is there without its name, too."""
    columns = {each.name: TargetType.parse(each.glue_type).duckdb for each in (*read.columns, *read.keys)}
    table = f"{names.quoted(read.location)}.{names.quoted(read.table)}"
    declared = ", ".join(f"{names.quoted(name)} {kind}" for name, kind in columns.items())
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {names.quoted(read.location)}")
    connection.execute(f"CREATE TABLE {table} ({declared})")
    for row in rows:
        if unknown := sorted(set(row) - set(columns)):
            raise ConfigurationError(
                f"{read.name} has no column {unknown[0]!r}", expected="one of " + ", ".join(columns)
            )
        places = ", ".join("?" for _ in columns)
        connection.execute(f"INSERT INTO {table} VALUES ({places})", [row.get(name) for name in columns])
    if is_own:
        connection.execute(f"CREATE VIEW {names.quoted(read.table)} AS FROM {table}")


def _mapped(spec: Any, staged: Sequence["StagedFile"], partition: str | None) -> Mapped:
    from datalake_assets.mapping import duckdb_engine
    from datalake_assets.mapping.checks import run_checks
    from datalake_assets.mapping.masks import salt_secrets

    mapping = spec.mapping()
    day = partition or (spec.partitions.daily.isoformat() if spec.partitions else "")
    with tempfile.TemporaryDirectory(prefix="datalake-testing-") as work:
        result = duckdb_engine.map_files(
            mapping,
            staged,
            Path(work) / "out",
            fail_on_bad_rows=False,
            # Nobody's secret: a test shall not need one, and compares no hashes of the real one.
            salts=dict.fromkeys(salt_secrets(mapping), "salt of tests"),
        )
        checks = run_checks(spec.checks, result.good_files, partition=day)
        rows = _read(result.good_files)
        children = {each.table: _plain(_read(each.files)) for each in result.children}
    return Mapped(
        rows=_plain(rows),
        set_aside=[str(each) for each in result.reasons],
        failed_checks=[str(each) for each in checks if not each.passed],
        children=children,
        rescued=[text for row in rows if (text := row.get(names.RESCUED_COLUMN)) is not None],
        notes=list(result.notes),
    )


def _spec(folder: Path, kind: str) -> Any:
    """What the folder declares, which must be of this type."""
    from datalake_assets.components.declarations import read_all
    from datalake_assets.components.words.pipeline_spec import PipelineSpec
    from datalake_assets.components.words.sql_spec import SqlSpec

    wanted = {"LakePipeline": PipelineSpec, "SqlPipeline": SqlSpec}[kind]
    for declared in read_all(folder / "defs.yaml"):
        if isinstance(declared.spec, wanted):
            return declared.spec
    raise ConfigurationError(f"there is no {kind}", where=str(folder / "defs.yaml"))


def _read(files: Sequence[Path]) -> list[dict[str, Any]]:
    import duckdb

    with duckdb.connect(":memory:") as connection:
        listed = ", ".join("'" + str(each).replace("'", "''") + "'" for each in files)
        found = connection.execute(f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)")
        columns = [each[0] for each in found.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def _plain(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in PLATFORM_COLUMNS} for row in rows]
