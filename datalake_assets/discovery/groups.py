"""Objects of a listing by their template, in memory that grows with the folders, not with the objects."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from datalake_assets.discovery.layout import Part, Template
from datalake_assets.discovery.reading import FileProfile
from datalake_assets.discovery.sources.objects import FoundObject

KEPT_OBJECTS = 64  # of one group, to choose samples from
MAX_NAMES_IN_FOLDER = 200  # templates of file names; with more of them the names are data
MAX_SIBLINGS = 200  # literal folders beside each other; with more of them the names are data


class Spread:
    """Some objects of a stream, evenly spread over it: every first, second, fourth … of them, and the last."""

    __slots__ = ("_kept", "_last", "_seen", "_step")

    def __init__(self) -> None:
        self._kept: list[FoundObject] = []
        self._step = 1
        self._seen = 0
        self._last: FoundObject | None = None

    def add(self, found: FoundObject) -> None:
        if self._seen % self._step == 0:
            self._kept.append(found)
            if len(self._kept) > KEPT_OBJECTS:
                self._kept = self._kept[::2]
                self._step *= 2
        self._seen += 1
        self._last = found

    def extend(self, others: "Spread") -> None:
        for found in others:
            self.add(found)

    def __iter__(self) -> Iterator[FoundObject]:
        yield from self._kept
        if self._last is not None and (not self._kept or self._kept[-1] is not self._last):
            yield self._last

    def choose(self, number: int) -> list[FoundObject]:
        """So many of them: the last, the first, and between them evenly."""
        kept = list(self)
        if len(kept) <= number:
            return kept
        if number == 1:
            return [kept[-1]]
        places = sorted({round(n * (len(kept) - 1) / (number - 1)) for n in range(number)})
        return [kept[place] for place in places]


@dataclass(slots=True)
class PartitionCount:
    """The objects of one combination of values."""

    location: str
    files: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Group:
    """All objects of one template.

    Attributes:
        base: URI of what the template's folders are below: `s3://bucket/`, or the local folder's parent.
        fresh: those that the crawl before did not know; only filled when there was one.
        known: what the crawl before read of objects that are still the same.
    """

    template: Template
    base: str
    files: int = 0
    bytes: int = 0
    spread: Spread = field(default_factory=Spread)
    fresh: Spread = field(default_factory=Spread)
    fresh_files: int = 0
    partitions: dict[tuple[str, ...], PartitionCount] = field(default_factory=dict)
    known: list[FileProfile] = field(default_factory=list)

    def add(self, found: FoundObject, values: tuple[str, ...], *, is_fresh: bool = False) -> None:
        self.files += 1
        self.bytes += found.size
        if found.size:
            self.spread.add(found)
            if is_fresh:
                self.fresh.add(found)
        self.fresh_files += is_fresh
        if values:
            counted = self.partitions.get(values)
            if counted is None:
                location = found.uri[: found.uri.rfind("/") + 1]
                counted = self.partitions[values] = PartitionCount(location)
            counted.files += 1
            counted.bytes += found.size

    def merge(self, other: "Group", values_of: "dict[tuple[str, ...], tuple[str, ...]] | None" = None) -> None:
        """Take over the objects of another group; `values_of` replaces the values of its partitions."""
        self.files += other.files
        self.bytes += other.bytes
        self.spread.extend(other.spread)
        self.fresh.extend(other.fresh)
        self.fresh_files += other.fresh_files
        self.known += other.known
        for values, counted in other.partitions.items():
            key = values_of[values] if values_of else values
            mine = self.partitions.setdefault(key, PartitionCount(counted.location))
            mine.files += counted.files
            mine.bytes += counted.bytes


def collapsed(groups: Iterable[Group]) -> list[Group]:
    """Put together groups whose file or folder names are so many that they must be data.

    Folder names that are data become values of a key of their own.
    """
    result = _by_names(list(groups))
    depth = 0
    while any(len(group.template.folders) > depth for group in result):
        siblings: dict[tuple[str, tuple[Part, ...], int], set[str]] = {}
        for group in result:
            folders = group.template.folders
            if len(folders) > depth and folders[depth].kind == "literal":
                siblings.setdefault((group.base, folders[:depth], len(folders)), set()).add(folders[depth].text)
        wide = {key for key, found in siblings.items() if len(found) > MAX_SIBLINGS}
        if wide:
            result = _together(
                any_folder(group, depth)
                if (group.base, group.template.folders[:depth], len(group.template.folders)) in wide
                and group.template.folders[depth].kind == "literal"
                else group
                for group in result
            )
            result = _by_names(result)
        depth += 1
    return result


def any_folder(group: Group, depth: int) -> Group:
    """The group with one literal folder as a value."""
    folders = group.template.folders
    before = sum(1 for part in folders[:depth] if part.kind != "literal") - _joined(folders[:depth])
    name = folders[depth].text
    template = replace(group.template, folders=(*folders[:depth], Part("any"), *folders[depth + 1 :]))
    result = Group(template, group.base, fresh_files=0)
    old = group.partitions or {(): PartitionCount(_location(group), group.files, group.bytes)}
    values_of = {values: (*values[:before], name, *values[before:]) for values in old}
    result.merge(replace(group, partitions=old), values_of)
    return result


def _joined(folders: tuple[Part, ...]) -> int:
    """How many folders hold a value together with the one before: the month and day of a whole date."""
    codes = [part.text for part in folders if part.kind == "date"]
    return 2 if codes[:3] == ["%Y", "%m", "%d"] else 0


def _location(group: Group) -> str:
    first = next(iter(group.spread), None)
    return first.uri[: first.uri.rfind("/") + 1] if first else group.base


def _by_names(groups: list[Group]) -> list[Group]:
    names: dict[tuple[str, tuple[Part, ...]], list[Group]] = {}
    for group in groups:
        names.setdefault((group.base, group.template.folders), []).append(group)
    result: list[Group] = []
    for found in names.values():
        if len(found) > MAX_NAMES_IN_FOLDER:
            found = [
                replace(group, template=replace(group.template, name=_any_name(group.template))) for group in found
            ]
        result += found
    return _together(result)


def _any_name(template: Template) -> str:
    """Any name with the same ending, its date kept."""
    start, brace, rest = template.name.partition("{")
    codes = rest.partition("}")[0]
    return (f"*{{{codes}}}*" if brace and start is not None else "*") + template.ending


def _together(groups: Iterable[Group]) -> list[Group]:
    found: dict[tuple[str, Template], Group] = {}
    for group in groups:
        key = (group.base, group.template)
        if key in found:
            found[key].merge(group)
        else:
            found[key] = group
    return list(found.values())
