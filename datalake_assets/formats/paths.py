"""Paths into a nested record: `user.name`, and `"first.name"` in double quotes where a name holds a dot or a quote."""

import re
from collections.abc import Sequence

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
