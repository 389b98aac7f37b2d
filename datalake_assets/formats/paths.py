"""Paths into a nested record: `user.name`, and `"first.name"` in double quotes where a name holds a dot or a quote."""

import re
from collections.abc import Sequence
from typing import Any

# Member to what paths take of it: None is all of it.
Tree = dict[str, Any]

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def path_parts(path: str) -> tuple[str, ...]:
    """The names from the outermost member inwards.

    Raises:
        ValueError: the path has an empty name, or a quote that is not closed.
    """
    parts, at = [], 0
    while True:
        match = _PART.match(path, at)
        if match is None:
            raise ValueError(f'{path!r} is no path; expected names between dots, such as user.name or "a.b".c')
        parts.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        at = match.end()
        if at == len(path):
            return tuple(parts)
        if path[at] != ".":
            raise ValueError(f'{path!r} is no path; expected a dot at character {at + 1}, such as user.name or "a.b".c')
        at += 1


def joined(parts: Sequence[str]) -> str:
    """The path of these names: `path_parts(joined(parts)) == parts`."""
    return ".".join('"' + part.replace('"', '""') + '"' if set(part) & set('."') else part for part in parts)


def tree_of(paths: Sequence[Sequence[str]]) -> Tree:
    """What paths take of an object."""
    tree: Tree = {}
    for path in paths:
        node = tree
        for name in path[:-1]:
            inner = node.setdefault(name, {})
            if inner is None:  # mapped as a whole as well
                break
            node = inner
        else:
            node[path[-1]] = None
    return tree


def json_keys(header: Sequence[str]) -> list[str]:
    """Distinct keys for a header that may repeat a name or leave it empty."""
    keys: list[str] = []
    for number, name in enumerate(header, start=1):
        key = name or f"column {number}"
        keys.append(key if key not in keys else f"{key} (column {number})")
    return keys
