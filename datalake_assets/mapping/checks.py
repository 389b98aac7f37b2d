"""Audit a mapped partition: run its declared checks on the Parquet files, before anything of them is uploaded.

All counts of nulls and expressions come from one pass, each unique check takes one more, and rows are looked for only
for the checks that failed. DuckDB spills to disk beyond its memory limit and can open nothing but the given files.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets import names
from datalake_assets.errors import OutOfSpace
from datalake_assets.mapping.check_spec import Check, Severity
from datalake_assets.mapping.spec import OutputColumn
from datalake_assets.mapping.sql import literal, literals

if TYPE_CHECKING:
    import duckdb

EXAMPLES = 5
VALUE_CHARACTERS = 100
_PLACE = f"{names.quoted(names.SOURCE_FILE_COLUMN)}, {names.quoted(names.SOURCE_ROW_COLUMN)}"


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """A row that fails a check: where it comes from, and the values that the check looked at."""

    source_file: str
    source_row: int
    values: str

    def __str__(self) -> str:
        return f"{self.source_file} row {self.source_row} ({self.values})"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found in one partition.

    `failed_rows` counts the rows that fail it, for `row_count` all rows of a partition with too few or too many.
    `problem` is a sentence, empty if the check passed.
    """

    name: str
    severity: Severity
    rows: int
    failed_rows: int = 0
    problem: str = ""
    examples: tuple[ExampleRow, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.problem

    @property
    def is_blocking(self) -> bool:
        """Whether readers must not see the partition."""
        return not self.passed and self.severity == "error"

    @property
    def found(self) -> str:
        """What a person reads of it, with the first rows that fail."""
        if self.passed:
            return f"passed on {self.rows} rows"
        shown = f"; for example {', '.join(map(str, self.examples))}" if self.examples else ""
        return self.problem + shown

    def __str__(self) -> str:
        return f"{self.name}: {self.found}"


def run_checks(
    checks: Sequence[Check],
    files: Sequence[Path],
    *,
    partition: str = names.UNPARTITIONED,
    memory_limit: str = "1GB",
    threads: int | None = None,
) -> tuple[CheckResult, ...]:
    """Run all checks on the Parquet files of one partition, in the order of the checks.

    An expression that cannot be computed for a row, for example a cast that fails, fails its check.

    Args:
        files: in one folder, beside which DuckDB may spill.
        partition: fills the partition column, which is not in the files.

    Raises:
        OutOfSpace: memory or disk is not enough.
    """
    if not checks:
        return ()
    with (
        tempfile.TemporaryDirectory(prefix=".checks-", dir=files[0].parent.parent) as work,
        _connect(Path(work), files, memory_limit, threads) as connection,
        _space_errors(files[0].parent, memory_limit),
    ):
        listed = literals([str(path) for path in files])
        day = f", CAST({literal(partition)} AS DATE) AS {names.PARTITION_COLUMN}" if partition else ""
        connection.execute(
            f"CREATE VIEW checked AS SELECT *{day} FROM read_parquet([{listed}], hive_partitioning = false)"
        )
        connection.execute("SET lock_configuration = true")
        rows, failing = _count(connection, checks)
        return tuple(_judged(connection, check, rows, count) for check, count in zip(checks, failing, strict=True))


def bind_expressions(
    checks: Sequence[Check], columns: Sequence[OutputColumn], *, is_partitioned: bool
) -> list[tuple[int, str]]:
    """Let DuckDB read the expressions against an empty table of these columns.

    Returns:
        The position of each check whose expression it refuses or that is not a boolean, and why.
    """
    import duckdb

    declared = [f"{names.quoted(column.name)} {column.type.duckdb}" for column in columns]
    if is_partitioned:
        declared.append(f"{names.PARTITION_COLUMN} DATE")
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET enable_external_access = false")
        connection.execute(f"CREATE TABLE checked ({', '.join(declared)})")
        found = [(at, _refusal(connection, check.expression)) for at, check in enumerate(checks) if check.expression]
    return [(at, refusal) for at, refusal in found if refusal]


def _connect(work: Path, files: Sequence[Path], memory_limit: str, threads: int | None) -> "duckdb.DuckDBPyConnection":
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute(f"SET memory_limit = {literal(memory_limit)}")
    connection.execute(f"SET temp_directory = {literal(str(work / 'spill'))}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = false")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    folders = sorted({str(path.parent) for path in files})
    connection.execute(f"SET allowed_directories = [{literals(folders)}]")
    connection.execute("SET enable_external_access = false")
    return connection


def _count(connection: "duckdb.DuckDBPyConnection", checks: Sequence[Check]) -> tuple[int, list[int | str]]:
    """The number of rows, and for each check the rows that fail it, or why it cannot be computed."""
    import duckdb

    conditions = {at: _condition(check) for at, check in enumerate(checks) if check.not_null or check.expression}
    failing: list[int | str] = [0] * len(checks)
    for at, check in enumerate(checks):
        if check.expression and (refusal := _refusal(connection, check.expression)):
            failing[at] = refusal
            del conditions[at]
    try:
        rows, *counts = _count_where(connection, list(conditions.values()))
    except (duckdb.DataError, duckdb.ProgrammingError):
        # One expression cannot be computed for a row: find out which.
        (rows,) = _count_where(connection, [])
        counts = [0] * len(conditions)
        for number, (at, condition) in enumerate(conditions.items()):
            try:
                counts[number] = _count_where(connection, [condition])[1]
            except (duckdb.DataError, duckdb.ProgrammingError) as error:
                failing[at] = _first_line(error)
    for at, count in zip(conditions, counts, strict=True):
        failing[at] = failing[at] or count
    for at, check in enumerate(checks):
        if check.unique:
            try:
                failing[at] = _count_repeated(connection, check.unique)
            except duckdb.ProgrammingError as error:  # a version from before the column
                failing[at] = _first_line(error)
        elif check.row_count:
            low, high = check.row_count.min, check.row_count.max
            fits = (low is None or rows >= low) and (high is None or rows <= high)
            failing[at] = 0 if fits else f"{rows} rows"
    return rows, failing


def _count_where(connection: "duckdb.DuckDBPyConnection", conditions: Sequence[str]) -> list[int]:
    columns = ", ".join(["count(*)", *(f"count(*) FILTER (WHERE {condition})" for condition in conditions)])
    found = connection.execute(f"SELECT {columns} FROM checked").fetchone()
    assert found is not None
    return list(found)


def _count_repeated(connection: "duckdb.DuckDBPyConnection", columns: Sequence[str]) -> int:
    found = connection.execute(f"SELECT coalesce(sum(n), 0) FROM ({_repeated(columns)})").fetchone()
    assert found is not None
    return int(found[0])


def _repeated(columns: Sequence[str]) -> str:
    """The values that several rows share, as SQL's UNIQUE sees it: a row with a null shares with none."""
    listed = _listed(columns)
    filled = " AND ".join(f"{names.quoted(column)} IS NOT NULL" for column in columns)
    return f"SELECT {listed}, count(*) AS n FROM checked WHERE {filled} GROUP BY {listed} HAVING count(*) > 1"


def _condition(check: Check) -> str:
    """Which rows fail a check of single rows."""
    if check.not_null:
        return " OR ".join(f"{names.quoted(column)} IS NULL" for column in check.not_null)
    return f"NOT ({check.expression}\n)"  # the line end ends a comment


def _refusal(connection: "duckdb.DuckDBPyConnection", expression: str) -> str | None:
    import duckdb

    try:
        # In WHERE, for DuckDB itself refuses aggregates and windows there.
        connection.execute(f"EXPLAIN SELECT 1 FROM checked WHERE ({expression}\n)")
        found = connection.execute(f"DESCRIBE SELECT ({expression}\n) AS answer FROM checked").fetchone()
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError, duckdb.PermissionException) as error:
        return _first_line(error)
    assert found is not None
    return None if found[1] == "BOOLEAN" else f"the expression is of type {found[1]}, expected BOOLEAN"


