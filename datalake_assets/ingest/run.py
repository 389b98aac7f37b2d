"""Recompute partitions: list → stage → map → upload → publish → load, each partition by itself.

    for outcome in ingest(pipeline, ["2013-01-01", …], run_id=…): …

A partition that fails yields its error and the others go on; nothing of it is visible to readers. Repeating a run
gives the same result. Partitions are prepared in parallel and published in batches, because Glue takes a hundred of
them in one call and each call costs a round trip.
"""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from datalake_assets.accounts.sessions import session
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.sources import RawObject
from datalake_assets.catalog.manifest import Manifest, read_manifest
from datalake_assets.errors import ConfigurationError, PermanentError, PlatformError
from datalake_assets.failpoints import failpoint
from datalake_assets.ingest.audit import as_manifest_results, failed_checks, rejection
from datalake_assets.ingest.listed import list_inputs
from datalake_assets.ingest.new_version import version_id_for
from datalake_assets.ingest.outcomes import Failed, Outcome, Published, published_outcome
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.ingest.prepare import Prepared, prepare
from datalake_assets.ingest.recheck import recheck
from datalake_assets.ingest.tables import PipelineTables
from datalake_assets.ingest.warehouse import load_versions

log = logging.getLogger(__name__)

BATCH = 32  # partitions prepared before they are published together; what a crash may have to repeat


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
        to_lake: recompute and publish; without it, what readers see already is yielded as `reused`, and loaded.
            If it is not loaded either, the checks run on it as they are declared now.
        to_warehouse: load what is published, if the pipeline has a warehouse table.
        is_retry: keep what an earlier attempt of the same run has published from the same objects.
    """
    lake = _Lake(pipeline, run_id)
    load = to_warehouse and pipeline.warehouse is not None
    for start in range(0, len(partitions), BATCH):
        batch = partitions[start : start + BATCH]
        published: list[Published] = []
        for outcome in (
            lake.recompute(batch, keep=is_retry) if to_lake else lake.as_published(batch, recheck_all=not load)
        ):
            if isinstance(outcome, Published) and not outcome.is_done:
                published.append(outcome)
            yield outcome
        arrived = {each.partition for each in published}
        versions = {each.partition: each.version for each in published}
        for result in load_versions(pipeline, versions, run_id) if load else ():
            if isinstance(result, Failed):
                # Not done: the ledger keeps the partition as work, and the arrival sensor asks again.
                arrived.discard(result.partition)
            yield result
        failpoint("ingest.loaded")
        if to_lake and pipeline.derivation is None:
            yield from lake.mark_done(each for each in published if each.partition in arrived)


class _Lake:
    """The lake's side of one run."""

    def __init__(self, pipeline: Pipeline, run_id: str) -> None:
        self._pipeline = pipeline
        self._run_id = run_id
        self._account = session(pipeline.location)
        self._s3 = self._account.client("s3")
        self._tables = PipelineTables(pipeline, self._account, run_id)
        self._ledger = Ledger()
        self._seen: dict[str, tuple[Sequence[RawObject], int]] = {}

    def recompute(self, partitions: Sequence[str], *, keep: bool) -> Iterator[Published | Failed]:
        """Publish partitions anew; with `keep`, not those that this run has published from the same objects."""
        scratch = Path(tempfile.mkdtemp(prefix=f"datalake-{self._pipeline.name}-"))
        done: set[str] = set()
        try:
            self._tables.ensure()
            # Before any listing: what changes after it may not be in the version, and of two runs at once the one
            # that began later wins.
            version = version_id_for(self._run_id, partitions, self._tables.all)
            begun_seq = self._ledger.last_change() if self._pipeline.derivation is None else 0
            failpoint("ingest.begun")
            for kept in self._kept(partitions, begun_seq) if keep else ():
                done.add(kept.partition)
                yield kept
            with self._tables.uploading(version):
                prepared: list[Prepared] = []
                # Closed before the folder goes that it works in, also when nobody asks for more outcomes.
                with closing(self._prepare_all([each for each in partitions if each not in done], scratch)) as outcomes:
                    for outcome in outcomes:
                        if isinstance(outcome, Prepared):
                            self._tables.upload(outcome)
                            prepared.append(outcome)
                        else:
                            done.add(outcome.partition)
                            yield outcome
                for result in self._publish(prepared, version, begun_seq, scratch):
                    done.add(result.partition)
                    yield result
        except Exception as error:
            # The catalog, S3 or the ledger as a whole, or a mistake in the code: the run is told which partitions are
            # as they were, and fails with it.
            if not (left := [partition for partition in partitions if partition not in done]):
                log.exception("%s: all partitions are done, but not what comes after them", self._pipeline.name)
            yield from (Failed(partition, error) for partition in left)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _prepare_all(self, partitions: Sequence[str], scratch: Path) -> Generator[Prepared | Failed, None, None]:
        workers = max(1, min(os.cpu_count() or 1, len(partitions)))
        pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="prepare")
        try:
            waiting = [
                (partition, pool.submit(prepare, self._pipeline, self._account, partition, scratch / str(n), workers))
                for n, partition in enumerate(partitions)
            ]
            for partition, future in waiting:
                try:
                    outcome: Prepared | Failed = future.result()
                except Exception as error:  # noqa: BLE001 - also a mistake in the code stops its own partition only
                    outcome = Failed(partition, error)
                yield outcome
        finally:
            # A run that is ended does not wait for partitions that nobody has begun.
            pool.shutdown(cancel_futures=True)

    def _publish(
        self, prepared: Sequence[Prepared], version: str, begun_seq: int, scratch: Path
    ) -> Iterator[Published | Failed]:
        """Publish what was set aside first, then the good rows of each partition that passes its checks.

        A version that does not pass is uploaded too and kept as rejected: its rows are what a person needs to see.
        """
        if not prepared:
            return
        begin = time.monotonic()
        failpoint("ingest.prepared")
        refused = self._tables.publish_quarantine(prepared, version)
        failpoint("ingest.quarantined")
        for each in prepared:
            if refusal := refused.get(each.partition):
                yield _failed(each, refusal)
        sources = {each.partition: each for each in prepared if each.partition not in refused}
        bad_rows = self._pipeline.mapping.bad_rows
        rejected = {partition: failed_checks(each, bad_rows) for partition, each in sources.items()}
        # Before the records they belong to: a partition is done only when all of it is there.
        children = self._tables.publish_children(list(sources.values()), version, rejected)
        for partition, error in children.failed.items():
            yield _failed(sources.pop(partition), error)
        if self._tables.children:
            failpoint("ingest.children")
        published = self._tables.publish_lake(list(sources.values()), version, rejected)
        failpoint("ingest.published")
        publish_seconds = (time.monotonic() - begin) / len(prepared)
        visible: list[Manifest] = []
        for manifest, switch in published:
            source = sources[manifest.version.partition]
            if switch.error:
                yield _failed(source, self._told(source, manifest, switch.error))
            elif switch.after and switch.after.version_id != version:
                yield self._won_by_another(source, switch.after.version_id, begun_seq, visible)
            else:
                visible.append(manifest)
                if source.partition not in children.overtaken:
                    # Otherwise the later run tells; should it die, the partition is still work, and made whole anew.
                    self._seen[source.partition] = (source.objects, begun_seq)
                yield published_outcome(
                    self._tables.lake,
                    manifest,
                    seconds=source.seconds + publish_seconds,
                    notes=tuple(source.result.notes),
                    children=tuple(children.published.get(source.partition, ())),
                )
        try:
            self._tables.empty_stale_quarantine(visible, scratch)
        except PlatformError as error:
            # The rows of the lake are published; what is stale beside them goes with the partition's next run.
            log.warning("the quarantine of %s may show rows of an older run: %s", self._pipeline.name, error)

    def _told(self, source: Prepared, manifest: Manifest, error: PlatformError) -> PlatformError:
        tables = self._tables
        kept = tables.lake.location(manifest.version.prefix)
        bad_rows = self._pipeline.mapping.bad_rows
        return rejection(source, bad_rows, error, quarantine=tables.quarantine.where, kept=kept)

    def _won_by_another(
        self, source: Prepared, version: str, begun_seq: int, visible: list[Manifest]
    ) -> Published | Failed:
        """What a run that began later has published meanwhile: it stays, and is what is loaded."""
        try:
            manifest = self._manifest(source.partition, version)
        except PlatformError as error:
            return _failed(source, error)
        visible.append(manifest)
        if source.listed.is_same(manifest.inputs):
            self._seen[source.partition] = (source.objects, begun_seq)
        return published_outcome(self._tables.lake, manifest, reused=True)

    def _kept(self, partitions: Sequence[str], begun_seq: int) -> Iterator[Published]:
        """Partitions that an earlier attempt of this run has published from the objects that are there now."""
        has_raw = self._pipeline.derivation is None
        states = self._ledger.partition_states([self._pipeline.source_id], only_dirty=False) if has_raw else []
        done = {(state.partition, state.published_version) for state in states if not state.is_dirty}
        for partition, current in self._tables.lake.current_many(partitions).items():
            if current is None or current.run_id != self._run_id:
                continue
            try:
                manifest = self._manifest(partition, current.version_id)
                children = self._tables.published_children(partition, current.version_id)
                listed = list_inputs(self._pipeline, self._account, partition)
            except PermanentError:
                continue  # made anew, as if the earlier attempt had not been
            if listed.is_same(manifest.inputs):
                # The ledger is told last of all, so what it knows as published is loaded.
                is_done = (partition, current.version_id) in done
                if not is_done:
                    self._seen[partition] = (listed.objects, begun_seq)
                yield published_outcome(self._tables.lake, manifest, reused=True, is_done=is_done, children=children)

    def as_published(self, partitions: Sequence[str], *, recheck_all: bool) -> Iterator[Published | Failed]:
        """What readers see now, for a load alone, or for the checks alone."""
        lake = self._tables.lake
        try:
            current = lake.current_many(partitions)
        except PlatformError as error:
            yield from (Failed(partition, error) for partition in partitions)
            return
        for partition in partitions:
            found = current[partition]
            try:
                if found is None:
                    raise ConfigurationError(
                        "nothing is published yet" + (f" for {partition}" if partition else ""),
                        where=lake.where,
                        todo=f"Materialize {'/'.join(self._pipeline.lake_key)} first",
                    )
                manifest = self._manifest(partition, found.version_id)
                if recheck_all:
                    manifest = replace(manifest, checks=recheck(self._pipeline, self._account, manifest))
                yield published_outcome(lake, manifest, reused=True)
            except PlatformError as error:
                yield Failed(partition, error)

    def _manifest(self, partition: str, version: str) -> Manifest:
        return read_manifest(self._s3, self._account.account.lake_bucket, self._pipeline.name, partition, version)

    def mark_done(self, published: Iterable[Published]) -> Iterator[Failed]:
        """Tell the ledger which objects each partition was made of; what came since keeps it as work.

        A partition that the ledger was not told of is yielded as failed although readers see it: it is computed again,
        to the same result.
        """
        for each in published:
            if each.partition not in self._seen:
                continue  # made by another run, of other objects: that run tells
            objects, begun_seq = self._seen.pop(each.partition)
            try:
                self._ledger.mark_published(
                    self._pipeline.source_id, each.partition, objects=objects, version=each.version, begun_seq=begun_seq
                )
            except PlatformError as error:
                told = type(error)(
                    f"version {each.version} is published, but the arrival ledger was not told: {error.found}",
                    where=error.where,
                    expected=error.expected,
                    todo=error.todo,
                )
                told.__cause__ = error
                yield Failed(each.partition, told)
            else:
                failpoint("ingest.marked")


def _failed(source: Prepared, error: PlatformError) -> Failed:
    return Failed(source.partition, error, source.counts, source.reasons, as_manifest_results(source.checks))
