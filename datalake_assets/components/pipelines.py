"""The declared pipelines by name, `location/pipeline`, as commands and the operations jobs ask for them."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.components.declarations import read_declarations
from datalake_assets.components.lake_pipeline import build_arrival_source, build_pipeline
from datalake_assets.components.pipeline_spec import PipelineSpec
from datalake_assets.errors import ConfigurationError
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.names import UNPARTITIONED
from datalake_assets.project import LOCATIONS_FOLDER

if TYPE_CHECKING:
    from datalake_assets.arrivals.sources import ArrivalSource


@dataclass(frozen=True)
class DeclaredPipeline:
    """One pipeline of a location's folder."""

    location: str
    spec: PipelineSpec

    @property
    def name(self) -> str:
        """`flights/weather`."""
        return f"{self.location}/{self.spec.name}"

    @cached_property
    def pipeline(self) -> Pipeline:
        return build_pipeline(self.location, self.spec)

    @cached_property
    def source(self) -> "ArrivalSource":
        return build_arrival_source(self.location, self.spec)

    def label(self, partition: str) -> str:
        """How people read a partition: `flights/weather 2013-01-01`, or the name alone."""
        return f"{self.name} {partition}".rstrip()

    def partition(self, text: str | None) -> str:
        """The partition key that a person named, `UNPARTITIONED` for a table without.

        Raises:
            ConfigurationError: the pipeline has no such partition, or one has to be named.
        """
        if not self.pipeline.is_partitioned:
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
        if refusal := self.source.partitions.refusal(text):
            raise ConfigurationError(f"{self.name} has no such partition: {refusal}")
        return text

    @property
    def first_partition(self) -> str:
        return self.spec.partitions.daily.isoformat() if self.spec.partitions else UNPARTITIONED


def declared_pipelines(folder: Path = LOCATIONS_FOLDER) -> list[DeclaredPipeline]:
    """All pipelines of all locations, by name.

    Raises:
        ConfigurationError: the YAML has mistakes; each is listed.
    """
    found = (DeclaredPipeline(each.path.parent.parent.name, each.spec) for each in read_declarations(folder))
    return sorted(found, key=lambda each: each.name)


def find_pipelines(names: Sequence[str], folder: Path = LOCATIONS_FOLDER) -> list[DeclaredPipeline]:
    """The pipelines of these names, in this order and each once; all if no name is given.

    Raises:
        ConfigurationError: there is no such pipeline; the nearest name is suggested.
    """
    declared = {each.name: each for each in declared_pipelines(folder)}
    if not names:
        return list(declared.values())
    for name in names:
        if name not in declared:
            raise _unknown(f"there is no pipeline {name!r}", name, list(declared))
    return [declared[name] for name in dict.fromkeys(names)]


def find_pipeline(name: str, folder: Path = LOCATIONS_FOLDER) -> DeclaredPipeline:
    """The pipeline of this name; raises as `find_pipelines`."""
    return find_pipelines([name], folder)[0]


def find_locations(names: Sequence[str], folder: Path = LOCATIONS_FOLDER) -> list[str]:
    """The locations of these names; all that have a pipeline if none is given.

    Raises:
        ConfigurationError: no pipeline is declared in such a location; the nearest name is suggested.
    """
    known = sorted({each.location for each in declared_pipelines(folder)})
    for name in names:
        if name not in known:
            raise _unknown(f"there is no location {name!r} with a pipeline", name, known)
    return list(dict.fromkeys(names)) or known


def require_partition(locations: Sequence[str], partitions: Sequence[str], folder: Path = LOCATIONS_FOLDER) -> None:
    """See that at least one pipeline of these locations can have each of the partitions.

    Raises:
        ConfigurationError: none can; the message has the reason of the first one.
    """
    partitioned = [
        each for each in declared_pipelines(folder) if each.location in locations and each.pipeline.is_partitioned
    ]
    for partition in partitions:
        refusals = [each.source.partitions.refusal(partition) for each in partitioned]
        if all(refusals):
            reason = refusals[0] if refusals else "none of them is partitioned"
            raise ConfigurationError(f"no pipeline of {', '.join(locations)} has such a partition: {reason}")


def _unknown(found: str, wrong: str, known: Sequence[str]) -> ConfigurationError:
    """An error that names what was probably meant, or all there is."""
    by_part = {part: name for name in reversed(known) for part in (name, name.rpartition("/")[2])}
    if close := difflib.get_close_matches(wrong, list(by_part), n=1):
        return ConfigurationError(found, todo=f"Did you mean {by_part[close[0]]}?")
    return ConfigurationError(found, expected="one of " + ", ".join(known) if known else None)
