"""Make raw files ready for the parser: decompressed, in UTF-8, with a known header and a known number of lines.

The parser drops blank lines without a trace, gives up on mixed line ends and loses thousands of rows behind a quote
that is never closed. So every file is looked through once, byte by byte but at the speed of `bytes.count`: what the
parser cannot take is rewritten with placeholders that the mapping turns back, and the number of lines is kept, so
that the engine can account for each of them.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.bytes import byte_chunks, compression_by_name
from datalake_assets.formats.source_format import Compression, SourceFormat

CHUNK_BYTES = 1024 * 1024  # what stays in the processor's cache while it is looked through
MAX_HEADER_BYTES = 1024 * 1024
# Control characters keep the placeholders out of ordinary text; what they replace is restored after parsing.
BLANK_LINE = "\x1a\x1fblank-line\x1f\x1a"
CARRIAGE_RETURN = "\x1a\x1fcarriage-return\x1f\x1a"

_UTF8_BOM = codecs.BOM_UTF8
_SIGNATURES = {
    b"\x1f\x8b": "gzip data",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ": "xz data",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A raw object on local disk: `path` is the copy, `uri` is what messages and `_source_file` call it.

    The end of the URI (.gz, .zst) says how it is compressed, whatever the copy is called.
    """

    path: Path
    uri: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a look through all bytes of a text in UTF-8 has found."""

    size: int = 0
    newlines: int = 0
    carriage_returns: int = 0
    pairs: int = 0
    ends_line: bool = True
    leading_blank_lines: int = 0
    trailing_blank_lines: int = 0
    has_nul: bool = False

    @property
    def line_end(self) -> str:
        """The character to count lines by."""
        return "\n" if self.newlines or not self.carriage_returns else "\r"

    @property
    def has_lone_returns(self) -> bool:
        """Carriage returns that end no line, in a file whose lines end otherwise."""
        return self.newlines > 0 and self.carriage_returns > self.pairs

    @property
    def has_mixed_line_ends(self) -> bool:
        """Both CR LF and LF, be it between records or within quotes."""
        return 0 < self.pairs < self.newlines

    @property
    def lines(self) -> int:
        """Lines up to the last one that is not blank."""
        ends = self.newlines if self.line_end == "\n" else self.carriage_returns
        return ends + (0 if self.ends_line else 1) - self.trailing_blank_lines


@dataclass(frozen=True, slots=True)
class PreparedFile:
    """A file the parser can read, with what the engine needs to account for all its lines.

    `first_line` is the line number of the header in the raw file; `lines` counts from the header on; `header` holds
    the names without spaces around them; `header_lines` is above 1 when a name contains a line break; `line_end` is
    the character to count lines by, `record_end` what ends a record unless the ends are mixed; `blank_line` stands in
    the blank lines of a rewritten file.
    """

    path: Path
    uri: str
    header: tuple[str, ...]
    header_lines: int
    first_line: int
    lines: int
    line_end: str
    record_end: str
    has_nul: bool
    has_mixed_line_ends: bool
    is_rewritten: bool
    blank_line: str
    size: int

    @property
    def read_alike(self) -> tuple[object, ...]:
        """Equal for files that can be staged together."""
        return ("text", self.header, self.line_end)


def is_plain(file: StagedFile, source: SourceFormat) -> bool:
    """Whether DuckDB's own CSV parser takes a file, once it is decompressed, in UTF-8 and begins with its header."""
    return (
        source.format == "csv"
        and compression_of_name(file.uri, source) != "zip"  # whose members may have a header each
        and len(source.delimiter) == 1
        and source.delimiter.isascii()
        and source.header <= 1
        and source.skip_footer == 0
        and source.short_rows == "reject"
        and source.long_rows == "reject"
        and source.tables == "all"
    )


