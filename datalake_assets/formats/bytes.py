"""The bytes of a raw file, decompressed and decoded piece by piece: never more than a few megabytes at once.

A file that expands without end (a zip bomb) costs time in proportion to what is read of it, and no memory; past
`MAX_EXPANSION` it is refused. gzip, bzip2, xz and zstd may consist of several members.
"""

import bz2
import io
import lzma
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from datalake_assets.errors import UnreadableObject
from datalake_assets.formats.encoding import decoded

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from datalake_assets.formats.source_format import Compression, SourceFormat

CHUNK_BYTES = 1024 * 1024
# Data never shrinks that much: gzip reaches it with one repeated byte only. Below the size it does no harm.
MAX_EXPANSION = 1_000
EXPANSION_FLOOR_BYTES = 1 << 30
_XZ_MEMORY_BYTES = 256 * 1024 * 1024

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_BZIP2_BLOCKS = (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")
_ENDS = {
    "gz": "gzip",
    "gzip": "gzip",
    "bz2": "bzip2",
    "zst": "zstd",
    "zstd": "zstd",
    "xz": "xz",
    "zip": "zip",
}
_CALLED = {"zip": "a zip archive", "none": "not compressed"}


def detect_compression(head: bytes) -> "Compression":
    """How a file is compressed by its first bytes; `none` for anything else, Parquet and Avro included."""
    for signature, name in SIGNATURES:
        if head.startswith(signature):
            return cast("Compression", name)
    if head.startswith(b"BZh") and head[4:10] in _BZIP2_BLOCKS:
        return "bzip2"
    return "none"


def compression_by_name(uri: str) -> "Compression":
    """How a file is compressed by the end of its name."""
    return cast("Compression", _ENDS.get(uri.lower().rsplit(".", 1)[-1], "none"))


def compression_of(source: "SourceFormat", uri: str, head: bytes) -> "Compression":
    """The declared compression of a file, checked against its first bytes.

    Args:
        head: at least the first ten bytes.

    Raises:
        UnreadableObject: the bytes say otherwise.
    """
    declared = compression_by_name(uri) if source.compression == "auto" else source.compression
    found = detect_compression(head)
    if found != declared:
        raise UnreadableObject(
            f"the object is {_CALLED.get(found, f'{found} data')}",
            where=uri,
            expected=_CALLED.get(declared, f"{declared} data"),
            todo="Name the object by what it is, or set source.compression to it.",
        )
    return declared


def byte_chunks(path: Path, compression: str, uri: str) -> Iterator[bytes]:
    """The decompressed bytes of a file, in chunks of at most `CHUNK_BYTES`, none of them empty.

    The members of a zip archive follow one another; a line end stands between them if the first has none at its end.

    Raises:
        UnreadableObject: broken, truncated or encrypted, or it expands more than `MAX_EXPANSION` times.
    """
    chunks = _unzipped(path, uri) if compression == "zip" else decompressed(_raw_chunks(path), compression, uri)
    if compression == "none":
        return chunks
    return _bounded(chunks, path.stat().st_size, uri)


def text_chunks(
    path: Path, source: "SourceFormat", uri: str, *, errors: Literal["strict", "surrogateescape"] = "strict"
) -> Iterator[str]:
    """The text of a file, decompressed and decoded, without a byte order mark; line ends stay as they are.

    Args:
        errors: `surrogateescape` keeps bytes that are wrong in the encoding as lone surrogates, so that only their
            record is broken (see `encoding.is_decodable`); Arrow refuses such texts, so they must be sorted out.

    Raises:
        UnreadableObject: broken or undeclared compression, or not a text of the declared encoding.
    """
    with path.open("rb") as opened:
        compression = compression_of(source, uri, opened.read(16))
    if compression == "zip" and source.format == "csv" and source.header:
        chunks = _bounded(
            _unzipped(path, uri, heading_lines=source.skip_rows + source.header), path.stat().st_size, uri
        )
    else:
        chunks = byte_chunks(path, compression, uri)
    return decoded(chunks, source.encoding, uri, errors=errors)


def decompressed(chunks: Iterable[bytes], compression: str, uri: str) -> Iterator[bytes]:
    """Decompress a stream; all kinds but zip, whose directory stands at the end of the file.

    Raises:
        UnreadableObject: broken, or it ends in the middle (what came before has been given).
    """
    if compression == "none":
        return (chunk for chunk in chunks if chunk)
    if compression == "zstd":
        return _unzstd(iter(chunks), uri)
    return _members(iter(chunks), compression, uri)


def _raw_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk


def _bounded(chunks: Iterator[bytes], size: int, uri: str) -> Iterator[bytes]:
    given = 0
    for chunk in chunks:
        given += len(chunk)
        if given > EXPANSION_FLOOR_BYTES and given > size * MAX_EXPANSION:
            raise UnreadableObject(
                f"the object expands more than {MAX_EXPANSION:,} times, from {size:,} bytes to over {given:,}: "
                "that is a zip bomb, not data",
                where=uri,
                todo="Land it again without the filling.",
            )
        yield chunk


def _members(chunks: Iterator[bytes], compression: str, uri: str) -> Iterator[bytes]:
    """All members of a gzip, bzip2 or xz stream; checksums are compared by the libraries."""
    member = _Member(compression)
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if member.is_finished:
                    data = data.lstrip(b"\0")  # padding after a member is allowed
                    if not data:
                        break
                    member = _Member(compression)
                piece, data = member.decompress(data)
                if piece:
                    yield piece
            while not member.is_finished and (piece := member.more()):
                yield piece
    except (zlib.error, OSError, lzma.LZMAError, EOFError, MemoryError) as error:
        raise UnreadableObject(
            f"the {compression} data is broken: {error}", where=uri, todo="Land it again."
        ) from error
    if not member.is_finished:
        raise UnreadableObject(
            f"the {compression} data ends in the middle (truncated)", where=uri, todo="Land it again."
        )


class _Member:
    """One member of a compressed file, whatever the library: never more than `CHUNK_BYTES` at once."""

    def __init__(self, compression: str) -> None:
        self._zlib = zlib.decompressobj(wbits=31) if compression == "gzip" else None
        self._other: bz2.BZ2Decompressor | lzma.LZMADecompressor | None = None
        if compression == "bzip2":
            self._other = bz2.BZ2Decompressor()
        elif compression == "xz":
            self._other = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)

    @property
    def is_finished(self) -> bool:
        return bool((self._zlib or self._other).eof)  # type: ignore[union-attr]

    def decompress(self, data: bytes) -> tuple[bytes, bytes]:
        """A piece of output, and the input that is still to be given."""
        if self._zlib is not None:
            piece = self._zlib.decompress(data, CHUNK_BYTES)
            return piece, self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
        other = self._other
        assert other is not None
        piece = other.decompress(data, CHUNK_BYTES)
        return piece, other.unused_data if other.eof else b""

    def more(self) -> bytes:
        """Output that waits within the library."""
        if self._zlib is not None:
            return self._zlib.decompress(self._zlib.unconsumed_tail, CHUNK_BYTES)
        assert self._other is not None
        return b"" if self._other.needs_input else self._other.decompress(b"", CHUNK_BYTES)


