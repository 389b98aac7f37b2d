"""`datalake query`: SQL over the lake's tables."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from datalake_assets.cli.output import count, show_json, size
from datalake_assets.cli.result_output import FORMATS, Format, format_of, write
from datalake_assets.explore.query import ENGINES, Engine

if TYPE_CHECKING:
    from datalake_assets.explore.result import Explanation, QueryResult

TABLE_ROWS = 1_000
OPTIONS: dict[str, frozenset[str]] = {
    "duckdb": frozenset({"memory_limit"}),
    "athena": frozenset({"workgroup", "results"}),
    "redshift": frozenset(),
}


@click.command()
@click.argument("sql", metavar='"SELECT …"')
@click.option("--engine", type=click.Choice(ENGINES), default="duckdb", show_default=True)
@click.option("--account", metavar="NAME", help="Whose database is meant where a table has none; whose warehouse.")
@click.option("--format", "asked", type=click.Choice(FORMATS), help="[default: by the file's name, else table]")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Instead of stdout.")
@click.option("--explain", is_flag=True, help="Run it, and show what was read instead of the rows.")
@click.option("--rows", type=click.IntRange(1), default=TABLE_ROWS, show_default=True, help="Of a table; CSV has all.")
@click.option("--memory", metavar="SIZE", help="What DuckDB may use before it spills to disk. [default: 1GB]")
@click.option("--workgroup", metavar="NAME", help="Of Athena. [default: primary]")
@click.option("--results", metavar="S3-URI", help="Where Athena writes, if its workgroup does not say.")
def query(
    sql: str,
    engine: Engine,
    account: str | None,
    asked: Format | None,
    output: Path | None,
    explain: bool,
    rows: int,
    memory: str | None,
    workgroup: str | None,
    results: str | None,
) -> None:
    """Run one statement that reads: SELECT, WITH, DESCRIBE table, SHOW TABLES, EXPLAIN; `-` takes it from stdin.

    Tables are database.table, account.table or, with --account, the table alone. DuckDB reads only the partitions and
    columns that the statement needs.
    """
    given = {"memory_limit": memory, "workgroup": workgroup, "results": results}
    options = {name: value for name, value in given.items() if value is not None}
    if strange := options.keys() - OPTIONS[engine]:
        words = ", ".join(sorted("--memory" if name == "memory_limit" else f"--{name}" for name in strange))
        raise click.UsageError(f"{words} is no option of --engine {engine}")
    text = sys.stdin.read() if sql == "-" else sql
    with without_pandas():
        import pyarrow as pa

        pa.scalar(True)
    from datalake_assets.explore.query import query as run

    with run(text, account=account, engine=engine, **options) as result:
        if explain:
            _explain(result, as_json=asked == "json")
            return
        written = write(result, format_of(asked, output), output, table_rows=rows)
    if output is not None:
        click.echo(f"{count(written, 'row')} in {output}", err=True)


def _explain(result: "QueryResult", *, as_json: bool) -> None:
    for _ in result.batches():
        pass  # the rows are of no interest, what was read for them is
    told = result.explain
    if as_json:
        show_json(told)
        return
    for line in explained(told):
        click.echo(line)


def explained(told: "Explanation") -> list[str]:
    """An explanation in lines."""
    lines = [f"engine   {told.engine}{f', execution {told.query_id}' if told.query_id else ''}"]
    for table in told.tables:
        of = f" of {size(table.bytes_total)}" if table.bytes_total else ""
        lines += [
            f"table    {table.name}",
            f"  partitions  {table.partitions_read:,} of {table.partitions:,}",
            f"  files       {table.files_read:,}",
            f"  bytes       {size(table.bytes_read)}{of}",
            f"  columns     {', '.join(table.columns) or 'none'}",
        ]
    if told.bytes_scanned is not None:
        lines.append(f"scanned  {size(told.bytes_scanned)}")
    if told.cost_usd is not None:
        lines.append(f"cost     about {told.cost_usd:.6f} USD by the list price")
    if told.seconds is not None:
        lines.append(f"time     {told.seconds:.2f} s")
    return lines + (["plan", *told.plan.splitlines()] if told.plan else [])


@contextmanager
def without_pandas() -> Iterator[None]:
    """Let pyarrow look for pandas in vain, which it does at the first value that it converts.

    It would import all of pandas, where that is installed, which takes longer than a small query; these commands make
    no data frames. For a process that is a command: in others, pandas is found as ever.
    """

    class Nowhere:
        def find_spec(
            self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
        ) -> ModuleSpec | None:
            if name == "pandas":
                raise ImportError("these commands do without pandas")
            return None

    finder = Nowhere()
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
