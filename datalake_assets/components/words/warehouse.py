"""The words of `warehouse`: the Redshift table that published partitions are loaded into."""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field, field_validator

from datalake_assets.column_types import TargetType
from datalake_assets.components.words.base import Identifier, Words
from datalake_assets.components.words.mistakes import Located
from datalake_assets.errors import PlatformError
from datalake_assets.names import PARTITION_COLUMN, qualified


class WarehouseTarget(Words):
    """The Redshift table that published partitions are loaded into."""

    table: str = Field(description="schema.table")
    mode: Literal["copy", "merge"] = Field(
        default="copy", description="copy replaces a partition; merge keeps an unpartitioned table equal to its source."
    )
    key: tuple[Identifier, ...] = Field(default=(), description="The columns that identify a row; needed by merge.")
    dist: Identifier | None = Field(default=None, description="Distribution key.")
    sort: tuple[Identifier, ...] = Field(default=(), description="Sort key, most significant first.")

    @field_validator("table")
    @classmethod
    def _has_a_schema(cls, value: str) -> str:
        try:
            qualified(value)
        except PlatformError as error:
            raise ValueError(str(error)) from error
        return value


def warehouse_misfits(
    warehouse: WarehouseTarget, columns: Sequence[tuple[str, TargetType]], *, is_partitioned: bool
) -> Iterator[Located]:
    """What does not fit together with the table's own columns and partitions; nested types are told by the caller."""
    mode = ("warehouse", "mode")
    if is_partitioned and warehouse.mode != "copy":
        yield mode, "merge is for tables without partitions; a partitioned one takes copy"
    if not is_partitioned and warehouse.mode != "merge":
        yield mode, "copy replaces partitions; a table without them takes mode: merge"
    if warehouse.mode == "merge" and not warehouse.key:
        yield mode, "merge needs a key: the columns that identify a row"
    known = {name for name, _ in columns} | ({PARTITION_COLUMN} if is_partitioned else set())
    for what, names in (
        ("key", warehouse.key),
        ("dist", (warehouse.dist,) if warehouse.dist else ()),
        ("sort", warehouse.sort),
    ):
        for name in names:
            if name not in known:
                yield (
                    ("warehouse", what),
                    f"{name!r} is no column of the table; expected one of {', '.join(sorted(known))}",
                )
