"""Where the rows of a table come from that has no raw files: other tables, by a rule that another layer knows.

A run asks for a snapshot of a partition once, so that what the manifest names as its inputs is what was read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from datalake_assets.catalog.manifest import RawInput
from datalake_assets.mapping.raw_files import StagedFile

ColumnSource = tuple[tuple[str, ...], str]
"""Path of an asset, and the name of one of its columns."""


class Snapshot(Protocol):
    """What one partition is made of now; nothing of it is read yet."""

    @property
    def inputs(self) -> tuple[RawInput, ...]:
        """The versions that will be read: `key` is the URI of a version's folder, `etag` its id."""
        ...

    def stage(self, folder: Path, *, memory_limit: str, threads: int) -> StagedFile:
        """Write the partition's rows to a Parquet file in `folder`, as if it were a raw one.

        Args:
            memory_limit: what may be used before rows spill to disk, for example `512MB`.

        Raises:
            ConfigurationError: the rule does not fit the tables.
            OutOfSpace: memory or disk of this machine is not enough.
            TransientError: S3 does not answer, or a version was removed meanwhile.
        """
        ...


class Derivation(Protocol):
    """How a table is made of others."""

    @property
    def is_partitioned(self) -> bool: ...

    def snapshot(self, partition: str) -> Snapshot:
        """What a partition is made of now.

        Raises:
            NoObjects: a partition that is needed is not published.
            AccessDenied: the account has no grant for a table.
            TransientError: the catalog does not answer.
        """
        ...

    def column_lineage(self) -> Mapping[str, Sequence[ColumnSource]]:
        """Which columns of which assets each column is made of."""
        ...
