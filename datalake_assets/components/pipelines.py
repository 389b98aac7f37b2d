"""The declared pipelines by name, `location/pipeline`, as commands and the operations jobs ask for them.

Those that make lake tables: of raw files (LakePipeline) and of other tables (SqlPipeline).
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.arrivals.partitions import PartitionKind
from datalake_assets.components.declarations import read_all
from datalake_assets.components.lake_pipeline import build_arrival_source, build_pipeline
from datalake_assets.components.words.pipeline_spec import PipelineSpec, partition_kind
from datalake_assets.components.words.sql_spec import SqlSpec
from datalake_assets.errors import ConfigurationError
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.names import UNPARTITIONED
from datalake_assets.project import LOCATIONS_FOLDER

if TYPE_CHECKING:
    from datalake_assets.arrivals.sources import ArrivalSource


@dataclass(frozen=True)
class DeclaredPipeline:
    """One pipeline of a location's folder that makes a lake table.

    Args:
        folder: where the folders of the locations are.
    """

    location: str
    spec: PipelineSpec | SqlSpec
    folder: Path = LOCATIONS_FOLDER

    @property
    def name(self) -> str:
        """`flights/weather`."""
        return f"{self.location}/{self.spec.name}"

    @property
    def has_raw_files(self) -> bool:
        """Whether it is made of raw files, and not of other tables."""
        return isinstance(self.spec, PipelineSpec)

    @property
    def raw_spec(self) -> PipelineSpec:
        """What is declared of a pipeline with raw files.

        Raises:
            ConfigurationError: it is made of other tables.
        """
        if isinstance(self.spec, PipelineSpec):
            return self.spec
        raise ConfigurationError(
            f"{self.name} has no raw files: it is made of {', '.join(read.table for read in self.spec.reads)}",
            expected="a LakePipeline",
        )

    @cached_property
    def pipeline(self) -> Pipeline:
        if isinstance(self.spec, PipelineSpec):
            return build_pipeline(self.location, self.spec)
        from datalake_assets.components.sql_pipeline import build_sql_pipeline
        from datalake_assets.components.sql_reads import build_derivation

        return build_sql_pipeline(self.location, self.spec, build_derivation(self.location, self.spec, self.folder))

    @cached_property
    def source(self) -> "ArrivalSource":
        """What the arrival sensor knows of its raw files; raises as `raw_spec`."""
        return build_arrival_source(self.location, self.raw_spec)

    @cached_property
    def partitions(self) -> PartitionKind:
        """Which texts are partition keys."""
        return partition_kind(self.spec.partitions)

    def label(self, partition: str) -> str:
        """How people read a partition: `flights/weather 2013-01-01`, or the name alone."""
        return f"{self.name} {partition}".rstrip()

    def partition(self, text: str | None) -> str:
        """The partition key that a person named, `UNPARTITIONED` for a table without.

        Raises:
            ConfigurationError: the pipeline has no such partition, or one has to be named.
        """
        if not self.is_partitioned:
            if text:
                raise ConfigurationError(
                    f"{self.name} has no partitions, so {text!r} is none of them", todo="Leave the partition away"
                )
            return UNPARTITIONED
        if not text:
            raise ConfigurationError(
                f"{self.name} is partitioned, and no partition is named",
                expected=f"a day, for example {self.first_partition}",
            )
        if refusal := self.partitions.refusal(text):
            raise ConfigurationError(f"{self.name} has no such partition: {refusal}")
        return text

    @property
    def is_partitioned(self) -> bool:
        return self.spec.partitions is not None

    @property
    def first_partition(self) -> str:
        return self.spec.partitions.daily.isoformat() if self.spec.partitions else UNPARTITIONED


def declared_pipelines(folder: Path = LOCATIONS_FOLDER) -> list[DeclaredPipeline]:
    """All pipelines of all locations that make lake tables, by name.

    Raises:
        ConfigurationError: the YAML has mistakes; each is listed.
    """
    found = [
        DeclaredPipeline(each.location, each.spec, folder)
        for each in read_all(folder)
        if isinstance(each.spec, PipelineSpec | SqlSpec)
    ]
    return sorted(found, key=lambda each: each.name)


def with_raw_files(folder: Path = LOCATIONS_FOLDER) -> list[DeclaredPipeline]:
    """Those of them that are made of raw files; raises as `declared_pipelines`."""
    return [each for each in declared_pipelines(folder) if each.has_raw_files]


def find_pipelines(
    names: Sequence[str], folder: Path = LOCATIONS_FOLDER, *, raw: bool = False
) -> list[DeclaredPipeline]:
    """The pipelines of these names, in this order and each once; all if no name is given.

    Args:
        raw: only those that are made of raw files.

    Raises:
        ConfigurationError: there is no such pipeline, or one that is named has no raw files; the nearest name is
            suggested.
    """
    declared = {each.name: each for each in declared_pipelines(folder)}
    if not names:
        return [each for each in declared.values() if each.has_raw_files or not raw]
    for name in names:
        if name not in declared:
            raise _unknown(f"there is no pipeline {name!r}", name, list(declared))
    found = [declared[name] for name in dict.fromkeys(names)]
    for each in found if raw else ():
        _ = each.raw_spec
    return found


def find_pipeline(name: str, folder: Path = LOCATIONS_FOLDER, *, raw: bool = False) -> DeclaredPipeline:
    """The pipeline of this name; raises as `find_pipelines`."""
    return find_pipelines([name], folder, raw=raw)[0]


def find_locations(names: Sequence[str], folder: Path = LOCATIONS_FOLDER, *, raw: bool = False) -> list[str]:
    """The locations of these names; all that have a pipeline if none is given.

    Args:
        raw: of pipelines that are made of raw files.

    Raises:
        ConfigurationError: no pipeline is declared in such a location; the nearest name is suggested.
    """
    known = sorted({each.location for each in declared_pipelines(folder) if each.has_raw_files or not raw})
    for name in names:
        if name not in known:
            what = "a pipeline of raw files" if raw else "a pipeline"
            raise _unknown(f"there is no location {name!r} with {what}", name, known)
    return list(dict.fromkeys(names)) or known


def require_partition(locations: Sequence[str], partitions: Sequence[str], folder: Path = LOCATIONS_FOLDER) -> None:
    """See that at least one pipeline of raw files of these locations can have each of the partitions.

    Raises:
        ConfigurationError: none can; the message has the reason of the first one.
    """
    partitioned = [each for each in with_raw_files(folder) if each.location in locations and each.is_partitioned]
    for partition in partitions:
        refusals = [each.partitions.refusal(partition) for each in partitioned]
        if all(refusals):
            reason = refusals[0] if refusals else "none of them is partitioned"
            raise ConfigurationError(f"no pipeline of {', '.join(locations)} has such a partition: {reason}")


def _unknown(found: str, wrong: str, known: Sequence[str]) -> ConfigurationError:
    """An error that names what was probably meant, or all there is."""
    by_part = {part: name for name in reversed(known) for part in (name, name.rpartition("/")[2])}
    if close := difflib.get_close_matches(wrong, list(by_part), n=1):
        return ConfigurationError(found, todo=f"Did you mean {by_part[close[0]]}?")
    return ConfigurationError(found, expected="one of " + ", ".join(known) if known else None)