def _unzstd(chunks: Iterator[bytes], uri: str) -> Iterator[bytes]:
    import pyarrow as pa

    try:
        file = io.BufferedReader(ByteStream(chunks), CHUNK_BYTES)
        with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        told = "ends in the middle (truncated)" if "Truncated" in str(error) else f"is broken: {error}"
        raise UnreadableObject(f"the zstd data {told}", where=uri, todo="Land it again.") from error


def _unzipped(path: Path, uri: str, *, heading_lines: int = 0) -> Iterator[bytes]:
    from datalake_assets.formats.zip_members import member_chunks, members, open_archive

    with open_archive(path, uri) as archive:
        heading = b""
        last = b"\n"
        for number, member in enumerate(members(archive, uri)):
            if last != b"\n":
                yield b"\n"
            chunks = member_chunks(archive, member, uri, chunk_bytes=CHUNK_BYTES)
            first = next(chunks, b"")
            if heading_lines and number == 0:
                heading = _first_lines(first, heading_lines)
            elif heading and first.startswith(heading):
                first = first[len(heading) :]
            if first:
                yield first
                last = first[-1:]
            for chunk in chunks:
                yield chunk
                last = chunk[-1:]


def _first_lines(data: bytes, count: int) -> bytes:
    end = 0
    for _ in range(count):
        found = data.find(b"\n", end)
        if found < 0:
            return b""
        end = found + 1
    return data[:end]


class ByteStream(io.RawIOBase):
    """Chunks of bytes as a readable file, for libraries that want one; it cannot go back."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        view = memoryview(buffer)
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def open_bytes(path: Path, compression: str, uri: str) -> BinaryIO:
    """The decompressed bytes as a readable file that cannot go back."""
    if compression == "none":
        return path.open("rb")
    return io.BufferedReader(ByteStream(byte_chunks(path, compression, uri)), CHUNK_BYTES)
