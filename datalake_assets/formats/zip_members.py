"""The members of a zip archive, one after the other, as one stream of bytes."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from datalake_assets.errors import UnreadableObject

MAX_MEMBERS = 100_000
# Each entry becomes an object of many times its size: all of the directory is read before the first member is.
MAX_DIRECTORY_BYTES = 32 * 1024 * 1024
_TAIL_BYTES = 66 * 1024  # the end record, with the longest comment, and its 64-bit variant
_ENCRYPTED = 0x1
_LITTER = ("__MACOSX/", ".DS_Store", "Thumbs.db")


def members(archive: zipfile.ZipFile, uri: str) -> list[zipfile.ZipInfo]:
    """The files within an archive that hold data, in the order in which they were added.

    Raises:
        UnreadableObject: no file in it, too many, or one that needs a password.
    """
    found = [one for one in archive.infolist() if not one.is_dir() and one.file_size and not _is_litter(one.filename)]
    if not found:
        raise UnreadableObject("the zip archive holds no file with any content", where=uri, todo="Land it again.")
    if len(found) > MAX_MEMBERS:
        raise UnreadableObject(
            f"the zip archive holds {len(found):,} files",
            where=uri,
            expected=f"at most {MAX_MEMBERS:,}",
            todo="Land its files as objects of their own.",
        )
    if locked := next((one for one in found if one.flag_bits & _ENCRYPTED), None):
        raise UnreadableObject(
            f"member {locked.filename!r} of the zip archive is encrypted", where=uri, todo="Land it without a password."
        )
    return found


def open_archive(file: Path | BinaryIO, uri: str) -> zipfile.ZipFile:
    """Open an archive by its directory, which stands at its end.

    Raises:
        UnreadableObject: there is no directory (truncated, or no zip archive), or one too large to hold.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            size = _directory_bytes(opened)
    else:
        size = _directory_bytes(file)
    if size > MAX_DIRECTORY_BYTES:
        raise UnreadableObject(
            f"the zip archive has a directory of {size:,} bytes",
            where=uri,
            expected=f"at most {MAX_DIRECTORY_BYTES:,}",
            todo="Land its files as objects of their own.",
        )
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise UnreadableObject(
            f"the zip archive is broken or truncated: {error}", where=uri, todo="Land it again."
        ) from error


def member_chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo, uri: str, *, chunk_bytes: int) -> Iterator[bytes]:
    """The bytes of one member, its checksum compared at its end.

    Raises:
        UnreadableObject: broken, or compressed in a way that the standard library does not know.
    """
    try:
        with archive.open(member) as opened:
            while chunk := opened.read(chunk_bytes):
                yield chunk
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise UnreadableObject(
            f"member {member.filename!r} of the zip archive is broken: {error}", where=uri, todo="Land it again."
        ) from error


def _directory_bytes(file: BinaryIO) -> int:
    """The size that an archive says its directory has, at its very end; 0 if it says nothing."""
    size = file.seek(0, 2)
    file.seek(max(size - _TAIL_BYTES, 0))
    tail = file.read(_TAIL_BYTES)
    file.seek(0)
    for signature, offset, width in ((b"PK\x06\x06", 40, 8), (b"PK\x05\x06", 12, 4)):
        if (found := tail.rfind(signature)) >= 0:
            return int.from_bytes(tail[found + offset : found + offset + width], "little")
    return 0


def _is_litter(name: str) -> bool:
    return name.startswith(_LITTER[0]) or name.rsplit("/", 1)[-1] in _LITTER[1:]
