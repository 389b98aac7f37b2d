"""What only shows when the pipelines of all accounts are seen together: names that lead nowhere, cycles, grants."""

import difflib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from datalake_assets.accounts.grants import is_granted, require_grant
from datalake_assets.accounts.registry import Registry
from datalake_assets.components.declarations import AnyDeclaration, Everything, mistake_in
from datalake_assets.components.triggering import Needed, waits_for
from datalake_assets.components.yaml_file import Mistake
from datalake_assets.errors import AccessDenied
from datalake_assets.names import asset_key

MOST_NAMES = 12  # in one message


@dataclass(frozen=True)
class Landscape:
    """All declared pipelines of all accounts.

    Args:
        broken: pipelines, `location/name`, whose files hold mistakes by themselves: they exist, and that is all.
        crawls: crawls, by the same names.
    """

    accounts: Registry
    pipelines: Mapping[str, AnyDeclaration]
    broken: frozenset[str] = frozenset()
    crawls: frozenset[str] = frozenset()

    @classmethod
    def of(cls, found: Everything, accounts: Registry) -> "Landscape":
        """The landscape of what was read."""
        return cls(
            accounts,
            {each.name: each for each in found.pipelines},
            frozenset(f"{path.parent.parent.name}/{path.parent.name}" for path in found.broken),
            frozenset(f"{each.path.parent.parent.name}/{each.spec.name}" for each in found.crawls),
        )

    @cached_property
    def tables(self) -> frozenset[str]:
        """The lake tables that can be read: those called like the pipelines that make them."""
        return frozenset(
            name for name, each in self.pipelines.items() if tuple(_lake_of(name)) in each.spec.assets(each.location)
        )

    @cached_property
    def waits(self) -> dict[str, list[Needed]]:
        """What each pipeline waits for."""
        return {name: waits_for(each.location, each.spec) for name, each in self.pipelines.items()}

    def knows(self, name: str) -> bool:
        """Whether there is such a pipeline, even if its file holds mistakes."""
        return name in self.pipelines or name in self.broken


def _location(name: str) -> str:
    return name.partition("/")[0]


def _lake_of(name: str) -> list[str]:
    location, _, table = name.partition("/")
    return asset_key(location, "lake", table)


def mistakes_between(landscape: Landscape) -> list[Mistake]:
    """Everything that is wrong between pipelines, each told in the file of one of them."""
    mistakes: list[Mistake] = []
    for name, each in landscape.pipelines.items():
        places = [*_lost_account(landscape, each), *_lost_names(landscape, name), *_missing_grants(landscape, each)]
        mistakes += [mistake_in(each.path, place and ("attributes", *place), text) for place, text in places]
    for chain in cycles(landscape):
        first = chain[0]
        needed = next(each for each in _edges(landscape, first) if each.pipeline == chain[1])
        text = f"a cycle, in which each waits for the next: {' → '.join(chain)}"
        mistakes.append(mistake_in(landscape.pipelines[first].path, ("attributes", *needed.place), text))
    return mistakes


_Place = tuple[tuple[str | int, ...], str]


def _lost_account(landscape: Landscape, each: AnyDeclaration) -> Iterator[_Place]:
    if each.location not in landscape.accounts.accounts:
        near = _near(each.location, landscape.accounts.accounts)
        yield (), f"the folder {each.location!r} is no account of the registry{near}"


def _lost_names(landscape: Landscape, name: str) -> Iterator[_Place]:
    for needed in landscape.waits[name]:
        if needed.words is None:
            # A table that is read is looked for below, whether it is waited for or not.
            continue
        place, (location, _, wanted) = needed.place, needed.pipeline.partition("/")
        if landscape.knows(needed.pipeline) or location == _location(name) not in landscape.accounts.accounts:
            continue
        if location not in landscape.accounts.accounts:
            near = _near(location, landscape.accounts.accounts)
            yield (*place, "account"), f"there is no account {location!r} in the registry{near}"
        elif needed.pipeline in landscape.crawls:
            yield (*place, "name"), f"{needed.pipeline} is a crawl, and nothing can wait for a crawl"
        else:
            yield (*place, "name"), _no_such("pipeline", location, wanted, [*landscape.pipelines, *landscape.broken])
    each = landscape.pipelines[name]
    for at, (table, _) in enumerate(each.spec.parents_read()):
        location, _, wanted = table.partition("/")
        if location not in landscape.accounts.accounts:
            near = _near(location, landscape.accounts.accounts)
            yield ("reads", at), f"there is no account {location!r} in the registry{near}"
        elif table in landscape.crawls or (table in landscape.pipelines and table not in landscape.tables):
            yield ("reads", at), f"{table} makes no lake table; only a LakePipeline and a SqlPipeline do"
        elif not landscape.knows(table):
            yield ("reads", at), _no_such("table", location, wanted, sorted(landscape.tables))


