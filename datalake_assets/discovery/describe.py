"""What the report says about one table: its name, place, pattern, partition keys and columns."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from datalake_assets.column_types import TargetType
from datalake_assets.discovery.columns.lattice import TEXT
from datalake_assets.discovery.columns.scalar_columns import decide
from datalake_assets.discovery.columns.target_names import target_name, unique_names
from datalake_assets.discovery.columns.text_profile import TextProfile
from datalake_assets.discovery.layout import Template, key_pattern, slots
from datalake_assets.discovery.report import DiscoveredTable, FoundPartition, PartitionKey
from datalake_assets.discovery.tables import Cluster, differing_words, literal_template, merged_columns

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
MAX_PARTITION_EXAMPLES = 5
_DATE_WORDS = ("year", "month", "day", "hour")


@dataclass(frozen=True, slots=True)
class _Slot:
    """One value of the keys: where it is, its name, and all its values."""

    folder: int
    width: int
    raw_name: str | None
    name: str
    values: tuple[str, ...]
    codes: str | None


def table_names(clusters: Sequence[Cluster]) -> list[str]:
    """A valid and unique name for each table: its last folder, or its files' name where several share a folder."""
    same: Counter[object] = Counter((cluster.groups[0].base, cluster.template.folders) for cluster in clusters)
    roots: Counter[object] = Counter((cluster.groups[0].base, cluster.template.root) for cluster in clusters)
    below: Counter[object] = Counter()
    for cluster in clusters:
        root = cluster.template.root
        below.update((cluster.groups[0].base, root[:depth]) for depth in range(len(root) + 1))
    raw = []
    for cluster in clusters:
        root = cluster.template.root
        base, folders = cluster.groups[0].base, cluster.template.folders
        # Files beside folders of other tables share their folder with them.
        is_shared = same[base, folders] > 1 or (len(root) == len(folders) and below[base, root] > 1)
        is_single = not cluster.template.folders and sum(group.files for group in cluster.groups) == 1
        stem = _stem(cluster)
        if stem and (is_shared or is_single or not (root or _bucket(cluster))):
            raw.append(stem)
        else:
            literals = [part.text for part in folders if part.kind == "literal"]
            # Below one root, such as `dt=…/flights/` and `dt=…/weather/`, the folder behind the values tells more.
            named = literals if roots[base, root] > 1 else root
            raw.append(named[-1] if named else _bucket(cluster) or stem or "table")
    return unique_names([target_name(name, prefix="table") for name in raw], prefix="table")


def _bucket(cluster: Cluster) -> str:
    base = cluster.groups[0].base
    return base.partition("://")[2].strip("/") if "://" in base else ""


def _stem(cluster: Cluster) -> str:
    """What all file names of a table have in common, without dates, numbers and endings."""
    names = [group.template.name.removesuffix(group.template.ending) for group in cluster.groups]
    first, last = min(names), max(names)
    length = next(
        (n for n, letters in enumerate(zip(first, last, strict=False)) if letters[0] != letters[1]), len(first)
    )
    stem = first[:length].partition("{")[0].partition("*")[0]
    return stem.strip("-_. ") if any(letter.isalpha() for letter in stem) else ""


def describe(
    cluster: Cluster, name: str, *, is_alone: bool, is_one_object: bool = False, sample_note: str | None = None
) -> DiscoveredTable:
    """The report of one table.

    Args:
        is_alone: no other table has files in the same folders, so that its pattern may take any name.
        is_one_object: the crawl was asked for just this object.
    """
    template = literal_template(cluster)
    if is_alone and "{" not in template.name and not is_one_object:
        template = replace(template, name=f"*{template.ending}")
    found = _slots(template, cluster)
    hive_dates = {slot.folder: slot.codes for slot in found if slot.raw_name is not None and slot.codes is not None}
    is_local = "://" not in cluster.groups[0].base
    root_from = max(len(template.root) - 1, 0) if is_local else 0
    pattern, in_pattern = key_pattern(template, hive_dates, name=template.name, root_from=root_from)
    keys = tuple(_partition_key(slot, template, in_pattern, root_from) for slot in found)
    columns = merged_columns(cluster.profiles, taken=[key.name for key in keys])
    files = sum(group.files for group in cluster.groups)
    total_rows = [profile.total_rows for profile in cluster.profiles]
    knows_rows = len(cluster.profiles) == files and None not in total_rows
    best = max(cluster.profiles, key=lambda profile: profile.classification.certainty)
    return DiscoveredTable(
        name=name,
        uri=_uri(cluster, template, is_one_object=is_one_object),
        source=cluster.source,
        classification=best.classification,
        columns=columns,
        partition_keys=keys,
        layout_pattern=pattern,
        files=files,
        bytes=sum(group.bytes for group in cluster.groups),
        sampled_files=len(cluster.profiles),
        sampled_bytes=sum(profile.read_bytes for profile in cluster.profiles),
        sampled_rows=sum(profile.rows for profile in cluster.profiles),
        broken_rows=sum(profile.broken for profile in cluster.profiles),
        notes=tuple(_notes(cluster, keys, columns_named=[column.raw_path for column in columns], files=files)),
        rows=sum(rows or 0 for rows in total_rows) if knows_rows and total_rows else None,
        partitions=_partitions(cluster, found, keys),
        certainty=best.classification.certainty,
    )


