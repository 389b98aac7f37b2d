"""What becomes of raw columns that a mapping does not name: `on_schema_change`.

The staging query leaves them as the members of a JSON object in `rescued`, whatever the format. From there

* `rescue` hands it on as `_rescued_data`;
* `evolve` makes a text column of each member, and rescues what cannot become one;
* `freeze` refuses the partition before anything is published, with the difference;
* `discard_row` sets the row aside (a failure of the staging query, see `sql`);
* `discard_value` drops it and counts what was dropped in the run's notes.

A member that is null is no value: it is neither rescued nor counted, and only `freeze` minds its column.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets import names
from datalake_assets.errors import SchemaChanged
from datalake_assets.formats.paths import joined, json_keys, path_parts
from datalake_assets.mapping import record_paths
from datalake_assets.mapping.batch import ReadyFile
from datalake_assets.mapping.columns import RESERVED_COLUMNS, TEXT
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.spec import MappingSpec, OutputColumn
from datalake_assets.mapping.sql import literal

if TYPE_CHECKING:
    import duckdb

# Members that are called by ids or dates would make a table of thousands of columns: what is beyond is rescued.
MAX_EVOLVED_COLUMNS = 200
SHOWN_COLUMNS = 20
SHOWN_CHARACTERS = 60


@dataclass(slots=True)
class Unknown:
    """A raw column or path that the mapping does not name: how many values, and where the first of them is."""

    path: str
    count: int
    uri: str
    row: int | None
    example: str | None

    def __str__(self) -> str:
        where = self.uri if self.row is None else f"{self.uri} row {self.row}"
        value = "null everywhere" if self.example is None else f"for example {self.example!r}"
        return f"{self.path!r} ({value}, first in {where})"


class SchemaContract:
    """Watches the batches of one partition and says which columns its Parquet files get beside the declared ones."""

    def __init__(self, spec: MappingSpec) -> None:
        self._spec = spec
        self._mode = spec.on_schema_change
        self._partial = [] if spec.source.is_flat else record_paths.partial(wanted_paths(spec))
        self._unknown: dict[str, Unknown] = {}
        self._missing: list[str] = []
        self._names: dict[str, str] = {}
        """Raw path to the name of its column, in the order of the columns."""
        self._rescued: dict[str, str] = {}
        """Raw path to why it could not become a column."""

    def observe(self, connection: "duckdb.DuckDBPyConnection", batch: Sequence[ReadyFile]) -> None:
        """Take note of what the staged rows of a batch have left over."""
        if self._mode in ("rescue", "discard_row"):
            return
        if self._mode == "freeze":
            self._observe_headers(batch)
        for found in self._left_over(connection, batch):
            if known := self._unknown.get(found.path):
                known.count += found.count
                if known.example is None:
                    known.uri, known.row, known.example = found.uri, found.row, found.example
            else:
                self._unknown[found.path] = found
                if self._mode == "evolve":
                    self._evolve(found.path)

    def observe_elements(self, found: Sequence[Unknown]) -> None:
        """Take note of members of exploded elements and children that no column names; they become no columns."""
        if self._mode in ("freeze", "discard_value"):
            for each in found:
                if known := self._unknown.get(each.path):
                    known.count += each.count
                else:
                    self._unknown[each.path] = each

    @property
    def rescues(self) -> bool:
        """Whether what is left over goes into `_rescued_data`."""
        return self._mode in ("rescue", "evolve")

    def require_unchanged(self, missing: Sequence[str] = ()) -> None:
        """Refuse a partition whose raw columns are not those of a frozen contract.

        Args:
            missing: sentences about columns that some files lack; no reason by themselves.

        Raises:
            SchemaChanged: the message has each unknown column with its first file and an example.
        """
        if self._mode != "freeze" or not self._unknown:
            return
        first = next(iter(self._unknown.values()))
        lines = [f"+ {unknown}" for unknown in list(self._unknown.values())[:SHOWN_COLUMNS]]
        if more := len(self._unknown) - SHOWN_COLUMNS:
            lines += [f"+ {more} more"] if more > 0 else []
        lines += [f"- {sentence}" for sentence in missing]
        raise SchemaChanged(
            f"the raw files have {_columns(len(self._unknown))} that the mapping does not name:\n  "
            + "\n  ".join(lines),
            where=first.uri,
            expected="only the columns of the mapping, as on_schema_change: freeze says",
            todo="Add them to `columns` (or as `drop: true`), or choose rescue or evolve; nothing was published.",
        )

    @property
    def evolved(self) -> tuple[OutputColumn, ...]:
        """The columns behind the declared ones, in the order of the Parquet files."""
        return tuple(
            OutputColumn(name, TEXT, f"raw column {path}, which the mapping does not name", path)
            for path, name in self._names.items()
        )

    @property
    def rescued_sql(self) -> str:
        """`_rescued_data`, over the staged rows."""
        if self._mode == "discard_value":
            return "CAST(NULL AS VARCHAR)"
        if not self._names:
            return "rescued"
        rest = record_paths.surplus(record_paths.protected("rescued"), list(self._names))
        return f"CASE WHEN rescued IS NOT NULL THEN '{{' || ({rest}) || '}}' END"

    @property
    def evolved_sql(self) -> list[str]:
        """The evolved columns, over the staged rows, each with its name."""
        if not self._names:
            return []
        values = record_paths.texts(record_paths.protected("rescued"), list(self._names))
        return [f"({values})[{number}] AS {names.quoted(name)}" for number, name in enumerate(self._names.values(), 1)]

    def notes(self) -> list[str]:
        """Sentences about what was added, kept back or dropped."""
        if self._mode == "evolve":
            told = [
                f"raw column {self._unknown[path]} became the new column {name!r}" for path, name in self._names.items()
            ]
            told += [
                f"raw column {self._unknown[path]} stays in _rescued_data: {why}" for path, why in self._rescued.items()
            ]
        elif self._mode == "discard_value":
            told = [
                f"{each.count} value{'s' if each.count > 1 else ''} of the raw column {each} discarded"
                for each in self._unknown.values()
            ]
        else:
            told = []
        more = len(told) - SHOWN_COLUMNS
        return [*told[:SHOWN_COLUMNS], f"and {more} more such columns"] if more > 0 else told

    def lacks_columns(self, path: Path) -> str | None:
        """The query that reads an earlier Parquet file with the columns found since; None if it has them all."""
        from pyarrow import parquet

        held = set(parquet.read_schema(path).names)
        new = [name for name in self._names.values() if name not in held]
        if not new:
            return None
        nulls = ", ".join(f"CAST(NULL AS VARCHAR) AS {names.quoted(name)}" for name in new)
        return f"SELECT *, {nulls} FROM read_parquet({literal(str(path))})"

    def _observe_headers(self, batch: Sequence[ReadyFile]) -> None:
        wanted = set(wanted_paths(self._spec))
        for file in batch:
            for name, key in zip(file.header or (), json_keys(file.header or ()), strict=True):
                if name and name not in wanted:
                    path = joined([key])
                    self._unknown.setdefault(path, Unknown(path, 0, file.uri, None, None))

    def _evolve(self, path: str) -> None:
        name = column_name(path)
        taken = {column.name for column in self._spec.output_columns()} | set(RESERVED_COLUMNS)
        if tuple(path_parts(path)) in self._partial:
            self._rescued[path] = "parts of it are mapped"
        elif name is None:
            self._rescued[path] = "no column can be called so"
        elif name in taken or name in self._names.values():
            self._rescued[path] = f"there is a column {name!r} already"
        elif len(self._names) >= MAX_EVOLVED_COLUMNS:
            self._rescued[path] = f"a run adds {MAX_EVOLVED_COLUMNS} columns at most"
        else:
            self._names[path] = name

    def _left_over(self, connection: "duckdb.DuckDBPyConnection", batch: Sequence[ReadyFile]) -> list[Unknown]:
        is_nested = batch[0].header is None
        prefixes = self._partial if is_nested else []
        rows = "rescued IS NOT NULL" + ("" if self._mode == "freeze" else " AND failures IS NULL")
        found = []
        for prefix in [(), *prefixes]:
            # What is left of an object that is mapped in part is told member by member.
            deeper = [each[-1] for each in prefixes if each[:-1] == prefix]
            for key, count, uri, row, example in connection.execute(
                record_paths.members_query("numbered", "rescued", rows, prefix, deeper)
            ).fetchall():
                found.append((row, Unknown(joined([*prefix, key]), count, uri, row, example)))
        order = {file.uri: number for number, file in enumerate(batch)}
        return [each for _, each in sorted(found, key=lambda pair: (order[pair[1].uri], pair[0], pair[1].path))]


def _columns(count: int) -> str:
    return "a column" if count == 1 else f"{count} columns"


def column_name(path: str) -> str | None:
    """The name of the column that a raw column or path becomes; None if no letter or digit of it can stand in one."""
    text = unicodedata.normalize("NFKD", path.replace('"', "")).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"[^a-z0-9]+", "_", text).strip("_")[: names.MAX_IDENTIFIER_CHARACTERS - 1].rstrip("_")
    if not text:
        return None
    return f"_{text}" if text[0].isdigit() else text
