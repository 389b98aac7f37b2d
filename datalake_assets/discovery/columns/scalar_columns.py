"""Decide what type the texts of a column have, from what they look like.

The thresholds that decide about values which do not fit:

- up to 1 % of the values: the type of the others, `on_conflict: quarantine`;
- up to 10 %: the type of the others, `on_conflict: split`;
- more: text.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from datalake_assets.column_types import MAX_VARCHAR_BYTES, TargetType
from datalake_assets.discovery.columns.lattice import TEXT
from datalake_assets.discovery.columns.moments import Moment
from datalake_assets.discovery.columns.shapes import (
    LETTERS,
    MAX_EXAMPLES,
    NUMBER_SHAPES,
    STYLES,
    TEXT_NULL_TOKENS,
    WORDS,
    ShapeCount,
)
from datalake_assets.discovery.columns.text_profile import TextProfile
from datalake_assets.discovery.report import Conflict, OnConflict

QUARANTINE_SHARE = 0.01
SPLIT_SHARE = 0.10
MAX_INT, MAX_BIGINT = 2**31 - 1, 2**63 - 1
# A decimal is widened to these digits: the same bytes in the files, and room for the values that were not sampled.
DECIMAL_WIDTHS = (9, 18, 38)
# Numbers with so many digits after the point, in changing counts, are binary fractions, not amounts.
MAX_VARYING_SCALE = 4
_FEW = 3  # values; fewer prove little


@dataclass(slots=True)
class Decision:
    """The type of a column's texts, and what goes with it; the fields are those of `DiscoveredColumn`."""

    type: TargetType = TEXT
    certainty: float = 1.0
    format: str | None = None
    other_formats: tuple[str, ...] = ()
    decimal: str | None = None
    thousands: str | None = None
    null_values: tuple[str, ...] = ()
    token_nulls: int = 0
    conflicts: tuple[Conflict, ...] = ()
    on_conflict: OnConflict | None = None
    notes: list[str] = field(default_factory=list)

    def doubt(self, certainty: float, note: str) -> None:
        self.certainty = min(self.certainty, certainty)
        self.notes.append(note)


@dataclass(slots=True)
class _Candidate:
    """One way to read the column: how many values fit, and the decision if it wins."""

    kind: str
    fits: int
    shapes: frozenset[str]
    decision: Decision
    bits: dict[str, int] = field(default_factory=dict)  # family → the bit of the chosen format


def decide(profile: TextProfile, *, order: str | None = None) -> Decision:
    """The type of a column's texts.

    Args:
        order: `d` or `m`: which comes first in dates elsewhere in the table, for dates that do not tell it.
    """
    tokens = sum(profile.tokens.values())
    total = profile.count - tokens
    if total == 0:
        decision = Decision(null_values=tuple(sorted(profile.tokens)), token_nulls=tokens)
        decision.doubt(0.3, "no value was seen: text until there is one")
        return decision
    candidates = [
        found for found in (_moments(profile, order), _numbers(profile), _booleans(profile)) if found is not None
    ]
    best = max(candidates, key=lambda each: each.fits, default=None)
    if best is None or total - best.fits > SPLIT_SHARE * total:
        return _text(profile, total, best)
    decision = best.decision
    decision.null_values, decision.token_nulls = tuple(sorted(profile.tokens)), tokens
    if profile.tokens:
        told = ", ".join(f"{text!r} ({count:,})" for text, count in sorted(profile.tokens.items()))
        decision.notes.append(f"means null: {told}")
    misfits = total - best.fits
    if misfits:
        share = misfits / total
        rare = share <= QUARANTINE_SHARE
        decision.on_conflict = "quarantine" if rare else "split"
        decision.conflicts = tuple(_by_type(profile, best))
        decision.doubt(
            0.9 if rare else 0.6,
            f"{misfits:,} of {total:,} values {'is' if misfits == 1 else 'are'} no {decision.type}: "
            + ("quarantine" if rare else "a text column of their own"),
        )
    if total < _FEW:
        decision.certainty = min(decision.certainty, 0.9)
    return decision


def _text(profile: TextProfile, total: int, best: _Candidate | None) -> Decision:
    decision = Decision()
    tokens = {text: count for text, count in profile.tokens.items() if text in TEXT_NULL_TOKENS}
    decision.null_values, decision.token_nulls = tuple(sorted(tokens)), sum(tokens.values())
    if tokens:
        decision.notes.append("means null: " + ", ".join(f"{t!r} ({n:,})" for t, n in sorted(tokens.items())))
    others = {text: count for text, count in profile.tokens.items() if text not in tokens and text.strip()}
    if others:
        told = ", ".join(f"{text!r} ({count:,})" for text, count in sorted(others.items()))
        decision.doubt(0.9, f"may mean null: {told}")
    if profile.longest > MAX_VARCHAR_BYTES // 4:
        decision.doubt(
            0.75, f"texts of up to {profile.longest:,} characters; a lake column holds {MAX_VARCHAR_BYTES:,} bytes"
        )
    zeros = profile.numbers.get("zeros")
    numeric = sum(each.count for each in profile.numbers.values())
    if zeros is not None and numeric == total:
        decision.notes.append(f"leading zeros in {zeros.count:,} of {total:,} values: codes, not numbers")
    elif best is not None and best.fits >= total / 4:
        decision.conflicts = tuple(_by_type(profile))
        decision.on_conflict = "text"
        told = ", ".join(f"{each.count:,} {each.type}" for each in decision.conflicts)
        decision.doubt(0.7, f"values of several types: {told}")
    return decision


