"""Rows out of arrays, and nested values with every scalar as a text, so that SQL only has to cast."""

from collections.abc import Iterator, Sequence
from typing import Any

from datalake_assets.formats.paths import tree_of
from datalake_assets.mapping.scripts.script_json import found_at, left_over, parsed, text_of
from datalake_assets.mapping.scripts.script_reader import Row, Source


def expand(row: Row, source: Source) -> Iterator[Row]:
    """A record and the elements of its arrays; a broken record has none."""
    arrays = [number for number, each in enumerate(source.elements) if each.parent is None]
    found: list[Row] = []
    wrong = []
    for number in arrays if row.reason is None else ():
        elements = source.elements[number]
        text = row.texts[source.columns.index(elements.array)]
        wrong.append(_unfold(row, text, number, source, found))
    yield row._replace(wrong=tuple(wrong), nested=_nested(row, None, source))
    yield from found


def _unfold(parent: Row, text: str | None, number: int, source: Source, found: list[Row]) -> str | None:
    """Append the rows of an array's elements; return its text if it is none."""
    elements = source.elements[number]
    values: list[Any] = []
    names: list[str | None] = []
    if text in source.null_values:
        text = None
    if text is not None:
        try:
            value = parsed(text)
        except ValueError:
            return text
        if isinstance(value, dict) if elements.is_map else isinstance(value, list):
            names = list(value) if elements.is_map else [None] * len(value)
            values = list(value.values()) if elements.is_map else value
        elif value is not None:
            return text
    if not values and elements.outside is not None and elements.keeps_empty:
        values, names = [None], [None]
    for position, (name, value) in enumerate(zip(names, values, strict=True)):
        _add_element(parent, name, value, position, number, source, found)
    return None


def _add_element(
    parent: Row, name: str | None, value: Any, position: int, number: int, source: Source, found: list[Row]
) -> None:
    elements = source.elements[number]
    texts: list[str | None] = []
    for path in elements.paths:
        if path == ("_key",):
            texts.append(name)
        elif path is None:
            texts.append(text_of(value))
        else:
            texts.append(text_of(found_at(value, path)))
    texts += [parent.texts[place] for place in elements.outside or ()]
    keys = parent.texts[len(parent.texts) - len(source.keys) :]
    surplus = None
    if isinstance(value, dict) and elements.named is not None:
        surplus = left_over(value, tree_of(elements.named), elements.masked)
    is_wrong = elements.needs_objects and value is not None and not isinstance(value, dict)
    row = parent._replace(
        surplus=surplus,
        texts=(*texts, *keys),
        level=number + 1,
        places=(*parent.places, position),
        no_object=text_of(value) if is_wrong else None,
        wrong=(),
    )
    at = len(found)
    inner = [each for each, below in enumerate(source.elements) if below.parent == number]
    wrong = tuple(
        _unfold(row, texts[elements.paths.index(source.elements[each].path)], each, source, found) for each in inner
    )
    found.insert(at, row._replace(wrong=wrong, nested=_nested(row, number, source)))


def _nested(row: Row, level: int | None, source: Source) -> tuple[Any, ...]:
    """The nested values of a row, for each shape of the source its value and whether it has unnamed members."""
    cells: list[Any] = []
    for shape in source.shapes:
        text = row.texts[shape.place] if shape.level == level and row.reason is None else None
        if text is None:
            cells += [None, None]
            continue
        try:
            value = parsed(text)
        except ValueError:
            cells += [{"w": text, "v": None}, None]
            continue
        cells += [shaped(value, shape.tree), "1" if has_unnamed(value, shape.tree) else None]
    return tuple(cells)


def shaped(value: Any, tree: Any) -> Any:
    """A value as its type wants it: `v` with scalars as texts, or `w`, the text of what has another shape."""
    if tree is None or value is None:
        return text_of(value)
    kind, parts = tree
    if not isinstance(value, list if kind == "array" else dict):
        return {"w": text_of(value), "v": None}
    if kind == "array":
        return {"w": None, "v": [shaped(each, parts) for each in value]}
    if kind == "map":
        return {"w": None, "v": [{"k": name, "v": shaped(each, parts)} for name, each in value.items()]}
    fields = {f"f{number}": shaped(value.get(name), part) for number, (name, part) in enumerate(parts)}
    return {"w": None, "v": fields}


def has_unnamed(value: Any, tree: Any) -> bool:
    """Whether an object within the value has a member, other than null, that its struct does not name."""
    if tree is None or not isinstance(value, dict | list):
        return False
    kind, parts = tree
    if kind == "array":
        return isinstance(value, list) and any(has_unnamed(each, parts) for each in value)
    if not isinstance(value, dict):
        return False
    if kind == "map":
        return any(has_unnamed(each, parts) for each in value.values())
    known: Sequence[str] = [name for name, _ in parts]
    return any(name not in known and inner is not None for name, inner in value.items()) or any(
        has_unnamed(value.get(name), part) for name, part in parts
    )
