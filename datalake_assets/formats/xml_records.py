"""XML files as records: each element of one name is a row, an object with its attributes and children.

Attributes are members `@name`; the text of an element without attributes and children is its value, else the member
`#text`; a child that repeats is an array; an empty element is null. Names keep their prefixes as they are written.
Entities are never expanded and nothing outside of the file is read.
"""

from collections.abc import Iterator
from json.encoder import encode_basestring
from pathlib import Path
from typing import TYPE_CHECKING
from xml.parsers import expat

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.batches import MAX_DEPTH, MAX_RECORD_CHARACTERS, NestedRecord, nested_batches
from datalake_assets.formats.bytes import byte_chunks, compression_of

if TYPE_CHECKING:
    import pyarrow as pa

    from datalake_assets.formats.source_format import SourceFormat

# Names, attributes and comments are given whole by the parser: one that is longer is refused before it is held.
_MAX_TOKEN_BYTES = MAX_RECORD_CHARACTERS
_FEED_BYTES = 64 * 1024


def open_xml(path: Path, source: "SourceFormat", *, uri: str) -> "XmlFile":
    """Open an XML file; its encoding is what it says of itself.

    Raises:
        EmptyObject: no bytes.
        UnreadableObject: broken or undeclared compression. What is no XML is found while reading.
    """
    if path.stat().st_size == 0:
        raise EmptyObject("the object has zero bytes", where=uri)
    with path.open("rb") as opened:
        compression = compression_of(source, uri, opened.read(16))
    assert source.row_tag is not None
    return XmlFile(byte_chunks(path, compression, uri), source.row_tag, uri)


class XmlFile:
    """One XML file; each record is an object, `row` its number."""

    names: tuple[str, ...] | None = None

    def __init__(self, chunks: Iterator[bytes], row_tag: str, uri: str) -> None:
        self._chunks = chunks
        self._row_tag = row_tag
        self._uri = uri

    def batches(self) -> Iterator["pa.RecordBatch"]:
        """The records.

        Raises:
            UnreadableObject: the file is not well-formed, ends in the middle, or has no element of the row tag: what
                stands behind a broken place cannot be told.
        """
        return nested_batches(self.records())

    def records(self) -> Iterator[NestedRecord]:
        """The records without Arrow."""
        rows = _Rows(self._row_tag)
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = rows.start
        parser.EndElementHandler = rows.end
        parser.CharacterDataHandler = rows.text
        refuse_entities(parser, self._uri)
        fed = 0
        try:
            for chunk in self._chunks:
                for begin in range(0, len(chunk), _FEED_BYTES):
                    piece = chunk[begin : begin + _FEED_BYTES]
                    parser.Parse(piece, False)
                    fed += len(piece)
                    if fed - parser.CurrentByteIndex > _MAX_TOKEN_BYTES:
                        raise UnreadableObject(
                            f"a tag, attribute or comment is longer than {_MAX_TOKEN_BYTES >> 20} MB", where=self._uri
                        )
                    yield from rows.finished()
            if not fed:
                raise EmptyObject("the object is empty once decompressed", where=self._uri)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise not_well_formed(error, self._uri) from error
        except (LookupError, ValueError) as error:  # of the encoding that it declares
            raise unreadable_encoding(error, self._uri) from error
        yield from rows.finished()
        if not rows.count:
            seen = ", ".join(f"<{tag}>" for tag in rows.seen)
            raise UnreadableObject(
                f"the file has no element <{self._row_tag}>",
                where=self._uri,
                expected=f"one of {seen}" if seen else None,
                todo="Set source.row_tag to the element that is a row.",
            )


def unreadable_encoding(error: Exception, uri: str) -> UnreadableObject:
    """What a parser says of a declaration such as `encoding="ISO-1"`, or of an encoding of several bytes."""
    return UnreadableObject(
        f"its declaration names an encoding that cannot be read: {error}",
        where=uri,
        expected="UTF-8, UTF-16 or an encoding of one byte a character",
    )


def not_well_formed(error: expat.ExpatError, uri: str) -> UnreadableObject:
    """The error of a file that is no XML, or no longer."""
    told = expat.ErrorString(error.code) or "unknown error"
    if told in ("no element found", "unclosed token"):
        told = "it ends in the middle (truncated)"
    return UnreadableObject(
        f"the XML is broken at line {error.lineno:,}, column {error.offset:,}: {told}", where=uri, todo="Land it again."
    )


def refuse_entities(parser: expat.XMLParserType, uri: str) -> None:
    """Make a parser refuse declarations of entities."""

    def refuse(name: str, *_rest: object) -> None:
        raise UnreadableObject(
            f"the file declares the entity {name!r}",
            where=uri,
            expected="no entities: they can expand without end, or read other files",
            todo="Land it again with the texts themselves.",
        )

    parser.EntityDeclHandler = refuse


class _Element:
    __slots__ = ("children", "parts", "tag")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.parts: list[str] = []
        # Name to the JSON texts of its values, in the order of their first appearance.
        self.children: dict[str, list[str]] = {
            f"@{name}": [encode_basestring(value)] for name, value in attributes.items()
        }

    def json(self) -> str:
        text = "".join(self.parts).strip()
        if not self.children:
            return encode_basestring(text) if text else "null"
        if text:
            self.children["#text"] = [encode_basestring(text)]
        members = (
            f"{encode_basestring(name)}: {values[0] if len(values) == 1 else '[' + ', '.join(values) + ']'}"
            for name, values in self.children.items()
        )
        return "{" + ", ".join(members) + "}"


class _Rows:
    """Builds the rows of a file from what its parser tells; outside of rows nothing is held."""

    def __init__(self, row_tag: str) -> None:
        self._row_tag = row_tag
        self._open: list[_Element] = []
        self._size = 0
        self._broken: str | None = None
        self._depth = 0  # within a broken row
        self._done: list[NestedRecord] = []
        self.count = 0
        self.seen: dict[str, None] = {}

    def finished(self) -> list[NestedRecord]:
        done, self._done = self._done, []
        return done

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._broken is not None:
            self._depth += 1
        elif self._open:
            self._grow(len(tag) + sum(len(name) + len(value) for name, value in attributes.items()))
            if self._broken is not None:
                self._depth += 1
                return
            self._open.append(_Element(tag, attributes))
            if len(self._open) > MAX_DEPTH:
                self._give_up(f"is nested more than {MAX_DEPTH} levels deep")
        elif tag == self._row_tag or tag.rsplit(":", 1)[-1] == self._row_tag:
            self._size = 0
            self._open.append(_Element(tag, attributes))
        elif len(self.seen) < 10:
            self.seen[tag] = None

    def text(self, data: str) -> None:
        if self._open and self._broken is None:
            self._grow(len(data))
            if self._open:
                self._open[-1].parts.append(data)

    def end(self, _tag: str) -> None:
        if self._broken is not None:
            self._depth -= 1
            if self._depth == 0:
                self.count += 1
                self._done.append(NestedRecord(self.count, self._broken, "", None))
                self._broken = None
            return
        if not self._open:
            return
        element = self._open.pop()
        if self._open:
            self._open[-1].children.setdefault(element.tag, []).append(element.json())
            return
        self.count += 1
        record = element.json()
        if not element.children:
            record = '{"#text": ' + record + "}"
        self._done.append(NestedRecord(self.count, None, None, record))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MAX_RECORD_CHARACTERS and self._broken is None:
            self._give_up(f"is longer than {MAX_RECORD_CHARACTERS >> 20} MB")

    def _give_up(self, reason: str) -> None:
        self._broken = reason
        self._depth = len(self._open)
        self._open = []