# Numbers


def _numbers(profile: TextProfile) -> _Candidate | None:
    counts = {shape: found.count for shape, found in profile.numbers.items()}
    if "zeros" in counts or not counts:
        return None
    fits = {name: sum(counts.get(shape, 0) for shape in shapes) for name, (_, _, shapes) in STYLES.items()}
    most = max(fits.values())
    style = next(name for name, count in fits.items() if count == most)
    decision = Decision()
    if style == "comma" and set(counts) <= {"comma3", "int"}:
        # 1,234 is a thousand in most files and a fraction in some.
        style = "dot,"
        decision.doubt(0.6, "the comma is read as thousands separator; it could be a decimal comma")
    point, thousands, shapes = STYLES[style]
    found = {shape: each for shape, each in profile.numbers.items() if shape in shapes}
    if style == "dot" and found.keys() <= {"dot3", "int"} and found.get("dot3", ShapeCount()).count >= _FEW:
        decision.doubt(0.75, "the point is read as decimal point; it could separate thousands")
    if point != ".":
        decision.decimal = point
    decision.thousands = (
        thousands if not found.keys() <= {"int", "dot", "dot3", "comma", "exp"} - _grouped(style) else None
    )
    decision.type = _number_type(found, decision, thousands=decision.thousands)
    return _Candidate("number", most, shapes, decision)


def _grouped(style: str) -> frozenset[str]:
    return frozenset({"dot,": ("comma3",), "comma.": ("dot3",)}.get(style, ()))


def _number_type(found: dict[str, ShapeCount], decision: Decision, *, thousands: str | None) -> TargetType:
    if "exp" in found:
        return TargetType("double")
    # With thousands separators the three digits of 1,234 are no fraction.
    whole_shapes = {"int", "dots", "commas", "spaces", "quotes", "lows"}
    whole_shapes |= {"comma3"} if thousands == "," else {"dot3"} if thousands == "." else set()
    fractions = [each for shape, each in found.items() if shape not in whole_shapes and each.scale]
    wholes = [each.int_digits + (each.scale if shape in ("comma3", "dot3") else 0)
              for shape, each in found.items() if shape in whole_shapes]  # fmt: skip
    digits = max([*wholes, *(each.int_digits for each in found.values())])
    if fractions:
        scale, least = max(each.scale for each in fractions), min(each.least_scale for each in fractions)
        if digits + scale > DECIMAL_WIDTHS[-1]:
            decision.doubt(0.7, f"numbers of more than {DECIMAL_WIDTHS[-1]} digits stay text")
            return TEXT
        if scale > MAX_VARYING_SCALE and scale != least:
            decision.notes.append(f"{least} to {scale} digits after the point: measured, not counted")
            return TargetType("double")
        return TargetType("decimal", precision=_widened(digits + scale), scale=scale)
    return _integer_type(found, digits, decision)


def _widened(precision: int) -> int:
    return next(width for width in DECIMAL_WIDTHS if precision <= width)


def _integer_type(found: dict[str, ShapeCount], digits: int, decision: Decision) -> TargetType:
    ends = [end for each in found.values() for end in (each.minimum, each.maximum) if end is not None]
    greatest = max([abs(end) for end in ends] + [10**digits - 1 if set(found) - {"int"} else 0])
    if greatest <= MAX_INT:
        return TargetType("int")
    if greatest <= MAX_BIGINT:
        return TargetType("bigint")
    if digits <= DECIMAL_WIDTHS[-1]:
        decision.notes.append(f"integers of up to {digits} digits are too long for bigint")
        return TargetType("decimal", precision=DECIMAL_WIDTHS[-1], scale=0)
    decision.doubt(0.7, f"integers of up to {digits} digits stay text")
    return TEXT


# Dates and timestamps


