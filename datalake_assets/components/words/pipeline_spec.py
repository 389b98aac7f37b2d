"""What a `defs.yaml` of type LakePipeline may say: the attributes, their defaults and what they mean.

Only the words are here; `lake_pipeline` turns them into assets. Unknown keys are mistakes, so a key is added here when
the platform does it, not before.
"""

from collections.abc import Iterator
from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from datalake_assets.arrivals.partitions import Daily, PartitionKind, Unpartitioned
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.components.words.mistakes import Located, refuse
from datalake_assets.components.words.partitions import DailyPartitions
from datalake_assets.components.words.publish import Checks, Publish, require_good_checks
from datalake_assets.components.words.run import RunWords
from datalake_assets.components.words.source import KeyPatterns, parse_patterns
from datalake_assets.components.words.trigger import LakeTrigger
from datalake_assets.components.words.warehouse import WarehouseTarget, warehouse_misfits
from datalake_assets.errors import PlatformError
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.mapping.spec import DroppedColumn, MappingSpec, MappingWords
from datalake_assets.names import asset_key, quarantine_table


class S3Source(SourceFormat):
    """Where raw objects arrive in the account's raw bucket, and how they are written."""

    s3: KeyPatterns = Field(
        description="Key pattern, or a list of them: `*` within a folder, `**` over folders, `{partition}` or "
        "`{%Y}`, `{%m}`, `{%d}` where the date is."
    )


class PipelineSpec(RunWords, MappingWords):
    """The attributes of a LakePipeline: raw objects become a lake table and, if asked for, a warehouse table."""

    source: S3Source
    partitions: DailyPartitions | None = None
    trigger: LakeTrigger = LakeTrigger()
    checks: Checks = ()
    publish: Publish = Publish()
    warehouse: WarehouseTarget | None = None

    @field_validator("trigger")
    @classmethod
    def _fits_the_partitions(cls, trigger: LakeTrigger, info: ValidationInfo) -> LakeTrigger:
        if "partitions" in info.data:
            trigger.arrivals.require_partitions(partition_kind(info.data["partitions"]))
        return trigger

    @field_validator("checks")
    @classmethod
    def _check_these_columns(cls, checks: Checks, info: ValidationInfo) -> Checks:
        require_good_checks(checks, info.data.get("columns"), is_partitioned=info.data.get("partitions") is not None)
        return checks

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        mistakes = [
            *self._mistaken_patterns(),
            *self._clashing_tables(),
            *(self._misfits(self.warehouse) if self.warehouse else ()),
        ]
        refuse("pipeline", mistakes)
        return self

    def _mistaken_patterns(self) -> Iterator[Located]:
        s3 = self.source.s3
        for at, text in enumerate(s3):
            try:
                parse_patterns([*s3[:at], text] if text in s3[:at] else [text], self.partition_kind())
            except PlatformError as error:
                yield ("source", "s3", at), str(error)

    def _clashing_tables(self) -> Iterator[Located]:
        own = {self.name: "the table itself", quarantine_table(self.name): "its quarantine"}
        for level in self.levels:
            if level.child.table in own:
                yield ("children",), f"the table {level.child.table!r} is {own[level.child.table]}"

    def _misfits(self, warehouse: WarehouseTarget) -> Iterator[Located]:
        for number, column in enumerate(self.columns):
            if not isinstance(column, DroppedColumn) and (nested := [t for _, t in column.output if t.is_nested]):
                yield (
                    ("columns", number, "type"),
                    f"the warehouse takes no {nested[0]}: map it as varchar, which keeps its JSON, make it a table "
                    "of its own (`children`), or leave `warehouse` away",
                )
        if self.on_schema_change == "evolve":
            yield (
                ("on_schema_change",),
                "the warehouse takes no new columns by itself: its COPY of Parquet goes by place and refuses files "
                "with more columns than the table; choose rescue, name the columns, or leave `warehouse` away",
            )
        output = [pair for column in self.mapped for pair in column.output]
        yield from warehouse_misfits(warehouse, output, is_partitioned=self.partitions is not None)

    def assets(self, location: str) -> tuple[tuple[str, ...], ...]:
        """Paths of all assets that a run builds; the last one makes the partition be there for other pipelines."""
        tables = [self.name, *(level.child.table for level in self.levels)]
        lake = [tuple(asset_key(location, "lake", table)) for table in tables]
        if self.warehouse:
            return (*lake, tuple(asset_key(location, "warehouse", self.name)))
        return (*lake[1:], lake[0])

    def partition_kind(self) -> PartitionKind:
        """Which texts are partition keys of the pipeline."""
        return partition_kind(self.partitions)

    def key_patterns(self) -> tuple[KeyPattern, ...]:
        """Which keys of the raw bucket are the pipeline's objects."""
        return parse_patterns(self.source.s3, self.partition_kind())

    def marker_pattern(self) -> KeyPattern | None:
        """Which keys say that a partition is complete."""
        return self.trigger.arrivals.marker_pattern(self.partition_kind())

    def mapping(self) -> MappingSpec:
        """The mapping from raw to target columns."""
        source = SourceFormat.model_validate(self.source.model_dump(exclude={"s3"}))
        words = {name: getattr(self, name) for name in MappingWords.model_fields}
        return MappingSpec(source=source, **words)


def partition_kind(partitions: DailyPartitions | None) -> PartitionKind:
    """Which texts are partition keys."""
    return (
        Daily(start=partitions.daily, end=partitions.end, timezone=partitions.time_zone)
        if partitions
        else Unpartitioned()
    )
