"""What the catalog says about a table: its columns, partition keys and description, and how schemas merge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from datalake_assets.errors import ConfigurationError
from datalake_assets.names import identifier


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """One column with its type in Glue's (Hive's) spelling, for example `decimal(12,2)`."""

    name: str
    glue_type: str
    comment: str = ""

    def __post_init__(self) -> None:
        identifier(self.name, what="column")


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table as its pipeline declares it.

    `columns` are those of the Parquet files, in their order; the partition keys are not among them.
    """

    columns: tuple[CatalogColumn, ...]
    partition_keys: tuple[CatalogColumn, ...] = ()
    description: str = ""
    owner: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.columns:
            raise ConfigurationError("a table without columns cannot be published")
        seen: set[str] = set()
        for column in (*self.columns, *self.partition_keys):
            if column.name in seen:
                raise ConfigurationError(f"the column {column.name!r} is declared twice")
            seen.add(column.name)


def same_type(left: str, right: str) -> bool:
    """Whether two Glue types are one type in two spellings (`Decimal(12, 2)` and `decimal(12,2)`)."""
    return left.replace(" ", "").lower() == right.replace(" ", "").lower()


def merge_columns(
    existing: Sequence[CatalogColumn], wanted: Sequence[CatalogColumn], *, where: str
) -> tuple[CatalogColumn, ...]:
    """Return the existing columns in their order with new ones at the end, comments taken from `wanted`.

    A column that is only in `existing` stays: another run may have added it a moment ago, and old partitions have it.

    Raises:
        ConfigurationError: a column has another type than the catalog says; old partitions could not be read any more.
    """
    new = {column.name: column for column in wanted}
    changed = [
        f"{column.name} is {column.glue_type}, declared {new[column.name].glue_type}"
        for column in existing
        if column.name in new and not same_type(column.glue_type, new[column.name].glue_type)
    ]
    if changed:
        raise ConfigurationError(
            f"the type of a published column cannot change: {'; '.join(changed)}",
            where=where,
            expected="the published type",
            todo="Give the column a new name, or drop the table and publish all of its partitions again",
        )
    kept = [
        CatalogColumn(column.name, column.glue_type, new[column.name].comment if column.name in new else column.comment)
        for column in existing
    ]
    known = {column.name for column in existing}
    return (*kept, *(column for column in wanted if column.name not in known))
