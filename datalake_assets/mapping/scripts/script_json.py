"""JSON taken apart as the platform does it: numbers keep their spelling, and nothing is mapped by halves."""

import json
import re
from collections.abc import Sequence
from typing import Any

from datalake_assets.formats.paths import Tree


class Number(str):
    """A number as it is written."""

    __slots__ = ()


class Repeated(dict[str, Any]):
    """An object that names a member twice: the first one counts, all of them are shown."""

    pairs: list[tuple[str, Any]]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated = Repeated(reversed(pairs))
    repeated.pairs = pairs
    return repeated


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(
    parse_int=Number, parse_float=Number, parse_constant=_no_constant, object_pairs_hook=_object
)
_CONTROL = re.compile(r"(\\\\)|\\u00([01][0-9a-f])")


def parsed(text: str) -> Any:
    """The value that a JSON text holds.

    Raises:
        ValueError: it holds none.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if "\\u" in text:
        written(value).encode()  # half a surrogate pair is no character
    return value


def written(value: Any) -> str:
    """A value as JSON without spaces, nothing escaped but what must be."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        # Control characters are written in capital digits.
        return _CONTROL.sub(lambda m: m[1] or f"\\u00{m[2].upper()}", text) if "\\u00" in text else text
    if isinstance(value, dict):
        pairs = value.pairs if isinstance(value, Repeated) else value.items()
        return "{" + ",".join([f"{written(name)}:{written(inner)}" for name, inner in pairs]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([written(inner) for inner in value]) + "]"
    return "null" if value is None else "true" if value else "false"


def text_of(value: Any) -> str | None:
    """The text of a scalar, the JSON of a nested value, None of null."""
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    return written(value)


def found_at(value: Any, path: Sequence[str]) -> Any:
    """What a path of names leads to; None where it leads nowhere."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def left_over(value: dict[str, Any], tree: Tree, masked: Sequence[Sequence[str]] = ()) -> str | None:
    """The members of an object that are not taken, as JSON without braces; those that are null count as missing.

    What stands in place of an object within which a path is `masked` may be such a value, too: it is `"***"`.
    """
    parts = [
        f"{written(name)}:{written(inner)}" for name, inner in value.items() if name not in tree and inner is not None
    ]
    for name, below in tree.items():
        inner = value.get(name)
        if below is None or inner is None:
            continue
        hidden = [path[1:] for path in masked if len(path) > 1 and path[0] == name]
        rest = left_over(inner, below, hidden) if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            parts.append(f"{written(name)}:{written('***' if hidden else inner)}")
        elif rest is not None:
            parts.append(f"{written(name)}:{{{rest}}}")
    return ",".join(parts) or None
