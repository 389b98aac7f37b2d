"""The layout of keys: which parts of them are names, and which are values of partition keys.

A key becomes a template, in which every value is replaced by what kind of value it is:

    flights/dt=2026-11-20/country=DE/part-00017.csv.gz   flights / dt=* / country=* / part-*.csv.gz
    clicks/2026/11/20/13/x.json                          clicks / %Y / %m / %d / %H / x.json
    posts/20261120/posts.json, posts/2026-11-20/…        posts / %Y%m%d, posts / %Y-%m-%d
    exports/flights_2026-11-20.csv                       exports / flights_%Y-%m-%d.csv

Keys with one template belong together.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from datalake_assets.discovery.columns.moments import FIRST_COMPACT_YEAR, LAST_COMPACT_YEAR, moment_of

PartKind = Literal["literal", "hive", "date", "any"]

# What is no data: markers, checksums, manifests, Hadoop's folder files, unfinished uploads, litter of desktops.
_HIDDEN = re.compile(r"[._].*|.*\.(crc|sha1|sha256|md5|sfv)|.*_\$folder\$|Thumbs\.db|desktop\.ini", re.IGNORECASE)
_MANIFEST = re.compile(r"manifest(\.(json|xml|txt))?|.*\.manifest(\.json)?|.*-manifest\.json", re.IGNORECASE)
_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".inprogress", "._COPYING_", ".crdownload")

_HIVE = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)=(.*)")
_YEAR = re.compile(r"(19|20)\d{2}")
_TWO = re.compile(r"\d{2}")
_ISO_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d{2})([-_.])(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_COMPACT_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
_VARYING = re.compile(
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|(?<![A-Za-z0-9])(?=[A-Fa-f]*\d)[0-9a-fA-F]{8,}(?![A-Za-z0-9])"
    r"|\d+"
)
_STARS = re.compile(r"\*(?:[-_.T:+ ]?\*)+")
_ENDING = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]{0,9}){1,3}$")


@dataclass(frozen=True, slots=True)
class Part:
    """One path segment of a template: a literal, a hive key by its name, a date by its codes, or anything."""

    kind: PartKind
    text: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """What the keys of a group have in common.

    `name` is the template of the last segment: `*` for what varies, the codes of a date in `{}`.
    """

    folders: tuple[Part, ...]
    name: str

    @property
    def root(self) -> tuple[str, ...]:
        """The literal folders before the first value."""
        found: list[str] = []
        for part in self.folders:
            if part.kind != "literal":
                break
            found.append(part.text)
        return tuple(found)

    @property
    def ending(self) -> str:
        """What file names end with, from their last dots on: `.csv.gz`."""
        found = _ENDING.search(self.name)
        return found.group().lower() if found else ""


def ignored_kind(key: str) -> str | None:
    """Why a key is no data: `folder`, `marker`, `manifest` or `unfinished`; None for data."""
    *folders, name = key.split("/")
    if not name:
        return "folder"
    if any(folder[:1] in ("_", ".") for folder in folders):
        return "hidden folder"
    if name.endswith(_UNFINISHED):
        return "unfinished"
    if _HIDDEN.fullmatch(name):
        return "folder" if name.endswith("_$folder$") else "marker"
    if _MANIFEST.fullmatch(name):
        return "manifest"
    return None


def template_of(key: str) -> tuple[Template, tuple[str, ...]]:
    """The template of a key and its values: one for each hive key and each date, dates in ISO form, in key order."""
    *folders, name = key.split("/")
    parts, values = _folders(tuple(folders))
    has_date = any(part.kind == "date" for part in parts) or any(_is_date(value) for value in values)
    template, name_values = _name(name, with_date=not has_date)
    return Template(parts, template), values + name_values


def _is_date(value: str) -> bool:
    found = moment_of(value)
    return found is not None and found.kind == "date"


@lru_cache(maxsize=4096)
def _folders(folders: tuple[str, ...]) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    parts: list[Part] = []
    values: list[str] = []
    at = 0
    while at < len(folders):
        text = folders[at]
        if hive := _HIVE.fullmatch(text):
            parts.append(Part("hive", hive[1]))
            values.append(hive[2])
        elif (dated := _positional(folders[at : at + 4])) is not None:
            codes, value = dated
            parts += [Part("date", code) for code in codes]
            values += value
            at += len(codes)
            continue
        elif (compact := _dated_folder(text)) is not None:
            parts.append(Part("date", compact[0]))
            values.append(compact[1])
        else:
            parts.append(Part("literal", text))
        at += 1
    return tuple(parts), tuple(values)


def _positional(folders: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """`2026/11/20/13`, `2026/11/20` or `2026/11`: the codes of its segments, and the values."""
    if not _YEAR.fullmatch(folders[0]):
        return None
    numbers = []
    for text, low, high in zip(folders[1:], (1, 1, 0), (12, 31, 23), strict=False):
        if not _TWO.fullmatch(text) or not low <= int(text) <= high:
            break
        numbers.append(text)
    if not numbers:
        return None
    year, month = folders[0], numbers[0]
    if len(numbers) == 1:
        return ["%Y", "%m"], [year, month]
    if moment_of(f"{year}-{month}-{numbers[1]}") is None:
        return None
    codes, values = ["%Y", "%m", "%d"], [f"{year}-{month}-{numbers[1]}"]
    if len(numbers) == 3:
        codes.append("%H")
        values.append(numbers[2])
    return codes, values


def _dated_folder(text: str) -> tuple[str, str] | None:
    found = moment_of(text)
    if (
        found is None
        or found.kind != "date"
        or found.mask != 1
        or found.formats[0] not in ("%Y-%m-%d", "%Y%m%d", "%Y_%m_%d")
    ):
        return None
    return found.formats[0], iso(text)


def iso(text: str) -> str:
    """A date of year, month and day in this order as ISO writes it."""
    digits = re.sub(r"\D", "", text)
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"


@lru_cache(maxsize=4096)
def _name(name: str, *, with_date: bool) -> tuple[str, tuple[str, ...]]:
    ending = _ENDING.search(name)
    stem, rest = (name[: ending.start()], ending.group()) if ending else (name, "")
    if not stem:
        stem, rest = name, ""
    values: tuple[str, ...] = ()
    if with_date and (found := _ISO_IN_NAME.search(stem) or _COMPACT_IN_NAME.search(stem)):
        is_iso = found.re is _ISO_IN_NAME
        day = iso(found.group())
        if FIRST_COMPACT_YEAR <= int(found[1]) <= LAST_COMPACT_YEAR and moment_of(day) is not None:
            codes = f"%Y{found[2]}%m{found[2]}%d" if is_iso else "%Y%m%d"
            before, after = _generalised(stem[: found.start()]), _generalised(stem[found.end() :])
            return before + "{" + codes + "}" + after + rest, (day,)
    return _generalised(stem) + rest, values


def _generalised(text: str) -> str:
    return _STARS.sub("*", _VARYING.sub("*", text.replace("{", "*").replace("}", "*")))


def slots(template: Template) -> list[tuple[int, int]]:
    """For each value of `template_of`, the first folder that holds it and how many folders do; -1 for the file name."""
    found = []
    at = 0
    while at < len(template.folders):
        part = template.folders[at]
        width = 1
        if part.kind == "date" and [each.text for each in template.folders[at : at + 3]] == ["%Y", "%m", "%d"]:
            width = 3
        if part.kind != "literal":
            found.append((at, width))
        at += width
    if "{" in template.name:
        found.append((-1, 1))
    return found


def key_pattern(
    template: Template, hive_dates: dict[int, str], *, name: str, root_from: int = 0
) -> tuple[str, frozenset[int]]:
    """A key pattern in the language of `source: {s3: …}`, and which folders are its partition (-1: the file name).

    A pattern tells one date or one key: the first complete date, else the first hive key. Other values are `*`.

    Args:
        hive_dates: hive keys of which every value is a date, by their folder: the format of the date.
        name: of the files, as the pattern shall have it; with the date in `{}` if it has one.
        root_from: leave out so many folders at the start.
    """
    chosen = _partition_of(template, hive_dates, name)
    pieces = []
    for index, part in enumerate(template.folders):
        if index in chosen:
            pieces.append(chosen[index])
        elif part.kind == "literal":
            pieces.append(re.sub(r"[*{}]", "*", part.text))
        elif part.kind == "hive":
            pieces.append(f"{part.text}=*")
        else:
            pieces.append("{%H}" if part.text == "%H" else "*")
    if -1 not in chosen:
        name = _STARS.sub("*", re.sub(r"\{[^}]*\}", "*", name))
    return "/".join([*pieces[root_from:], name]), frozenset(chosen)


def _partition_of(template: Template, hive_dates: dict[int, str], name: str) -> dict[int, str]:
    """Folder → what stands there in a pattern, for the folders that are the partition."""
    folders = template.folders
    for index, part in enumerate(folders):
        if part.kind == "date" and part.text == "%Y":
            if [each.text for each in folders[index : index + 3]] == ["%Y", "%m", "%d"]:
                return {index: "{%Y}", index + 1: "{%m}", index + 2: "{%d}"}
        elif part.kind == "date" and part.text not in ("%m", "%d", "%H"):
            return {index: _braced(part.text)}
        elif index in hive_dates:
            return {index: f"{part.text}={_braced(hive_dates[index])}"}
    hive = {part.text.lower(): index for index, part in enumerate(folders) if part.kind == "hive"}
    if {"year", "month", "day"} <= hive.keys():
        return {
            hive[word]: f"{folders[hive[word]].text}={code}"
            for word, code in (("year", "{%Y}"), ("month", "{%m}"), ("day", "{%d}"))
        }
    if "{" in name:
        return {-1: ""}
    return {index: f"{folders[index].text}={{partition}}" for index in sorted(hive.values())[:1]}


def _braced(codes: str) -> str:
    return "{partition}" if codes == "%Y-%m-%d" else f"{{{codes}}}"
