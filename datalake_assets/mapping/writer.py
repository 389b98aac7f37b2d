"""Write what a batch of raw files became: good rows, rows of children, rows set aside; and add up what they held."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets import names
from datalake_assets.column_types import MAX_VARCHAR_BYTES
from datalake_assets.mapping.batch import ReadyFile, load_batch
from datalake_assets.mapping.children import POSITION_COLUMN, Deduplicate, Level
from datalake_assets.mapping.columns import REDACTED
from datalake_assets.mapping.duplicates import ITEM_COLUMN, drop_duplicates
from datalake_assets.mapping.masks import masks
from datalake_assets.mapping.result import FileCounts, Reason
from datalake_assets.mapping.schema_contract import SchemaContract, Unknown
from datalake_assets.mapping.spec import MappingSpec, OutputColumn, output_columns
from datalake_assets.mapping.sql import literal
from datalake_assets.mapping.sql_columns import TOO_LONG, failure, nulled_names, value_names
from datalake_assets.mapping.sql_nested import pointer
from datalake_assets.mapping.sql_quarantine import GENERIC_COLUMN, NO_FAILURES, quarantine_columns
from datalake_assets.mapping.sql_rows import child_rows, exploded_rows
from datalake_assets.mapping.sql_text import COPY_OPTIONS

if TYPE_CHECKING:
    import duckdb

MAX_FAILURES = 50  # of one record that the quarantine tells


@dataclass(slots=True)
class TableFiles:
    """The Parquet files of one table so far."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    rows: int = 0