def prepare(file: StagedFile, source: SourceFormat, target: Path) -> PreparedFile:
    """Make `file` readable under the path `target`: a link to it where nothing needs to change, else a new file.

    Raises:
        EmptyObject: no bytes, or nothing but blank lines.
        UnreadableObject: broken or undeclared compression, not a text of the declared encoding, not a CSV header.
    """
    if file.path.stat().st_size == 0:
        raise EmptyObject("the object has zero bytes", where=file.uri, todo="Land it again with a header at least.")
    compression = _compression(file, source)
    if compression == "none" and source.encoding == "utf-8" and not source.skip_rows:
        scan = _scan(_read(file.path))
        target.symlink_to(file.path.resolve())
    else:
        chunks = _read(file.path) if compression == "none" else byte_chunks(file.path, compression, file.uri)
        if source.encoding != "utf-8":
            chunks = _transcoded(chunks, source.encoding, file.uri)
        if source.skip_rows:
            chunks = _without_lines(chunks, source.skip_rows)
        scan = _scan(_copied(chunks, target))
    if scan.size == 0 or scan.lines <= scan.leading_blank_lines:
        raise EmptyObject(
            _nothing_in(scan, source),
            where=file.uri,
            todo="Land it again with a header at least.",
        )
    header, header_lines = _header(target, scan, source, file.uri)
    prepared = PreparedFile(
        path=target,
        uri=file.uri,
        header=header,
        header_lines=header_lines,
        first_line=1 + source.skip_rows + scan.leading_blank_lines,
        lines=scan.lines - scan.leading_blank_lines,
        line_end=scan.line_end,
        record_end="\r\n" if scan.pairs else scan.line_end,
        has_nul=scan.has_nul,
        has_mixed_line_ends=scan.has_mixed_line_ends,
        is_rewritten=False,
        # The parser must reject it: one field is right in a file of one column only.
        blank_line=BLANK_LINE if len(header) > 1 else BLANK_LINE + source.delimiter + BLANK_LINE,
        size=scan.size,
    )
    # The parser takes a lone carriage return for the end of a record, or not, as it comes; a blank line for the header;
    # and where there is one column, any blank line for an empty value.
    is_unclear = scan.leading_blank_lines or scan.has_lone_returns or (len(header) == 1 and has_blank_lines(target))
    return rewrite(prepared) if is_unclear else prepared


def has_blank_lines(path: Path) -> bool:
    """Whether line ends follow each other; dearer than all else there is to look for, and seldom needed."""
    last = b""
    for chunk in _read(path):
        seam = last + chunk[:1]
        if b"\n\n" in chunk or seam == b"\n\n":
            return True
        if (b"\r" in chunk or last == b"\r") and (b"\n\r" in chunk or b"\r\r" in chunk or seam in (b"\n\r", b"\r\r")):
            return True
        last = chunk[-1:]
    return False


def rewrite(file: PreparedFile) -> PreparedFile:
    """Write the file again with a placeholder in every blank line and one kind of line end.

    Only mixed line ends are changed: CR LF becomes LF, also within quotes, which is the one thing that is lost; a lone
    carriage return becomes a placeholder. Blank lines before the header and after the last record are dropped.
    """
    beside = file.path.with_suffix(".rewritten")
    line_end = b"\n" if file.has_mixed_line_ends else file.record_end.encode()
    with beside.open("wb") as out:
        rest = b""
        at_start = True
        for chunk in _read(file.path):
            data = rest + chunk
            if at_start:
                data = data.removeprefix(_UTF8_BOM).lstrip(b"\r\n")
                at_start = not data
            # A run of line ends stays together with what follows it, so no chunk ends within one.
            whole = data[: data.rfind(line_end[-1:]) + 1].rstrip(b"\r\n")
            rest = data[len(whole) :]
            out.write(_rewritten(whole, line_end, file))
        out.write(_rewritten(rest.rstrip(b"\r\n"), line_end, file) + line_end)
    file.path.unlink()
    beside.rename(file.path)
    return replace(file, is_rewritten=True)


def _rewritten(data: bytes, line_end: bytes, file: PreparedFile) -> bytes:
    if file.line_end == "\n":
        data = data.replace(b"\r\n", b"\n").replace(b"\r", CARRIAGE_RETURN.encode()).replace(b"\n", line_end)
    doubled, filled = line_end * 2, line_end + file.blank_line.encode() + line_end
    # Twice, because matches do not overlap: three line ends hold two blank lines.
    return data.replace(doubled, filled).replace(doubled, filled)


def _compression(file: StagedFile, source: SourceFormat) -> str:
    """The declared compression, checked against the first bytes."""
    declared = compression_of_name(file.uri, source)
    with file.path.open("rb") as opened:
        start = opened.read(8)
    is_text = not source.encoding.startswith("utf-16") and declared == "none"
    found = next((name for magic, name in _SIGNATURES.items() if start.startswith(magic)), None)
    expected = None if declared == "none" else f"{declared} data"
    if (expected and found != expected) or (is_text and found):
        raise UnreadableObject(
            f"the object is {found or f'not {expected}'}",
            where=file.uri,
            expected=expected or f"text in {source.encoding}",
            todo="Name the object by what it is, or set source.compression or source.encoding to it.",
        )
    return declared


def compression_of_name(uri: str, source: SourceFormat) -> Compression:
    """The declared compression; `auto` goes by the end of the name."""
    return compression_by_name(uri) if source.compression == "auto" else source.compression


def _nothing_in(scan: Scan, source: SourceFormat) -> str:
    if source.skip_rows:
        return f"the object holds nothing but blank lines after the {source.skip_rows} lines of source.skip_rows"
    return "the object holds nothing but blank lines" if scan.size else "the object is empty once decompressed"


