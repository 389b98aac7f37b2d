"""Raw CSV files as rows of texts: the same records, reasons and line numbers as the platform finds.

A printed program holds what it uses of this module, so it imports the standard library and other such modules only.
"""

import bz2
import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Any, NamedTuple
from urllib.parse import unquote

from datalake_assets.formats.paths import json_keys

MAX_RECORD_BYTES = 4 * 1024 * 1024
MAX_OPEN_QUOTE_CHARACTERS = 64 * 1024 * 1024

REDACTED = "***"
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
TOO_FEW = "has too few fields"
TOO_MANY = "has too many fields"
OPEN_QUOTE = "has a quote that is not closed or ends within a value"
NOT_DECODABLE = "is not valid in the encoding of the file"
TOO_LONG = f"is longer than {MAX_RECORD_BYTES} bytes"

# A byte that is not UTF-8 is read as one of these, so that it costs its record and not its file.
_PROBED_RECORDS = 500
_WRONG_BYTE = re.compile("[\udc80-\udcff]")


class BadFile(Exception):
    """A raw file that cannot be read as declared; the message names it."""


@dataclass(frozen=True)
class Elements:
    """Rows made of an array: where it is, and what is wanted of each of its elements.

    `array` is the column of the record that holds it, or for one within other elements its `path` in them; `parent`
    is then the number of those. `paths` are the names that lead to each text, None for the element itself, `_key` for
    its name in a map. `named` are the members that are not left over, None where nothing is, `masked` those of them
    that are never shown. `outside` are the places of the record's columns that each row of an exploded table has behind
    its own, None for a table of children.
    """

    array: str
    path: tuple[str, ...]
    paths: tuple[tuple[str, ...] | None, ...]
    named: tuple[tuple[str, ...], ...] | None = None
    parent: int | None = None
    is_map: bool = False
    needs_objects: bool = False
    outside: tuple[int, ...] | None = None
    keeps_empty: bool = True
    masked: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Shape:
    """A nested column: the number of its `Elements` (None for the record), its place there, and its type.

    `tree` is None for a scalar, ("array", inner), ("map", inner) or ("struct", ((name, inner), ...)).
    """

    level: int | None
    place: int
    tree: Any


@dataclass(frozen=True)
class Source:
    """How the raw files are written and which of their columns are wanted, in the order of c0, c1 ..."""

    columns: tuple[str, ...]
    paths: tuple[tuple[str, ...], ...] = ()  # of JSON: the names that lead to the columns
    required: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()  # of them those whose texts are never shown
    keys: tuple[str, ...] = ()  # names before = in a file's path, whose values come behind the columns
    null_values: tuple[str, ...] = ("",)
    format: str = "csv"
    encoding: str = "utf-8"
    compression: str = "auto"
    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    header: int = 1
    names: tuple[str, ...] = ()
    skip_rows: int = 0
    skip_footer: int = 0
    short_rows: str = "reject"
    long_rows: str = "reject"
    tables: str = "all"
    layout: str = "auto"
    records: str | None = None
    elements: tuple[Elements, ...] = ()
    shapes: tuple[Shape, ...] = ()


class Row(NamedTuple):
    """One record: why it is broken as a whole, how it was, the members of `_rescued_data`, the texts c0, c1 ...

    Of an element `level` is the number of its `Elements`, counted from 1, and `places` are its positions, outer ones
    first; `no_object` is its text if it has no members, `wrong` those of its arrays that are none.
    """

    source_file: str
    source_row: int
    reason: str | None
    raw: str
    surplus: str | None
    texts: tuple[str | None, ...]
    level: int = 0
    places: tuple[int, ...] = ()
    no_object: str | None = None
    wrong: tuple[str | None, ...] = ()
    nested: tuple[Any, ...] = ()


def read_csv(stream: IO[bytes], uri: str, source: Source) -> Iterator[Row]:
    """All records of a CSV file, broken ones included; `stream` must be seekable, decompressed already or not."""
    lines = None
    with stream_errors(uri, source):
        try:
            lines = _Lines(decompressed(stream, uri, source), source)
            yield from _rows(_records(lines, source), uri, source)
        finally:
            if lines is not None:
                lines.release()


