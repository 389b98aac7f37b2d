"""From sampled records to columns with types.

Records are counted first (`Node`, which merges over files and goes to JSON), types are decided when all is counted:
so the result is the same whichever file is read first, and a file that did not change need not be read again.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from datalake_assets.discovery.columns.node import MAX_COLUMNS, Node, add_records, column_keys, flat_node
from datalake_assets.discovery.columns.of_node import columns_of
from datalake_assets.discovery.report import DiscoveredColumn

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 4_096

Values = Sequence[str | None]


def infer_flat(
    names: Sequence[str], batches: "Iterable[pa.RecordBatch]", *, null_values: Sequence[str] = ("",), uri: str = ""
) -> tuple[DiscoveredColumn, ...]:
    """Columns of a flat file from its records (`FLAT_COLUMNS` and c0 … of `formats.records`); broken ones are left out.

    Args:
        names: of the raw columns, as the header has them.
        null_values: texts that mean null in every column.
        uri: what conflicts name as their place.
    """
    root, _ = count_flat(names, _rows(batches, len(names)), null_values=null_values, uri=uri)
    return columns_of(root, infers_texts=True, is_flat=True)


def infer_nested(
    batches: "Iterable[pa.RecordBatch]", *, uri: str = "", infers_texts: bool = False
) -> tuple[DiscoveredColumn, ...]:
    """Columns of nested records (`NESTED_COLUMNS` of `formats.records`), in the order in which fields appear first.

    Args:
        infers_texts: texts may be numbers and booleans, as in XML; else they are texts or dates.
    """
    records = (text for batch in batches for text in batch.column("record").to_pylist())
    root, _ = count_nested(records, uri=uri)
    return columns_of(root, infers_texts=infers_texts, is_flat=False)


def count_flat(
    names: Sequence[str],
    rows: Iterable[Values | None],
    *,
    null_values: Sequence[str] = ("",),
    uri: str = "",
    max_rows: int | None = None,
) -> tuple[Node, int]:
    """Count the records of a flat file, each as long as `names`; return them with the number of broken ones.

    Args:
        rows: None for a broken record.
        max_rows: stop after so many.
    """
    root = flat_node(names)
    nodes = [root.fields[key] for key in column_keys(names)]
    broken = 0
    left = iter(rows)
    while batch := list(
        islice(left, _ROWS_AT_ONCE if max_rows is None else min(_ROWS_AT_ONCE, max_rows - root.objects))
    ):
        good = [row for row in batch if row is not None]
        broken += len(batch) - len(good)
        root.objects += len(good)
        for node, values in zip(nodes, zip(*good, strict=True), strict=False):
            node.seen += len(good)
            node.texts.add(values, null_values=("", *null_values), where=uri or None)
        if max_rows is not None and root.objects >= max_rows:
            break
    return root, broken


def count_nested(records: Iterable[str | None], *, uri: str = "", max_rows: int | None = None) -> tuple[Node, int]:
    """Count nested records, given as JSON texts, None for a broken one; return them with the number of broken ones."""
    root = Node(max_fields=MAX_COLUMNS)
    broken = 0
    left = iter(records)
    while batch := list(
        islice(left, _ROWS_AT_ONCE if max_rows is None else min(_ROWS_AT_ONCE, max_rows - root.objects))
    ):
        good = [text for text in batch if text is not None]
        broken += len(batch) - len(good) + add_records(root, good, uri or None)
        if max_rows is not None and root.objects >= max_rows:
            break
    return root, broken


def _rows(batches: "Iterable[pa.RecordBatch]", width: int) -> Iterator[Values | None]:
    for batch in batches:
        columns = [batch.column(f"c{number}").to_pylist() for number in range(width)]
        values: Iterable[Values] = zip(*columns, strict=True) if columns else [()] * batch.num_rows
        for reason, row in zip(batch.column("reason").to_pylist(), values, strict=True):
            yield row if reason is None else None