def _moments(profile: TextProfile, order: str | None) -> _Candidate | None:
    if not profile.moments:
        return None
    integers = profile.numbers.get("int", ShapeCount()).count
    compact = sum(sum(masks.values()) for key, masks in profile.moments.items() if key.startswith("compact\0"))
    # Eight digits are a date only if all of them are: one that is none makes them numbers.
    with_compact = 0 < compact == integers
    families: list[tuple[str, Moment, dict[int, int]]] = []
    for key, masks in profile.moments.items():
        is_compact = key.startswith("compact\0")
        if is_compact and not with_compact:
            continue
        kind, iso, *spellings = key.removeprefix("compact\0").split("\0")
        families.append((key, Moment(kind, tuple(spellings), 0, iso == "iso"), masks))  # type: ignore[arg-type]
    if not families:
        return None
    decision = Decision()
    families.sort(key=lambda each: (-sum(each[2].values()), each[0]))
    fits = 0
    formats: list[tuple[str, Moment]] = []
    order = order or date_order([profile])
    bits = {}
    for key, family, masks in families:
        chosen, fitting = _format(family, masks, order, decision)
        bits[key] = family.formats.index(chosen)
        fits += fitting
        formats.append((chosen, family))
    decision.type = TargetType("timestamp" if any(f.kind == "timestamp" for _, f in formats) else "date")
    if not all(family.is_iso for _, family in formats):
        distinct = tuple(dict.fromkeys(chosen for chosen, _ in formats))
        decision.format, decision.other_formats = distinct[0], distinct[1:]
        if decision.other_formats:
            decision.doubt(0.8, "several formats: " + ", ".join(distinct))
    if with_compact and compact == fits:
        decision.doubt(0.85, "digits that are all valid dates are read as such")
    if any("%y" in chosen for chosen, _ in formats):
        decision.doubt(0.75, "years have two digits: 69 to 99 are read as 1969 to 1999")
    return _Candidate("moment", fits, frozenset(("int",) if with_compact else ()), decision, bits)


def _format(family: Moment, masks: dict[int, int], order: str | None, decision: Decision) -> tuple[str, int]:
    """The format of a family that reads most of its values, and how many."""
    reads = [sum(count for mask, count in masks.items() if mask >> bit & 1) for bit in range(len(family.formats))]
    most = max(reads)
    tied = [family.formats[bit] for bit, count in enumerate(reads) if count == most]
    if len(tied) == 1:
        return tied[0], most
    preferred = next((each for each in tied if order and _first_of(each) == order), tied[0])
    if order and _first_of(preferred) == order:
        decision.doubt(0.75, f"read as {preferred} like the other dates of the table")
    else:
        decision.doubt(0.5, f"every value can be read as {' or '.join(tied)}: read as {preferred}")
    return preferred, most


def _first_of(text: str) -> str:
    """Which of day, month and year a format has first."""
    return min((text.find(code), code[1].lower()) for code in ("%d", "%m", "%y", "%Y") if code in text)[1]


def date_order(profiles: Iterable[TextProfile]) -> str | None:
    """`d` or `m`, if the dates that can be read in one way only agree on what comes first."""
    found = set()
    for profile in profiles:
        for key, masks in profile.moments.items():
            formats = key.removeprefix("compact\0").split("\0")[2:]
            if len(formats) > 1:
                found |= {_first_of(formats[mask.bit_length() - 1]) for mask in masks if mask in (1, 2)}
    return found.pop() if len(found) == 1 else None


# Booleans


def _booleans(profile: TextProfile) -> _Candidate | None:
    words = profile.words
    usable = {word for word in words if word in WORDS}
    for pair in ({"y", "n"}, {"t", "f"}):
        if pair <= words.keys():
            usable |= pair
    if not usable:
        return None
    decision = Decision(type=TargetType("boolean"))
    if usable == {"no"}:
        return None  # a country as often as an answer
    if len(usable) == 1:
        decision.doubt(0.75, f"only {next(iter(usable))!r} was seen")
    elif usable <= LETTERS:
        decision.doubt(0.85, "single letters are read as booleans")
    return _Candidate("boolean", sum(words[word] for word in usable), frozenset(usable), decision)


# Conflicts


def _by_type(profile: TextProfile, best: _Candidate | None = None) -> list[Conflict]:
    """The values by the type they look like, those that fit `best` left out, most first."""
    found: dict[str, ShapeCount] = {}

    def add(name: str, shape: ShapeCount) -> None:
        found.setdefault(name, ShapeCount()).merge(shape)

    for shape, count in profile.numbers.items():
        if best is None or shape not in best.shapes:
            add("int" if shape == "int" else "number" if shape in NUMBER_SHAPES else "varchar", count)
    for key, masks in profile.moments.items():
        for mask in masks:
            if key.startswith("compact\0") or (best and key in best.bits and mask >> best.bits[key] & 1):
                continue  # counted among the integers, or fitting
            add(key.partition("\0")[0], profile.seen[f"{key}\1{mask}"])
    for word in profile.words:
        if best is None or word not in best.shapes:
            add("boolean" if word in WORDS else "varchar", profile.seen[word])
    if profile.text.count:
        add("varchar", profile.text)
    ordered = sorted(found.items(), key=lambda each: (-each[1].count, each[0]))
    return [Conflict(name, each.count, tuple(each.examples[:MAX_EXAMPLES]), each.where) for name, each in ordered]