class Writer:
    """Writes batch after batch and adds up what they held."""

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", spec: MappingSpec, contract: SchemaContract, out_dir: Path
    ) -> None:
        self._connection = connection
        self._spec = spec
        self._contract = contract
        self.good = TableFiles(out_dir / "good")
        self.quarantine = TableFiles(out_dir / "quarantine")
        self.children = {
            level.child.table: TableFiles(out_dir / "children" / level.child.table) for level in spec.levels
        }
        self.counts: dict[Path, FileCounts] = {}
        self.reasons: list[Reason] = []
        self._nulled: dict[str, tuple[int, str]] = {}
        self._without_elements = 0
        for table in (self.good, self.quarantine, *self.children.values()):
            table.folder.mkdir(parents=True, exist_ok=True)

    def write(self, batch: list[ReadyFile]) -> None:
        """Stage a batch, write what it became, and remove its files."""
        rows = load_batch(self._connection, self._spec, batch)
        self._contract.observe(self._connection, batch)
        uris = [row.uri for row in rows]
        spoiling = self._make_rows(uris)
        has_left_over = self._rescue_elements(spoiling) if spoiling else False
        bad = self._collect_bad(spoiling, has_left_over=has_left_over)
        for file, row in zip(batch, rows, strict=True):
            rows_bad = bad.get(row.index, 0)
            self.counts[file.path] = FileCounts(file.uri, row.rows_in - rows_bad, rows_bad)
            file.path.unlink()
        if sum(self.counts[file.path].rows_good for file in batch):
            self._copy_good(has_bad=bool(bad and spoiling), has_left_over=has_left_over)
            for number, level in enumerate(self._spec.levels):
                self._copy_child(level, number, has_bad=bool(bad))
            self._count_nulled()
        if bad:
            self._copy_quarantine()
            self._collect_reasons()

    def add_columns(self) -> None:
        """Give files that were written early the columns that were found later, so that all are alike."""
        for path in self.good.files:
            if query := self._contract.lacks_columns(path):
                wider = path.with_suffix(".wider")
                self._connection.execute(f"COPY ({query}) TO {literal(str(wider))} {COPY_OPTIONS}")
                wider.replace(path)

    def drop_duplicates(self, deduplicate: Deduplicate) -> int:
        """Drop repeated rows from all that is written, and count them."""
        children = [path for table in self.children.values() for path in table.files]
        is_exploded = self._spec.explode is not None
        dropped = drop_duplicates(self._connection, deduplicate, self.good.files, children, is_exploded=is_exploded)
        for table in (self.good, *self.children.values()) if dropped else ():
            table.rows = sum(parquet_rows(path) for path in table.files)
        return dropped

    def fill(self) -> None:
        """Write a file without rows for each table that has none: its readers need one."""
        if not self.good.files:
            self._copy_empty(self.good, self._spec.output_columns())
        for level in self._spec.levels:
            table = self.children[level.child.table]
            if not table.files:
                self._copy_empty(table, self._spec.child_columns(level))

    def notes(self) -> list[str]:
        """Sentences about values that became null, and about records that made more or fewer rows than one."""
        found = [
            f"{count} value{'s' if count > 1 else ''} of {column!r} that do not fit became null, first in {place}"
            for column, (count, place) in self._nulled.items()
        ]
        if self._spec.explode is not None:
            records = sum(counts.rows_good for counts in self.counts.values())
            found.append(
                f"{records} records became {self.good.rows} rows, one for each of {self._spec.explode.from_!r}"
            )
            if self._without_elements:
                found.append(f"{self._without_elements} records without elements made no row")
        return found

    def _make_rows(self, uris: Sequence[str]) -> list[str]:
        """Make the tables of exploded rows and of children; return their names."""
        if self._spec.explode is not None:
            self._connection.execute(f"CREATE OR REPLACE TABLE exploded AS {exploded_rows(self._spec, uris)}")
            return ["exploded"]
        made: dict[str, str] = {}
        for number, level in enumerate(self._spec.levels):
            parent = made[level.parents[-1].table] if level.parents else "numbered"
            made[level.child.table] = f"child_{number}"
            query = child_rows(self._spec, level, parent, uris)
            self._connection.execute(f"CREATE OR REPLACE TABLE child_{number} AS {query}")
        return list(made.values())

    def _rescue_elements(self, tables: Sequence[str]) -> bool:
        """Gather in the table `left_over` what no column names of the elements; return whether there is anything.

        It has a row for each record: `members`, for its `_rescued_data`.
        """
        each = " UNION ALL ".join(
            f"SELECT file_index, uri, source_row, ({number}, position) AS place, element_place, left_over FROM {table} "
            "WHERE left_over IS NOT NULL"
            for number, table in enumerate(tables)
        )
        if not self._contract.rescues:
            keys = "unnest(json_keys('{' || left_over || '}')) AS key"
            path = r"regexp_replace(element_place, '\[[0-9]+\]', '[]', 'g')"
            found = self._connection.execute(f"""
SELECT path || '.' || key, count(*), arg_min(uri, place), arg_min(source_row, place),
       arg_min(json_extract_string('{{' || left_over || '}}', {pointer("key")}), place)
FROM (SELECT {path} AS path, {keys}, left_over, uri, source_row, (file_index, source_row, place) AS place FROM ({each}))
GROUP BY ALL ORDER BY 1""").fetchall()
            self._contract.observe_elements([Unknown(*row) for row in found])
            return False
        self._connection.execute(f"""
CREATE OR REPLACE TABLE left_over AS
SELECT file_index, source_row, string_agg(member, ',' ORDER BY place) AS members
FROM (SELECT *, to_json(element_place) || ':{{' || left_over || '}}' AS member FROM ({each})) GROUP BY ALL""")
        ((count,),) = self._connection.execute("SELECT count(*) FROM left_over").fetchall()
        return bool(count)

    def _collect_bad(self, spoiling: Sequence[str], *, has_left_over: bool) -> dict[int, int]:
        """Gather quarantined rows and broken records in the table `bad`; return their number by file.

        Args:
            spoiling: tables whose bad rows set their records aside.
        """
        staged = "SELECT file_index, uri, source_row, failures, raw FROM numbered WHERE failures IS NOT NULL"
        if spoiling:
            found = "file_index, source_row, unnest(failures) AS failure"
            each = " UNION ALL ".join(
                f"SELECT {found}, ({number}, position) AS place FROM {table}" for number, table in enumerate(spoiling)
            )
            if has_left_over:
                too_long = failure(literal(names.RESCUED_COLUMN), TOO_LONG, "members")
                each += f""" UNION ALL SELECT file_index, source_row, {too_long}, ({len(spoiling)}, 0)
FROM left_over JOIN numbered USING (file_index, source_row)
WHERE strlen(members) + coalesce(strlen(rescued), 2) + 1 > {MAX_VARCHAR_BYTES}"""
            staged = f"""
SELECT file_index, uri, source_row,
       coalesce(failures, {NO_FAILURES}) || coalesce(more, {NO_FAILURES}) AS failures, raw
FROM numbered LEFT JOIN (
    SELECT file_index, source_row, list(failure ORDER BY place)[1:{MAX_FAILURES}] AS more FROM (
        SELECT file_index, source_row, failure, min(place) AS place FROM ({each}) GROUP BY ALL
    ) GROUP BY ALL
) USING (file_index, source_row) WHERE failures IS NOT NULL OR more IS NOT NULL"""
        # A line that could not be told into fields shows all of them.
        raw = literal(REDACTED) if masks(self._spec) else "raw"
        self._connection.execute(f"""
CREATE OR REPLACE TABLE bad AS
{staged}
UNION ALL
SELECT file_index, uri, source_row,
       list_transform(reasons, lambda why:
           struct_pack("column" := NULL::VARCHAR, reason := why, "value" := NULL::VARCHAR)),
       {raw}
FROM broken_rows""")
        counts = self._connection.execute("SELECT file_index, count(*) FROM bad GROUP BY file_index").fetchall()
        return dict(counts)

    def _collect_reasons(self) -> None:
        found = self._connection.execute(f"""
SELECT {GENERIC_COLUMN}, failure.reason, count(*), arg_min(uri, place), arg_min(source_row, place),
       arg_min(coalesce(failure."value", ''), place)
FROM (SELECT uri, source_row, (file_index, source_row) AS place, unnest(failures) AS failure FROM bad)
GROUP BY ALL""").fetchall()
        self.reasons += [
            Reason(column, reason, count, uri, row, value or None) for column, reason, count, uri, row, value in found
        ]

    def _good_rows(self, table: str = "numbered", *, has_bad: bool) -> str:
        anti = " ANTI JOIN bad USING (file_index, source_row)" if has_bad else ""
        return f"{table}{anti} WHERE failures IS NULL"

    def _copy_good(self, *, has_bad: bool, has_left_over: bool) -> None:
        spec = self._spec
        columns = _named(value_names(spec.columns), output_columns(spec.columns))
        columns += [
            f"{self._contract.rescued_sql} AS {names.quoted(names.RESCUED_COLUMN)}",
            f"uri AS {names.quoted(names.SOURCE_FILE_COLUMN)}",
            f"source_row AS {names.quoted(names.SOURCE_ROW_COLUMN)}",
            *self._contract.evolved_sql,
        ]
        if spec.explode is not None and spec.deduplicate is not None:
            columns.append(f"position AS {ITEM_COLUMN}")
        table = "numbered" if spec.explode is None else "exploded"
        if has_left_over:
            # concat_ws leaves out what is rescued of the record itself where that is nothing.
            both = "'{' || concat_ws(',', substr(rescued, 2, length(rescued) - 2), members) || '}'"
            rescued = f"CASE WHEN members IS NULL THEN rescued ELSE {both} END"
            joined = f"{table} LEFT JOIN left_over USING (file_index, source_row)"
            table = f"(SELECT * REPLACE ({rescued} AS rescued) FROM {joined})"
        rows = self._good_rows(table, has_bad=has_bad)
        self._copy(self.good, f"SELECT {', '.join(columns)} FROM {rows}")
        if spec.explode is not None and not spec.explode.keep_empty:
            ((empty,),) = self._connection.execute(
                "SELECT count(*) FROM numbered ANTI JOIN exploded USING (file_index, source_row) WHERE failures IS NULL"
            ).fetchall()
            self._without_elements += empty

    def _copy_child(self, level: Level, number: int, *, has_bad: bool) -> None:
        types = {column.name: column.type.duckdb for column in self._spec.child_columns(level)}
        columns = [f"CAST(key{at} AS {types[name]}) AS {names.quoted(name)}" for at, name in enumerate(level.key)]
        columns.append(f"CAST(position AS INTEGER) AS {names.quoted(POSITION_COLUMN)}")
        columns += _named(value_names(level.child.columns), output_columns(level.child.columns))
        columns.append(f"uri AS {names.quoted(names.SOURCE_FILE_COLUMN)}")
        columns.append(f"source_row AS {names.quoted(names.SOURCE_ROW_COLUMN)}")
        rows = self._good_rows(f"child_{number}", has_bad=has_bad)
        self._copy(self.children[level.child.table], f"SELECT {', '.join(columns)} FROM {rows}")

    def _count_nulled(self) -> None:
        tables = {("exploded" if self._spec.explode is not None else "numbered"): ("", self._spec.columns)}
        for number, level in enumerate(self._spec.levels):
            tables[f"child_{number}"] = (f"{level.child.table}.", level.child.columns)
        for table, (prefix, columns) in tables.items():
            for column, name in nulled_names(columns):
                ((count, place),) = self._connection.execute(
                    f"SELECT count(*), arg_min(uri || ' row ' || source_row, (file_index, source_row)) FROM {table} "
                    f"ANTI JOIN bad USING (file_index, source_row) WHERE {name} AND failures IS NULL"
                ).fetchall()
                before, first = self._nulled.get(prefix + column, (0, place))
                if before + count:
                    self._nulled[prefix + column] = (before + count, first)

    def _copy_quarantine(self) -> None:
        columns = quarantine_columns("uri")
        self._copy(self.quarantine, f"SELECT {', '.join(columns)} FROM bad ORDER BY file_index, source_row")

    def _copy_empty(self, table: TableFiles, columns: Sequence[OutputColumn]) -> None:
        """A file without rows that has the schema."""
        nulls = ", ".join(f"CAST(NULL AS {column.type.duckdb}) AS {names.quoted(column.name)}" for column in columns)
        self._copy(table, f"SELECT {nulls} WHERE false")

    def _copy(self, table: TableFiles, query: str) -> None:
        path = table.folder / f"part-{len(table.files):05d}.parquet"
        ((rows,),) = self._connection.execute(f"COPY ({query}) TO {literal(str(path))} {COPY_OPTIONS}").fetchall()
        table.files.append(path)
        table.rows += rows


def _named(values: Sequence[str], columns: Sequence[OutputColumn]) -> list[str]:
    return [f"{value} AS {names.quoted(column.name)}" for value, column in zip(values, columns, strict=True)]


def parquet_rows(path: Path) -> int:
    from pyarrow import parquet

    return int(parquet.read_metadata(path).num_rows)
