"""From sampled records to columns with types.

Records are counted first (`Node`, which merges over files and goes to JSON), types are decided when all is counted:
so the result is the same whichever file is read first, and a file that did not change need not be read again.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from datalake_assets.discovery.columns import columns_of
from datalake_assets.discovery.node import MAX_COLUMNS, Node, add_records, column_keys, flat_node
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
    root, _ = count_flat(names, batches, null_values=null_values, uri=uri)
    return columns_of(root, infers_texts=True, is_flat=True)


def infer_nested(
    batches: "Iterable[pa.RecordBatch]", *, uri: str = "", infers_texts: bool = False
) -> tuple[DiscoveredColumn, ...]:
    """Columns of nested records (`NESTED_COLUMNS` of `formats.records`), in the order in which fields appear first.

    Args:
        infers_texts: texts may be numbers and booleans, as in XML; else they are texts or dates.
    """
    root, _ = count_nested(batches, uri=uri)
    return columns_of(root, infers_texts=infers_texts, is_flat=False)


def count_flat(
    names: Sequence[str],
    batches: "Iterable[pa.RecordBatch]",
    *,
    null_values: Sequence[str] = ("",),
    uri: str = "",
    max_rows: int | None = None,
) -> tuple[Node, int]:
    """Count the records of a flat file; return them with the number of broken ones.

    Args:
        max_rows: stop after so many.
    """
    root = flat_node(names)
    keys = column_keys(names)
    broken = 0
    for batch in batches:
        good = batch
        if (bad := batch.num_rows - batch.column("reason").null_count) > 0:
            broken += bad
            good = batch.filter(batch.column("reason").is_null())
        if max_rows is not None:
            good = good.slice(0, max_rows - root.objects)
        root.objects += good.num_rows
        for number, key in enumerate(keys):
            node = root.fields[key]
            node.seen += good.num_rows
            node.texts.add(good.column(f"c{number}").to_pylist(), null_values=("", *null_values), where=uri or None)
        if max_rows is not None and root.objects >= max_rows:
            break
    return root, broken


def count_nested(
    batches: "Iterable[pa.RecordBatch]", *, uri: str = "", max_rows: int | None = None
) -> tuple[Node, int]:
    """Count the records of a nested file; return them with the number of broken ones."""
    root = Node(max_fields=MAX_COLUMNS)
    broken = 0
    for batch in batches:
        texts = [
            text
            for text, reason in zip(batch.column("record").to_pylist(), batch.column("reason").to_pylist(), strict=True)
            if reason is None and text is not None
        ]
        broken += batch.num_rows - len(texts)
        if max_rows is not None:
            texts = texts[: max_rows - root.objects]
        broken += add_records(root, texts, uri or None)
        if max_rows is not None and root.objects >= max_rows:
            break
    return root, broken
