"""From groups of objects with what their samples say to tables.

Files of one template and one way of writing are one table, however their columns changed over time. Beyond that, file
names within a folder, and folders beside each other, become one table when their schemas are compatible:

- written the same way (format, and for CSV the delimiter and whether there is a header);
- at least 70 % of all their columns are in both;
- of the columns in both, at least 80 % have types of which one holds the other without becoming text.

Folders that become one table so are values of a partition key `partition_N`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from datalake_assets.discovery.columns.lattice import TEXT, join
from datalake_assets.discovery.columns.node import MAX_COLUMNS, Node
from datalake_assets.discovery.columns.of_node import columns_of
from datalake_assets.discovery.groups import Group, any_folder
from datalake_assets.discovery.layout import Template
from datalake_assets.discovery.reading import FileProfile
from datalake_assets.discovery.report import DiscoveredColumn
from datalake_assets.formats.source_format import SourceFormat

SAME_COLUMNS_SHARE = 0.7
SAME_TYPES_SHARE = 0.8


@dataclass(slots=True)
class Cluster:
    """Groups that are one table, with what was read of them.

    `apart` are samples that are written in another way than most.
    """

    groups: list[Group]
    profiles: list[FileProfile]
    apart: list[FileProfile] = field(default_factory=list)
    _columns: tuple[DiscoveredColumn, ...] | None = None

    @property
    def template(self) -> Template:
        return self.groups[0].template

    @property
    def columns(self) -> tuple[DiscoveredColumn, ...]:
        if self._columns is None:
            self._columns = merged_columns(self.profiles)
        return self._columns

    @property
    def source(self) -> SourceFormat:
        return merged_source(self.profiles)

    def take(self, other: "Cluster") -> None:
        self.groups += other.groups
        self.profiles += other.profiles
        self.apart += other.apart
        self._columns = None


def clusters_of(sampled: Sequence[tuple[Group, list[FileProfile]]], *, table_level: int | None = None) -> list[Cluster]:
    """The tables that the groups make, in the order of their keys.

    Args:
        table_level: how many folders below the bucket name a table; deeper ones never do, and tables of different
            folders there are never put together.
    """
    clusters = [_of_group(group, profiles) for group, profiles in sampled if profiles]
    clusters = _names_together(clusters)
    depths = max((len(cluster.template.folders) for cluster in clusters), default=0)
    for depth in range(depths - 1, -1, -1):
        if table_level is not None and depth < table_level:
            break
        clusters = _folders_together(clusters, depth, is_forced=table_level is not None)
    return sorted(
        clusters, key=lambda c: (c.groups[0].base, [part.text for part in c.template.folders], c.template.name)
    )


def _of_group(group: Group, profiles: list[FileProfile]) -> Cluster:
    """A group is one table: written as most of its samples are."""
    ways: dict[tuple[object, ...], list[FileProfile]] = {}
    for profile in profiles:
        ways.setdefault(way_of(profile.source), []).append(profile)
    most = max(ways.values(), key=len)
    apart = [profile for found in ways.values() if found is not most for profile in found]
    return Cluster([group], most, apart)


def way_of(source: SourceFormat) -> tuple[object, ...]:
    """What must be the same for two files to be read in one way; the rest can be told per file or differs by chance."""
    if source.format == "csv":
        return "csv", source.delimiter, source.header > 0
    if source.format == "log":
        return "log", source.pattern
    if source.format == "xml":
        return "xml", source.row_tag
    return source.format, source.records


def _names_together(clusters: list[Cluster]) -> list[Cluster]:
    """Put clusters together that differ in the names of their files only."""
    result: list[Cluster] = []
    folders: dict[object, list[Cluster]] = {}
    for cluster in clusters:
        same = folders.setdefault((cluster.groups[0].base, cluster.template.folders), [])
        for other in same:
            if are_compatible(other, cluster):
                other.take(cluster)
                break
        else:
            same.append(cluster)
            result.append(cluster)
    return result


def _folders_together(clusters: list[Cluster], depth: int, *, is_forced: bool) -> list[Cluster]:
    """Put clusters together that differ in one literal folder only."""
    places: dict[object, list[Cluster]] = {}
    result: list[Cluster] = []
    for cluster in clusters:
        folders = cluster.template.folders
        if len(folders) <= depth or folders[depth].kind != "literal":
            result.append(cluster)
            continue
        place = (cluster.groups[0].base, folders[:depth], folders[depth + 1 :])
        places.setdefault(place, []).append(cluster)
    for found in places.values():
        alike: list[list[Cluster]] = []
        for cluster in found:
            for others in alike:
                if are_compatible(others[0], cluster, is_forced=is_forced):
                    others.append(cluster)
                    break
            else:
                alike.append([cluster])
        for same in alike:
            named = {cluster.template.folders[depth].text for cluster in same}
            first = same[0]
            if len(named) > 1:
                for cluster in same:
                    cluster.groups = [any_folder(group, depth) for group in cluster.groups]
            for cluster in same[1:]:
                if len(named) > 1:
                    first.take(cluster)
                else:
                    result.append(cluster)
            result.append(first)
    return result


def are_compatible(one: Cluster, other: Cluster, *, is_forced: bool = False) -> bool:
    """Whether two clusters can be one table; forced ones need only be written the same way."""
    if way_of(one.source) != way_of(other.source):
        return False
    if is_forced:
        return True
    mine = {column.raw_path: column for column in one.columns}
    theirs = {column.raw_path: column for column in other.columns}
    common = [path for path in mine if path in theirs]
    if one.source.format == "csv" and not one.source.header and len(mine) != len(theirs):
        return False
    if not common or len(common) < SAME_COLUMNS_SHARE * len(mine.keys() | theirs.keys()):
        return False
    same = sum(_fits(mine[path], theirs[path]) for path in common)
    return same >= SAME_TYPES_SHARE * len(common)


def _fits(one: DiscoveredColumn, other: DiscoveredColumn) -> bool:
    if _is_empty(one) or _is_empty(other):
        return True
    if one.type.kind == other.type.kind == "struct":
        # As with the columns themselves: another field or two is another version, not another thing.
        mine, theirs = dict(one.type.parts), dict(other.type.parts)
        return len(mine.keys() & theirs.keys()) >= SAME_COLUMNS_SHARE * len(mine.keys() | theirs.keys())
    return join(one.type, other.type) != TEXT or one.type == other.type


def _is_empty(column: DiscoveredColumn) -> bool:
    return column.count > 0 and column.nulls >= column.count


def merged_columns(profiles: Iterable[FileProfile], *, taken: Iterable[str] = ()) -> tuple[DiscoveredColumn, ...]:
    """The columns of all samples together."""
    root = Node(max_fields=MAX_COLUMNS)
    source: SourceFormat | None = None
    for profile in profiles:
        source = source or profile.source
        root.merge(profile.root)
    assert source is not None
    is_flat = source.is_flat
    return columns_of(root, infers_texts=is_flat or source.format == "xml", is_flat=is_flat, taken=taken)


def merged_source(profiles: Sequence[FileProfile]) -> SourceFormat:
    """How the files of a table are written: as most samples say, the most certain one first."""
    votes: dict[str, list[FileProfile]] = {}
    for profile in profiles:
        votes.setdefault(profile.source.model_dump_json(), []).append(profile)
    best = max(votes.values(), key=lambda found: (len(found), max(each.classification.certainty for each in found)))
    source = best[0].source
    words: dict[str, object] = {}
    encodings = {profile.source.encoding for profile in profiles}
    if (
        len(encodings) == 2
        and "utf-8" in encodings
        and all(
            profile.source.encoding != "utf-8" or profile.classification.details.get("ascii") for profile in profiles
        )
    ):
        words["encoding"] = (encodings - {"utf-8"}).pop()
    if source.format == "json" and len({profile.source.layout for profile in profiles}) > 1:
        words["layout"] = "auto"
    compressions = {profile.source.compression for profile in profiles}
    if len(compressions) > 1:
        words["compression"] = "auto"
    return source.model_copy(update=words) if words else source


def differing_words(profiles: Sequence[FileProfile]) -> list[str]:
    """Which words of `source` differ between the samples of a table."""
    dumps = [profile.source.model_dump(mode="json") for profile in profiles]
    return [
        word
        for word in (dumps[0] if dumps else {})
        if word not in ("compression", "names", "encoding") and len({str(dump[word]) for dump in dumps}) > 1
    ]


def literal_template(cluster: Cluster) -> Template:
    """The template of all groups of a cluster: their names differ at most."""
    names = {group.template.name for group in cluster.groups}
    if len(names) == 1:
        return cluster.template
    endings = {group.template.ending for group in cluster.groups}
    ending = endings.pop() if len(endings) == 1 else ""
    dated = {_codes(name) for name in names}
    codes = dated.pop() if len(dated) == 1 else ""
    return replace(cluster.template, name=(f"*{{{codes}}}*" if codes else "*") + ending)


def _codes(name: str) -> str:
    return name.partition("{")[2].partition("}")[0]
