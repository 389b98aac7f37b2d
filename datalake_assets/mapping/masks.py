"""Personal data in a mapping: which raw texts must not be shown anywhere, and which secrets they are hashed with."""

from collections.abc import Iterable, Iterator, Sequence

from datalake_assets.formats.paths import path_parts
from datalake_assets.mapping.children import Child
from datalake_assets.mapping.columns import Column, DroppedColumn, MappedColumn
from datalake_assets.mapping.spec import MappingSpec


def masks(spec: MappingSpec) -> bool:
    """Whether any column of the table or of its children is masked."""
    return has_masks(tuple(_all_columns(spec)))


def has_masks(columns: Sequence[MappedColumn | DroppedColumn]) -> bool:
    return any(isinstance(column, Column) and column.mask for column in columns)


def child_has_masks(child: Child) -> bool:
    """Whether any column of a child or of its own children is masked."""
    return has_masks(child.columns) or any(child_has_masks(each) for each in child.children)


def overlapping(paths: Iterable[str], masked: Sequence[str]) -> tuple[str, ...]:
    """Those of the paths that lead to a masked value, through one, or to something that holds one."""
    return tuple(path for path in paths if any(_overlap(path, each) for each in masked))


def masked_paths(spec: MappingSpec) -> tuple[str, ...]:
    """What the mapping takes from a record and must not be shown: masked columns, and what they are part of."""
    own = [column.from_ for column in spec.mapped if isinstance(column, Column) and column.mask]
    if spec.explode is not None:
        # A masked path of the element hides the array.
        element = spec.explode.as_
        own = [spec.explode.from_ if path == element or path.startswith(f"{element}.") else path for path in own]
    own += [
        (level.parents[0] if level.parents else level.child).from_
        for level in spec.levels
        if has_masks(level.child.columns)
    ]
    if not own:
        return ()
    from datalake_assets.mapping.header import wanted_paths

    return overlapping(wanted_paths(spec), own)


def salt_secrets(spec: MappingSpec) -> tuple[str, ...]:
    """The names of the secrets that texts are hashed with, each once."""
    found = [column.salt_secret for column in _all_columns(spec) if isinstance(column, Column) and column.salt_secret]
    return tuple(dict.fromkeys(found))


def _all_columns(spec: MappingSpec) -> Iterator[MappedColumn | DroppedColumn]:
    yield from spec.columns
    for level in spec.levels:
        yield from level.child.columns


def _overlap(path: str, masked: str) -> bool:
    """Whether one of two paths leads through the other; names of a flat file that are no paths equal themselves."""
    if path == masked:
        return True
    try:
        left, right = path_parts(path), path_parts(masked)
    except ValueError:
        return False
    return left[: len(right)] == right or right[: len(left)] == left
