"""From what was seen at each place of the records to columns: names, types, nested parts, conflicts."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from datalake_assets.column_types import TargetType
from datalake_assets.discovery.columns.lattice import TEXT
from datalake_assets.discovery.columns.node import MAX_NESTED_DEPTH, Node, raw_name
from datalake_assets.discovery.columns.scalar_columns import QUARANTINE_SHARE, Decision, date_order, decide
from datalake_assets.discovery.columns.shapes import NUMBER_SHAPES
from datalake_assets.discovery.columns.target_names import RESERVED, unique_names
from datalake_assets.discovery.columns.text_profile import TextProfile
from datalake_assets.discovery.report import Conflict, DiscoveredColumn

# An object whose keys are ids, not names, is a map. Keys look like ids, or there are many and each is rare.
MIN_ID_KEYS = 2
MIN_RARE_KEYS = 20
RARE_KEY_SHARE = 0.25
_ID_KEY = re.compile(
    r"\d+|[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|[0-9a-f]{16,}|\d{4}-\d{2}-\d{2}\S*|[^@\s]+@[^@\s]+|"
    r"[A-Za-z]{1,4}[-_]?\d+",
    re.IGNORECASE,
)
_PLAIN_SEGMENT = re.compile(r"[^.\[\]{}\"]+")
_TIME_NAME = re.compile(
    r"(time|date|epoch|created|updated|modified|expires?|timestamp|(^|_)(ts|at|on)$)", re.IGNORECASE
)
# 2000-01-01 to 2035-01-01, in seconds; the other units are multiples.
_EPOCH_FROM, _EPOCH_TO = 946_684_800, 2_051_222_400
_EPOCH_UNITS = ((1, "seconds", "epoch_s"), (1_000, "milliseconds", "epoch_ms"), (1_000_000, "microseconds", None))


@dataclass(frozen=True, slots=True)
class Reading:
    """How the texts of a file are to be read.

    `infers_texts`: texts may be numbers and booleans (csv, logs, xml), not only dates (json). `order` is that of day
    and month in the dates of the table.
    """

    infers_texts: bool
    is_flat: bool
    order: str | None = None


def columns_of(
    root: Node, *, infers_texts: bool, is_flat: bool, taken: Iterable[str] = ()
) -> tuple[DiscoveredColumn, ...]:
    """The columns of a table from everything that was seen of its records.

    Args:
        taken: names that no column may get, such as those of the partition keys.
    """
    reading = Reading(infers_texts, is_flat, date_order(_profiles(root)))
    keys = list(root.fields)
    raw = [raw_name(key) if is_flat else key for key in keys]
    valid = unique_names([name.strip() for name in raw], taken=(*RESERVED, *taken))
    found = []
    folded: dict[str, str] = {}
    for position, (key, name, target) in enumerate(zip(keys, raw, valid, strict=True)):
        path = name if is_flat else _segment(name)
        column = _column(root.fields[key], target, path, root.objects, reading, depth=1, position=position)
        notes = list(column.notes)
        other = folded.setdefault(name.strip().lower(), name)
        if other != name:
            notes.append(f"differs from {other!r} only by case")
        elif key != name:
            notes.append(f"the header names {name!r} more than once")
        if not name.strip():
            notes.append("has no name in the file")
        found.append(_with(column, notes))
    return tuple(found)


def _with(column: DiscoveredColumn, notes: list[str]) -> DiscoveredColumn:
    return column if list(column.notes) == notes else replace(column, notes=tuple(notes))


def _segment(key: str) -> str:
    """One key of a path; one that holds a dot or a bracket stands in double quotes."""
    return key if _PLAIN_SEGMENT.fullmatch(key) else '"' + key.replace('"', '""') + '"'


def _profiles(node: Node) -> Iterator[TextProfile]:
    yield node.texts
    for each in node.fields.values():
        yield from _profiles(each)
    for one in (node.element, node.values):
        if one is not None:
            yield from _profiles(one)


def _column(
    node: Node, name: str, path: str, times: int, reading: Reading, *, depth: int, position: int | None = None
) -> DiscoveredColumn:
    """`times` is how often the place could have been there: missing is null too."""
    nulls = max(times - node.seen, 0) + node.nulls
    if reading.is_flat:
        nulls = max(times - node.texts.count, 0)
    place = position if reading.is_flat else None
    if node.declared is not None and not (node.objects or node.arrays):
        if reading.is_flat:  # a log whose pattern names the type
            return replace(_declared(node.declared, name, path, times, nulls, node), position=place)
        return _declared(node.declared, name, path, node.seen, node.nulls, node)
    scalars = node.texts.count + node.literals.count
    kinds = {"value": scalars, "array": node.arrays, "struct": node.objects, "deep": node.too_deep}
    present = sum(kinds.values())
    main = max(kinds, key=lambda kind: kinds[kind])
    others = present - kinds[main]
    if main == "value" and others <= QUARANTINE_SHARE * present:
        column = _scalar(node, name, path, max(times, node.seen), nulls, reading, place)
        return column if not others else _rare(column, _structures(node, main), others)
    if main in ("array", "struct") and others <= QUARANTINE_SHARE * present:
        build = _array if main == "array" else _object
        column = build(node, name, path, max(times, node.seen), nulls, reading, depth)
        return column if not others else _rare(column, _structures(node, main), others)
    conflicts = _structures(node, None)
    notes = ["values of several structures: " + ", ".join(f"{each.count:,} {each.type}" for each in conflicts)]
    if main == "deep":
        notes = [f"nested more than {MAX_NESTED_DEPTH} levels deep: its JSON text"]
    return DiscoveredColumn(
        name=name,
        raw_path=path,
        type=TEXT,
        nulls=nulls,
        count=max(times, node.seen),
        conflicts=tuple(conflicts) if main != "deep" else (),
        on_conflict="text" if main != "deep" else None,
        examples=tuple(_examples(node)),
        certainty=0.6,
        notes=(*notes, "kept as its JSON text"),
    )


def _rare(column: DiscoveredColumn, conflicts: list[Conflict], others: int) -> DiscoveredColumn:
    return replace(
        column,
        conflicts=(*column.conflicts, *conflicts),
        on_conflict=column.on_conflict or "quarantine",
        certainty=min(column.certainty, 0.9),
        notes=(*column.notes, f"{others:,} values have another structure: they go to quarantine"),
    )


def _structures(node: Node, main: str | None) -> list[Conflict]:
    """What kinds of values were seen there, without the main one."""
    counts = {
        "array": node.arrays,
        "struct": node.objects,
        "varchar": node.texts.count,
        "number": sum(each.count for each in node.literals.numbers.values()),
        "boolean": sum(node.literals.words.values()),
        "deep": node.too_deep,
    }
    main_kinds = {"value": ("varchar", "number", "boolean")}.get(main or "", (main,))
    examples = {"varchar": node.texts.examples, "number": node.literals.examples}
    found = [
        Conflict(kind, count, tuple(examples.get(kind, ())))
        for kind, count in counts.items()
        if count and kind not in main_kinds
    ]
    return sorted(found, key=lambda each: (-each.count, each.type))


def _examples(node: Node) -> list[str]:
    return [*node.literals.examples, *(each for each in node.texts.examples if each not in node.literals.examples)][:5]


def _scalar(
    node: Node, name: str, path: str, times: int, nulls: int, reading: Reading, position: int | None
) -> DiscoveredColumn:
    decision, profile = _decided(node, reading)
    _note_epoch(name, profile, decision)
    return DiscoveredColumn(
        name=name,
        raw_path=path,
        type=decision.type,
        nulls=nulls + decision.token_nulls,
        count=times,
        format=decision.format,
        other_formats=decision.other_formats,
        conflicts=decision.conflicts,
        on_conflict=decision.on_conflict,
        examples=tuple(_examples(node)),
        certainty=decision.certainty,
        notes=tuple(decision.notes),
        null_values=decision.null_values,
        decimal=decision.decimal,
        thousands=decision.thousands,
        position=position,
    )


def _decided(node: Node, reading: Reading) -> tuple[Decision, TextProfile]:
    if reading.infers_texts or not node.texts.count:
        profile = node.literals if not node.texts.count and not reading.infers_texts else _together(node)
        return decide(profile, order=reading.order), profile
    decision = decide(node.texts, order=reading.order)
    if not node.literals.count:
        if decision.type.kind in ("date", "timestamp") and "int" not in _fitting(node.texts):
            return decision, node.texts
        if decision.type != TEXT:
            # A string of a typed format is a string: whoever wrote it could have written a number.
            kept = Decision(notes=[f"all texts look like {decision.type}"])
            return kept, node.texts
        return decision, node.texts
    both = _together(node)
    found = decide(both, order=reading.order)
    if found.type != TEXT:
        found.doubt(0.8, f"{node.texts.count:,} of {both.count:,} values are written as texts")
    elif not found.conflicts:
        numbers = sum(each.count for each in node.literals.numbers.values())
        kinds = {"varchar": node.texts, "number" if numbers else "boolean": node.literals}
        found.conflicts = tuple(Conflict(kind, each.count, tuple(each.examples)) for kind, each in kinds.items())
        found.on_conflict = "text"
        found.doubt(0.7, "texts and " + ("numbers" if numbers else "booleans"))
    return found, both


def _fitting(profile: TextProfile) -> set[str]:
    return set(profile.numbers) & NUMBER_SHAPES


def _together(node: Node) -> TextProfile:
    both = TextProfile()
    both.merge(node.literals)
    both.merge(node.texts)
    return both


def _note_epoch(name: str, profile: TextProfile, decision: Decision) -> None:
    numbers = profile.numbers.get("int")
    if decision.type.kind not in ("int", "bigint") or numbers is None or numbers.minimum is None:
        return
    for factor, unit, word in _EPOCH_UNITS:
        inside = _EPOCH_FROM * factor <= numbers.minimum and (numbers.maximum or 0) <= _EPOCH_TO * factor
        if inside and (factor > 1 or _TIME_NAME.search(name)):
            todo = f"; for a timestamp write `type: timestamp, format: {word}`" if word else ""
            decision.notes.append(f"looks like {unit} since 1970{todo}")
            if decision.type.kind == "int":
                decision.type = TargetType("bigint")  # the sampled seconds fit, those after 2038 do not


def _array(node: Node, name: str, path: str, times: int, nulls: int, reading: Reading, depth: int) -> DiscoveredColumn:
    element = node.element or Node()
    part = _column(element, "element", f"{path}[]", element.seen, reading, depth=depth + 1)
    notes = [f"up to {node.longest_array:,} elements"]
    certainty = part.certainty
    if element.declared is not None or element.objects or element.arrays:
        notes = notes if element.seen else []
    elif not element.seen:
        notes, certainty = ["only empty arrays were seen"], 0.4
    return DiscoveredColumn(
        name=name,
        raw_path=path,
        type=TargetType("array", parts=(("element", part.type),)),
        nulls=nulls,
        count=times,
        certainty=certainty,
        notes=tuple(notes),
        parts=(part,),
        examples=part.examples if not part.parts else (),
    )


def _object(node: Node, name: str, path: str, times: int, nulls: int, reading: Reading, depth: int) -> DiscoveredColumn:
    if is_map(node):
        value = Node()
        for each in (*node.fields.values(), *([node.values] if node.values else [])):
            value.merge(each)
        part = _column(value, "value", f"{path}{{}}", value.seen, reading, depth=depth + 1)
        keys = list(node.fields)[:3]
        many = f"more than {len(node.fields):,}" if node.values else f"{len(node.fields):,}"
        # A map that the schema of the file declares needs no reason.
        notes = (f"its {many} keys are data, not names: {', '.join(keys)} …",) if keys else ()
        key = DiscoveredColumn("key", f"{path}{{key}}", TEXT, 0, value.seen, examples=tuple(keys))
        return DiscoveredColumn(
            name=name,
            raw_path=path,
            type=TargetType("map", parts=(("key", TEXT), ("value", part.type))),
            nulls=nulls,
            count=times,
            certainty=min(part.certainty, 0.85) if keys else part.certainty,
            notes=notes,
            parts=(key, part),
        )
    if not node.fields:
        return DiscoveredColumn(
            name, path, TEXT, nulls, times, certainty=0.4, notes=("only empty objects were seen: their JSON text",)
        )
    valid = unique_names(list(node.fields), prefix="field")
    parts = tuple(
        _column(each, valid_name, f"{path}.{_segment(key)}", node.objects, reading, depth=depth + 1)
        for (key, each), valid_name in zip(node.fields.items(), valid, strict=True)
    )
    return DiscoveredColumn(
        name=name,
        raw_path=path,
        type=TargetType("struct", parts=tuple((part.name, part.type) for part in parts)),
        nulls=nulls,
        count=times,
        certainty=min(part.certainty for part in parts),
        parts=parts,
    )


def is_map(node: Node) -> bool:
    """Whether the keys of an object are data: they look like ids, or are many and each is rare."""
    if node.values is not None:
        return True
    keys = list(node.fields)
    ids = sum(_ID_KEY.fullmatch(key) is not None for key in keys)
    share = sum(each.seen for each in node.fields.values()) / max(len(keys) * node.objects, 1)
    looks_like_ids = len(keys) >= MIN_ID_KEYS and ids == len(keys) and (node.objects > 1 or len(keys) > 2)
    # f1, f2, f3 in every object are names all the same.
    if looks_like_ids and share >= 0.9 and node.objects > 1 and not all(key.isdigit() for key in keys):
        looks_like_ids = False
    is_many = len(keys) >= MIN_RARE_KEYS and share <= RARE_KEY_SHARE
    return (looks_like_ids or is_many) and len(_kinds(node.fields.values())) <= 1


def _kinds(nodes: Iterable[Node]) -> set[str]:
    """Which structures the values have: those of a map have one."""
    found = set()
    for node in nodes:
        if node.objects:
            found.add("struct")
        if node.arrays:
            found.add("array")
        if node.texts.count:
            found.add("text")
        if node.literals.count:
            found.add("literal")
    return found


def _declared(declared: TargetType, name: str, path: str, times: int, nulls: int, node: Node) -> DiscoveredColumn:
    """A column whose type the file itself tells."""
    parts = []
    for label, part in declared.parts:
        ending = {"array": "[]", "map": "{key}" if label == "key" else "{}"}.get(declared.kind, f".{_segment(label)}")
        child = node.fields.get(label) or Node()
        parts.append(_declared(part, label, f"{path}{ending}", times, 0, child))
    return DiscoveredColumn(
        name=name,
        raw_path=path,
        type=declared,
        nulls=nulls,
        count=times,
        examples=tuple(_examples(node)),
        parts=tuple(parts),
    )
