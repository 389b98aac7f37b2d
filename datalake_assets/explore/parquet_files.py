"""Read Parquet objects: their footers, then of the row groups that can match the columns that are wanted.

Objects are fetched ahead by threads of our own and decoded where the rows are asked for. Arrow's own scanner would
read ahead by itself, but it waits for its readers when it is left before the end, and those are Python and wait for
the interpreter that it holds.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import dataset, parquet

from datalake_assets.catalog.versions import LakeObject
from datalake_assets.errors import ManifestMismatch
from datalake_assets.explore.ranges import (
    FOOTER_BYTES,
    WHOLE_BYTES,
    Counter,
    FetchedFile,
    Range,
    fetch,
    joined,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FETCH_THREADS = 16
FILES_AHEAD = 8
BATCH_ROWS = 65_536
BYTES_AHEAD = 64 * 1024 * 1024  # fetched and not decoded yet; one row group more where it alone is larger


@dataclass(frozen=True, slots=True)
class ParquetObject:
    """One object, and what is known of all of its rows: the partition's value by column, and that as an expression."""

    item: LakeObject
    constants: dict[str, Any]
    guarantee: Any


@dataclass(slots=True)
class _RowGroup:
    """One row group and the parts of its object that are needed, fetched or on their way."""

    source: ParquetObject
    metadata: Any
    number: int
    parts: "list[tuple[int, Future[bytes]]]"
    whole: bytes | None
    bytes: int


