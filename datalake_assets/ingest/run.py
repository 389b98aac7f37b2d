"""Recompute partitions: list → stage → map → upload → publish → load, each partition by itself.

    outcomes = ingest(pipeline, ["2013-01-01", …], run_id=…)

A partition that fails yields its error and the others go on; nothing of it is visible to readers. Repeating a run
gives the same result. Partitions are prepared in parallel and published in batches, because Glue takes a hundred of
them in one call and each call costs a round trip.
"""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from datalake_assets.accounts.sessions import AccountSession, session
from datalake_assets.accounts.settings import settings
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.listing import list_partition
from datalake_assets.arrivals.sources import RawObject
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.manifest import Manifest, RawInput, RowCounts, read_manifest, redshift_manifest
from datalake_assets.catalog.publish import publish_partitions
from datalake_assets.catalog.upload import LocalFile, upload_versions
from datalake_assets.catalog.versions import Version, new_version_id
from datalake_assets.errors import ConfigurationError, NoObjects, PlatformError, TooManyBadRows
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.ingest.stage import stage
from datalake_assets.mapping.duckdb_engine import map_files
from datalake_assets.mapping.result import MappingResult, require_few_bad_rows
from datalake_assets.mapping.spec import QUARANTINE_COLUMNS
from datalake_assets.names import UNPARTITIONED

log = logging.getLogger(__name__)

BATCH = 32  # partitions prepared before they are published together; what a crash may have to repeat


@dataclass(frozen=True)
class Published:
    """One partition that readers of the lake see now; `reused` if an earlier attempt of this run published it."""

    partition: str
    version: str
    uri: str
    manifest_uri: str
    inputs: tuple[RawInput, ...]
    counts: RowCounts
    bytes: int
    seconds: float
    reasons: tuple[tuple[str, int], ...] = ()
    """Why rows were set aside, most frequent first, with their number."""
    notes: tuple[str, ...] = ()
    reused: bool = False


@dataclass(frozen=True)
class Loaded:
    """One partition that the warehouse shows now; `skipped` if it showed this version already."""

    partition: str
    version: str
    rows: int
    skipped: bool
    seconds: float


@dataclass(frozen=True)
class Failed:
    """One partition that readers see as before, and why; `counts` if its rows were read before it failed."""

    partition: str
    error: PlatformError
    counts: RowCounts | None = None
    reasons: tuple[tuple[str, int], ...] = ()


Outcome = Published | Loaded | Failed


@dataclass(frozen=True)
class _Prepared:
    partition: str
    objects: tuple[RawObject, ...]
    result: MappingResult
    folder: Path
    seconds: float


def ingest(
    pipeline: Pipeline,
    partitions: Sequence[str],
    *,
    run_id: str,
    to_lake: bool = True,
    to_warehouse: bool = True,
    is_retry: bool = False,
) -> Iterator[Outcome]:
    """Recompute partitions and yield what became of each, as it happens.

    Args:
        partitions: partition keys; `[UNPARTITIONED]` for a table without partitions.
        run_id: Dagster's run; part of the version's name and of every manifest and ledger row.
        to_lake: recompute and publish; without it, what is published already is loaded.
        to_warehouse: load what is published, if the pipeline has a warehouse table.
        is_retry: keep what an earlier attempt of the same run has published from the same objects.
    """
    account = session(pipeline.location)
    load = to_warehouse and pipeline.warehouse is not None
    workers = max(1, min(os.cpu_count() or 1, len(partitions)))
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="prepare") as pool:
        for start in range(0, len(partitions), BATCH):
            batch = partitions[start : start + BATCH]
            published: list[Published] = []
            outcomes = (
                _to_lake(pipeline, account, batch, run_id, is_retry, pool, workers)
                if to_lake
                else _as_published(pipeline, account, batch)
            )
            for outcome in outcomes:
                if isinstance(outcome, Published):
                    published.append(outcome)
                if to_lake or isinstance(outcome, Failed):
                    yield outcome
            if load:
                yield from _to_warehouse(pipeline, published, run_id)