def _uri(cluster: Cluster, template: Template, *, is_one_object: bool) -> str:
    if is_one_object:
        return cluster.profiles[0].uri
    base = cluster.groups[0].base
    return base.rstrip("/") + "/" + "".join(f"{folder}/" for folder in template.root)


def _slots(template: Template, cluster: Cluster) -> list[_Slot]:
    values = [values for group in cluster.groups for values in group.partitions]
    places = slots(template)
    raw_names: list[str | None] = []
    names: list[str] = []
    for number, (folder, _) in enumerate(places):
        part = template.folders[folder] if folder >= 0 else None
        if part is None or part.kind == "date":
            code = part.text if part else ""
            names.append({"%H": "hour", "%m": "month"}.get(code, "dt"))
            if part and code == "%Y" and places[number][1] == 1:
                names[-1] = "year"
            raw_names.append(None)
        else:
            raw_names.append(part.text if part.kind == "hive" else None)
            names.append(part.text if part.kind == "hive" else f"partition_{number}")
    valid = unique_names(names)
    result = []
    for number, (folder, width) in enumerate(places):
        seen = tuple(sorted({each[number] for each in values if number < len(each)}))
        codes = None
        if raw_names[number] is not None:
            codes = _date_codes(seen)
        elif valid[number].startswith("dt"):
            codes = "%Y-%m-%d"
        result.append(_Slot(folder, width, raw_names[number], valid[number], seen, codes))
    return result


def _date_codes(values: Iterable[str]) -> str | None:
    """The format of a hive key of which every value is a date."""
    profile = TextProfile()
    profile.add([value for value in values if value != HIVE_NULL])
    decision = decide(profile)
    if decision.type.kind != "date" or decision.conflicts or decision.other_formats:
        return None
    codes = decision.format or "%Y-%m-%d"
    return codes if codes in ("%Y-%m-%d", "%Y%m%d", "%Y_%m_%d", "%d-%m-%Y") else None


def _partition_key(slot: _Slot, template: Template, in_pattern: frozenset[int], root_from: int) -> PartitionKey:
    codes: str | None = slot.codes
    kind = TEXT
    if slot.codes is not None:
        kind = TargetType("date")
        if slot.folder < 0:
            codes = template.name.partition("{")[2].partition("}")[0]
        elif slot.raw_name is None:
            codes = "/".join(part.text for part in template.folders[slot.folder : slot.folder + slot.width])
    else:
        kind = _type(slot)
    return PartitionKey(
        name=slot.name,
        type=kind,
        position=(len(template.folders) if slot.folder < 0 else slot.folder) - root_from,
        format=codes,
        raw_name=slot.raw_name,
        in_pattern=slot.folder in in_pattern,
        values=len(slot.values),
        examples=tuple(unquote(value) for value in slot.values[:MAX_PARTITION_EXAMPLES]),
    )


def _type(slot: _Slot) -> TargetType:
    values = [unquote(value) for value in slot.values if value != HIVE_NULL]
    if slot.name in _DATE_WORDS and all(value.isdecimal() for value in values):
        return TargetType("int")
    profile = TextProfile()
    profile.add(values)
    decision = decide(profile)
    is_plain = (
        decision.type.kind in ("int", "bigint", "boolean") and not decision.conflicts and not decision.null_values
    )
    return decision.type if is_plain and decision.thousands is None else TEXT


def _partitions(cluster: Cluster, found: Sequence[_Slot], keys: Sequence[PartitionKey]) -> tuple[FoundPartition, ...]:
    if not keys:
        return ()
    from datalake_assets.discovery.layout import iso

    counted: dict[tuple[str, ...], list[FoundPartition]] = {}
    for group in cluster.groups:
        for values, count in group.partitions.items():
            typed = tuple(
                iso(value) if key.type.kind == "date" and slot.codes != "%d-%m-%Y" else unquote(value)
                for value, key, slot in zip(values, keys, found, strict=False)
            )
            counted.setdefault(typed, []).append(FoundPartition(typed, count.location, count.files, count.bytes))
    return tuple(
        FoundPartition(values, same[0].location, sum(p.files for p in same), sum(p.bytes for p in same))
        for values, same in sorted(counted.items())
    )


def _notes(cluster: Cluster, keys: Sequence[PartitionKey], *, columns_named: Sequence[str], files: int) -> list[str]:
    notes = []
    if (broken := sum(profile.broken for profile in cluster.profiles)) > 0:
        notes.append(f"{broken:,} broken records among {sum(p.rows for p in cluster.profiles) + broken:,} sampled ones")
    if words := differing_words(cluster.profiles):
        notes.append(f"the sampled files differ in {', '.join(words)}: the most frequent one was taken")
    if cluster.apart:
        told = ", ".join(profile.uri for profile in cluster.apart[:3])
        notes.append(f"{len(cluster.apart)} of the sampled files are written in another way: {told}")
    notes += [
        f"{key.raw_name!r} is both a column of the files and a partition key"
        for key in keys
        if key.raw_name is not None and key.raw_name in columns_named
    ]
    if any(key.raw_name is None and key.name.startswith("partition_") for key in keys):
        notes.append("folders of compatible schemas became one table; `--table-level` keeps them apart")
    if files > len(cluster.profiles):
        notes.append(f"{len(cluster.profiles)} of {files:,} files were read")
    return notes
