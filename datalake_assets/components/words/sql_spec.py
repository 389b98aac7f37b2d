"""What a `defs.yaml` of type SqlPipeline may say: which tables are read, the query, and the columns of its result."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from datalake_assets.column_types import TargetType
from datalake_assets.components.words.base import Words
from datalake_assets.components.words.mistakes import Located, refuse
from datalake_assets.components.words.partitions import DailyPartitions
from datalake_assets.components.words.publish import Checks, Publish, require_good_checks
from datalake_assets.components.words.run import RunWords
from datalake_assets.components.words.trigger import SpanWords
from datalake_assets.components.words.warehouse import WarehouseTarget, warehouse_misfits
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.mapping.columns import Column, target_name
from datalake_assets.mapping.spec import BadRows, MappingSpec, OutputColumn
from datalake_assets.names import asset_key
from datalake_assets.triggers.model import Span

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}/[a-z_][a-z0-9_]{0,62}")
_FILE = re.compile(r"[\w./-]+\.sql")


class ReadWords(Words):
    """A lake table that the query reads."""

    table: str = Field(
        description="`location/table`, for example core_data/listings; the query says core_data.listings."
    )
    partitions: SpanWords = SpanWords()
    required: bool = Field(
        default=True, description="Whether all of them must be published; otherwise one that is missing has no rows."
    )

    @field_validator("table")
    @classmethod
    def _names_a_location(cls, value: str) -> str:
        if not _TABLE.fullmatch(value):
            hint = f"; did you mean {value.replace('.', '/')!r}?" if _TABLE.fullmatch(value.replace(".", "/")) else ""
            raise ValueError(f"not the name of a lake table; expected location/table{hint}")
        return value


def _as_read(value: Any) -> Any:
    return {"table": value} if isinstance(value, str) else value


class SqlColumn(Words):
    """A column of the result."""

    name: str = Field(description="As the query calls it, in lower case.")
    type: TargetType
    description: str | None = None
    required: bool = Field(default=False, description="A row with a null here is set aside.")

    @field_validator("name")
    @classmethod
    def _valid_target(cls, value: str) -> str:
        return target_name(value)


class SqlSpec(RunWords):
    """The attributes of a SqlPipeline: a query over lake tables becomes a lake table of its own."""

    reads: tuple[Annotated[ReadWords, BeforeValidator(_as_read, json_schema_input_type=str | ReadWords)], ...] = Field(
        min_length=1, description="The tables that the query reads, of any account that grants them."
    )
    sql: str = Field(description="The name of a file beside the defs.yaml that ends with .sql, or the query itself.")
    columns: tuple[SqlColumn, ...] = Field(min_length=1, description="Those of the result, in the table's order.")
    partitions: DailyPartitions | None = None
    bad_rows: BadRows = BadRows()
    checks: Checks = ()
    publish: Publish = Publish()
    warehouse: WarehouseTarget | None = None

    @field_validator("columns")
    @classmethod
    def _each_column_once(cls, columns: tuple[SqlColumn, ...]) -> tuple[SqlColumn, ...]:
        names = [column.name for column in columns]
        again = [number for number, name in enumerate(names) if name in names[:number]]
        refuse("columns", [((number, "name"), f"the column {names[number]!r} stands here twice") for number in again])
        return columns

    @field_validator("checks")
    @classmethod
    def _check_these_columns(cls, checks: Checks, info: ValidationInfo) -> Checks:
        columns = info.data.get("columns")
        require_good_checks(
            checks,
            None if columns is None else [_mapped(column) for column in columns],
            is_partitioned=info.data.get("partitions") is not None,
        )
        return checks

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        refuse("pipeline", [*self._misfits(), *self._misplaced_in_the_warehouse()])
        return self

    def _misfits(self) -> Iterator[Located]:
        seen: set[str] = set()
        for number, read in enumerate(self.reads):
            if read.table in seen:
                yield ("reads", number), f"{read.table} stands here twice; give it the longer of both spans"
            seen.add(read.table)
            if self.partitions is None and read.partitions != SpanWords():
                yield (
                    ("reads", number, "partitions"),
                    "a table without partitions reads all of the other's: leave `partitions` away, here or there",
                )
        if not self.is_file:
            from datalake_assets.derive.query import statement_mistake

            if mistake := statement_mistake(self.sql):
                yield ("sql",), f"{mistake}; or the name of a file beside the defs.yaml, such as {self.name}.sql"

    def _misplaced_in_the_warehouse(self) -> Iterator[Located]:
        if self.warehouse is None:
            return
        for number, column in enumerate(self.columns):
            if column.type.is_nested:
                text = f"the warehouse takes no {column.type}: make it varchar, or leave `warehouse` away"
                yield ("columns", number, "type"), text
        columns = [(column.name, column.type) for column in self.columns]
        yield from warehouse_misfits(self.warehouse, columns, is_partitioned=self.partitions is not None)

    @property
    def is_file(self) -> bool:
        """Whether `sql` names a file."""
        return _FILE.fullmatch(self.sql.strip()) is not None

    def query(self, folder: Path) -> str:
        """The query itself.

        Args:
            folder: where the defs.yaml is.
        """
        return (folder / self.sql.strip()).read_text(encoding="utf-8") if self.is_file else self.sql

    def mistakes_beside(self, folder: Path) -> Iterable[Located]:
        """What is wrong with the file of the query."""
        if not self.is_file:
            return
        path = folder / self.sql.strip()
        if not path.is_file():
            yield ("sql",), f"there is no file {self.sql.strip()!r} beside the defs.yaml"
            return
        from datalake_assets.derive.query import statement_mistake

        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            yield ("sql",), f"{path.name} is not UTF-8 text ({error.reason} at byte {error.start})"
            return
        if mistake := statement_mistake(text):
            yield ("sql",), f"{path.name}: {mistake}"

    def assets(self, location: str) -> tuple[tuple[str, ...], ...]:
        """Paths of all assets that a run builds; the last one makes the partition be there for other pipelines."""
        lake = tuple(asset_key(location, "lake", self.name))
        return (lake, tuple(asset_key(location, "warehouse", self.name))) if self.warehouse else (lake,)

    def parents_read(self) -> tuple[tuple[str, Span], ...]:
        """The tables (`location/table`) that a run reads, and which partitions of them."""
        return tuple((read.table, read.partitions.span()) for read in self.reads)

    def mapping(self) -> MappingSpec:
        """The result's columns as those of a raw Parquet file: under their own names, cast to their types."""
        return MappingSpec(
            columns=tuple(_mapped(column) for column in self.columns),
            bad_rows=self.bad_rows,
            source=SourceFormat(format="parquet"),
        )

    def output_columns(self) -> list[OutputColumn]:
        """The columns of the lake table, those of the platform too."""
        return self.mapping().output_columns()


def _mapped(column: SqlColumn) -> Column:
    return Column(
        from_=column.name,
        to=column.name,
        type=column.type,
        required=column.required,
        description=column.description,
    )
