"""The catalog tables of a pipeline, its rows, their children and the rows set aside, and how partitions get there."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.catalog.glue import GlueTable, Switch
from datalake_assets.catalog.manifest import Manifest, RowCounts, read_manifest
from datalake_assets.catalog.publish import publish_partitions
from datalake_assets.catalog.schema import CatalogColumn, TableSchema
from datalake_assets.catalog.upload import LocalFile, Uploads, upload_versions
from datalake_assets.catalog.versions import Version
from datalake_assets.errors import PlatformError
from datalake_assets.ingest.audit import as_manifest_results
from datalake_assets.ingest.outcomes import PublishedChild, published_child
from datalake_assets.ingest.pipeline import Pipeline
from datalake_assets.ingest.prepare import Prepared
from datalake_assets.mapping.spec import QUARANTINE_COLUMNS
from datalake_assets.names import quoted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class PublishedChildren:
    """What became of the child tables of a batch, by partition."""

    failed: Mapping[str, PlatformError]
    published: Mapping[str, Sequence[PublishedChild]]
    overtaken: Collection[str]
    """Partitions of which a child shows the version of a run that began later."""


class PipelineTables:
    """Publishes prepared partitions under one version id of one run."""

    def __init__(self, pipeline: Pipeline, account: AccountSession, run_id: str) -> None:
        self.pipeline = pipeline
        self.lake = GlueTable(account, pipeline.name)
        self.quarantine = GlueTable(account, pipeline.quarantine)
        self.children = {child.name: GlueTable(account, child.name) for child in pipeline.children}
        self._run_id = run_id
        self._s3: S3Client = account.client("s3")
        self._uploads: Uploads

    @contextmanager
    def uploading(self, version: str) -> Iterator[None]:
        """Within it, `upload` sends files while others are still being mapped; publishing waits for them."""
        with Uploads(self._s3, version) as self._uploads:
            yield

    def upload(self, prepared: Prepared) -> None:
        """Begin to upload what a partition was mapped to; its readers see nothing of that before it is published."""
        result = prepared.result
        self._begin(self.lake, prepared.partition, result.good_files, result.rows_good)
        if result.quarantine_files:
            self._begin(self.quarantine, prepared.partition, result.quarantine_files, result.rows_bad)
        for child in self.pipeline.children:
            rows = prepared.child(child.name)
            self._begin(self.children[child.name], prepared.partition, rows.files, rows.rows)

    def _begin(self, table: GlueTable, partition: str, files: Sequence[Path], rows: int) -> None:
        self._uploads.add(table.bucket, table.name, partition, _local_files(files, rows))

    def ensure(self) -> None:
        """Create the tables or bring them up to the declared columns."""
        self.lake.ensure(self.pipeline.lake_schema)
        self.quarantine.ensure(self.pipeline.quarantine_schema)
        for child in self.pipeline.children:
            self.children[child.name].ensure(child.schema)

    @property
    def all(self) -> list[GlueTable]:
        return [self.lake, self.quarantine, *self.children.values()]

    def publish_quarantine(self, prepared: Sequence[Prepared], version: str) -> dict[str, PlatformError]:
        """Replace what was set aside before; a partition that never had bad rows gets no version.

        Returns:
            The partitions whose rows could not be published, with the reason.
        """
        before = self.quarantine.current_many([each.partition for each in prepared])
        wanted = [each for each in prepared if each.result.rows_bad or before[each.partition]]
        files = {each.partition: each.result.quarantine_files or [_empty_quarantine(each.folder)] for each in wanted}
        counts = {each.partition: _all_published(each.result.rows_bad) for each in wanted}
        schema = self.pipeline.quarantine_schema
        published = self._publish(self.quarantine, schema, wanted, files, counts, version)
        return {manifest.version.partition: switch.error for manifest, switch in published if switch.error}

    def empty_stale_quarantine(self, published: Sequence[Manifest], folder: Path) -> None:
        """Take out rows that an older run set aside after the run of the published version had found none to replace.

        That run's own empty version takes the id of the version it belongs to, so whoever makes it makes the same.
        """
        without = {each.version.partition: each for each in published if not each.counts.rows_quarantined}
        current = self.quarantine.current_many(list(without))
        stale = [
            replace(each, version=replace(each.version, table=self.quarantine.name, objects=()), checks=(), reasons=())
            for partition, each in without.items()
            if (shown := current[partition]) and shown.version_id < each.version.id
        ]
        for manifest in stale:
            version = manifest.version
            target = folder / f"quarantine-{version.id}"
            target.mkdir(exist_ok=True)
            files = {version.partition: _local_files([_empty_quarantine(target)], 0)}
            uploaded = upload_versions(self._s3, self.quarantine.bucket, self.quarantine.name, version.id, files)
            columns = self.pipeline.quarantine_schema.columns
            manifest = replace(manifest, version=uploaded[version.partition], counts=_all_published(0), columns=columns)
            if error := publish_partitions(self.quarantine, [manifest])[version.partition].error:
                raise error

    def publish_children(
        self, prepared: Sequence[Prepared], version: str, failed_checks: Mapping[str, Sequence[str]]
    ) -> PublishedChildren:
        """Let readers see the rows of the child tables, before those of the records they belong to.

        A version of rows that are rejected is uploaded and kept as rejected too.
        """
        failed: dict[str, PlatformError] = {}
        published: dict[str, list[PublishedChild]] = {}
        overtaken: set[str] = set()
        for child in self.pipeline.children:
            waiting = [each for each in prepared if each.partition not in failed]
            found = {each.partition: each.child(child.name) for each in waiting}
            files = {partition: list(rows.files) for partition, rows in found.items()}
            counts = {partition: _all_published(rows.rows) for partition, rows in found.items()}
            table = self.children[child.name]
            for manifest, switch in self._publish(table, child.schema, waiting, files, counts, version, failed_checks):
                partition = manifest.version.partition
                if switch.error is None:
                    published.setdefault(partition, []).append(published_child(table, manifest))
                    if switch.after and switch.after.version_id != version:
                        overtaken.add(partition)
                elif not failed_checks.get(partition):
                    failed[partition] = switch.error
        return PublishedChildren(failed, published, overtaken)

    def published_children(self, partition: str, version: str) -> tuple[PublishedChild, ...]:
        """What the child tables show of a version of a partition.

        Raises:
            PlatformError: a child has no such version.
        """
        found = []
        for name, table in self.children.items():
            manifest = read_manifest(self._s3, table.bucket, name, partition, version)
            found.append(published_child(table, manifest))
        return tuple(found)

    def publish_lake(
        self, prepared: Sequence[Prepared], version: str, failed_checks: Mapping[str, Sequence[str]]
    ) -> list[tuple[Manifest, Switch]]:
        """Let readers of each partition see its good rows; a partition that fails has its `Switch.error`.

        Args:
            failed_checks: partition → why its version is kept for inspection only.
        """
        files = {each.partition: each.result.good_files for each in prepared}
        counts = {each.partition: each.counts for each in prepared}
        if new := {column.name: column for each in prepared for column in _evolved(each)}:
            # Before the files that have them: a reader finds every column that a partition says it has.
            schema = self.pipeline.lake_schema
            self.lake.ensure(replace(schema, columns=(*schema.columns, *new.values())))
        return self._publish(self.lake, self.pipeline.lake_schema, prepared, files, counts, version, failed_checks)

    def _publish(
        self,
        table: GlueTable,
        schema: TableSchema,
        prepared: Sequence[Prepared],
        files: dict[str, list[Path]],
        counts: dict[str, RowCounts],
        version: str,
        failed_checks: Mapping[str, Sequence[str]] | None = None,
    ) -> list[tuple[Manifest, Switch]]:
        if not prepared:
            return []
        for partition, paths in files.items():
            if not self._uploads.has(table.name, partition):
                self._begin(table, partition, paths, counts[partition].rows_published)
        versions = self._uploads.versions(table.name, list(files))
        manifests = [
            self._manifest(each, versions[each.partition], counts[each.partition], schema) for each in prepared
        ]
        switches = publish_partitions(table, manifests, failed_checks=failed_checks)
        return [(manifest, switches[manifest.version.partition]) for manifest in manifests]

    def _manifest(self, source: Prepared, version: Version, counts: RowCounts, schema: TableSchema) -> Manifest:
        is_lake = version.table == self.lake.name
        return Manifest(
            version=version,
            inputs=source.inputs,
            counts=counts,
            columns=(*schema.columns, *_evolved(source)) if is_lake else schema.columns,
            run_id=self._run_id,
            created_at=datetime.now(UTC),
            checks=as_manifest_results(source.checks) if is_lake else (),
            reasons=source.reasons if version.table not in self.children else (),
        )


def _evolved(source: Prepared) -> tuple[CatalogColumn, ...]:
    """Columns that the partition's files have behind the declared ones (`on_schema_change: evolve`)."""
    return tuple(CatalogColumn(c.name, c.type.glue, c.description or "") for c in source.result.evolved)


