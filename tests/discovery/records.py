"""Records as a crawl counts them, made from plain values."""

import json
from collections.abc import Sequence
from typing import Any

from datalake_assets.discovery.columns.inference import count_flat, count_nested
from datalake_assets.discovery.columns.of_node import columns_of
from datalake_assets.discovery.report import DiscoveredColumn


def column(values: Sequence[str | None], name: str = "value") -> DiscoveredColumn:
    """The one column of a flat file with these values."""
    (found,) = flat(**{name: values})
    return found


def flat(**columns: Sequence[str | None]) -> tuple[DiscoveredColumn, ...]:
    """The columns of a flat file."""
    rows = list(zip(*columns.values(), strict=True))
    root, _ = count_flat(list(columns), rows, uri="file.csv")
    return columns_of(root, infers_texts=True, is_flat=True)


def header(names: Sequence[str]) -> tuple[DiscoveredColumn, ...]:
    """The columns of a flat file with one row under these names."""
    root, _ = count_flat(names, [["x"] * len(names)])
    return columns_of(root, infers_texts=True, is_flat=True)


def nested(*records: Any) -> dict[str, DiscoveredColumn]:
    """The columns of nested records, by their raw path."""
    root, _ = count_nested([each if isinstance(each, str) else json.dumps(each) for each in records], uri="file.json")
    return {found.raw_path: found for found in columns_of(root, infers_texts=False, is_flat=False)}