class ParquetReader:
    """Reads objects of one bucket.

    Args:
        schema: of the rows that come out; a column that an object does not have is null.
        columns: which of them are wanted, in this order.
        filter: an Arrow expression; only rows for which it is true come out.
    """

    def __init__(
        self, s3: "S3Client", bucket: str, schema: pa.Schema, columns: Sequence[str], filter: Any, counter: Counter
    ) -> None:
        self._s3, self._bucket, self._counter = s3, bucket, counter
        self._schema, self._filter = schema, filter
        self._columns = list(columns)
        needed = [name for name in schema.names if name in set(columns) | _mentioned(filter, schema)]
        self._needed = pa.schema([schema.field(name) for name in needed])
        self._format = dataset.ParquetFileFormat()

    def batches(
        self, objects: Iterable[ParquetObject], failed: Callable[[Exception], None]
    ) -> Iterator[pa.RecordBatch]:
        """The rows, in the order of the objects; whoever stops asking stops the reading.

        Args:
            failed: told of an error as it is, before it crosses Arrow and DuckDB.
        """
        pool = ThreadPoolExecutor(max_workers=FETCH_THREADS, thread_name_prefix="parquet")
        try:
            for group in self._ahead(self._row_groups(objects, pool), pool):
                yield from self._decoded(group)
        except Exception as error:
            failed(error)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _row_groups(self, objects: Iterable[ParquetObject], pool: ThreadPoolExecutor) -> Iterator[_RowGroup]:
        """The row groups that can match, the footers of the next objects on their way meanwhile."""
        waiting: deque[Future[list[_RowGroup]]] = deque()
        for source in objects:
            waiting.append(pool.submit(self._open, source))
            if len(waiting) > FILES_AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _ahead(self, groups: Iterator[_RowGroup], pool: ThreadPoolExecutor) -> Iterator[_RowGroup]:
        """The same, their columns fetched ahead as far as memory allows."""
        waiting: deque[_RowGroup] = deque()
        bytes_ahead = 0
        for group in groups:
            ranges = [] if group.whole is not None else self._ranges(group)
            for wanted in ranges:
                future = pool.submit(fetch, self._s3, self._bucket, group.source.item, wanted, self._counter)
                group.parts.append((wanted[0], future))
            group.bytes = len(group.whole or b"") + sum(end - start for start, end in ranges)
            waiting.append(group)
            bytes_ahead += group.bytes
            while waiting and (bytes_ahead > BYTES_AHEAD or len(waiting) > FILES_AHEAD):
                bytes_ahead -= waiting[0].bytes
                yield waiting.popleft()
        yield from waiting

    def _open(self, source: ParquetObject) -> list[_RowGroup]:
        try:
            return self._chosen(source)
        except pa.ArrowInvalid as error:
            raise ManifestMismatch(
                f"the published object is no Parquet file: {error}", where=f"s3://{self._bucket}/{source.item.key}"
            ) from error

    def _chosen(self, source: ParquetObject) -> list[_RowGroup]:
        """Fetch an object's footer, or all of a small object, and choose its row groups by their statistics."""
        item = source.item
        self._counter.add(files=1)
        start = 0 if item.size <= WHOLE_BYTES else item.size - FOOTER_BYTES
        parts = [(start, fetch(self._s3, self._bucket, item, (start, item.size), self._counter))]
        size = int.from_bytes(parts[0][1][-8:-4], "little") + 8  # the footer's own length stands before the last word
        if size > item.size - start:
            begin = max(0, item.size - size)
            parts = [(begin, fetch(self._s3, self._bucket, item, (begin, item.size), self._counter))]
        metadata = parquet.read_metadata(_arrow_file(item.size, parts))
        numbers: Sequence[int] = range(metadata.num_row_groups)
        if self._filter is not None:
            fragment: Any = self._format.make_fragment(
                _arrow_file(item.size, parts), partition_expression=source.guarantee
            )
            kept = fragment.split_by_row_group(filter=self._filter, schema=self._schema)
            numbers = [group.id for each in kept for group in each.row_groups]
        whole = parts[0][1] if parts[0][0] == 0 else None
        return [_RowGroup(source, metadata, number, [], whole, 0) for number in numbers]

    def _ranges(self, group: _RowGroup) -> list[Range]:
        described = group.metadata.row_group(group.number)
        wanted: list[Range] = []
        for n in range(described.num_columns):
            chunk = described.column(n)
            if chunk.path_in_schema.partition(".")[0] in self._needed.names:
                start = chunk.data_page_offset
                if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
                    start = min(start, chunk.dictionary_page_offset)
                wanted.append((start, start + chunk.total_compressed_size))
        return joined(wanted)

    def _decoded(self, group: _RowGroup) -> Iterator[pa.RecordBatch]:
        size = group.source.item.size
        parts = [(0, group.whole)] if group.whole is not None else [(at, part.result()) for at, part in group.parts]
        described = group.metadata.row_group(group.number)
        present = [name for name in self._needed.names if name in group.metadata.schema.to_arrow_schema().names]
        if not present:
            yield from self._matching(self._completed({}, described.num_rows, group.source))
            return
        file = parquet.ParquetFile(_arrow_file(size, parts), metadata=group.metadata, pre_buffer=False)
        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group.number], columns=present):
            found = {name: batch.column(n) for n, name in enumerate(batch.schema.names)}
            yield from self._matching(self._completed(found, batch.num_rows, group.source))

    def _completed(self, found: dict[str, Any], rows: int, source: ParquetObject) -> pa.RecordBatch:
        arrays = []
        for field in self._needed:
            if field.name in source.constants:
                arrays.append(pa.repeat(source.constants[field.name], rows))
            elif field.name not in found:
                arrays.append(pa.nulls(rows, field.type))
            elif found[field.name].type != field.type:
                arrays.append(found[field.name].cast(field.type))
            else:
                arrays.append(found[field.name])
        if not arrays:  # no column at all is asked for: only how many rows there are
            rowless: Any = pa.array([{}] * rows, pa.struct([]))
            return pa.RecordBatch.from_struct_array(rowless)
        return pa.RecordBatch.from_arrays(arrays, schema=self._needed)

    def _matching(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        kept = batch if self._filter is None else batch.filter(self._filter)
        if kept.num_rows:
            yield kept.select(self._columns)


def _arrow_file(size: int, parts: Sequence[tuple[int, bytes]]) -> Any:
    return pa.PythonFile(FetchedFile(size, parts), mode="r")


def _mentioned(filter: Any, schema: pa.Schema) -> set[str]:
    """The columns that an expression speaks of: without one of them it cannot be bound."""
    if filter is None:
        return set()
    found = set()
    for n, name in enumerate(schema.names):
        try:
            dataset.Scanner.from_batches(iter(()), schema=schema.remove(n), filter=filter)
        except (pa.ArrowInvalid, pa.ArrowKeyError):
            found.add(name)
    return found