def _all_published(rows: int) -> RowCounts:
    return RowCounts(rows_in=rows, rows_published=rows, rows_quarantined=0)


def _local_files(paths: Sequence[Path], rows: int) -> list[LocalFile]:
    """The files with the number of rows in each; `rows` is that of all."""
    import duckdb

    if len(paths) < 2:
        return [LocalFile(path, rows) for path in paths]
    # DuckDB has written them and is loaded; pyarrow would be another third of a second of imports.
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT file_name, num_rows FROM parquet_file_metadata($1)", [[str(path) for path in paths]]
        ).fetchall()
    counts = dict(found)
    return [LocalFile(path, int(counts[str(path)])) for path in paths]


def _empty_quarantine(folder: Path) -> Path:
    """A file without rows, for a partition whose bad rows are mended."""
    import duckdb

    columns = ", ".join(f"CAST(NULL AS {c.type.duckdb}) AS {quoted(c.name)}" for c in QUARANTINE_COLUMNS)
    path = folder / "part-00000.parquet"
    with duckdb.connect() as connection:
        # Without this, a column of nothing but nulls gets another type.
        connection.execute("SET disabled_optimizers = 'statistics_propagation'")
        connection.execute(f"COPY (SELECT {columns} WHERE false) TO $1 (FORMAT parquet)", [str(path)])
    return path
