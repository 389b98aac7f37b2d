"""From sampled records to columns with types."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from datalake_assets.discovery.report import DiscoveredColumn

if TYPE_CHECKING:
    import pyarrow as pa


def infer_flat(
    names: Sequence[str], batches: "Iterable[pa.RecordBatch]", *, null_values: Sequence[str] = ("",), uri: str = ""
) -> tuple[DiscoveredColumn, ...]:
    """Columns of a flat file from its records (`FLAT_COLUMNS` and c0 … of `formats.records`); broken ones are left out.

    Args:
        names: of the raw columns, as the header has them.
        null_values: texts that mean null in every column.
        uri: what conflicts name as their place.
    """
    raise NotImplementedError


def infer_nested(batches: "Iterable[pa.RecordBatch]", *, uri: str = "") -> tuple[DiscoveredColumn, ...]:
    """Columns of nested records (`NESTED_COLUMNS` of `formats.records`), in the order in which fields appear first."""
    raise NotImplementedError