def _no_such(what: str, location: str, wanted: str, all_names: Sequence[str]) -> str:
    own = sorted(name.partition("/")[2] for name in all_names if name.startswith(f"{location}/"))
    elsewhere = sorted(name.partition("/")[0] for name in all_names if name.endswith(f"/{wanted}"))
    told = f"{location} has no {what} {wanted!r}"
    if near := difflib.get_close_matches(wanted, own, n=1):
        return f"{told}; did you mean {near[0]!r}?"
    if elsewhere:
        return f"{told}; there is one in {', '.join(elsewhere)}"
    return f"{told}; it has {_listed(own)}" if own else f"{told}, nor any other"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known := sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; it has {_listed(known)}"


def _missing_grants(landscape: Landscape, each: AnyDeclaration) -> Iterator[_Place]:
    accounts = landscape.accounts
    for at, (table, _) in enumerate(each.spec.parents_read()):
        owner, _, name = table.partition("/")
        if not {owner, each.location} <= set(accounts.accounts) or not landscape.knows(table):
            continue
        if not is_granted(each.location, owner, name, accounts=accounts):
            try:
                require_grant(each.location, owner, name, accounts=accounts)
            except AccessDenied as error:
                yield ("reads", at), str(error)


def _edges(landscape: Landscape, name: str) -> list[Needed]:
    """What a partition needs of pipelines of its own time: who waits for an earlier day only makes no cycle."""
    each = landscape.pipelines[name]
    waits = [needed for needed in landscape.waits[name] if needed.span.offset >= 0]
    # A table is read whether it is waited for or not, and the graph of the assets must have no cycle either.
    waited = {needed.pipeline for needed in waits if needed.words is None}
    reads = [
        Needed(table, ("reads", at), span)
        for at, (table, span) in enumerate(each.spec.parents_read())
        if span.offset >= 0 and table not in waited
    ]
    return [needed for needed in (*waits, *reads) if needed.pipeline in landscape.pipelines]


def cycles(landscape: Landscape) -> list[tuple[str, ...]]:
    """Each group of pipelines that wait for each other, as one shortest chain that ends where it began."""
    graph = {
        name: list(dict.fromkeys(needed.pipeline for needed in _edges(landscape, name))) for name in landscape.pipelines
    }
    found: list[tuple[str, ...]] = []
    told: set[str] = set()
    for name in sorted(_circular(graph)):
        if name not in told and (chain := _way_back(graph, name)):
            found.append(chain)
            told |= _together(graph, name)
    return found


def _circular(graph: Mapping[str, Sequence[str]]) -> set[str]:
    """What is left when those that wait for nothing have been taken away, again and again."""
    left = {name: len(parents) for name, parents in graph.items()}
    children: dict[str, list[str]] = {}
    for name, parents in graph.items():
        for parent in parents:
            children.setdefault(parent, []).append(name)
    free = deque(name for name, waits in left.items() if not waits)
    while free:
        name = free.popleft()
        del left[name]
        for child in children.get(name, ()):
            left[child] -= 1
            if not left[child]:
                free.append(child)
    return set(left)


def _way_back(graph: Mapping[str, Sequence[str]], start: str) -> tuple[str, ...]:
    """The shortest chain from a pipeline back to itself, empty if there is none."""
    chains: deque[tuple[str, ...]] = deque([(start,)])
    seen: set[str] = set()
    while chains:
        chain = chains.popleft()
        for parent in graph[chain[-1]]:
            if parent == start:
                return (*chain, start)
            if parent not in seen:
                seen.add(parent)
                chains.append((*chain, parent))
    return ()


def _together(graph: Mapping[str, Sequence[str]], start: str) -> set[str]:
    """All that can be reached from a pipeline and reach it."""
    backwards: dict[str, list[str]] = {}
    for name, parents in graph.items():
        for parent in parents:
            backwards.setdefault(parent, []).append(name)
    return _reached(graph, start) & _reached(backwards, start)


def _reached(graph: Mapping[str, Sequence[str]], start: str) -> set[str]:
    found, ahead = {start}, [start]
    while ahead:
        new = set(graph.get(ahead.pop(), ())) - found
        found |= new
        ahead += new
    return found