def _judged(connection: "duckdb.DuckDBPyConnection", check: Check, rows: int, failing: int | str) -> CheckResult:
    if not failing:
        return CheckResult(check.check_name, check.severity, rows)
    if check.row_count:
        return CheckResult(check.check_name, check.severity, rows, rows, f"{failing}, expected {check.sentence}")
    if isinstance(failing, str):
        problem = f"it cannot be computed: {failing}"
        return CheckResult(check.check_name, check.severity, rows, 0, problem)
    problem = f"{failing} of {rows} rows fail, expected that {check.sentence}"
    return CheckResult(check.check_name, check.severity, rows, failing, problem, _examples(connection, check))


def _examples(connection: "duckdb.DuckDBPyConnection", check: Check) -> tuple[ExampleRow, ...]:
    """The first rows that fail, by their place; of repeated values, those that come first."""
    if check.unique:
        listed = _listed(check.unique)
        query = (
            f"SELECT {_PLACE}, {_shown(check.unique)} FROM checked SEMI JOIN "
            f"(SELECT {listed} FROM ({_repeated(check.unique)}) ORDER BY {listed} LIMIT {EXAMPLES}) "
            f"USING ({listed}) ORDER BY {listed}, {_PLACE} LIMIT {EXAMPLES}"
        )
    else:
        columns = check.not_null or _columns_of(connection, check.expression or "")
        query = (
            f"SELECT {_PLACE}, {_shown(columns)} FROM checked WHERE {_condition(check)} ORDER BY ALL LIMIT {EXAMPLES}"
        )
    return tuple(ExampleRow(*row) for row in connection.execute(query).fetchall())


def _columns_of(connection: "duckdb.DuckDBPyConnection", expression: str) -> list[str]:
    """The columns that an expression names, in the table's order."""
    from sqlglot import exp, parse_one

    named = {column.name.lower() for column in parse_one(expression, read="duckdb").find_all(exp.Column)}
    described = connection.execute("DESCRIBE checked").fetchall()
    return [name for name, *_ in described if name.lower() in named]


def _shown(columns: Sequence[str]) -> str:
    """SQL for `listing_id=5, city=null`."""
    texts = {column: f"left(CAST({names.quoted(column)} AS VARCHAR), {VALUE_CHARACTERS})" for column in columns}
    parts = [f"{literal(column + '=')} || coalesce({text}, 'null')" for column, text in texts.items()]
    return f"concat_ws(', ', {', '.join(parts)}) AS shown" if parts else "'' AS shown"


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(names.quoted(column) for column in columns)


@contextmanager
def _space_errors(folder: Path, memory_limit: str) -> Iterator[None]:
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise OutOfSpace(
            f"the checks ran out of memory or disk: {_first_line(error)}",
            expected=f"{memory_limit} to be enough, with what spills to the disk of {folder.parent}",
            todo="Raise DATALAKE_MEMORY_LIMIT, or free space on that disk",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
