"""Add an entry to a YAML file and leave every other character of it as it is, comments included.

Only what is needed for the registry and the workspace: a block at the end of a mapping or of a list at the top level.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from datalake_assets.errors import ConfigurationError

# After each line end that YAML knows: its marks count lines by them.
_LINES = re.compile("(?<=[\n\x85\u2028\u2029])|(?<=\r)(?!\n)")


def append_entry(text: str, key: str, entry: str, *, where: str) -> str:
    """Return the text with an entry added at the end of the mapping or list below the top-level `key`.

    Args:
        entry: YAML lines of one entry without indentation, `name:\\n  id: …` or `- …`.
        where: the file, for messages.

    Raises:
        ConfigurationError: the text is not YAML, has no such key, or is written so that nothing can be added: in
            brackets, for example.
    """
    line_end = "\r\n" if "\r\n" in text else "\n"
    name, value = _find(text, key, where)
    if _is_empty(value):
        at, indent = name.start_mark.line, 2
        lines = _LINES.split(text[: value.start_mark.index] + text[value.end_mark.index :])
    elif value.flow_style:
        raise ConfigurationError(
            f"{key} is written in brackets, so that nothing can be added without changing what is there",
            where=where,
            todo=f"Write it as a block, or add this by hand:\n{entry}",
        )
    else:
        lines, indent, at = _LINES.split(text), value.start_mark.column, max(_lines(value))
        while at + 1 < len(lines) and _is_remark(lines[at + 1], indent):
            at += 1
    if not lines[at].endswith(("\n", "\r")):
        lines[at] += line_end
    added = [(" " * indent + line).rstrip() + line_end for line in entry.splitlines()]
    changed = "".join([*lines[: at + 1], *added, *lines[at + 1 :]])
    _require_only_added(text, changed, key, where)
    return changed


def _find(text: str, key: str, where: str) -> tuple[yaml.Node, Any]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"this is not YAML: {error}", where=where) from error
    found = root.value if isinstance(root, yaml.MappingNode) else []
    for name, value in found:
        if name.value == key:
            return name, value
    raise ConfigurationError(f"the key {key!r} is missing", where=where)


def _is_empty(value: yaml.Node) -> bool:
    if isinstance(value, yaml.ScalarNode):
        return value.value in ("", "null", "~")
    return not value.value


def _lines(node: Any) -> Iterator[int]:
    """The lines on which something of a value ends; a block's own end is where the next thing begins."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        is_open = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        # A block of text ends at the start of the line after it.
        yield node.end_mark.line - (1 if is_open else 0)
        return
    yield node.start_mark.line
    for child in node.value:
        for each in child if isinstance(child, tuple) else (child,):
            yield from _lines(each)


def _is_remark(line: str, indent: int) -> bool:
    """Whether a line is a comment that belongs to the entry above it."""
    return line.lstrip().startswith("#") and len(line) - len(line.lstrip()) > indent


def _require_only_added(before: str, after: str, key: str, where: str) -> None:
    """See that everything that was there reads the same as before."""
    old, new = yaml.safe_load(before), yaml.safe_load(after)
    had, has = old.pop(key), new.pop(key)
    kept = {name: has.get(name) for name in had or ()} if isinstance(has, dict) else has[:-1]
    is_kept = old == new and len(has) == len(had or ()) + 1 and kept == (had or type(has)())
    if not is_kept:
        raise ConfigurationError(f"nothing can be added to {key} without changing what is there", where=where)