def _to_lake(
    pipeline: Pipeline,
    account: AccountSession,
    partitions: Sequence[str],
    run_id: str,
    is_retry: bool,
    pool: ThreadPoolExecutor,
    workers: int,
) -> Iterator[Published | Failed]:
    tables = _Tables(pipeline, account)
    kept = dict(_kept(pipeline, account, tables, partitions, run_id)) if is_retry else {}
    yield from kept.values()
    version = new_version_id(run_id, datetime.now(UTC))
    scratch = Path(tempfile.mkdtemp(prefix=f"datalake-{pipeline.name}-"))
    try:
        waiting = {
            partition: pool.submit(_prepare, pipeline, account, partition, scratch / str(number), workers)
            for number, partition in enumerate(partitions)
            if partition not in kept
        }
        prepared: list[_Prepared] = []
        for partition, future in waiting.items():
            try:
                prepared.append(future.result())
            except PlatformError as error:
                yield Failed(partition, error)
        yield from _publish(pipeline, account, tables, prepared, version, run_id)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _prepare(pipeline: Pipeline, account: AccountSession, partition: str, folder: Path, workers: int) -> _Prepared:
    """List, stage and map one partition on local disk; nothing leaves this machine."""
    begin = time.monotonic()
    s3, bucket = account.client("s3"), account.account.raw_bucket
    objects = tuple(list_partition(s3, bucket, pipeline.pattern, partition))
    if not objects:
        raise NoObjects(
            f"{pipeline.name} has no raw objects" + (f" for {partition}" if partition else ""),
            where=f"s3://{bucket}/{pipeline.pattern.prefix(partition)}",
            expected=f"at least one key like {pipeline.pattern.text}",
            todo="Upload the files; the partition then runs by itself",
        )
    raw, out = folder / "raw", folder / "mapped"
    raw.mkdir(parents=True)
    files = stage(s3, objects, raw, threads=settings().download_threads)
    result = map_files(
        pipeline.mapping,
        files,
        out,
        memory_limit=_share(settings().memory_limit, workers),
        threads=max(1, (os.cpu_count() or 1) // workers),
        fail_on_bad_rows=False,  # what was set aside is published for inspection first
    )
    shutil.rmtree(raw)
    return _Prepared(partition, objects, result, folder, time.monotonic() - begin)


def _publish(
    pipeline: Pipeline,
    account: AccountSession,
    tables: "_Tables",
    prepared: Sequence[_Prepared],
    version: str,
    run_id: str,
) -> Iterator[Published | Failed]:
    """Publish what was set aside first, then the good rows of each partition within its limit of bad ones."""
    if not prepared:
        return
    s3, bucket = account.client("s3"), account.account.lake_bucket
    begin = time.monotonic()
    by_partition = {each.partition: each for each in prepared}
    try:
        tables.publish_quarantine(s3, prepared, version, run_id)
        refused = {each.partition: error for each in prepared if (error := _too_many(pipeline, each))}
        good = [each for each in prepared if each.partition not in refused]
        versions = upload_versions(
            s3,
            bucket,
            pipeline.name,
            version,
            {each.partition: _local_files(each.result.good_files) for each in good},
        )
        manifests = [_manifest(pipeline, each, versions[each.partition], _counts(each.result), run_id) for each in good]
        switches = publish_partitions(tables.lake, manifests) if manifests else {}
    except PlatformError as error:
        # The catalog or S3 as a whole: every partition of the batch is as it was.
        yield from (Failed(each.partition, error) for each in prepared)
        return
    each_seconds = (time.monotonic() - begin) / len(prepared)
    ledger = Ledger()
    for partition, refusal in refused.items():
        result = by_partition[partition].result
        yield Failed(partition, refusal, _counts(result), _reasons(result))
    for manifest in manifests:
        partition = manifest.version.partition
        source = by_partition[partition]
        if error := switches[partition].error:
            yield Failed(partition, error, _counts(source.result), _reasons(source.result))
            continue
        ledger.mark_published(pipeline.source_id, partition, objects=source.objects, version=version)
        yield _published(tables.lake, manifest, source, source.seconds + each_seconds)


def _to_warehouse(pipeline: Pipeline, published: Sequence[Published], run_id: str) -> Iterator[Loaded | Failed]:
    """Load the published versions, each in a transaction of its own."""
    from datalake_assets.accounts.secrets import warehouse_secret
    from datalake_assets.warehouse.connection import connect
    from datalake_assets.warehouse.load import load_partition, merge_table

    table = pipeline.warehouse
    if table is None or not published:
        return
    account = session(pipeline.location)
    s3, bucket = account.client("s3"), account.account.lake_bucket
    waiting = list(published)
    try:
        with connect(warehouse_secret(pipeline.location)) as connection:
            table.ensure(connection)
            while waiting:
                each = waiting[0]
                begin = time.monotonic()
                try:
                    manifest = read_manifest(s3, bucket, pipeline.name, each.partition, each.version)
                    load = load_partition if pipeline.is_partitioned else merge_table
                    result = load(
                        connection,
                        table,
                        partition=each.partition,
                        manifest_uri=redshift_manifest(s3, bucket, manifest),
                        iam_role=account.account.role,
                        expected_rows=manifest.version.row_count,
                        version=each.version,
                        run_id=run_id,
                    )
                except PlatformError as error:
                    yield Failed(each.partition, error)
                else:
                    seconds = time.monotonic() - begin
                    yield Loaded(each.partition, each.version, result.rows, result.skipped, seconds)
                waiting.pop(0)
    except PlatformError as error:
        yield from (Failed(each.partition, error) for each in waiting)


def _as_published(
    pipeline: Pipeline, account: AccountSession, partitions: Sequence[str]
) -> Iterator[Published | Failed]:
    """What readers see now, for a load alone."""
    lake = GlueTable(account, pipeline.name)
    s3 = account.client("s3")
    try:
        current = lake.current_many(partitions)
    except PlatformError as error:
        yield from (Failed(partition, error) for partition in partitions)
        return
    for partition in partitions:
        found = current[partition]
        if found is None:
            error = ConfigurationError(
                "nothing is published yet" + (f" for {partition}" if partition else ""),
                where=lake.where,
                todo=f"Materialize {'/'.join(pipeline.lake_key)} first",
            )
            yield Failed(partition, error)
            continue
        try:
            manifest = read_manifest(s3, lake.bucket, pipeline.name, partition, found.version_id)
            yield _reused(lake, manifest)
        except PlatformError as problem:
            yield Failed(partition, problem)


def _kept(
    pipeline: Pipeline, account: AccountSession, tables: "_Tables", partitions: Sequence[str], run_id: str
) -> Iterator[tuple[str, Published]]:
    """Partitions that an earlier attempt of this run has published from the objects that are there now."""
    s3 = account.client("s3")
    for partition, current in tables.lake.current_many(partitions).items():
        if current is None or current.run_id != run_id:
            continue
        manifest = read_manifest(s3, tables.lake.bucket, pipeline.name, partition, current.version_id)
        listed = list_partition(s3, account.account.raw_bucket, pipeline.pattern, partition)
        if {(raw.key, raw.etag) for raw in listed} == {(raw.key, raw.etag) for raw in manifest.inputs}:
            yield partition, _reused(tables.lake, manifest)


class _Tables:
    """The two catalog tables of a pipeline: its rows, and the rows set aside."""

    def __init__(self, pipeline: Pipeline, account: AccountSession) -> None:
        self.pipeline = pipeline
        self.lake = GlueTable(account, pipeline.name)
        self.quarantine = GlueTable(account, pipeline.quarantine)
        self.lake.ensure(pipeline.lake_schema)
        self.quarantine.ensure(pipeline.quarantine_schema)

    def publish_quarantine(self, s3: object, prepared: Sequence[_Prepared], version: str, run_id: str) -> None:
        """Replace what was set aside before; a partition that never had bad rows gets no version."""
        table = self.quarantine
        before = table.current_many([each.partition for each in prepared])
        wanted = [each for each in prepared if each.result.rows_bad or before[each.partition]]
        if not wanted:
            return
        versions = upload_versions(
            s3,  # type: ignore[arg-type]
            table.bucket,
            table.name,
            version,
            {
                each.partition: _local_files(each.result.quarantine_files or [_empty_quarantine(each.folder)])
                for each in wanted
            },
        )
        manifests = []
        for each in wanted:
            bad = each.result.rows_bad
            counts = RowCounts(rows_in=bad, rows_published=bad, rows_quarantined=0)
            manifests.append(_manifest(self.pipeline, each, versions[each.partition], counts, run_id, quarantine=True))
        for switch in publish_partitions(table, manifests).values():
            if switch.error:
                raise switch.error


def _manifest(
    pipeline: Pipeline, source: _Prepared, version: Version, counts: RowCounts, run_id: str, *, quarantine: bool = False
) -> Manifest:
    schema = pipeline.quarantine_schema if quarantine else pipeline.lake_schema
    return Manifest(
        version=version,
        inputs=tuple(RawInput(raw.key, raw.etag, raw.size, raw.version_id) for raw in source.objects),
        counts=counts,
        columns=schema.columns,
        run_id=run_id,
        created_at=datetime.now(UTC),
    )


def _published(lake: GlueTable, manifest: Manifest, source: _Prepared, seconds: float) -> Published:
    version = manifest.version
    return Published(
        partition=version.partition,
        version=version.id,
        uri=lake.location(version.prefix),
        manifest_uri=lake.location(manifest.key),
        inputs=manifest.inputs,
        counts=manifest.counts,
        bytes=version.size,
        seconds=seconds,
        reasons=_reasons(source.result),
        notes=tuple(source.result.notes),
    )


def _reused(lake: GlueTable, manifest: Manifest) -> Published:
    version = manifest.version
    return Published(
        partition=version.partition,
        version=version.id,
        uri=lake.location(version.prefix),
        manifest_uri=lake.location(manifest.key),
        inputs=manifest.inputs,
        counts=manifest.counts,
        bytes=version.size,
        seconds=0.0,
        reused=True,
    )


def _counts(result: MappingResult) -> RowCounts:
    return RowCounts(rows_in=result.rows_in, rows_published=result.rows_good, rows_quarantined=result.rows_bad)


def _reasons(result: MappingResult) -> tuple[tuple[str, int], ...]:
    return tuple(
        (f"{each.column}: {each.reason}" if each.column else each.reason, each.count) for each in result.reasons
    )


def _too_many(pipeline: Pipeline, each: _Prepared) -> TooManyBadRows | None:
    try:
        require_few_bad_rows(each.result, pipeline.mapping.bad_rows)
    except TooManyBadRows as error:
        return error
    return None


def _share(limit: str, workers: int) -> str:
    """An equal part of a memory limit such as `1GB`, in megabytes."""
    number, unit = int(limit[:-2]), limit[-2:]
    return f"{max(128, number * (1000 if unit == 'GB' else 1) // workers)}MB"