def _without_lines(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The text behind its first `count` lines, which end as the first of them does."""
    first = b""
    for chunk in chunks:
        first += chunk
        if b"\n" in first or b"\r" in first[:-1] or len(first) > MAX_HEADER_BYTES:
            break
    end = b"\n" if b"\n" in first else b"\r"
    for chunk in chain([first], chunks):
        lines = chunk.split(end, count)
        count -= len(lines) - 1
        if count == 0:
            yield lines[-1]
            break
    yield from chunks


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk


def _transcoded(chunks: Iterator[bytes], encoding: str, uri: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    position = 0
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
            position += len(chunk)
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise UnreadableObject(
            f"the object is not text in {encoding}: {error} (in the {CHUNK_BYTES >> 20} MB after byte {position})",
            where=uri,
            todo="Set source.encoding to the encoding of the files.",
        ) from error


def _copied(chunks: Iterator[bytes], target: Path) -> Iterator[bytes]:
    with target.open("wb") as out:
        for chunk in chunks:
            out.write(chunk)
            yield chunk


def _scan(chunks: Iterator[bytes]) -> Scan:
    size = newlines = returns = pairs = leading = 0
    nul = False
    at_start = True
    last = b""  # the last byte of the chunk before
    tail = b""  # the line ends at the end so far
    for chunk in chunks:
        if not chunk:
            continue
        chunk_text = chunk.removeprefix(_UTF8_BOM) if size == 0 else chunk
        size += len(chunk_text)
        newlines += chunk.count(b"\n")
        if b"\r" in chunk or last == b"\r":
            returns += chunk.count(b"\r")
            pairs += chunk.count(b"\r\n") + (last + chunk[:1] == b"\r\n")
        nul = nul or b"\0" in chunk
        stripped = chunk_text.rstrip(b"\r\n")
        if at_start:
            text = chunk_text.lstrip(b"\r\n")
            leading += _line_ends(chunk_text[: len(chunk_text) - len(text)])
            at_start = not text
        ends = chunk_text[len(stripped) :]
        tail = ends if stripped else tail + ends
        last = chunk[-1:]
    return Scan(
        size=size,
        newlines=newlines,
        carriage_returns=returns,
        pairs=pairs,
        ends_line=bool(tail),
        leading_blank_lines=leading,
        trailing_blank_lines=max(_line_ends(tail) - 1, 0),
        has_nul=nul,
    )


def _line_ends(ends: bytes) -> int:
    return ends.count(b"\n") or ends.count(b"\r")


def _header(path: Path, scan: Scan, source: SourceFormat, uri: str) -> tuple[tuple[str, ...], int]:
    """The names of the header and the number of lines it takes; without one the names that are declared, or made."""
    if source.names:
        return source.names, 0
    with path.open("rb") as opened:
        start = opened.read(MAX_HEADER_BYTES + scan.leading_blank_lines * 2).removeprefix(_UTF8_BOM).lstrip(b"\r\n")
    first_line = start.split(b"\n", 1)[0]
    if b"\0" in first_line:
        raise UnreadableObject(
            "the first line holds NUL bytes, so the object is binary data or UTF-16",
            where=uri,
            expected=f"text in {source.encoding}",
        )
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start[: len(first_line)])
        # Below the first line a wrong byte is a bad row, not a bad file.
        text += start[len(first_line) :].decode("utf-8", errors="replace")
    except UnicodeDecodeError as error:
        raise UnreadableObject(
            f"the header is not text in utf-8: byte {error.object[error.start]:#04x} at {error.start}",
            where=uri,
            todo="Set source.encoding to the encoding of the files, for example latin-1.",
        ) from error
    if source.header == 0:
        return _generated(text, source), 0
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=source.delimiter,
        quotechar=source.quote or None,
        quoting=csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE,
        doublequote=source.escape in (None, source.quote),
        escapechar=source.escape if source.escape != source.quote else None,
    )
    try:
        names = next(reader)
    except csv.Error as error:
        raise UnreadableObject(f"the header is not CSV: {error}", where=uri) from error
    return tuple(name.strip() for name in names), reader.line_num


def _generated(text: str, source: SourceFormat) -> tuple[str, ...]:
    """Names for files without a header, as many as most of the first rows have fields."""
    from datalake_assets.formats.delimited.csv_fields import Dialect
    from datalake_assets.formats.delimited.csv_rows import PROBED_LINES, usual_width

    lines = [line for line in text.splitlines()[: 2 * PROBED_LINES] if line][:PROBED_LINES]
    return tuple(f"column_{number}" for number in range(1, usual_width(lines, Dialect.of(source)) + 1))
