"""XML: whether it is well-formed, and which element is a row."""

import re
from xml.parsers import expat

from datalake_assets.discovery.classifiers.builtin import Verdict
from datalake_assets.discovery.classifiers.content import Content, error_told
from datalake_assets.errors import UnreadableObject
from datalake_assets.formats.xml_records import not_well_formed, refuse_entities, unreadable_encoding

_BEGIN = re.compile(r"\s*<(?:\?xml|!--|!DOCTYPE|[A-Za-z_][\w:.-]*[\s/>])", re.IGNORECASE)
_HTML = re.compile(r"\s*(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE)
_MAX_DEPTH = 8
_MAX_PATHS = 5_000


def xml_text(content: Content) -> Verdict:
    start = content.text[:1_000]
    if not _BEGIN.match(start):
        return Verdict("xml", 0.0, "does not begin with a tag")
    if _HTML.match(start):
        return Verdict("xml", 0.0, "is an HTML page, which holds no records", is_final=True)
    shape = _Shape()
    parser = expat.ParserCreate()
    parser.StartElementHandler = shape.start
    parser.EndElementHandler = shape.end
    refuse_entities(parser, content.sample.uri)
    broken = ""
    try:
        parser.Parse(content.data, content.is_complete)
    except UnreadableObject as error:
        return Verdict("xml", 0.0, f"is XML but {error_told(error)}", is_final=True)
    except expat.ExpatError as error:
        broken = not_well_formed(error, content.sample.uri).found
    except (LookupError, ValueError) as error:  # of the encoding that it declares
        broken = unreadable_encoding(error, content.sample.uri).found
    if broken:
        return Verdict("xml", 0.0, f"begins as XML, but {broken}", is_final=start.lstrip().startswith("<?xml"))
    found = shape.row()
    if found is None:
        return Verdict("xml", 0.0, "begins as XML but has no element within the sample")
    tag, count, certainty = found
    reason = f"well-formed as far as it was read; <{tag}> repeats {count} times"
    if count == 1:
        reason = f"well-formed as far as it was read; no element repeats, <{tag}> is taken for the row"
    return Verdict("xml", certainty, reason, {"format": "xml", "row_tag": tag})


class _Shape:
    """Counts elements by their place in the tree."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._deeper = 0
        self._total = 0
        self._counts: dict[tuple[str, ...], int] = {}
        self._weights: dict[tuple[str, ...], int] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        weight = 1 + len(attributes)
        self._total += weight
        if self._deeper or len(self._path) >= _MAX_DEPTH:
            self._deeper += 1
        else:
            self._path.append(tag)
            path = tuple(self._path)
            if path in self._counts or len(self._counts) < _MAX_PATHS:
                self._counts[path] = self._counts.get(path, 0) + 1
        for depth in range(2, len(self._path) + 1):
            path = tuple(self._path[:depth])
            self._weights[path] = self._weights.get(path, 0) + weight

    def end(self, _tag: str) -> None:
        if self._deeper:
            self._deeper -= 1
        elif self._path:
            self._path.pop()

    def row(self) -> tuple[str, int, float] | None:
        """The element that is a row, how often it was seen, and how certain that is."""
        if not self._counts:
            return None
        repeated = [path for path, count in self._counts.items() if count > 1 and len(path) > 1]
        heavy = [path for path in repeated if self._weights.get(path, 0) * 3 >= self._total]
        if candidates := heavy or repeated:
            depth = min(map(len, candidates))
            shallow = [path for path in candidates if len(path) == depth]
            best = max(shallow, key=lambda path: (self._weights.get(path, 0), self._counts[path]))
            share = self._weights[best] / max(self._total, 1)
            return best[-1], self._counts[best], round(0.85 + 0.14 * min(share * 1.2, 1.0), 3)
        children = [path for path in self._counts if len(path) == 2]
        if len(children) == 1:
            return children[0][-1], 1, 0.8
        root = next(path for path in self._counts if len(path) == 1)
        return root[-1], 1, 0.8
