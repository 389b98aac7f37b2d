"""JSON files as records: an object a line, one array, an array within a document, or objects one after another."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.batches import MAX_RECORD_CHARACTERS, NestedRecord, nested_batches
from datalake_assets.formats.bytes import text_chunks
from datalake_assets.formats.json_text import FOLLOWED, JsonScanner, why_no_record
from datalake_assets.formats.lines import numbered_lines, shown

if TYPE_CHECKING:
    import pyarrow as pa

    from datalake_assets.formats.source_format import JsonLayout, SourceFormat

_LINES_LOOKED_AT = 20
_HEAD_CHARACTERS = 64 * 1024
UNCLOSED = "is missing: the file ends before its array is closed"


def open_json(path: Path, source: "SourceFormat", *, uri: str) -> "JsonFile":
    """Open a JSON file.

    Raises:
        EmptyObject: nothing but blank lines.
        UnreadableObject: broken bytes, or what `source` declares is not there.
    """
    if path.stat().st_size == 0:
        raise EmptyObject("the object has zero bytes", where=uri)
    return json_file(text_chunks(path, source, uri, errors="surrogateescape"), source, uri=uri)


def json_file(chunks: Iterator[str], source: "SourceFormat", *, uri: str) -> "JsonFile":
    """The JSON file whose text comes in pieces.

    Raises:
        EmptyObject: nothing but blank lines.
        UnreadableObject: what `source` declares is not there.
    """
    blank_lines = 0
    for chunk in chunks:
        text = chunk.lstrip()
        blank_lines += chunk[: len(chunk) - len(text)].count("\n")
        if text:
            head = [text]
            while sum(map(len, head)) < _HEAD_CHARACTERS and (more := next(chunks, "")):
                head.append(more)
            text = "".join(head)
            return JsonFile(chain([text], chunks), text, source, uri, first_line=1 + blank_lines)
    raise EmptyObject("the object holds nothing but blank lines", where=uri)


class JsonFile:
    """One JSON file; each record is an object."""

    names: tuple[str, ...] | None = None

    def __init__(self, chunks: Iterator[str], head: str, source: "SourceFormat", uri: str, *, first_line: int) -> None:
        self._chunks = chunks
        self._source = source
        self._uri = uri
        self._first_line = first_line
        self.layout = source.layout if source.layout != "auto" else detect_layout(head)
        if source.records and source.layout == "auto":
            self.layout = "document"
        if head[0] not in "{[" and self.layout != "lines":
            raise _not_json(head, uri)
        if self.layout == "array" and head[0] != "[":
            raise UnreadableObject(
                "the document is no array",
                where=uri,
                expected="`[` as its first character",
                todo="Set source.layout to what it is, or source.records to the path of the array.",
            )
        if self.layout == "lines" and not any(line.lstrip()[:1] in ("{", "[") for line in head.split("\n")):
            raise _not_json(head, uri)

    def batches(self) -> Iterator["pa.RecordBatch"]:
        """The records; `row` is the line in files of lines, else the number of the record."""
        return nested_batches(self.records())

    def records(self) -> Iterator[NestedRecord]:
        """The records without Arrow."""
        if self.layout == "lines":
            return _lines(self._chunks, self._first_line)
        scanner = JsonScanner(self._chunks)
        if self.layout == "document" and self._source.records:
            path = self._source.records.removeprefix("$").removeprefix(".").split(".")
            return _within(scanner, path, self._source.records, self._uri)
        return _one_after_another(scanner)


def detect_layout(head: str) -> "JsonLayout":
    """How a JSON file is laid out, from its beginning without leading spaces."""
    if head.startswith("["):
        lines = [line.strip() for line in head.split("\n")[:3]]
        is_lines = len(lines) > 1 and all(line[:1] == "[" and line[-1:] == "]" for line in lines if line)
        return "lines" if is_lines and why_no_record(lines[0]) == "is an array, not an object" else "array"
    lines = [line for line in (one.strip() for one in head.split("\n", _LINES_LOOKED_AT)[:_LINES_LOOKED_AT]) if line]
    if len(head) > MAX_RECORD_CHARACTERS or (len(lines) == 1 and "\n" not in head):
        # One line only, maybe cut: an object is a record either way.
        return "concatenated"
    first = why_no_record(lines[0])
    if first == FOLLOWED:
        return "concatenated"
    if first is None and lines[1:2] and lines[1][0] in "{[":
        return "lines"
    good = sum(why_no_record(line) is None for line in lines)
    return "lines" if good * 2 >= len(lines) else "concatenated"


def _not_json(head: str, uri: str) -> UnreadableObject:
    return UnreadableObject(
        f"the object begins with {head[:20]!r}, which is no JSON",
        where=uri,
        expected="an object `{` or an array `[`",
        todo="Set source.format to the format of the files.",
    )


def _lines(chunks: Iterator[str], first_line: int) -> Iterator[NestedRecord]:
    for row, line, is_cut in numbered_lines(chunks, limit=MAX_RECORD_CHARACTERS, first=first_line):
        text = line.strip(" \t\r\ufeff")
        if not text:
            continue
        if reason := f"is longer than {MAX_RECORD_CHARACTERS >> 20} MB" if is_cut else why_no_record(text):
            yield NestedRecord(row, reason, shown(line), None)
        else:
            yield NestedRecord(row, None, None, text)


def _one_after_another(scanner: JsonScanner) -> Iterator[NestedRecord]:
    """Objects, and the elements of arrays, at the top of a document."""
    row = 0
    while scanner.peek():
        if scanner.accept("["):
            for record in _elements(scanner, row):
                row = record.row
                yield record
        else:
            row += 1
            yield _record(scanner, row)
        scanner.skip_commas()


def _elements(scanner: JsonScanner, row: int) -> Iterator[NestedRecord]:
    """The elements of an array whose bracket was taken."""
    scanner.skip_commas()
    while not scanner.accept("]"):
        row += 1
        if not scanner.peek():
            yield NestedRecord(row, UNCLOSED, "", None)
            return
        yield _record(scanner, row)
        scanner.skip_commas()


def _record(scanner: JsonScanner, row: int) -> NestedRecord:
    text, reason = scanner.take()
    return NestedRecord(row, reason, shown(text), None) if reason else NestedRecord(row, None, None, text)


def _within(scanner: JsonScanner, path: list[str], told: str, uri: str) -> Iterator[NestedRecord]:
    """The records under a path of a document, arrays on the way included."""
    row = 0
    found = False
    while scanner.peek():
        for record in _under(scanner, path):
            found = True
            row += 1
            if record is not None:
                yield record._replace(row=row)
            else:
                row -= 1
        scanner.skip_commas()
    if not found:
        raise UnreadableObject(
            f"the document has no member {told!r}",
            where=uri,
            expected="the path of the array of records",
            todo="Set source.records to it.",
        )


def _under(scanner: JsonScanner, path: list[str]) -> Iterator[NestedRecord | None]:
    """The records below the value that comes next; None stands for an empty array, which was found all the same."""
    if not path:
        if scanner.accept("["):
            yield None
            yield from _elements(scanner, 0)
        else:
            yield _record(scanner, 0)
        return
    if scanner.accept("["):
        scanner.skip_commas()
        while scanner.peek() and not scanner.accept("]"):
            yield from _under(scanner, path)
            scanner.skip_commas()
        return
    if not scanner.accept("{"):
        scanner.take(is_kept=False)
        return
    while scanner.peek() and not scanner.accept("}"):
        key = scanner.key()
        if key == path[0]:
            yield from _under(scanner, path[1:])
        elif scanner.peek():
            scanner.take(is_kept=False)
        scanner.skip_commas()
