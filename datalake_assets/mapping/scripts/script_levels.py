"""What a mapping makes of arrays, for a program: which elements its reader unfolds, and what SQL calls them."""

from collections.abc import Sequence
from dataclasses import dataclass

from datalake_assets.errors import Unsupported
from datalake_assets.formats.paths import path_parts
from datalake_assets.mapping.children import KEY_PATH, VALUE_PATH, Child, Level
from datalake_assets.mapping.columns import Column, DroppedColumn, KeyColumn, MappedColumn, raw_paths
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.masks import child_has_masks, has_masks, masked_paths, overlapping, salt_secrets
from datalake_assets.mapping.scripts.script_reader import Elements
from datalake_assets.mapping.spec import MappingSpec
from datalake_assets.mapping.sql import is_of_element, record_texts


@dataclass(frozen=True, slots=True)
class Statements:
    """The SQL of a program, as `script_files.Mapping` has it."""

    tables: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    mapped: str


@dataclass(frozen=True, slots=True)
class Array:
    """What becomes elements: its path, whether it is a map, whether its texts may be shown."""

    path: str
    is_map: bool
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class ElementTable:
    """The elements of one array, or the rows of an exploded table (`level` is None).

    `paths` are what c0 ... hold as the declaration calls it, `froms` the paths of the arrays from the record inwards.
    """

    number: int
    level: Level | None
    columns: tuple[MappedColumn | DroppedColumn, ...]
    paths: tuple[str, ...]
    froms: tuple[str, ...]
    arrays: tuple[Array, ...]
    needs_objects: bool
    is_hidden: bool
    hidden: tuple[str, ...]
    elements: Elements

    @property
    def name(self) -> str:
        """The table of its texts."""
        return f"elements_{self.number + 1}"

    @property
    def checked(self) -> str:
        """The table of its values."""
        return f"checked_{self.number + 1}"

    @property
    def places(self) -> list[str]:
        return [f"p{depth}" for depth in range(len(self.froms))]


def record_arrays(spec: MappingSpec) -> list[Array]:
    """The arrays of a record that become rows."""
    hidden = masked_paths(spec)
    if spec.explode is not None:
        return [Array(spec.explode.from_, is_map=False, is_hidden=spec.explode.from_ in hidden)]
    return [Array(child.from_, child.is_of_map, child.from_ in hidden) for child in spec.children]


def element_tables(spec: MappingSpec) -> list[ElementTable]:
    """All tables of elements, each before those within it."""
    if spec.explode is not None:
        return [_exploded(spec)]
    levels = spec.levels
    numbers = {id(level.child): number for number, level in enumerate(levels)}
    return [_child(level, number, numbers) for number, level in enumerate(levels)]


def wanted_keys(spec: MappingSpec) -> list[str]:
    """The names before `=` in the object's key that columns are made of."""
    columns = [*spec.columns, *(column for level in spec.levels for column in level.child.columns)]
    return list(dict.fromkeys(column.from_key for column in columns if isinstance(column, KeyColumn)))


def require_known_words(spec: MappingSpec) -> None:
    """Refuse what no program does."""
    words = [
        word
        for word, is_there in (
            ("salt_secret", bool(salt_secrets(spec))),
            (f"on_schema_change: {spec.on_schema_change}", spec.on_schema_change in ("evolve", "freeze")),
        )
        if is_there
    ]
    if words:
        raise Unsupported(
            f"a program of its own does not do {', '.join(words)}",
            expected="hashes without a salt, and on_schema_change rescue, discard_row or discard_value",
            todo="Let the platform run this pipeline.",
        )


def _exploded(spec: MappingSpec) -> ElementTable:
    assert spec.explode is not None
    own = [path for column in spec.mapped for path in raw_paths(column) if is_of_element(spec, path)]
    own = list(dict.fromkeys(own))
    outside = record_texts(spec)
    record = wanted_paths(spec)
    within = [path_parts(path)[1:] or None for path in own]
    dropped = [
        path_parts(column.from_)[1:]
        for column in spec.columns
        if isinstance(column, DroppedColumn) and is_of_element(spec, column.from_)
    ]
    inner = [each for each in within if each is not None]
    inner_paths = [path for path, names in zip(own, within, strict=True) if names is not None]
    hidden = overlapping([*inner_paths, *outside], _masked(spec.columns))
    elements = Elements(
        array=spec.explode.from_,
        path=(),
        paths=tuple(within),
        named=None if None in within else (*inner, *(each for each in dropped if each)),
        needs_objects=bool(inner),
        outside=tuple(record.index(path) for path in outside),
        keeps_empty=spec.explode.keep_empty,
        masked=tuple(path_parts(path)[1:] for path in _masked(spec.columns) if is_of_element(spec, path)),
    )
    return ElementTable(
        number=0,
        level=None,
        columns=spec.columns,
        paths=(*own, *outside),
        froms=(spec.explode.from_,),
        arrays=(),
        needs_objects=bool(inner),
        is_hidden=has_masks(spec.columns),
        hidden=hidden,
        elements=elements,
    )


def _child(level: Level, number: int, numbers: dict[int, int]) -> ElementTable:
    child = level.child
    paths = list(dict.fromkeys([*_wanted(child.columns), *(each.from_ for each in child.children)]))
    within = [None if path == VALUE_PATH else (KEY_PATH,) if path == KEY_PATH else path_parts(path) for path in paths]
    inner = [each for each in within if each not in (None, (KEY_PATH,))]
    own = [*_masked(child.columns), *(each.from_ for each in child.children if child_has_masks(each))]
    hidden = overlapping([path for path in paths if path not in (VALUE_PATH, KEY_PATH)], own)
    dropped = [path_parts(column.from_) for column in child.columns if isinstance(column, DroppedColumn)]
    elements = Elements(
        array=child.from_ if not level.parents else "",
        path=() if not level.parents else path_parts(child.from_),
        paths=tuple(within),
        named=None if None in within else (*(each for each in inner if each is not None), *dropped),
        parent=numbers[id(level.parents[-1])] if level.parents else None,
        is_map=child.is_of_map,
        needs_objects=bool(inner),
        masked=tuple(
            path_parts(path)
            for path in (*_masked(child.columns), *(each.from_ for each in child.children if child_has_masks(each)))
        ),
    )
    return ElementTable(
        number=number,
        level=level,
        columns=child.columns,
        paths=tuple(paths),
        froms=(*(parent.from_ for parent in level.parents), child.from_),
        arrays=tuple(_array(each) for each in child.children),
        needs_objects=bool(inner),
        is_hidden=child_has_masks(child),
        hidden=hidden,
        elements=elements,
    )


def _masked(columns: Sequence[MappedColumn | DroppedColumn]) -> list[str]:
    return [column.from_ for column in columns if isinstance(column, Column) and column.mask]


def _array(child: Child) -> Array:
    return Array(child.from_, child.is_of_map, child_has_masks(child))


def _wanted(columns: Sequence[MappedColumn | DroppedColumn]) -> list[str]:
    return [path for column in columns if not isinstance(column, DroppedColumn) for path in raw_paths(column)]
