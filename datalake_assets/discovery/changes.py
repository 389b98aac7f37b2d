"""What differs between two crawls, and what a policy makes of it: pure functions over tables."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from datalake_assets.discovery.report import Change, DiscoveredColumn, DiscoveredTable, FoundPartition

Policy = Literal["update", "add_columns", "report"]
Deleted = Literal["keep", "deprecate", "remove"]
MAX_PARTITIONS_TOLD = 1_000  # of one table


def compare(before: Iterable[DiscoveredTable], after: Iterable[DiscoveredTable]) -> list[Change]:
    """The differences, tables in the order of their names, each with its columns and partitions."""
    old = {table.name: table for table in before}
    new = {table.name: table for table in after}
    changes: list[Change] = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            changes.append(Change("table", "vanished", name, before=old[name].uri))
        elif name not in old:
            changes.append(Change("table", "new", name, after=new[name].uri))
        else:
            changes += _table(old[name], new[name])
    return changes


def _table(before: DiscoveredTable, after: DiscoveredTable) -> list[Change]:
    name = after.name
    changes = [
        Change("table", "changed", name, before=f"{word} {was}", after=f"{word} {now}")
        for word, was, now in (
            ("uri", before.uri, after.uri),
            ("format", _format(before), _format(after)),
            ("pattern", before.layout_pattern, after.layout_pattern),
            ("partition keys", _keys(before), _keys(after)),
        )
        if was != now
    ]
    old = {column.raw_path: column for column in before.columns}
    new = {column.raw_path: column for column in after.columns}
    for path, column in new.items():
        if path not in old:
            changes.append(Change("column", "new", f"{name}.{column.name}", after=str(column.type)))
        elif _as_typed(old[path]) != _as_typed(column):
            changes.append(
                Change("column", "changed", f"{name}.{column.name}", _as_typed(old[path]), _as_typed(column))
            )
    changes += [
        Change("column", "vanished", f"{name}.{column.name}", before=str(column.type))
        for path, column in old.items()
        if path not in new
    ]
    return changes + _partitions(before, after)


def _format(table: DiscoveredTable) -> str:
    if table.source is None:
        return table.kind
    words = table.source.model_dump(mode="json", exclude_defaults=True) | {"format": table.source.format}
    return ", ".join(f"{word}: {value}" for word, value in sorted(words.items()))


def _keys(table: DiscoveredTable) -> str:
    return ", ".join(f"{key.name} {key.type}" for key in table.partition_keys) or "none"


def _as_typed(column: DiscoveredColumn) -> str:
    return f"{column.type} {column.format}" if column.format else str(column.type)


def _partitions(before: DiscoveredTable, after: DiscoveredTable) -> list[Change]:
    old = {partition.values: partition for partition in before.partitions}
    new = {partition.values: partition for partition in after.partitions}
    changes: list[Change] = []
    for values in sorted(old.keys() | new.keys()):
        told = f"{after.name}/{'/'.join(values)}"
        if values not in new:
            changes.append(Change("partition", "vanished", told))
        elif values not in old:
            changes.append(Change("partition", "new", told, after=_sizes(new[values])))
        elif (old[values].files, old[values].bytes) != (new[values].files, new[values].bytes):
            changes.append(Change("partition", "changed", told, _sizes(old[values]), _sizes(new[values])))
    if len(changes) > MAX_PARTITIONS_TOLD:
        rest = len(changes) - MAX_PARTITIONS_TOLD
        changes = changes[:MAX_PARTITIONS_TOLD]
        changes.append(Change("partition", "changed", f"{after.name}/…", after=f"{rest:,} more partitions differ"))
    return changes


def _sizes(partition: FoundPartition) -> str:
    return f"{partition.files:,} {'file' if partition.files == 1 else 'files'}, {partition.bytes:,} bytes"


def apply(
    before: Sequence[DiscoveredTable],
    after: Sequence[DiscoveredTable],
    changes: Iterable[Change],
    *,
    policy: Policy,
    deleted: Deleted,
) -> tuple[tuple[DiscoveredTable, ...], tuple[Change, ...]]:
    """The tables as the policy leaves them, and the changes with what became of each.

    - `update`: tables are as they were found now. `add_columns`: new tables, columns and partitions are taken, columns
      keep their types and vanished columns stay. `report`: everything stays as it was, but a first crawl.
    - vanished tables: `keep` leaves them, `deprecate` marks them, `remove` takes them away. `report` keeps them.
    """
    new = {table.name: table for table in after}
    old = {table.name: table for table in before}
    result: dict[str, DiscoveredTable] = {}
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            if policy == "report" or deleted != "remove":
                result[name] = old[name]
        elif name not in old:
            if policy != "report":
                result[name] = new[name]
        elif policy == "update":
            result[name] = new[name]
        elif policy == "add_columns":
            result[name] = _with_new_columns(old[name], new[name])
        else:
            result[name] = old[name]
    return tuple(result.values()), tuple(
        replace(change, applied=_applied(change, policy, deleted)) for change in changes
    )


def _with_new_columns(before: DiscoveredTable, after: DiscoveredTable) -> DiscoveredTable:
    kept = {column.raw_path: column for column in before.columns}
    names = {column.name for column in before.columns}
    added = [column for column in after.columns if column.raw_path not in kept]
    columns = [*before.columns, *(column for column in added if column.name not in names)]
    return replace(after, columns=tuple(columns))


def _applied(change: Change, policy: Policy, deleted: Deleted) -> str:
    if change.what == "classifier":
        return "all was read again"
    if policy == "report":
        return "reported only"
    if change.what == "table" and change.how == "vanished":
        return {"keep": "kept", "deprecate": "deprecated", "remove": "removed"}[deleted]
    if policy == "add_columns" and change.what == "column" and change.how != "new":
        return "kept as it was"
    return {"new": "added", "changed": "updated", "vanished": "removed"}[change.how]
