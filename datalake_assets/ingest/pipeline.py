"""A pipeline as ingest needs it: plain values, validated before they come here."""

from dataclasses import dataclass
from functools import cached_property

from datalake_assets.accounts.registry import Account, registry
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.catalog.schema import CatalogColumn, TableSchema
from datalake_assets.ingest.derivation import Derivation
from datalake_assets.mapping.check_spec import Check
from datalake_assets.mapping.children import Level
from datalake_assets.mapping.spec import QUARANTINE_COLUMNS, MappingSpec, OutputColumn
from datalake_assets.names import PARTITION_COLUMN, asset_key, quarantine_table, source_id
from datalake_assets.warehouse.table import WarehouseColumn, WarehouseTable

PARTITION_COMMENT = "Partition: the day of the files"


@dataclass(frozen=True)
class ChildTable:
    """A lake table of the elements within the records of a pipeline, published with it."""

    name: str
    key: list[str]
    """Its asset key."""
    schema: TableSchema
    columns: tuple[OutputColumn, ...]
    parent: str
    """The table whose records, or whose elements' records, it is made of."""


@dataclass(frozen=True)
class Pipeline:
    """One declared pipeline: what its rows are made of, how they are mapped, where its tables are.

    The rows come from raw objects (`patterns`), or from other tables (`derivation`).
    """

    location: str
    name: str
    patterns: tuple[KeyPattern, ...]
    mapping: MappingSpec
    owner: str
    description: str = ""
    warehouse_target: tuple[str, str] | None = None
    """Schema and table in the warehouse, if the pipeline loads one."""
    warehouse_key: tuple[str, ...] = ()
    dist: str | None = None
    sort: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    """What is checked on each partition before readers see it."""
    keep_versions: int = 7
    """How many versions of a partition vacuum keeps, the published one included."""
    marker: KeyPattern | None = None
    """Which keys say that a partition is complete: no data, also if a pattern takes them."""
    derivation: Derivation | None = None
    """How the rows are made of other tables, for a table without raw objects."""

    @property
    def is_partitioned(self) -> bool:
        return self.derivation.is_partitioned if self.derivation else self.patterns[0].is_partitioned

    @property
    def source_id(self) -> str:
        return source_id(self.location, self.name)

    @property
    def raw_key(self) -> list[str]:
        return asset_key(self.location, "raw", self.name)

    @property
    def lake_key(self) -> list[str]:
        return asset_key(self.location, "lake", self.name)

    @property
    def warehouse_asset_key(self) -> list[str]:
        return asset_key(self.location, "warehouse", self.name)

    @property
    def account(self) -> Account:
        return registry().account(self.location)

    @property
    def quarantine(self) -> str:
        """The Glue table of the rows set aside."""
        return quarantine_table(self.name)

    @cached_property
    def lake_schema(self) -> TableSchema:
        return self._schema(self.mapping.output_columns(), self.description)

    @cached_property
    def quarantine_schema(self) -> TableSchema:
        return self._schema(list(QUARANTINE_COLUMNS), f"Rows of {self.name} that were set aside, with their reasons")

    @cached_property
    def children(self) -> tuple[ChildTable, ...]:
        """The tables that are made of its records beside its own, each before its own children."""
        return tuple(self._child(level) for level in self.mapping.levels)

    def _child(self, level: Level) -> ChildTable:
        child = level.child
        parent = level.parents[-1].table if level.parents else self.name
        columns = self.mapping.child_columns(level)
        description = child.description or f"The elements of {child.from_} in {parent}"
        key = asset_key(self.location, "lake", child.table)
        return ChildTable(child.table, key, self._schema(columns, description), tuple(columns), parent)

    def _schema(self, columns: list[OutputColumn], description: str) -> TableSchema:
        day = (CatalogColumn(PARTITION_COLUMN, "date", PARTITION_COMMENT),)
        return TableSchema(
            columns=tuple(CatalogColumn(c.name, c.type.glue, c.description or "") for c in columns),
            partition_keys=day if self.is_partitioned else (),
            description=description,
            owner=self.owner,
        )

    @cached_property
    def warehouse(self) -> WarehouseTable | None:
        """The warehouse table, or None for a pipeline that ends in the lake."""
        if self.warehouse_target is None:
            return None
        schema, name = self.warehouse_target
        return WarehouseTable(
            schema=schema,
            name=name,
            columns=tuple(
                WarehouseColumn(c.name, c.type.redshift, c.description or "") for c in self.mapping.output_columns()
            ),
            dist=self.dist,
            sort=self.sort,
            partition_column=WarehouseColumn(PARTITION_COLUMN, "date", PARTITION_COMMENT)
            if self.is_partitioned
            else None,
            comment=self.description,
            key=self.warehouse_key,
        )
