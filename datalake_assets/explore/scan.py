"""A published table as an Arrow dataset that DuckDB scans: only the partitions, row groups and columns it asks for.

DuckDB hands the filters of a query that speak of one table's columns to `scanner`, and does not apply them again. What
it hands over is true of every row it wants, so a partition whose key contradicts it cannot have such a row; Arrow
decides that from the partition's value, and the same way leaves out row groups by their statistics.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import dataset, fs

from datalake_assets.catalog.manifest import Manifest, read_manifest
from datalake_assets.errors import ConcurrentChange, ConfigurationError, ManifestMismatch
from datalake_assets.explore.arrow_types import arrow_schema
from datalake_assets.explore.lake import LakeTable, PublishedPartition
from datalake_assets.explore.parquet_files import ParquetObject, ParquetReader
from datalake_assets.explore.ranges import Counter
from datalake_assets.explore.result import TableRead

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FIRST_PARTITIONS, MOST_PARTITIONS = 4, 64  # looked up at once: few at first, because of LIMIT
MANIFEST_THREADS = 16
NOWHERE = fs.LocalFileSystem()  # fragments that are asked for their partition only, and never opened


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
        self._format = dataset.ParquetFileFormat()
        self._values = self._partition_values()
        self._guarantees = {key: self._guarantee(value) for key, value in self._values.items()}
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
            self._format.make_fragment(each.key, NOWHERE, partition_expression=self._guarantees[each.key])
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

    def _partition_values(self) -> dict[str, Any]:
        """The value of each partition's key, typed."""
        keys = [each.key for each in self.table.partitions]
        if not self.table.keys:
            return dict.fromkeys(keys)
        (key,) = self.table.keys
        try:
            typed = pa.array(keys, pa.string()).cast(self._schema.field(key.name).type)
            return dict(zip(keys, typed, strict=True))
        except pa.ArrowInvalid as error:
            raise ManifestMismatch(
                f"a partition key is no {key.glue_type}: {error}", where=self.table.full_name
            ) from error

    def _guarantee(self, value: Any) -> Any:
        """What is true of all rows of a partition, as an expression."""
        if not self.table.keys:
            return dataset.scalar(True)
        return dataset.field(self.table.keys[0].name) == value

    def _batches(
        self, partitions: Sequence[PublishedPartition], columns: list[str], filter: Any
    ) -> Iterator[pa.RecordBatch]:
        reader = ParquetReader(self._s3(), self.table.account.lake_bucket, self._schema, columns, filter, self._counter)
        return reader.batches(self._objects(partitions), self._remember)

    def _objects(self, partitions: Sequence[PublishedPartition]) -> Iterator[ParquetObject]:
        keys = [key.name for key in self.table.keys]
        for manifest in self._manifests(partitions):
            partition = manifest.version.partition
            constants = dict.fromkeys(keys, self._values[partition])
            for item in manifest.version.objects:
                if item.row_count:
                    yield ParquetObject(item, constants, self._guarantees[partition])

    def _manifests(self, partitions: Sequence[PublishedPartition]) -> Iterator[Manifest]:
        """The manifests of the partitions in growing groups; the next group is read while the last one is scanned."""
        groups, start, size = [], 0, FIRST_PARTITIONS
        while start < len(partitions):
            groups.append(partitions[start : start + size])
            start, size = start + size, min(size * 2, MOST_PARTITIONS)
        pool = ThreadPoolExecutor(max_workers=MANIFEST_THREADS, thread_name_prefix="manifests")
        waiting: deque[Future[Manifest]] = deque()
        try:
            for group in groups:
                before = len(waiting)
                waiting.extend(pool.submit(self._manifest, each) for each in group)
                for _ in range(before):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _s3(self) -> "S3Client":
        # Not before something is read: making a client takes longer than binding a statement.
        return self.table.session.client("s3", self.table.account.region)

    def _manifest(self, partition: PublishedPartition) -> Manifest:
        account, name = self.table.account, self.table.name
        try:
            return read_manifest(self._s3(), account.lake_bucket, name, partition.key, partition.version_id)
        except ConfigurationError as error:
            raise ConcurrentChange(
                f"version {partition.version_id} was removed while the query ran",
                where=f"{self.table.full_name} {partition.key}".rstrip(),
                todo="Run the query again",
            ) from error

    def _dataset(self, fragments: list[Any]) -> Any:
        return dataset.FileSystemDataset(fragments, self._schema, self._format, NOWHERE)

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
