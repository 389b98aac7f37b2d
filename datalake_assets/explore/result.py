"""What a query returns: rows as they come, in the shape that the reader wants, and what they cost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from datalake_assets.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class TableRead:
    """What was read of one table so far; a table that stands in a query twice counts twice.

    Attributes:
        columns: those that were read, in their order.
        partitions: how many the table has; 1 for a table without partition keys.
        bytes_read: what came over the network, footers included.
        bytes_total: the size of all published objects of the table.
    """

    name: str
    columns: tuple[str, ...]
    partitions_read: int
    partitions: int
    files_read: int
    bytes_read: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """How an engine answered a query; figures that an engine does not tell are None.

    Attributes:
        plan: the engine's own words.
        query_id: Athena's id of the execution.
        cost_usd: an estimate by the list price.
    """

    engine: str
    plan: str = ""
    tables: tuple[TableRead, ...] = ()
    bytes_scanned: int | None = None
    seconds: float | None = None
    cost_usd: float | None = None
    query_id: str | None = None


class QueryResult:
    """The rows of one query.

    They come while they are read and are read once, so that a result may be larger than memory; `arrow`, `pandas` and
    `polars` keep them, and may be called again and after one another. A context manager, which ends the query.
    """

    def __init__(
        self,
        schema: "pa.Schema",
        batches: "Iterator[pa.RecordBatch]",
        *,
        explain: Callable[[], Explanation],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.schema = schema
        self._batches: Iterator[pa.RecordBatch] | None = batches
        self._explain = explain
        self._close = close
        self._table: pa.Table | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.schema.names)

    @property
    def explain(self) -> Explanation:
        """How the query is answered; the figures count what has been read until now."""
        return self._explain()

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """The rows in record batches, as they come.

        Raises:
            ConfigurationError: they were read before.
            PlatformError: the engine failed on the way.
        """
        if self._table is not None:
            return iter(self._table.to_batches())
        if self._batches is None:
            raise ConfigurationError(
                "the rows of this result were read already", todo="Call .arrow() first to read them more than once"
            )
        batches, self._batches = self._batches, None
        return batches

    def arrow(self) -> "pa.Table":
        """All rows as an Arrow table."""
        import pyarrow as pa

        if self._table is None:
            self._table = pa.Table.from_batches(list(self.batches()), schema=self.schema)
            self.close()
        return self._table

    def pandas(self) -> "pd.DataFrame":
        """All rows as a pandas data frame; pandas is not installed with the platform."""
        frame: pd.DataFrame = self.arrow().to_pandas()
        return frame

    def polars(self) -> "pl.DataFrame":
        """All rows as a Polars data frame; Polars is not installed with the platform."""
        import polars as pl

        frame = pl.from_arrow(self.arrow())
        assert isinstance(frame, pl.DataFrame)
        return frame

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows as tuples of Python values, as they come."""
        for batch in self.batches():
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self.rows()

    def close(self) -> None:
        """End the query; what was not read by then is gone."""
        self._batches = None
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
