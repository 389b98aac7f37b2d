"""From discovered columns to the entries of `columns` and `children`, with a comment on whatever is uncertain."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from datalake_assets import names
from datalake_assets.discovery.report import DiscoveredColumn, DiscoveredTable, PartitionKey
from datalake_assets.formats.paths import path_parts
from datalake_assets.mapping.columns import RESERVED_COLUMNS, TEXT_SUFFIX

KEY_KINDS = ("smallint", "int", "bigint", "varchar")
MAX_EXAMPLES = 3
MAX_EXAMPLE_CHARACTERS = 40
LONGEST_TABLE = names.MAX_IDENTIFIER_CHARACTERS - len("_quarantine")


@dataclass(frozen=True)
class Entry:
    """One line of `columns` and what is said above it."""

    words: dict[str, Any]
    comments: tuple[str, ...] = ()

    @property
    def to(self) -> str:
        return str(self.words.get("to", ""))


@dataclass(frozen=True)
class ChildTable:
    """One entry of `children`."""

    table: str
    from_: str
    key: tuple[str, ...]
    entries: tuple[Entry, ...]
    children: "tuple[ChildTable, ...]" = ()


@dataclass
class Taken:
    """Names that columns of a table have already."""

    names: set[str] = field(default_factory=lambda: set(RESERVED_COLUMNS))

    def name(self, wanted: str) -> str:
        """The wanted name, or the first of `wanted_2`, … that is free and short enough."""
        found, number = wanted[: names.MAX_IDENTIFIER_CHARACTERS], 2
        while found in self.names:
            end = f"_{number}"
            found, number = wanted[: names.MAX_IDENTIFIER_CHARACTERS - len(end)] + end, number + 1
        self.names.add(found)
        return found


@dataclass(frozen=True)
class ColumnPlan:
    """Everything below `columns` and `children` of a table."""

    entries: tuple[Entry, ...]
    children: tuple[ChildTable, ...]
    key: str | None
    never_null: tuple[str, ...]
    left_out: tuple[str, ...] = ()  # raw paths that no mapping can name


def plan_columns(table: DiscoveredTable, table_name: str) -> ColumnPlan:
    """Decide what each discovered column becomes.

    Structs are flattened into columns of their own; arrays of plain values and maps stay what they are; arrays of
    structs become child tables where the parent has something like a key, and stay arrays where it has none.
    """
    taken = Taken()
    key = _key(table)
    entries: list[Entry] = []
    nested: list[DiscoveredColumn] = []
    key_name: str | None = None
    never_null: list[str] = []
    left_out: list[str] = []
    for column in table.columns:
        for each, prefix in _flattened(column):
            if not _is_mappable(each.raw_path):
                left_out.append(each.raw_path)
                continue
            if key is not None and _is_relational(each):
                nested.append(each)
                continue
            entry = _entry(each, taken, prefix)
            entries.append(entry)
            if each is key:
                key_name = entry.to
            if each.is_required and not each.conflicts and not each.type.is_nested and each is column:
                never_null.append(entry.to)
    entries += [made for each in table.partition_keys if (made := _key_entry(each, taken))]
    children = [] if key_name is None else list(_children(nested, table_name, (key_name,), "", taken=set()))
    return ColumnPlan(tuple(entries), tuple(children), key_name, tuple(never_null), tuple(left_out))


def names_by_place(table: DiscoveredTable) -> tuple[str, ...] | None:
    """Names of the columns of a flat file in their order, if its header repeats names or leaves them empty."""
    raw = [column.raw_path for column in table.columns]
    if all(raw) and len(set(raw)) == len(raw):
        return None
    if [column.position for column in table.columns] != list(range(len(raw))):
        return None
    taken: set[str] = set()
    found = []
    for column, name in zip(table.columns, raw, strict=True):
        wanted = name if name and name not in taken and raw.count(name) == 1 else column.name
        while wanted in taken or (wanted != name and wanted in raw):
            wanted += "_"
        taken.add(wanted)
        found.append(wanted)
    return tuple(found)


def _is_mappable(path: str) -> bool:
    """Whether `from` can name it: nothing empty, no spaces around."""
    if not path or path != path.strip():
        return False
    try:
        path_parts(path)
    except ValueError:
        return '"' in path or "." in path  # the name of a flat column is no path and may hold anything
    return True


def _key(table: DiscoveredTable) -> DiscoveredColumn | None:
    """The column that is named like a key and never null, if there is one."""

    def rank(column: DiscoveredColumn) -> int:
        if column.raw_path in table.key_columns:
            return 0
        name = column.name
        if name in ("id", "_id", "uuid", "guid") or name == f"{table.name.removesuffix('s')}_id":
            return 1
        return 2 if name.endswith(("_id", "_uuid", "_key")) else 9

    candidates = [
        column
        for column in table.columns
        if column.is_required and column.type.kind in KEY_KINDS and not column.conflicts and rank(column) < 9
    ]
    return min(candidates, key=rank, default=None)


def _is_relational(column: DiscoveredColumn) -> bool:
    return column.type.kind == "array" and column.type.parts[0][1].kind == "struct" and bool(column.parts)


def _flattened(column: DiscoveredColumn, prefix: str = "") -> Iterator[tuple[DiscoveredColumn, str]]:
    """A column, or in place of a struct the fields of it; with what the names of the fields begin with."""
    if column.type.kind != "struct" or not column.parts or column.conflicts:
        yield column, prefix
        return
    for part in column.parts:
        yield from _flattened(part, f"{prefix}{column.name}_")


def _entry(column: DiscoveredColumn, taken: Taken, prefix: str = "", *, below: str = "") -> Entry:
    """One column; `below` is what its path begins with when it belongs to a child table."""
    path = column.raw_path.removeprefix(f"{below}.") if below else column.raw_path
    comments: list[str] = []
    kind = str(column.type)
    if column.type.is_nested and _has_renamed_fields(column):
        comments.append("kept as JSON text, because the names of its fields cannot be those of a struct")
        kind = "varchar"
    words: dict[str, Any] = {"from": path, "to": taken.name(prefix + column.name), "type": kind}
    if formats := [each for each in (column.format, *column.other_formats) if each]:
        words["format"] = formats[0] if len(formats) == 1 else formats
    if column.null_values:
        words["null_values"] = list(column.null_values)
    if column.decimal and column.decimal != ".":
        words["decimal"] = column.decimal
    if column.thousands:
        words["thousands"] = column.thousands
    if column.on_conflict and column.on_conflict != "quarantine" and kind != "varchar":
        words["on_conflict"] = column.on_conflict
        if column.on_conflict == "split":
            taken.names.add(words["to"] + TEXT_SUFFIX)
    return Entry(words, (*comments, *_doubts(column)))


def _doubts(column: DiscoveredColumn) -> Iterator[str]:
    """What a person should look at: values that do not fit, notes, a low certainty."""
    for conflict in column.conflicts:
        shown = _shown(conflict.examples)
        where = f", first in {place_told(conflict.where)}" if conflict.where else ""
        yield f"{conflict.count:,} of {column.count:,} sampled values look like {conflict.type}{shown}{where}"
    yield from column.notes
    if column.is_uncertain and not column.notes and not column.conflicts:
        nulls = f", {column.nulls:,} of {column.count:,} are null" if column.nulls else ""
        yield f"uncertain ({column.certainty:.2f}){_shown(column.examples)}{nulls}"


def place_told(uri: str) -> str:
    """A URI, or of a local path the last folders: a file in git does not tell of anybody's disk."""
    if "://" in uri:
        return uri
    return "/".join(uri.rstrip("/").split("/")[-2:]) + ("/" if uri.endswith("/") else "")


