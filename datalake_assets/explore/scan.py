"""A published table as an Arrow dataset that DuckDB scans: only the partitions, row groups and columns it asks for.

DuckDB hands the filters of a query that speak of one table's columns to `scanner`, and does not apply them again. What
it hands over is true of every row it wants, so a partition whose key contradicts it cannot have such a row; Arrow
decides that from the partition's value, and the same way leaves out row groups by their statistics.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa
from pyarrow import dataset, fs

from datalake_assets.accounts.sessions import session
from datalake_assets.catalog.manifest import Manifest, read_manifest
from datalake_assets.catalog.versions import LakeObject
from datalake_assets.errors import ConcurrentChange, ConfigurationError, ManifestMismatch
from datalake_assets.explore.arrow_types import arrow_schema
from datalake_assets.explore.lake import LakeTable, PublishedPartition
from datalake_assets.explore.result import TableRead
from datalake_assets.explore.s3_files import Counter, S3Files

FIRST_PARTITIONS, MOST_PARTITIONS = 4, 64  # looked up at once: few at first, because of LIMIT
MANIFEST_THREADS = 16
BATCH_ROWS = 65_536
BATCH_READAHEAD, FRAGMENT_READAHEAD = 4, 4  # what is in memory at once, beside DuckDB's own
HOLE_BYTES = 128 * 1024  # ranges nearer than this are one request


class PublishedTable(dataset.Dataset):
    """What readers of a table see now.

    Args:
        only: the keys of the partitions that can matter, where that is known already.
    """

    def __init__(self, table: LakeTable, *, only: frozenset[str] | None = None) -> None:
        # Dataset's own constructor refuses to be called: those of Arrow come from C++.
        self.table = table
        self.failure: Exception | None = None
        self._counter = Counter()
        self._lock = threading.Lock()
        self._columns: dict[str, None] = {}
        self._partitions_read = 0
        self._schema = arrow_schema([*table.columns, *table.keys])
        self._aws = session(table.account.name)
        self._objects: dict[str, LakeObject] = {}
        files = S3Files(self._aws.client("s3"), table.account.lake_bucket, self._objects, self._counter, self._remember)
        self._files = fs.PyFileSystem(files)
        self._format = dataset.ParquetFileFormat()
        self._guarantees = dict(zip((each.key for each in table.partitions), self._values(), strict=True))
        self._partitions = [each for each in table.partitions if only is None or each.key in only]

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def scanner(  # type: ignore[override]
        self, columns: Sequence[str] | None = None, filter: Any = None, **_: Any
    ) -> "_Scan":
        """One scan of one reference to the table; DuckDB calls this when the query runs."""
        names = list(columns) if columns is not None else list(self._schema.names)
        wanted = self.matching(filter)
        with self._lock:
            self._columns |= dict.fromkeys(names)
            self._partitions_read += len(wanted)
        schema = pa.schema([self._schema.field(name) for name in names])
        return _Scan(schema, lambda: self._batches(wanted, names, filter))

    def matching(self, filter: Any) -> list[PublishedPartition]:
        """The partitions that can have a row for which the filter is true."""
        if filter is None or not self.table.keys:
            return list(self._partitions)
        fragments = [
            self._format.make_fragment(each.key, self._files, partition_expression=self._guarantees[each.key])
            for each in self._partitions
        ]
        kept = {each.path for each in self._dataset(fragments).get_fragments(filter)}
        return [each for each in self._partitions if each.key in kept]

    def read(self) -> TableRead:
        """What was read until now."""
        return TableRead(
            name=self.table.full_name,
            columns=tuple(name for name in self._schema.names if name in self._columns),
            partitions_read=self._partitions_read,
            partitions=len(self.table.partitions),
            files_read=self._counter.files,
            bytes_read=self._counter.bytes,
            bytes_total=self.table.bytes,
        )

    def partition_values(self) -> pa.Table:
        """The partition keys as text and as their value, one row for each partition."""
        (key,) = self.table.keys
        keys = pa.array([each.key for each in self.table.partitions], pa.string())
        return pa.table({"key": keys, "value": keys.cast(self._schema.field(key.name).type)})

    def _values(self) -> list[Any]:
        """For each partition, the expression that is true of all of its rows."""
        if not self.table.keys:
            return [dataset.scalar(True) for _ in self.table.partitions]
        (key,) = self.table.keys
        try:
            values = self.partition_values()["value"]
        except pa.ArrowInvalid as error:
            raise ManifestMismatch(
                f"a partition key is no {key.glue_type}: {error}", where=self.table.full_name
            ) from error
        return [dataset.field(key.name) == value for value in values]

    def _batches(
        self, partitions: Sequence[PublishedPartition], columns: list[str], filter: Any
    ) -> Iterator[pa.RecordBatch]:
        options = dataset.ParquetFragmentScanOptions(
            cache_options=pa.CacheOptions(hole_size_limit=HOLE_BYTES, range_size_limit=32 * 1024 * 1024, lazy=True)
        )
        for manifests in self._manifests(partitions):
            fragments = [
                self._format.make_fragment(
                    item.key,
                    self._files,
                    partition_expression=self._guarantees[manifest.version.partition],
                    file_size=item.size,
                )
                for manifest in manifests
                for item in manifest.version.objects
                if item.row_count
            ]
            scanner = self._dataset(fragments).scanner(
                columns=columns,
                filter=filter,
                batch_size=BATCH_ROWS,
                batch_readahead=BATCH_READAHEAD,
                fragment_readahead=FRAGMENT_READAHEAD,
                fragment_scan_options=options,
                cache_metadata=False,
            )
            yield from (batch for batch in scanner.to_batches() if batch.num_rows)
            for manifest in manifests:
                for item in manifest.version.objects:
                    self._objects.pop(item.key, None)

    def _manifests(self, partitions: Sequence[PublishedPartition]) -> Iterator[list[Manifest]]:
        """The manifests of the partitions in growing groups; the next group is read while the last one is scanned."""
        groups, start, size = [], 0, FIRST_PARTITIONS
        while start < len(partitions):
            groups.append(partitions[start : start + size])
            start, size = start + size, min(size * 2, MOST_PARTITIONS)
        with ThreadPoolExecutor(max_workers=MANIFEST_THREADS, thread_name_prefix="manifests") as pool:
            waiting: list[list[Future[Manifest]]] = []
            try:
                for group in groups:
                    waiting.append([pool.submit(self._manifest, each) for each in group])
                    if len(waiting) > 1:
                        yield self._done(waiting.pop(0))
                while waiting:
                    yield self._done(waiting.pop(0))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _done(self, waiting: "Sequence[Future[Manifest]]") -> list[Manifest]:
        try:
            manifests = [each.result() for each in waiting]
        except Exception as error:  # kept for the caller of the query: it crosses Arrow and DuckDB
            self._remember(error)
            raise
        self._objects.update({item.key: item for each in manifests for item in each.version.objects})
        return manifests

    def _manifest(self, partition: PublishedPartition) -> Manifest:
        account, name = self.table.account, self.table.name
        try:
            return read_manifest(self._aws.client("s3"), account.lake_bucket, name, partition.key, partition.version_id)
        except ConfigurationError as error:
            raise ConcurrentChange(
                f"version {partition.version_id} was removed while the query ran",
                where=f"{self.table.full_name} {partition.key}".rstrip(),
                todo="Run the query again",
            ) from error

    def _dataset(self, fragments: list[Any]) -> Any:
        return dataset.FileSystemDataset(fragments, self._schema, self._format, self._files)

    def _remember(self, error: Exception) -> None:
        with self._lock:
            self.failure = self.failure or error


class _Scan:
    """What DuckDB takes for an Arrow scanner: it asks for a reader and nothing else."""

    def __init__(self, schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]]) -> None:
        self.projected_schema = schema
        self._batches = batches

    def to_reader(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self.projected_schema, self._batches())