@contextmanager
def stream_errors(uri: str, source: Source) -> Iterator[None]:
    """Tell what is wrong with the bytes of a file by its name."""
    try:
        yield
    except UnicodeError as error:
        raise BadFile(f"{uri}: the object is not text in {source.encoding}: {error}") from error
    except (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
        raise BadFile(f"{uri}: the compressed data is broken: {error}") from error


def _rows(records: "Iterator[_Record]", uri: str, source: Source) -> Iterator[Row]:
    header = next(records, None)
    if header is None:
        raise BadFile(f"{uri}: the object holds nothing but blank lines")
    if source.header == 0:
        first = [header, *islice(records, _PROBED_RECORDS)]
        records = chain(first, records)
        names = source.names or _made_names(first)
    elif header.is_undecodable or header.has_bad_quote:
        raise BadFile(f"{uri}: the header is not CSV in {source.encoding}: {header.text[:200]!r}")
    else:
        names = tuple(name.strip() for name in header.fields)
    places = find_places(names, uri, source)
    keys = json_keys(names)
    values = key_values(uri, source.keys)
    surplus = [number for number, name in enumerate(names) if name not in source.columns]
    hidden = frozenset(number for number, name in enumerate(names) if name in source.masked)
    nulls = frozenset(source.null_values)
    nothing = (None,) * (len(places) + len(values))
    for record in records:
        fields = record.fields
        if reasons := _reasons(record, len(names)):
            raw = REDACTED if source.masked else _shown(record.text)
            yield Row(uri, record.line, "; record ".join(sorted(reasons)), raw, None, nothing)
            continue
        left = [(keys[number], fields[number]) for number in surplus if fields[number] not in nulls]
        yield Row(
            uri,
            record.line,
            None,
            json_object([(key, REDACTED if n in hidden else fields[n]) for n, key in enumerate(keys)]),
            json_object(left)[1:-1] if left else None,
            (*(None if place is None else fields[place] for place in places), *values),
        )


def _made_names(records: "Sequence[_Record]") -> tuple[str, ...]:
    """Names for files without a header, as many as most records have fields; of two that are as frequent the wider."""
    widths = Counter(len(record.fields) for record in records)
    width = max(widths, key=lambda each: (widths[each], each))
    return tuple(f"column_{number}" for number in range(1, width + 1))


def _shown(text: str) -> str:
    """A record that is broken, as the quarantine shows it: cut where it is too long."""
    text = _WRONG_BYTE.sub("?", text.strip("\r\n"))
    if len(text) * 4 <= MAX_RECORD_BYTES:
        return text
    return text.encode()[:MAX_RECORD_BYTES].decode(errors="ignore")


def key_values(uri: str, names: Sequence[str]) -> tuple[str | None, ...]:
    """The values of `name=value` among the folders of a path; of several the last counts."""
    found = dict(folder.split("=", 1) for folder in uri.split("/")[:-1] if "=" in folder)
    values = (found.get(name) for name in names)
    return tuple(None if value in (None, HIVE_NULL) else unquote(value or "") for value in values)


def json_object(pairs: Sequence[tuple[str, str]]) -> str:
    """A JSON object of texts in their order, written as the platform writes it: nothing escaped but what must be."""
    text = json.dumps(dict(pairs), ensure_ascii=False, separators=(",", ":"))
    if "\\u00" in text:
        # Control characters are written in capital digits.
        text = re.sub(r"(\\\\)|\\u00([01][0-9a-f])", lambda m: m[1] or f"\\u00{m[2].upper()}", text)
    return text


def find_places(header: Sequence[str], uri: str, source: Source) -> list[int | None]:
    """Where each wanted column stands; None for an optional one that this file does not have."""
    if repeated := [name for name in source.columns if header.count(name) > 1]:
        raise BadFile(f"{uri}: the header names {', '.join(map(repr, repeated))} more than once")
    missing = [name for name in source.columns if name not in header]
    folded = {name.casefold() for name in header if name not in source.columns}
    fatal = [name for name in missing if name in source.required or name.casefold() in folded]
    if source.columns and len(missing) == len(source.columns):
        fatal = missing
    if fatal:
        raise BadFile(f"{uri}: the header lacks {', '.join(map(repr, fatal))}; it has {', '.join(map(repr, header))}")
    return [header.index(name) if name in header else None for name in source.columns]


class _Record(NamedTuple):
    line: int
    text: str
    fields: list[str]
    has_bad_quote: bool
    is_undecodable: bool


def _reasons(record: _Record, width: int) -> list[str]:
    reasons = []
    if len(record.fields) != width:
        reasons.append(TOO_FEW if len(record.fields) < width else TOO_MANY)
    if record.has_bad_quote:
        reasons.append(OPEN_QUOTE)
    if record.is_undecodable:
        reasons.append(NOT_DECODABLE)
    # Characters first: counting bytes costs more.
    if len(record.text) * 4 > MAX_RECORD_BYTES and len(record.text.encode(errors="replace")) > MAX_RECORD_BYTES:
        reasons = [TOO_LONG]
    return reasons


def _records(lines: "_Lines", source: Source) -> Iterator[_Record]:
    """Records between blank lines; a value in quotes may go over several lines."""
    quote, delimiter = source.quote, source.delimiter
    for text in lines:
        if not text or lines.number <= source.skip_rows:
            continue
        number = lines.number
        if quote and quote in text:
            fields, bad_quote, text = _quoted(text, lines.join_next, number, source)
        else:
            fields, bad_quote = text.split(delimiter), False
        undecodable = not text.isascii() and _WRONG_BYTE.search(text) is not None
        yield _Record(number, text, fields, bad_quote, undecodable)


def _quoted(
    text: str, join_next: Callable[[str], str | None], number: int, source: Source
) -> tuple[list[str], bool, str]:
    """The fields of a record that holds quotes, whether one stands wrong, and the whole text of the record."""
    delimiter, quote = source.delimiter, source.quote
    escape = source.quote if source.escape is None else source.escape
    fields: list[str] = []
    bad = False
    at = 0
    while True:
        start = at
        if delimiter != " ":
            while text.startswith(" ", at):
                at += 1
        if not text.startswith(quote, at):
            end = text.find(delimiter, start)
            end = len(text) if end < 0 else end
            fields.append(text[start:end])
        else:
            parts: list[str] = []
            at += 1
            while True:
                end = text.find(quote, at)
                escaped = text.find(escape, at, None if end < 0 else end) if escape != quote else -1
                if escaped >= 0 and escaped + 1 < len(text):
                    parts += (text[at:escaped], text[escaped + 1])
                    at = escaped + 2
                elif end < 0:
                    longer = join_next(text)
                    if longer is None or len(longer) > MAX_OPEN_QUOTE_CHARACTERS:
                        raise BadFile(f"a quote is not closed near line {number}")
                    text = longer
                elif escape == quote and text.startswith(quote, end + 1):
                    parts.append(text[at : end + 1])
                    at = end + 2
                else:
                    parts.append(text[at:end])
                    at = end + 1
                    break
            fields.append("".join(parts))
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
            bad = bad or bool(text[at:end].strip(" "))
        if end == len(text):
            return fields, bad, text
        at = end + len(delimiter)


class _Lines:
    """The lines of a text without their ends; `number` is that of the last one, from 1."""

    def __init__(self, stream: IO[bytes], source: Source) -> None:
        self.number = 0
        self._end = ""
        self._line_end = _line_end(stream, source.encoding)
        is_utf8 = source.encoding == "utf-8"
        self._text = io.TextIOWrapper(
            stream,
            encoding=source.encoding,
            errors="surrogateescape" if is_utf8 else "strict",
            newline=self._line_end,
        )

    def __iter__(self) -> Iterator[str]:
        while (line := self._next()) is not None:
            yield line

    def release(self) -> None:
        """Leave the stream to whoever opened it."""
        self._text.detach()

    def join_next(self, text: str) -> str | None:
        """`text` and the line behind it, with the line end between them; None at the end of the file."""
        end = self._end
        line = self._next()
        return None if line is None else text + end + line

    def _next(self) -> str | None:
        line = self._text.readline()
        if not line:
            return None
        self.number += 1
        if self.number == 1:
            line = line.removeprefix("\ufeff")
        content = line.removesuffix(self._line_end)
        if self._line_end == "\n" and content is not line:
            content = content.removesuffix("\r")
        self._end = line[len(content) :]
        return content


def _line_end(stream: IO[bytes], encoding: str) -> str:
    """What ends a line: a line feed, or a carriage return in a file without any line feed."""
    feed = "\n".encode(encoding)[-1:] if not encoding.startswith("utf-16") else b"\n"
    found = any(feed in chunk for chunk in iter(lambda: stream.read(1 << 20), b""))
    stream.seek(0)
    return "\n" if found else "\r"


_OPENERS: dict[str, Callable[[Any], Any]] = {
    "gzip": lambda stream: gzip.GzipFile(fileobj=stream),
    "bzip2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}
_ENDS = {"gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "xz": "xz", "zip": "zip", "zst": "zstd", "zstd": "zstd"}


def decompressed(stream: IO[bytes], uri: str, source: Source) -> IO[bytes]:
    compression = source.compression
    if compression == "auto":
        compression = _ENDS.get(uri.lower().rsplit(".", 1)[-1], "none")
    if compression == "none":
        return stream
    if compression == "zip":
        archive = zipfile.ZipFile(stream)
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise BadFile(f"{uri}: the zip archive holds {len(members)} files; expected one")
        return archive.open(members[0])
    if compression == "zstd":
        import pyarrow as pa  # the standard library reads no zstd before Python 3.14

        return io.BytesIO(pa.input_stream(io.BytesIO(stream.read()), compression="zstd").read())
    opened: IO[bytes] = _OPENERS[compression](stream)
    return opened