def _shown(examples: Sequence[str]) -> str:
    cut = [each if len(each) <= MAX_EXAMPLE_CHARACTERS else each[:MAX_EXAMPLE_CHARACTERS] + "…" for each in examples]
    return ": " + ", ".join(repr(each) for each in cut[:MAX_EXAMPLES]) if cut else ""


def _has_renamed_fields(column: DiscoveredColumn) -> bool:
    """Whether a struct within has a field that is called otherwise in the files."""
    for part in column.parts:
        is_field = column.type.kind == "struct"
        if is_field and part.raw_path != f"{column.raw_path}.{part.name}":
            return True
        if _has_renamed_fields(part):
            return True
    return False


def _key_entry(key: PartitionKey, taken: Taken) -> Entry | None:
    if key.in_pattern or key.raw_name is None:
        return None
    words: dict[str, Any] = {"from_key": key.raw_name, "to": taken.name(key.name), "type": str(key.type)}
    return Entry(words)


def _children(
    columns: Sequence[DiscoveredColumn], parent: str, key: tuple[str, ...], below: str, *, taken: set[str]
) -> Iterator[ChildTable]:
    for column in columns:
        element = column.parts[0]
        end = column.raw_path.removeprefix(f"{below}.") if below else column.raw_path
        table = _table_name(f"{parent}_{column.name}", taken)
        inside = Taken(set(RESERVED_COLUMNS) | set(key) | {"_position", "_value", "_key"})
        entries: list[Entry] = []
        deeper: list[DiscoveredColumn] = []
        for part in element.parts:
            for each, prefix in _flattened(part):
                if _is_relational(each):
                    deeper.append(each)
                else:
                    entries.append(_entry(each, inside, prefix, below=element.raw_path))
        if not entries:
            continue
        children = tuple(_children(deeper, table, (), element.raw_path, taken=taken))
        yield ChildTable(table, end, key, tuple(entries), children)


def _table_name(wanted: str, taken: set[str]) -> str:
    found, number = wanted[:LONGEST_TABLE], 2
    while found in taken:
        end = f"_{number}"
        found, number = wanted[: LONGEST_TABLE - len(end)] + end, number + 1
    taken.add(found)
    return found
