"""The blocks of an Avro container file, decompressed with a limit: its records are decoded elsewhere."""

import bz2
import io
import json
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from datalake_assets.errors import UnreadableObject, Unsupported

MAGIC = b"Obj\x01"
MAX_BLOCK_BYTES = 128 * 1024 * 1024
_MAX_HEADER_BYTES = 16 * 1024 * 1024
_SYNC_BYTES = 16


@dataclass(frozen=True)
class AvroHeader:
    """What stands before the blocks of a container file."""

    schema: Any
    codec: str
    sync: bytes


def read_header(file: BinaryIO, uri: str) -> AvroHeader:
    """The schema and codec of a container file.

    Raises:
        UnreadableObject: no Avro container, or its header is cut or broken.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise UnreadableObject(
            "the object is no Avro container file", where=uri, expected="`Obj\\x01` as its beginning"
        )
    meta: dict[str, bytes] = {}
    while count := _long(file, uri):
        if count < 0:  # its size in bytes follows, for readers that skip it
            _long(file, uri)
        for _ in range(abs(count)):
            name = _take(file, _long(file, uri), uri).decode("utf-8", "replace")
            meta[name] = _take(file, _long(file, uri), uri)
    sync = _take(file, _SYNC_BYTES, uri)
    try:
        schema = json.loads(meta["avro.schema"])
    except (KeyError, ValueError, RecursionError) as error:
        raise UnreadableObject("the Avro header has no valid schema", where=uri, todo="Land it again.") from error
    return AvroHeader(schema, meta.get("avro.codec", b"null").decode("ascii", "replace"), sync)


def blocks(file: BinaryIO, header: AvroHeader, uri: str) -> Iterator[tuple[int, bytes]]:
    """The number of records and the decompressed bytes of each block.

    Raises:
        UnreadableObject: cut in the middle, broken, or a block over `MAX_BLOCK_BYTES`.
        Unsupported: compressed in a way that is not known here.
    """
    while (first := file.read(1)) != b"":
        count = _long(file, uri, first)
        data = _take(file, _long(file, uri), uri, limit=MAX_BLOCK_BYTES)
        if _take(file, _SYNC_BYTES, uri) != header.sync:
            raise UnreadableObject("a block of the Avro file does not end where it should", where=uri)
        try:
            yield count, _decompressed(data, header.codec, uri)
        except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError) as error:
            raise UnreadableObject(f"a block of the Avro file is broken: {error}", where=uri) from error


def _decompressed(data: bytes, codec: str, uri: str) -> bytes:
    import pyarrow as pa

    if codec == "null":
        return data
    if codec == "deflate":
        stream = zlib.decompressobj(-15)
        return _limited(stream.decompress(data, MAX_BLOCK_BYTES + 1), uri)
    if codec == "bzip2":
        return _limited(bz2.BZ2Decompressor().decompress(data, MAX_BLOCK_BYTES + 1), uri)
    if codec == "xz":
        return _limited(lzma.LZMADecompressor().decompress(data, MAX_BLOCK_BYTES + 1), uri)
    if codec == "zstandard":
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as opened:
            return _limited(opened.read(MAX_BLOCK_BYTES + 1), uri)
    if codec == "snappy":
        size = _snappy_size(data)
        if size > MAX_BLOCK_BYTES:
            raise _too_large(uri)
        plain = pa.decompress(data[:-4], decompressed_size=size, codec="snappy", asbytes=True)
        if zlib.crc32(plain) != int.from_bytes(data[-4:], "big"):
            raise ValueError("its checksum is another")
        return bytes(plain)
    raise Unsupported(
        f"Avro files compressed with {codec!r} are not read",
        where=uri,
        expected="null, deflate, snappy, zstandard, bzip2 or xz",
    )


def _limited(data: bytes, uri: str) -> bytes:
    if len(data) > MAX_BLOCK_BYTES:
        raise _too_large(uri)
    return data


def _too_large(uri: str) -> UnreadableObject:
    return UnreadableObject(f"a block of the Avro file expands to over {MAX_BLOCK_BYTES >> 20} MB", where=uri)


def _snappy_size(data: bytes) -> int:
    size = shift = 0
    for byte in data[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return size
    raise ValueError("its length is no number")


def _long(file: BinaryIO, uri: str, first: bytes | None = None) -> int:
    """A number as Avro writes it: seven bits a byte, the lowest first, the sign in the lowest bit."""
    value = shift = 0
    byte = (first or _take(file, 1, uri))[0]
    while byte >= 0x80:
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > 63:
            raise UnreadableObject("a number in the Avro file is too long", where=uri)
        byte = _take(file, 1, uri)[0]
    value |= byte << shift
    return (value >> 1) ^ -(value & 1)


def _take(file: BinaryIO, size: int, uri: str, *, limit: int = _MAX_HEADER_BYTES) -> bytes:
    if not 0 <= size <= limit:
        raise UnreadableObject(f"the Avro file claims a part of {size:,} bytes, which is broken", where=uri)
    data = file.read(size)
    if len(data) != size:
        raise UnreadableObject("the Avro file ends in the middle (truncated)", where=uri, todo="Land it again.")
    return data


def record_reader(header: AvroHeader) -> Any:
    """A function from an open block to its next record."""
    import fastavro

    schema = fastavro.parse_schema(header.schema)

    def read(block: io.BytesIO) -> Any:
        return fastavro.schemaless_reader(block, schema, None)

    return read
