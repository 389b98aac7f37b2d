"""List, stage and map one partition on local disk; nothing leaves this machine."""

import errno
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.accounts.settings import settings
from datalake_assets.arrivals.sources import RawObject
from datalake_assets.catalog.manifest import RawInput, RowCounts
from datalake_assets.errors import NoObjects, OutOfSpace
from datalake_assets.ingest.listed import Listed, list_inputs
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.ingest.stage import stage
from datalake_assets.mapping.checks import CheckResult, run_checks
from datalake_assets.mapping.duckdb_engine import map_files
from datalake_assets.mapping.masks import salt_secrets
from datalake_assets.mapping.raw_files import StagedFile
from datalake_assets.mapping.result import ChildRows, MappingResult


@dataclass(frozen=True)
class Prepared:
    """A partition mapped to Parquet files below `folder`, and what it was made of."""

    partition: str
    listed: Listed
    result: MappingResult
    folder: Path
    seconds: float
    checks: tuple[CheckResult, ...] = ()
    """What the declared checks found on the good rows."""

    @property
    def inputs(self) -> tuple[RawInput, ...]:
        """What the partition was made of, as its manifest tells."""
        return self.listed.inputs

    @property
    def objects(self) -> tuple[RawObject, ...]:
        """The raw objects among them."""
        return self.listed.objects

    @property
    def counts(self) -> RowCounts:
        result = self.result
        return RowCounts(
            rows_in=result.rows_in,
            rows_published=result.rows_good,
            rows_quarantined=result.rows_bad,
            rows_duplicate=result.rows_duplicate,
        )

    def child(self, table: str) -> ChildRows:
        """The rows of one of the child tables."""
        return next(child for child in self.result.children if child.table == table)

    @property
    def reasons(self) -> tuple[tuple[str, int], ...]:
        """Why rows were set aside and how many, most frequent first."""
        return tuple(
            (f"{each.column}: {each.reason}" if each.column else each.reason, each.count)
            for each in self.result.reasons
        )


def prepare(pipeline: Pipeline, account: AccountSession, partition: str, folder: Path, workers: int) -> Prepared:
    """Map one partition from exactly the objects listed now (or the versions shown now), and check what came out.

    Args:
        folder: made here and left to the caller to delete.
        workers: partitions prepared at once, which share memory and cores.

    Raises:
        NoObjects: there is nothing to make the partition of, or a part of it is missing.
        BadInput: a file is empty, unreadable, or has a wrong header.
        OutOfSpace: memory or disk of this machine is not enough.
        TransientError: S3 did not answer, or a listed object changed before it was read.
    """
    try:
        return _prepare(pipeline, account, partition, folder, workers)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OutOfSpace(
            f"the disk is full ({error})",
            where=f"{pipeline.name} {partition}".rstrip(),
            expected=f"room for the inputs of the partition, unpacked, and its Parquet files in {folder.parent.parent}",
            todo="Free space there or set TMPDIR to a larger disk, then run the partition again",
        ) from error


def _prepare(pipeline: Pipeline, account: AccountSession, partition: str, folder: Path, workers: int) -> Prepared:
    begin = time.monotonic()
    listed = list_inputs(pipeline, account, partition)
    raw, out = folder / "raw", folder / "mapped"
    raw.mkdir(parents=True)
    memory_limit, threads = _share(settings().memory_limit, workers), max(1, (os.cpu_count() or 1) // workers)
    files: list[StagedFile]
    if listed.snapshot is not None:
        files = [listed.snapshot.stage(raw, memory_limit=memory_limit, threads=threads)]
    elif listed.objects:
        files = stage(account.client("s3"), listed.objects, raw, threads=settings().download_threads)
    else:
        raise NoObjects(
            f"{pipeline.name} has no raw objects" + (f" for {partition}" if partition else ""),
            where=f"s3://{account.account.raw_bucket}/{pipeline.patterns[0].prefix(partition)}",
            expected="at least one key like " + " or ".join(pattern.text for pattern in pipeline.patterns),
            todo="Upload the files; the partition then runs by itself",
        )
    result = map_files(
        pipeline.mapping,
        files,
        out,
        memory_limit=memory_limit,
        threads=threads,
        fail_on_bad_rows=False,  # what was set aside is published for inspection first
        salts=_salts(pipeline),
    )
    shutil.rmtree(raw)
    checks = run_checks(
        pipeline.checks, result.good_files, partition=partition, memory_limit=memory_limit, threads=threads
    )
    return Prepared(partition, listed, result, folder, time.monotonic() - begin, checks)


def _salts(pipeline: Pipeline) -> dict[str, str]:
    """The secrets that masked columns are hashed with, by name."""
    secrets = salt_secrets(pipeline.mapping)
    if not secrets:
        return {}
    from datalake_assets.accounts.secrets import salt

    return {name: salt(pipeline.location, name) for name in secrets}


def _share(limit: str, workers: int) -> str:
    """An equal part of a memory limit such as `1GB`, in megabytes."""
    number, unit = int(limit[:-2]), limit[-2:]
    return f"{max(128, number * (1000 if unit == 'GB' else 1) // workers)}MB"
