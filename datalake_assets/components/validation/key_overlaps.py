"""Pipelines of one bucket whose key patterns both match a key: neither would get such a file."""

from collections.abc import Iterator, Sequence

from datalake_assets.arrivals.overlap import common_key
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.components.declarations import AnyDeclaration, mistake_in
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.components.yaml_file import Mistake


def overlapping_patterns(declared: Sequence[AnyDeclaration]) -> list[Mistake]:
    """Each pattern that shares keys with one of a pipeline before it in the same location, told in its file."""
    by_location: dict[str, list[tuple[str, KeyPattern, int, AnyDeclaration]]] = {}
    for each in declared:
        if isinstance(each.spec, PipelineSpec):
            patterns = by_location.setdefault(each.location, [])
            patterns += [(one.prefix(), one, at, each) for at, one in enumerate(each.spec.key_patterns())]
    mistakes = []
    for patterns in by_location.values():
        told: set[tuple[str, int]] = set()
        for (_, one, _, first), (_, other, at, second) in _neighbours(patterns):
            if first.name != second.name and (second.name, at) not in told and (key := common_key(one, other)):
                told.add((second.name, at))
                text = f"a key such as {key!r} is also one of {first.name} ({one.text}), so neither would get it"
                mistakes.append(mistake_in(second.path, ("attributes", "source", "s3", at), text))
    return mistakes


_Pattern = tuple[str, KeyPattern, int, AnyDeclaration]


def _neighbours(patterns: Sequence[_Pattern]) -> Iterator[tuple[_Pattern, _Pattern]]:
    """Pairs of which one's prefix begins the other's: only they can share keys. In the order of the files' paths."""
    places = {(each[3].name, each[2]): place for place, each in enumerate(patterns)}
    ordered = sorted(patterns, key=lambda each: each[0])
    for at, one in enumerate(ordered):
        for other in ordered[at + 1 :]:
            if not other[0].startswith(one[0]):
                break
            if places[one[3].name, one[2]] < places[other[3].name, other[2]]:
                yield one, other
            else:
                yield other, one
