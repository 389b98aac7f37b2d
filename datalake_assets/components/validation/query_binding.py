"""Let DuckDB bind the queries of all SqlPipelines at once, over empty tables with the declared columns.

One connection looks at all of them, which takes a few milliseconds each; a query that it does not find perfect is
looked at again by `sql_reads.unbound_query`, which knows each kind of mistake and its words.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from datalake_assets.components.declarations import AnyDeclaration, mistake_in
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.components.words.sql_spec import SqlSpec
from datalake_assets.components.yaml_file import Mistake
from datalake_assets.errors import PlatformError
from datalake_assets.names import PARTITION_COLUMN, quoted

if TYPE_CHECKING:
    import duckdb

_WORD = re.compile(r"\w+")


def unbound_queries(declared: Sequence[AnyDeclaration], pipelines: Mapping[str, AnyDeclaration]) -> list[Mistake]:
    """What DuckDB refuses of the queries of these pipelines.

    Args:
        pipelines: all that are declared, by their names; a query that reads another one is not looked at.
    """
    binder = _Binder(pipelines)
    return [
        mistake_in(each.path, ("attributes", *place), text)
        for each in declared
        if isinstance(each.spec, SqlSpec) and not binder.is_fine(each, each.spec)
        for place, text in _told(each, each.spec)
    ]


def _told(each: AnyDeclaration, spec: SqlSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    from datalake_assets.components.sql_reads import unbound_query

    yield from unbound_query(each.location, spec, each.path.absolute().parents[2])


class _Binder:
    """One database with an empty table for each that is read, in a schema for each location."""

    def __init__(self, pipelines: Mapping[str, AnyDeclaration]) -> None:
        self._pipelines = pipelines
        self._made: set[str] = set()
        self._schemas: set[str] = set()

    def is_fine(self, each: AnyDeclaration, spec: SqlSpec) -> bool:
        """Whether nothing at all is wrong with a query, or nothing can be known; False if in doubt."""
        if not all(self._make(read.table) for read in spec.reads):
            return True
        from datalake_assets.derive.query import CLOCKS, PARAMETER
        from datalake_assets.explore.parsed import parse

        sql = spec.query(each.path.parent)
        if CLOCKS & set(_WORD.findall(sql.lower())):
            return False
        try:
            parsed = parse(self._connection, sql)
        except PlatformError:
            return False
        used = {
            "/".join(table.path) if len(table.path) > 1 else f"{each.location}/{table.path[0]}"
            for table in parsed.tables
            if table.is_certain
        }
        has_day = PARAMETER in parsed.parameters
        if used != {read.table for read in spec.reads} or parsed.parameters - {PARAMETER}:
            return False
        if has_day and spec.partitions is None:
            return False
        day = {PARAMETER: spec.partitions.daily} if spec.partitions and has_day else None
        columns = self._columns(each.location, parsed.sql, day)
        return columns is not None and sorted(columns) == sorted(column.name for column in spec.columns)

    def _columns(self, location: str, sql: str, parameters: dict[str, date] | None) -> list[str] | None:
        import duckdb

        try:
            self._schema(location)
            self._connection.execute(f"USE memory.{quoted(location)}")
            found = self._connection.execute(f"SELECT * FROM (\n{sql}\n) LIMIT 0", parameters).description
        except duckdb.Error:
            return None
        return [name.lower() for name, *_ in found]

    def _make(self, table: str) -> bool:
        """See that an empty table is there; False if no pipeline makes it."""
        if table in self._made:
            return True
        found = self._pipelines.get(table)
        if found is None or not isinstance(found.spec, PipelineSpec | SqlSpec):
            return False
        location, _, name = table.partition("/")
        columns = [(column.name, column.type.duckdb) for column in found.spec.output_columns()]
        if found.spec.partitions:
            columns.append((PARTITION_COLUMN, "DATE"))
        self._schema(location)
        listed = ", ".join(f"{quoted(column)} {type_}" for column, type_ in columns)
        self._connection.execute(f"CREATE TABLE memory.{quoted(location)}.{quoted(name)} ({listed})")
        self._made.add(table)
        return True

    def _schema(self, location: str) -> None:
        if location not in self._schemas:
            self._connection.execute(f"CREATE SCHEMA memory.{quoted(location)}")
            self._schemas.add(location)

    @cached_property
    def _connection(self) -> "duckdb.DuckDBPyConnection":
        import duckdb

        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": "1",
                "python_enable_replacements": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "enable_external_access": "false",
            },
        )
        connection.execute("SET TimeZone = 'UTC'")
        return connection
