"""The beginning of an object as a small file that a reader of whole files can read.

What was fetched ends anywhere: in the middle of a compressed block, a character, a record. The excerpt is decompressed
text in UTF-8; of formats with a record a line it ends with the last complete line.
"""

import codecs
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from datalake_assets.discovery.classifiers.sample import Sample
from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.bytes import CHUNK_BYTES, decompressed, detect_compression
from datalake_assets.formats.source_format import SourceFormat


def excerpt(sample: Sample, source: SourceFormat, target: Path, *, max_bytes: int) -> tuple[SourceFormat, bool, bool]:
    """Write the beginning of a text format to `target`.

    Returns how that is written, whether it is all there is, and whether it is nothing but ASCII.

    Args:
        max_bytes: of decompressed text.

    Raises:
        EmptyObject: there is nothing in it.
        UnreadableObject: the very beginning is broken already.
    """
    data, is_all = beginning(sample, max_bytes)
    if not data.strip():
        raise EmptyObject("there is nothing in it", where=sample.uri)
    words: dict[str, object] = {"compression": "none"}
    if source.format == "xml":  # its encoding is what it says of itself
        target.write_bytes(data)
        return source.model_copy(update=words), is_all, data.isascii()
    text = codecs.getincrementaldecoder(source.encoding)("replace").decode(data, is_all)
    if source.encoding != "utf-8":
        text = text.removeprefix("\ufeff")
    is_by_line = source.format in ("csv", "log") or (source.format == "json" and source.layout in ("auto", "lines"))
    if not is_all and is_by_line and (end := max(text.rfind("\n"), text.rfind("\r"))) > 0:
        text = text[: end + 1]
    target.write_text(text, encoding="utf-8", newline="")
    words["encoding"] = "utf-8"
    if not is_all:
        words["skip_footer"] = 0
    return source.model_copy(update=words), is_all, text.isascii()


def beginning(sample: Sample, max_bytes: int) -> tuple[bytes, bool]:
    """The first decompressed bytes of an object, and whether they are all.

    Raises:
        UnreadableObject: encrypted or broken from the start on.
    """
    compression = detect_compression(sample.head)
    if compression == "none":
        return sample.head[:max_bytes], sample.is_complete and len(sample.head) <= max_bytes
    if compression == "zip":
        return _of_zip(sample, max_bytes)
    found: list[bytes] = []
    size = 0
    try:
        for chunk in decompressed(iter([sample.head]), compression, sample.uri):
            found.append(chunk)
            size += len(chunk)
            if size > max_bytes:
                return b"".join(found)[:max_bytes], False
    except UnreadableObject:
        # A beginning ends in the middle of a block; one that is broken at once is broken.
        if not found or sample.is_complete:
            raise
        return b"".join(found), False
    return b"".join(found), sample.is_complete


def _of_zip(sample: Sample, max_bytes: int) -> tuple[bytes, bool]:
    from datalake_assets.formats.zip_members import member_chunks, members, open_archive

    found = b""
    with closing(sample.open()) as file, open_archive(file, sample.uri) as archive:
        inside = members(archive, sample.uri)
        for member in inside[:1]:
            chunks: Iterator[bytes] = member_chunks(archive, member, sample.uri, chunk_bytes=CHUNK_BYTES)
            for chunk in chunks:
                found += chunk
                if len(found) > max_bytes:
                    return found[:max_bytes], False
    return found, len(inside) == 1
